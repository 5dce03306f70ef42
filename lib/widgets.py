"""Explorers for people who run a page live: clips, the graph over them, and what a network looks at.

Each returns one ipywidgets box. What it shows is a picture or an animation made by `lib.plots`, redrawn when a control
moves, so that every view of an explorer can also be had as a static figure. Nothing here computes a result.
"""

import io
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from torch import nn

from lib import attribution, plots
from lib.clips import Clip, ClipSet
from lib.gradcam import gradcam, upsample_time
from lib.graphs import NeighborGraph
from lib.models.layers import evaluation_mode

LIVE = {"continuous_update": True}
DPI = 100  # one dot of a picture is one of the screen
WIDE = widgets.Layout(width="100%", max_width="40em")


def explore_clips(clips: ClipSet) -> widgets.VBox:
    """Choose a class and a clip, move through its frames, turn the body."""
    _need_clips(clips)
    chooser = _ClipChooser(clips)
    azimuth = widgets.IntSlider(0, -180, 180, 15, description="turn (°)", layout=WIDE, **LIVE)
    canvas = _Canvas((4.2, 4.2))

    def prepare(place, turn):
        clip, axes = clips[place], canvas.figure.subplots()
        _empty(axes, clip, azimuth=turn)
        rate, unit = (_rate(clip), "s") if _rate(clip) else (1, "frames")
        axes.set_title(f"{clips.class_names[clip.label]}, {clip.length / rate:.3g} {unit}", fontsize=10)

    def draw(_=None):
        clip, turn = chooser.clip, float(azimuth.value)
        canvas.prepare(prepare, chooser.place.value, turn)
        (axes,) = canvas.figure.axes
        canvas.show(_body(axes, clip, chooser.frame.value, azimuth=turn))

    _watch(draw, chooser.frame, chooser.place, azimuth)
    draw()
    return widgets.VBox([*chooser.controls, azimuth, canvas.image])


def explore_gradcam(model: nn.Module, clips: ClipSet) -> widgets.VBox:
    """Choose a clip, a layer or another method, and a class; see the joints at every frame.

    `clips` are prepared as the network expects them. A method is computed when it is first asked for.
    """
    _need_clips(clips)
    chooser = _ClipChooser(clips)
    others: dict[str, Callable] = {
        "integrated gradients": lambda batch, target: attribution.integrated_gradients(model, batch, target),
        "occlusion": lambda batch, target: attribution.occlusion(model, batch, target),
        "motion energy": lambda batch, target: attribution.motion_energy(batch),
    }
    names = [(f"GradCAM, {layer}", layer) for layer in model.layer_names] + [(name, name) for name in others]
    method = widgets.Dropdown(options=names, value=model.layer_names[-1], description="method", layout=WIDE)
    classes = [("predicted", -1), *((name, index) for index, name in enumerate(clips.class_names))]
    target = widgets.Dropdown(options=classes, value=-1, description="class", layout=WIDE)
    said, canvas = widgets.HTML(), _Canvas((8.6, 4.2))
    known: dict[tuple, np.ndarray] = {}

    def scores(place):
        if ("scores", place) not in known:
            batch = clips.batch([place])
            with torch.inference_mode(), evaluation_mode(model):
                known["scores", place] = model(batch.x, batch.lengths, batch.present).float().softmax(dim=1)[0].numpy()
        return known["scores", place]

    def importance(place, index, name):
        if (place, index, name) not in known:
            batch, wanted = clips.batch([place]), torch.tensor([index])
            if name in others:
                known[place, index, name] = others[name](batch, wanted)[0]
            else:
                for layer, part in gradcam(model, batch, target=wanted).items():
                    full = upsample_time(part, model.layer_strides[layer], batch.lengths.numpy())
                    known[place, index, layer] = full[0]
        return known[place, index, name]  # (M, T, V)

    def prepare(place, index, name):
        clip = clips[place]
        found = importance(place, index, name)[: clip.x.shape[1], : clip.length]
        largest = float(np.abs(found).max()) or 1.0
        left, right = canvas.figure.subplots(1, 2, width_ratios=[1, 1.5])
        _empty(left, clip)
        title = f"{dict(map(reversed, names))[name]}, for {clips.class_names[index]}"
        plots.joints_over_time(
            {title: found[_chief(found)]}, clip.skeleton.joints, fps=_rate(clip), largest=largest, axes=right
        )

    def draw(_=None):
        clip, place, frame = chooser.clip, chooser.place.value, chooser.frame.value
        share = scores(place)
        best = int(share.argmax())
        index = best if target.value < 0 else target.value
        said.value = (
            f"network: <b>{clips.class_names[best]}</b> ({share[best]:.0%}), "
            f"true: <b>{clips.class_names[clip.label]}</b> ({share[clip.label]:.0%})"
        )
        canvas.prepare(prepare, place, index, method.value)
        left, right = canvas.figure.axes[:2]  # the third is the scale of colours
        found = importance(place, index, method.value)[: clip.x.shape[1], : clip.length]
        largest = float(np.abs(found).max()) or 1.0
        # The scale of the map beside it: with that of one frame, colours would change their meaning while it plays.
        scale = {"largest": largest, "signed": bool((found[_chief(found)] < 0).any()), "colorbar": False}
        now = right.axvline((frame + 0.5) / (_rate(clip) or 1), color="black", lw=1.2, ls=(0, (3, 2)))
        canvas.show([*_body(left, clip, frame, importance=found[:, frame], **scale), now])

    _watch(draw, chooser.frame, chooser.place, method, target)
    draw()
    return widgets.VBox([*chooser.controls, method, target, said, canvas.image])


