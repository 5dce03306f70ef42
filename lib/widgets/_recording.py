"""Any frame of a recording: where it lies in the embedding, what cluster it is in, and the pose."""

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from jaxtyping import Float, Int

from lib import plots
from lib.skeletons import Skeleton
from lib.widgets._canvas import Canvas
from lib.widgets._controls import LIVE, WIDE, watch


def explore_recording(
    coordinates: Mapping[str, Float[np.ndarray, "_ 2"]],
    rows: Mapping[str, Int[np.ndarray, " _"]],
    class_names: Sequence[str],
    poses: Float[np.ndarray, "T V 3"],
    skeleton: Skeleton,
    *,
    fps: float,
) -> widgets.VBox:
    """Move through a recording: its frame in the embedding, on the timeline, and as a skeleton.

    Parameters
    ----------
    coordinates
        {name of an embedding: places of the frames}.
    rows
        As `plots.timeline` draws them: the annotation, then clusters; the embedding is coloured by any of them.
    """
    if wrong := {name: len(part) for name, part in [*coordinates.items(), *rows.items()] if len(part) != len(poses)}:
        raise ValueError(f"{wrong} frames, poses have {len(poses)}; needed as many")
    view = widgets.Dropdown(options=list(coordinates), description="states", layout=WIDE)
    colors = widgets.Dropdown(options=list(rows), description="colours", layout=WIDE)
    frame = widgets.IntSlider(0, 0, len(poses) - 1, description="frame", layout=WIDE, **LIVE)
    canvas = Canvas((8.6, 5.6))
    body = poses - poses.mean(axis=1, keepdims=True)
    reach = float(np.abs(body).max()) * 1.1

    def prepare(name, color):
        top, bottom = canvas.figure.subplots(2, 1, height_ratios=[2.2, 1])
        plots.frame_embedding(coordinates[name], rows[color], class_names, ax=top, legend=False)
        small = top.inset_axes([0.78, 0.5, 0.22, 0.5])
        small.set(xlim=(-reach, reach), ylim=(-reach, reach))
        plots.timeline(rows, class_names, fps=fps, ax=bottom)

    def draw(_=None):
        canvas.prepare(prepare, view.value, colors.value)
        top, bottom = canvas.figure.axes[:2]
        small, now = top.child_axes[0], frame.value
        spot = coordinates[view.value][now]
        ring = top.scatter(*spot, s=160, facecolors="none", edgecolors="black", linewidths=2.0, zorder=5)
        before = list(small.collections)
        plots.pose(body[now], skeleton, ax=small)
        small.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="", ylabel="", xticks=[], yticks=[])
        drawn = [artist for artist in small.collections if artist not in before]
        canvas.show([ring, *drawn, bottom.axvline(now / fps, color="black", lw=1.4, ls=(0, (3, 2)))])

    watch(draw, view, colors, frame)
    draw()
    return widgets.VBox([view, colors, frame, canvas.image])
