"""Explorers for people who run a page live: clips, the graph over them, and what a network looks at.

Each returns one ipywidgets box. What it shows is a picture or an animation made by `lib.plots`, redrawn when a control
moves, so that every view of an explorer can also be had as a static figure. Nothing here computes a result.
"""

import io
from collections.abc import Callable, Mapping

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import nn

from lib import attribution, plots
from lib.clips import Clip, ClipSet
from lib.gradcam import gradcam, upsample_time
from lib.graphs import NeighborGraph
from lib.models.layers import evaluation_mode

LIVE = {"continuous_update": True}
WIDE = widgets.Layout(width="100%", max_width="40em")


def explore_clips(clips: ClipSet) -> widgets.VBox:
    """Choose a class and a clip, move through its frames, turn the body."""
    _need_clips(clips)
    chooser = _ClipChooser(clips)
    azimuth = widgets.IntSlider(0, -180, 180, 15, description="turn (°)", layout=WIDE, **LIVE)
    picture = widgets.Image(format="png")

    def draw(_=None):
        clip = chooser.clip
        with _Canvas((4.2, 4.2)) as canvas:
            x = clip.x[: clip.length]
            axes = canvas.figure.subplots()
            plots.pose(x[chooser.frame.value], clip.skeleton, azimuth=float(azimuth.value), ax=axes)
            _hold_view(axes, x, float(azimuth.value))
            rate, unit = (_rate(clip), "s") if _rate(clip) else (1, "frames")
            axes.set_title(f"{chooser.frame.value / rate:.4g} of {clip.length / rate:.4g} {unit}", fontsize=10)
        picture.value = canvas.png

    _watch(draw, chooser.frame, chooser.place, azimuth)
    draw()
    return widgets.VBox([*chooser.controls, azimuth, picture])


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
    said, picture = widgets.HTML(), widgets.Image(format="png")
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

    def draw(_=None):
        clip, place, frame = chooser.clip, chooser.place.value, chooser.frame.value
        share = scores(place)
        best = int(share.argmax())
        index = best if target.value < 0 else target.value
        found = importance(place, index, method.value)[: clip.x.shape[1], : clip.length]
        person = int(np.abs(found).sum(axis=(1, 2)).argmax())
        largest = float(np.abs(found).max()) or 1.0
        said.value = (
            f"network: <b>{clips.class_names[best]}</b> ({share[best]:.0%}), "
            f"true: <b>{clips.class_names[clip.label]}</b> ({share[clip.label]:.0%})"
        )
        with _Canvas((8.6, 4.2)) as canvas:
            left, right = canvas.figure.subplots(1, 2, width_ratios=[1, 1.5])
            x = clip.x[: clip.length]
            plots.pose(x[frame], clip.skeleton, importance=found[:, frame], largest=largest, ax=left, colorbar=False)
            _hold_view(left, x, 0.0)
            title = f"{dict(map(reversed, names))[method.value]}, for {clips.class_names[index]}"
            plots.joints_over_time(
                {title: found[person]}, clip.skeleton.joints, fps=_rate(clip), frame=frame, largest=largest, axes=right
            )
        picture.value = canvas.png

    _watch(draw, chooser.frame, chooser.place, method, target)
    draw()
    return widgets.VBox([*chooser.controls, method, target, said, picture])


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
    picture, player, told = widgets.Image(format="png"), widgets.HTML(), widgets.HTML()
    places = dict(coordinates) if coordinates is not None else {}

    def draw(_=None):
        graph = graphs[layer.value]
        if layer.value not in places:
            places[layer.value] = plots.spectral_layout(graph.adjacency())
        spots = places[layer.value]
        order = np.argsort(-graph.weights[node.value], kind="stable")
        weights = graph.weights[node.value][order]
        others = graph.indices[node.value][order][weights > 0]
        same = np.mean(clips.labels[others] == clips.labels[node.value]) if len(others) else float("nan")
        told.value = f"{len(others)} neighbours, {same:.0%} of the clip's own class"
        with _Canvas((5.2, 4.4)) as canvas:
            axes = canvas.figure.subplots()
            plots.graph_embedding(
                graph.adjacency(), clips.labels, clips.class_names, coordinates=spots, ax=axes, legend=False
            )
            axes.scatter(*spots[others].T, s=70, facecolors="none", edgecolors="black", linewidths=1.0, zorder=3)
            axes.scatter(*spots[node.value], s=170, facecolors="none", edgecolors="black", linewidths=2.2, zorder=4)
        picture.value = canvas.png
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
    return widgets.VBox([layer, node, told, picture, player])


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
        self.controls = [self.label, self.place, widgets.HBox([self.play, self.frame])]

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


class _Canvas:
    """A figure outside pyplot, so that nothing piles up; `png` holds its bytes after the block."""

    def __init__(self, size: tuple[float, float]):
        self.figure, self.png = Figure(figsize=size, dpi=100, layout="constrained"), b""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            out = io.BytesIO()
            self.figure.savefig(out, format="png")
            self.png = out.getvalue()


def _rate(clip: Clip) -> float | None:
    """Frames per second, or None where clips were stretched to one length and have none in common."""
    return clip.fps if np.isfinite(clip.fps) else None


def _hold_view(axes, x: np.ndarray, azimuth: float) -> None:
    """Give every frame of a clip the same limits: the body must move, not the axes."""
    seen = plots.project(x, azimuth=azimuth)[np.abs(x).sum(axis=-1) > 0]
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = 0.08 * (high - low).max()
    axes.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))


def _watch(draw: Callable, *controls: widgets.Widget) -> None:
    for control in controls:
        control.observe(lambda change: change["new"] is None or draw(), "value")


def _need_clips(clips: ClipSet) -> None:
    if len(clips) == 0:
        raise ValueError("clips: there are none; needed at least one to explore")