def explore_graph(
    graphs: Mapping[str, NeighborGraph],
    clips: ClipSet,
    *,
    coordinates: Mapping[str, Float[np.ndarray, "N 2"]] | None = None,
    num_shown: int = 4,
) -> widgets.VBox:
    """Pick a clip in the graph of a layer; it and its heaviest neighbours move side by side.

    Parameters
    ----------
    graphs
        {layer: graph over `clips`}.
    coordinates
        Places of the dots per layer; the graph's spectral layout when None.
    num_shown
        Neighbours that move at most.
    """
    _need_clips(clips)
    if wrong := {layer: len(graph.indices) for layer, graph in graphs.items() if len(graph.indices) != len(clips)}:
        raise ValueError(f"graphs: {wrong} nodes for {len(clips)} clips; needed one node per clip")
    layer = widgets.SelectionSlider(options=list(graphs), value=list(graphs)[-1], description="layer", layout=WIDE)
    node = widgets.IntSlider(0, 0, len(clips) - 1, description="clip", layout=WIDE, continuous_update=False)
    canvas, player, told = _Canvas((4.4, 4.4)), widgets.HTML(), widgets.HTML()
    dots = _Dots(
        canvas.image, [f"{name}, {clips.class_names[c]}" for name, c in zip(clips.names, clips.labels, strict=True)]
    )
    widgets.link((dots.buttons, "index"), (node, "value"))
    places = dict(coordinates) if coordinates is not None else {}

    def prepare(name):
        graph = graphs[name].adjacency()
        if name not in places:
            places[name] = plots.spectral_layout(graph)
        look = {"coordinates": places[name], "ax": canvas.figure.subplots(), "legend": False}
        plots.graph_embedding(graph, clips.labels, clips.class_names, **look)

    def draw(_=None):
        graph = graphs[layer.value]
        order = np.argsort(-graph.weights[node.value], kind="stable")
        weights = graph.weights[node.value][order]
        others = graph.indices[node.value][order][weights > 0]
        same = np.mean(clips.labels[others] == clips.labels[node.value]) if len(others) else float("nan")
        told.value = f"{len(others)} neighbours, {same:.0%} of the clip's own class"
        fresh = canvas.prepare(prepare, layer.value)
        (axes,) = canvas.figure.axes
        spots = places[layer.value]
        if fresh:
            dots.place(axes.transData.transform(spots) / canvas.figure.bbox.size)
        ring = {"facecolors": "none", "edgecolors": "black"}
        near = axes.scatter(*spots[others].T, s=70, linewidths=1.0, **ring)
        canvas.show([near, axes.scatter(*spots[node.value], s=170, linewidths=2.2, **ring)])
        moving = [clips[int(index)] for index in (node.value, *others[:num_shown])]
        titles = ["chosen: " + clips.class_names[moving[0].label]]
        titles += [
            f"{clips.class_names[clip.label]}, weight {weight:.2f}"
            for clip, weight in zip(moving[1:], weights, strict=False)
        ]
        shown = plots.pose_animations(
            [clip.x[: clip.length] for clip in moving], clips.skeleton, _rate(moving[0]) or 15, titles=titles
        )
        player.value = str(shown)

    _watch(draw, layer, node)
    draw()
    beside = widgets.VBox([told, player], layout=widgets.Layout(flex="1 1 18em", min_width="0"))
    both = widgets.HBox([dots.box, beside], layout=widgets.Layout(flex_flow="row wrap"))
    hint = widgets.HTML("Click a dot to choose its clip; the pointer over it shows its name.")
    return widgets.VBox([layer, node, hint, both])


