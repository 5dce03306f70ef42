"""Any clip, frame by frame, from any side."""

import ipywidgets as widgets

from lib.clips import ClipSet
from lib.widgets._canvas import Canvas, body, empty
from lib.widgets._controls import LIVE, WIDE, ClipChooser, frame_rate, need_clips, watch


def explore_clips(clips: ClipSet) -> widgets.VBox:
    """Choose a class and a clip, move through its frames, turn the body."""
    need_clips(clips)
    chooser = ClipChooser(clips)
    azimuth = widgets.IntSlider(0, -180, 180, 15, description="turn (°)", layout=WIDE, **LIVE)
    canvas = Canvas((4.2, 4.2))

    def prepare(place, turn):
        clip, axes = clips[place], canvas.figure.subplots()
        empty(axes, clip, azimuth=turn)
        rate, unit = (frame_rate(clip), "s") if frame_rate(clip) else (1, "frames")
        axes.set_title(f"{clips.class_names[clip.label]}, {clip.length / rate:.3g} {unit}", fontsize=10)

    def draw(_=None):
        clip, turn = chooser.clip, float(azimuth.value)
        canvas.prepare(prepare, chooser.place.value, turn)
        (axes,) = canvas.figure.axes
        canvas.show(body(axes, clip, chooser.frame.value, azimuth=turn))

    watch(draw, chooser.frame, chooser.place, azimuth)
    draw()
    return widgets.VBox([*chooser.controls, azimuth, canvas.image])
