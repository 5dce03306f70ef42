"""Graphs over clips, drawn: one, or one per layer."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import sparse

from lib.plots.layout import edge_list, spectral_layout
from lib.plots.style import class_style, figure_of, new_axes, panels, spoken, styled


@styled
def graph_embedding(
    graph: sparse.sparray | sparse.spmatrix | None,
    labels: Int[np.ndarray, " N"],
    class_names: Sequence[str],
    *,
    coordinates: Float[np.ndarray, "N 2"] | None = None,
    ax: Axes | None = None,
    legend: bool = True,
    size: float | int = 26.0,
    title: str | None = None,
) -> Axes:
    """Draw a graph over clips: a dot per clip in its class's colour and marker, links faint.

    Parameters
    ----------
    graph
        (N, N) sparse symmetric adjacency or Laplacian; None draws dots only and needs `coordinates`.
    labels
        Class of each clip.
    coordinates
        Places of the dots; :func:`spectral_layout` of the graph when None.
    size
        Area of a dot in square points.

    Notes
    -----
    The picture is two coordinates of a graph in N - 1 dimensions: judge neighbourhoods by numbers, not by the eye.
    """
    _check_labels(labels, class_names, graph)
    if coordinates is None:
        if graph is None:
            raise ValueError("graph and coordinates are both None; needed at least one")
        coordinates = spectral_layout(graph)
    if coordinates.shape != (len(labels), 2):
        raise ValueError(f"coordinates: shape {coordinates.shape}; needed ({len(labels)}, 2)")
    own = ax is None
    ax = new_axes(ax, (6.8, 4.6) if legend else (4.6, 4.6))
    _draw_graph(ax, graph, coordinates, labels, size)
    if legend:
        look = {
            "handles": _class_handles(class_names),
            "ncols": 1 if len(class_names) <= 18 else 2,
            "fontsize": 8,
            "columnspacing": 1.0,
        }
        if own:  # the layout makes room for a figure's legend
            ax.get_figure().legend(loc="outside right center", **look)
        else:
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), **look)
    if title:
        ax.set_title(title)
    return ax


@styled
def graph_layers(
    graphs: Mapping[str | int, sparse.sparray | sparse.spmatrix],
    labels: Int[np.ndarray, " N"],
    class_names: Sequence[str],
    *,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    columns: int = 4,
    size: float | int = 12.0,
) -> Figure:
    """Draw the graph of each layer, one panel per layer in the mapping's order, as :func:`graph_embedding` does."""
    if len(graphs) == 0:
        raise ValueError("graphs: no layers; needed {layer: (N, N) sparse graph}")
    for graph in graphs.values():
        _check_labels(labels, class_names, graph)
    places = [spectral_layout(graph) for graph in graphs.values()]
    wide = min(2.8, 7.8 / min(columns, len(graphs)))
    drawn = panels(axes, len(graphs), columns=columns, size=(wide, wide + 0.1))
    for ax, (layer, graph), spots in zip(drawn, graphs.items(), places, strict=True):
        _draw_graph(ax, graph, spots, labels, size)
        ax.set_title(f"layer {layer}" if str(layer).isdigit() else str(layer), fontsize=10)
    figure = figure_of(drawn)
    if axes is None:
        across = max(2, int(figure.get_figwidth() / (0.5 + 0.075 * max(map(len, class_names)))))
        figure.set_figheight(figure.get_figheight() + 0.2 + 0.2 * -(-len(class_names) // across))
        figure.legend(
            handles=_class_handles(class_names),
            loc="outside lower center",
            ncols=min(len(class_names), across),
            fontsize=8,
        )
    return figure


def _check_labels(labels, class_names, graph):
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(class_names):
        reach = f"{labels.min()}..{labels.max()}" if len(labels) else "empty"
        raise ValueError(f"labels: {reach} for {len(class_names)} class names; needed 0..{len(class_names) - 1}")
    if graph is not None and graph.shape != (len(labels), len(labels)):
        raise ValueError(f"graph: shape {graph.shape} for {len(labels)} labels; needed one row and column per clip")


def _draw_graph(ax, graph, spots, labels, size):
    if graph is not None:
        rows, columns, weights = edge_list(graph)
        strength = weights / weights.max(initial=1e-300)
        crowd = np.clip(500 / max(len(rows), 1), 0.15, 1.0)
        colors = np.column_stack([np.full((len(rows), 3), 0.35), (0.08 + 0.4 * strength) * crowd])
        segments = np.stack([spots[rows], spots[columns]], axis=1)
        ax.add_collection(LineCollection(segments, colors=colors, linewidths=0.7, zorder=1))
    for label in np.unique(labels):
        color, marker = class_style(int(label))
        mine = spots[labels == label]
        ax.scatter(*mine.T, s=size, c=color, marker=marker, linewidths=0.4, edgecolors="white", zorder=2)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_aspect("equal")
    ax.margins(0.06)
    ax.autoscale_view()


def _class_handles(class_names):
    styles = [class_style(c) for c in range(len(class_names))]
    return [
        Line2D([], [], ls="", marker=marker, color=color, ms=6, label=name)
        for name, (color, marker) in zip(spoken(class_names), styles, strict=True)
    ]