class _ClipChooser:
    """Class, clip and frame; the frame stays inside the clip whatever is chosen."""

    def __init__(self, clips: ClipSet):
        self.clips = clips
        present = np.unique(clips.labels)
        classes = [("all classes", -1), *((clips.class_names[label], int(label)) for label in present)]
        self.label = widgets.Dropdown(options=classes, value=-1, description="show", layout=WIDE)
        self.place = widgets.Dropdown(options=self._options(-1), description="clip", layout=WIDE)
        self.frame = widgets.IntSlider(0, 0, self.clip.length - 1, description="frame", layout=WIDE, **LIVE)
        pause = round(1000 / (_rate(self.clip) or 15))  # milliseconds
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


class _Dots:
    """Invisible buttons over a picture, one per dot, so that a dot can be pointed at, clicked, or reached by keys.

    They are the buttons of one `ToggleButtons`, which a style sheet puts in their places: one widget, not hundreds.
    """

    def __init__(self, image: widgets.Image, names: Sequence[str]):
        numbers = range(len(names))
        self.buttons = widgets.ToggleButtons(options=[(str(i), i) for i in numbers], tooltips=list(names))
        self.style = widgets.HTML(layout=widgets.Layout(display="none"))
        size = {"width": image.layout.width, "max_width": "100%", "flex": "0 1 auto", "align_self": "flex-start"}
        image.layout.margin = "0"  # places are shares of the box, which is then the picture
        self.box = widgets.Box([image, self.buttons, self.style], layout=widgets.Layout(**size))
        self.box.add_class("lom-dots")
        self._name = f"lom-dots-{self.box.model_id}"  # explorers on one page lie apart
        self.box.add_class(self._name)

    def place(self, shares: Float[np.ndarray, "N 2"]) -> None:
        """Put the buttons at `shares` of the picture's width and height, from its lower left corner."""
        rules = [
            f".{self._name} button:nth-of-type({i}){{left:{100 * x:.2f}%;top:{100 - 100 * y:.2f}%}}"
            for i, (x, y) in enumerate(shares.tolist(), start=1)
        ]
        self.style.value = f"<style>{_DOTS}{''.join(rules)}</style>"


# Some of it is marked important because ipywidgets' own rules for these buttons are more specific.
_DOTS = """
.lom-dots{position:relative;overflow:hidden}
.lom-dots .widget-toggle-buttons{position:absolute;inset:0;margin:0;width:auto;height:auto;pointer-events:none}
.lom-dots button{position:absolute;width:16px!important;height:16px;min-width:0;margin:0!important;padding:0;
transform:translate(-50%,-50%);border-radius:50%;background:none!important;box-shadow:none!important;font-size:0;
pointer-events:auto}
.lom-dots button:is(:hover,:focus-visible){outline:2px solid #2f8fd8}
"""


class _Canvas:
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


def _rate(clip: Clip) -> float | None:
    """Frames per second, or None where clips were stretched to one length and have none in common."""
    return clip.fps if np.isfinite(clip.fps) else None


def _chief(importance: np.ndarray) -> int:
    """Person (of M, T, V) on whom most of the importance lies."""
    return int(np.abs(importance).sum(axis=(1, 2)).argmax())


def _body(axes: Axes, clip: Clip, frame: int, *, azimuth: float = 0.0, **look: object) -> list[Artist]:
    """Draw one frame, under the same limits at every frame: the body must move, not the axes."""
    x, before = clip.x[: clip.length], list(axes.collections)
    plots.pose(x[frame], clip.skeleton, azimuth=azimuth, ax=axes, **look)
    seen = plots.project(x, azimuth=azimuth)[np.abs(x).sum(axis=-1) > 0]
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = 0.08 * (high - low).max()
    axes.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))
    return [artist for artist in axes.collections if artist not in before]


def _empty(axes: Axes, clip: Clip, *, azimuth: float = 0.0) -> None:
    """Leave axes as `_body` does, without a body."""
    for artist in _body(axes, clip, 0, azimuth=azimuth):
        artist.remove()


def _watch(draw: Callable, *controls: widgets.Widget) -> None:
    for control in controls:
        control.observe(lambda change: change["new"] is None or draw(), "value")


def _need_clips(clips: ClipSet) -> None:
    if len(clips) == 0:
        raise ValueError("clips: there are none; needed at least one to explore")
