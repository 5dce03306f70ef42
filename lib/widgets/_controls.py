"""What the explorers are moved by."""

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np

from lib.clips import Clip, ClipSet

LIVE = {"continuous_update": True}
WIDE = widgets.Layout(width="100%", max_width="40em")


class ClipChooser:
    """Class, clip and frame; the frame stays inside the clip whatever is chosen."""

    def __init__(self, clips: ClipSet):
        self.clips = clips
        present = np.unique(clips.labels)
        classes = [("all classes", -1), *((clips.class_names[label], int(label)) for label in present)]
        self.label = widgets.Dropdown(options=classes, value=-1, description="show", layout=WIDE)
        self.place = widgets.Dropdown(options=self._options(-1), description="clip", layout=WIDE)
        self.frame = widgets.IntSlider(0, 0, self.clip.length - 1, description="frame", layout=WIDE, **LIVE)
        pause = round(1000 / (frame_rate(self.clip) or 15))  # milliseconds
        self.play = widgets.Play(min=0, max=self.clip.length - 1, interval=pause, repeat=True)
        widgets.jslink((self.play, "value"), (self.frame, "value"))
        self.label.observe(self._of_class, "value")
        self.place.observe(self._of_clip, "value")
        self.controls = [self.label, self.place, widgets.HBox([self.play, self.frame], layout=WIDE)]

    @property
    def clip(self) -> Clip:
        return self.clips[self.place.value]

    def _options(self, label):
        chosen = np.flatnonzero(self.clips.labels == label) if label >= 0 else np.arange(len(self.clips))
        return [(f"{self.clips.names[i]} ({self.clips.class_names[self.clips.labels[i]]})", int(i)) for i in chosen]

    def _of_class(self, change):
        self.place.options = self._options(change["new"])

    def _of_clip(self, change):
        if change["new"] is None:  # between two lists of options
            return
        last = self.clip.length - 1
        self.frame.value = min(self.frame.value, last)
        self.frame.max = self.play.max = last


def frame_rate(clip: Clip) -> float | None:
    """Frames per second, or None where clips were stretched to one length and have none in common."""
    return clip.fps if np.isfinite(clip.fps) else None


def watch(draw: Callable, *controls: widgets.Widget) -> None:
    for control in controls:
        control.observe(lambda change: change["new"] is None or draw(), "value")


def need_clips(clips: ClipSet) -> None:
    if len(clips) == 0:
        raise ValueError("clips: there are none; needed at least one to explore")
