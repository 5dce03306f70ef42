"""Any node of a layer's dataset graph, with its clip and its neighbours in motion."""

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from jaxtyping import Float

from lib import plots
from lib.clips import ClipSet
from lib.graphs import NeighborGraph
from lib.widgets._canvas import Canvas
from lib.widgets._controls import WIDE, frame_rate, need_clips, watch


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
    need_clips(clips)
    if wrong := {layer: len(graph.indices) for layer, graph in graphs.items() if len(graph.indices) != len(clips)}:
        raise ValueError(f"graphs: {wrong} nodes for {len(clips)} clips; needed one node per clip")
    layer = widgets.SelectionSlider(options=list(graphs), value=list(graphs)[-1], description="layer", layout=WIDE)
    node = widgets.IntSlider(0, 0, len(clips) - 1, description="clip", layout=WIDE, continuous_update=False)
    canvas, player, told = Canvas((4.4, 4.4)), widgets.HTML(), widgets.HTML()
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
            [clip.x[: clip.length] for clip in moving], clips.skeleton, frame_rate(moving[0]) or 15, titles=titles
        )
        player.value = str(shown)

    watch(draw, layer, node)
    draw()
    beside = widgets.VBox([told, player], layout=widgets.Layout(flex="1 1 18em", min_width="0"))
    both = widgets.HBox([dots.box, beside], layout=widgets.Layout(flex_flow="row wrap"))
    hint = widgets.HTML("Click a dot to choose its clip; the pointer over it shows its name.")
    return widgets.VBox([layer, node, hint, both])


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
