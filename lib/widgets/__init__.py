"""Explorers for people who run a page live: clips, the graph over them, what a network looks at, and recordings.

Each returns one ipywidgets box. What it shows is a picture or an animation made by `lib.plots`, redrawn when a control
moves, so that every view of an explorer can also be had as a static figure. Nothing here computes a result.
"""

from lib.widgets._clips import explore_clips
from lib.widgets._gradcam import explore_gradcam
from lib.widgets._graph import explore_graph
from lib.widgets._recording import explore_recording

__all__ = ["explore_clips", "explore_gradcam", "explore_graph", "explore_recording"]
