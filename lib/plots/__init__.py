"""Every figure of the book: arrays and axes in, axes or a figure out.

Functions with one panel take ``ax`` and return it; functions with several take ``axes`` and return the figure. Nothing
here shows, saves or closes a figure, changes rcParams, or modifies what it is given.
"""

from lib.plots.alignment import alignment, band_sensitivity, warped_pair
from lib.plots.animation import pose_animation, pose_animations
from lib.plots.explanation import class_importance, joints_over_time, trust_by_layer
from lib.plots.film import Animation
from lib.plots.geometry import neighbors_by_layer, smoothness_by_class, smoothness_by_layer
from lib.plots.graph import graph_embedding, graph_layers
from lib.plots.kernels import ablation, pyramid
from lib.plots.layout import spectral_layout
from lib.plots.robustness import by_level, layers_by_level, poses
from lib.plots.sensitivity import between_layers, sensitivity
from lib.plots.skeleton import pose, pose_strip
from lib.plots.speed import growth, speed
from lib.plots.study import by_depth, by_share, gains
from lib.plots.style import LINE_COLORS, class_style, grid, spoken, styled
from lib.plots.summary import class_counts, clip_lengths
from lib.plots.timeline import frame_embedding, timeline
from lib.plots.training import confusion, learning_curves, reliability
from lib.plots.trajectories import joint_trajectories
from lib.plots.tubes import tube_animation, tube_strip
from lib.plots.view import project

__all__ = [
    "LINE_COLORS",
    "Animation",
    "ablation",
    "alignment",
    "band_sensitivity",
    "between_layers",
    "by_depth",
    "by_level",
    "by_share",
    "class_counts",
    "class_importance",
    "class_style",
    "clip_lengths",
    "confusion",
    "frame_embedding",
    "gains",
    "graph_embedding",
    "graph_layers",
    "grid",
    "growth",
    "joint_trajectories",
    "joints_over_time",
    "layers_by_level",
    "learning_curves",
    "neighbors_by_layer",
    "pose",
    "pose_animation",
    "pose_animations",
    "pose_strip",
    "poses",
    "project",
    "pyramid",
    "reliability",
    "sensitivity",
    "smoothness_by_class",
    "smoothness_by_layer",
    "spectral_layout",
    "speed",
    "spoken",
    "styled",
    "timeline",
    "trust_by_layer",
    "tube_animation",
    "tube_strip",
    "warped_pair",
]
