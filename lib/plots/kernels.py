"""Class feature pyramids: the kernels behind a class, and what removing them does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from lib.plots.style import (
    BLUE,
    GRAY,
    LINE_COLORS,
    VERMILION,
    figure_of,
    need_columns,
    new_axes,
    panels,
    spoken,
    styled,
)

if TYPE_CHECKING:
    from lib.pyramids import Pyramid  # brings torch


@styled
def pyramid(found: "Pyramid", *, class_name: str | None = None, num_shown: int = 6, ax: Axes | None = None) -> Axes:
    """Draw a pyramid from the class down, step by step; the way that most of the class takes is marked.

    Parameters
    ----------
    found
        The pyramid; the larger a dot, the larger its `Pyramid.strengths`, and the wider a line, the more it carries.
    class_name
        Name of its class; its number when None.
    num_shown
        Kernels drawn of each step, the strongest, and in any case those on the marked way; how many more were chosen is
        written below.
    """
    if num_shown < 1:
        raise ValueError(f"num_shown={num_shown}; needed at least 1")
    strengths = np.array(found.strengths())
    levels = range(1 + max(node.level for node in found.nodes))
    ax = new_axes(ax, (0.8 + 1.9 * len(levels), 1.0 + 0.6 * num_shown))
    spots: dict[int, tuple[float, float]] = {}
    way, counts = _strongest_way(found, strengths), []
    for level in levels:
        own = [index for index, node in enumerate(found.nodes) if node.level == level]
        own.sort(key=lambda index: -strengths[index])
        rest = [index for index in own if index not in way]
        on_way = [index for index in own if index in way]
        shown = sorted([*on_way, *rest[: max(0, num_shown - len(on_way))]], key=own.index)
        spots |= {index: (float(level), float(y)) for y, index in enumerate(shown)}
        num_layers = len({found.nodes[index].layer for index in own})
        counts.append(f"{_count(len(own), 'kernel')} in {_count(num_layers, 'layer')}")
        if len(own) > len(shown):
            ax.text(level, len(shown) - 0.2, f"and {len(own) - len(shown)} more", ha="center", color=GRAY)
    drawn = [edge for edge in found.edges if edge.parent in spots and edge.child in spots]
    carried = np.array([strengths[edge.parent] * edge.score for edge in drawn])
    lines = [[spots[edge.parent], spots[edge.child]] for edge in drawn]
    widths = 0.4 + 4 * carried / carried.max(initial=1e-12)
    ax.add_collection(LineCollection(lines, linewidths=widths, colors=GRAY, alpha=0.3, zorder=1))
    ax.plot(*zip(*(spots[index] for index in way), strict=True), color=VERMILION, lw=2, zorder=2)
    sizes = 20 + 160 * np.sqrt(strengths[list(spots)])
    colors = [VERMILION if index in way else BLUE for index in spots]
    ax.scatter(*zip(*spots.values(), strict=True), s=sizes, c=colors, zorder=3)
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    for index, spot in spots.items():
        node = found.nodes[index]
        text = f"{node.layer} · {node.kernel}"
        ax.annotate(
            text, spot, (0, 8), textcoords="offset points", ha="center", va="bottom", fontsize=8, bbox=box, zorder=4
        )
    ax.set_xticks(levels, [f"{level}\n{count}" for level, count in zip(levels, counts, strict=True)])
    ax.set(xlabel="steps back from the class", xlim=(-0.5, len(levels) - 0.5))
    ax.set(ylim=(max(y for _, y in spots.values()) + 1.1, -0.8), yticks=[], ylabel="kernels, the strongest on top")
    ax.set_title(f"{spoken([class_name])[0] if class_name else f'class {found.class_index}'}, logit {found.logit:.1f}")
    ax.grid(visible=False)
    return ax


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _strongest_way(found: "Pyramid", strengths: np.ndarray) -> list[int]:
    """Nodes from the class down, each time to the child that gets most."""
    way = [max((i for i, node in enumerate(found.nodes) if node.level == 0), key=lambda i: strengths[i])]
    while below := [edge for edge in found.edges if edge.parent == way[-1]]:
        way.append(max(below, key=lambda edge: edge.score).child)
    return way


@styled
def ablation(
    rows: pd.DataFrame,
    *,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    unit: str = "drop of the class's logit",
) -> Figure:
    """Draw what silencing kernels takes from a class, against the share silenced; one panel per step back from it.

    `rows` has columns ``level``, ``share``, ``method``, ``mean``, ``low`` and ``high`` (NaN without an interval).
    """
    need_columns(rows, ["level", "share", "method", "mean", "low", "high"], "rows")
    levels = sorted(rows["level"].unique())
    drawn = panels(axes, len(levels), columns=3, size=(3.1, 3.0), sharey=axes is None)
    methods = list(rows["method"].unique())
    for ax, level in zip(drawn, levels, strict=True):
        for place, method in enumerate(methods):
            part = rows[(rows["level"] == level) & (rows["method"] == method)].sort_values("share")
            color, style = (GRAY, "--") if method == "random" else (LINE_COLORS[place % len(LINE_COLORS)], "-")
            ax.plot(100 * part["share"], part["mean"], style, marker="o", ms=4, color=color, label=str(method))
            low, high = (part[name].astype(float) for name in ("low", "high"))
            ax.fill_between(100 * part["share"], low, high, color=color, alpha=0.15, lw=0)
        ax.axhline(0, color=GRAY, lw=0.8)
        ax.set(xlabel="kernels silenced (%)", title=f"{level} step{'' if level == 1 else 's'} back")
    drawn[0].set_ylabel(unit)
    figure = figure_of(drawn)
    figure.legend(*drawn[0].get_legend_handles_labels(), loc="outside upper left", ncols=len(methods))
    return figure
