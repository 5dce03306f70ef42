"""What the explorers draw on."""

import io
from collections.abc import Callable, Sequence

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from lib import plots
from lib.clips import Clip

DPI = 100  # one dot of a picture is one of the screen


class Canvas:
    """A figure outside pyplot, so that nothing piles up: what stays is drawn once, what moves is drawn on top of it."""

    def __init__(self, size: tuple[float, float]):
        self.size, self.scene = size, None
        layout = widgets.Layout(
            width=f"{size[0] * DPI:.0f}px", max_width="100%", height="auto", align_self="flex-start"
        )
        self.image = widgets.Image(format="png", layout=layout)

    def prepare(self, draw: Callable[..., None], *scene: object) -> bool:
        """Draw the background by ``draw(*scene)`` in a new `figure`, unless it shows that scene; tell which it was."""
        if scene == self.scene:
            return False
        self.figure = Figure(figsize=self.size, dpi=DPI, layout="constrained")
        self.canvas = FigureCanvasAgg(self.figure)
        draw(*scene)
        self.canvas.draw()
        self.still, self.scene = self.canvas.copy_from_bbox(self.figure.bbox), scene
        return True

    def show(self, moving: Sequence[Artist]) -> None:
        """Draw what moves, in its order, send the picture, and take it off the figure again."""
        self.canvas.restore_region(self.still)
        for artist in moving:
            artist.axes.draw_artist(artist)
            artist.remove()
        png = io.BytesIO()
        # The browser is near: a fast picture is better than a small one.
        imsave(png, np.asarray(self.canvas.buffer_rgba()), format="png", pil_kwargs={"compress_level": 1})
        self.image.value = png.getvalue()


def body(axes: Axes, clip: Clip, frame: int, *, azimuth: float = 0.0, **look: object) -> list[Artist]:
    """Draw one frame, under the same limits at every frame: the body must move, not the axes."""
    x, before = clip.x[: clip.length], list(axes.collections)
    plots.pose(x[frame], clip.skeleton, azimuth=azimuth, ax=axes, **look)
    seen = plots.project(x, azimuth=azimuth)[np.abs(x).sum(axis=-1) > 0]
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = 0.08 * (high - low).max()
    axes.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))
    return [artist for artist in axes.collections if artist not in before]


def empty(axes: Axes, clip: Clip, *, azimuth: float = 0.0) -> None:
    """Leave axes as `body` does, without a body."""
    for artist in body(axes, clip, 0, azimuth=azimuth):
        artist.remove()
