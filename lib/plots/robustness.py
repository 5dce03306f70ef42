"""What spoiled clips look like, and what they do: damage by level, and any measure of layers by level."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots.geometry import SPOKEN, label_layers
from lib.plots.skeleton import pose
from lib.plots.style import GRAY, LINE_COLORS, figure_of, need_columns, panels, spoken, styled
from lib.skeletons import Skeleton

_MARKERS = ("o", "s", "D", "^", "v")


@styled
def poses(
    frames: Mapping[str, Num[np.ndarray, "*persons V C"]],
    skeleton: Skeleton,
    *,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    columns: int = 6,
) -> Figure:
    """Draw single poses side by side under their names, to one scale; ``frames`` as in :func:`pose`."""
    if len(frames) == 0:
        raise ValueError("frames: none given; needed {name: pose}")
    drawn = panels(axes, len(frames), columns=columns, size=(1.5, 2.9), sharex=True, sharey=True)
    for number, (ax, (name, frame)) in enumerate(zip(drawn, frames.items(), strict=True)):
        pose(frame, skeleton, ax=ax, title=spoken([name])[0])
        ax.title.set_fontsize(9)
        if number % columns:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
    return figure_of(drawn)


@styled
def by_level(
    rows: pd.DataFrame,
    *,
    series: Sequence[str] | None = None,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    value: str = "damage",
    columns: int = 3,
) -> Figure:
    """Draw values against the level of each corruption, one panel per corruption, one line per series.

    Parameters
    ----------
    rows
        Columns ``corruption``, ``level``, ``unit``, ``series``, ``mean``, and optional ``low`` and ``high``. Levels
        stand at equal steps.
    series
        Lines to draw, in this order; all of them when None.
    """
    need_columns(rows, ["corruption", "level", "unit", "series", "mean"], "rows")
    series = list(pd.unique(rows["series"])) if series is None else list(series)
    if unknown := [name for name in series if name not in set(rows["series"])]:
        raise ValueError(f"series {unknown} have no rows; choose from {sorted(set(rows['series']))}")
    names = list(pd.unique(rows["corruption"]))
    drawn = panels(axes, len(names), columns=columns, size=(2.6, 2.4), sharey=True)
    for ax, name in zip(drawn, names, strict=True):
        part = rows[rows["corruption"] == name]
        levels = sorted(set(part["level"]))
        ax.axhline(0, color=GRAY, lw=0.8)
        for number, (one, color, marker) in enumerate(zip(series, cycle(LINE_COLORS), cycle(_MARKERS), strict=False)):
            line = part[part["series"] == one].sort_values("level")
            place = np.array([levels.index(level) for level in line["level"]]) + 0.08 * (number - (len(series) - 1) / 2)
            if {"low", "high"} <= set(line.columns):
                ax.vlines(place, line["low"].astype(float), line["high"].astype(float), color=color, lw=1.3, alpha=0.6)
            ax.plot(place, line["mean"], color=color, marker=marker, ms=4, label=one)
        ax.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        ax.set(title=spoken([name])[0], xlabel=part["unit"].iloc[0])
        ax.grid(axis="y")
    for ax in drawn[::columns]:
        ax.set_ylabel(value)
    handles, labels = drawn[0].get_legend_handles_labels()
    figure_of(drawn).legend(handles, labels, loc="outside upper left", ncols=min(columns, len(names)))
    return figure_of(drawn)


@styled
def layers_by_level(
    rows: pd.DataFrame,
    *,
    value: str,
    zero: str | None = None,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    columns: int = 3,
) -> Figure:
    """Draw a measure over layers, one panel per corruption, one line per level, darker the milder.

    Parameters
    ----------
    rows
        Columns ``corruption``, ``level``, ``unit``, ``layer``, ``depth``, and those named by `value` and `zero`. Rows
        of the corruption ``none`` are drawn in every panel.
    value
        Column to draw.
    zero
        Column that says, per layer, where nothing is left; drawn dotted, averaged over levels.
    """
    need_columns(rows, ["corruption", "level", "unit", "layer", "depth", value, *([zero] if zero else [])], "rows")
    clean, rows = rows[rows["corruption"] == "none"], rows[rows["corruption"] != "none"]
    need_columns(rows, ["corruption"], "rows of spoiled clips")
    names = list(pd.unique(rows["corruption"]))
    drawn = panels(axes, len(names), columns=columns, size=(2.6, 2.8), sharey=True)
    most = max(part["level"].nunique() for _, part in rows.groupby("corruption"))
    colors = mpl.colormaps["cividis"](np.linspace(0, 0.85, most))
    for ax, name in zip(drawn, names, strict=True):
        part = rows[rows["corruption"] == name]
        order = part.groupby("layer")["depth"].min().sort_values(kind="stable").index
        for level, color in zip(sorted(set(part["level"])), colors, strict=False):
            line = part[part["level"] == level].groupby("layer")[value].mean()
            ax.plot(range(len(order)), line.reindex(order), color=color, marker="o", ms=3.5, label=f"{level:g}")
        if len(clean):
            start = clean.groupby("layer")[value].mean().reindex(order)
            ax.plot(range(len(order)), start, color="black", ls="--", lw=1.2, label="clean")
        if zero:
            end = part.groupby("layer")[zero].mean().reindex(order)
            ax.plot(range(len(order)), end, color=GRAY, ls=":", lw=1.4, label="nothing left")
        label_layers(ax, [str(layer).removeprefix("layers.") for layer in order])
        ax.set_title(spoken([name])[0])
        look = {"fontsize": 7.5, "title_fontsize": 7.5, "labelspacing": 0.2, "columnspacing": 1.0}
        ax.legend(title=part["unit"].iloc[0], loc="upper left", bbox_to_anchor=(-0.02, -0.24), ncols=3, **look)
        ax.grid(axis="y")
    for ax in drawn[::columns]:
        ax.set_ylabel(SPOKEN.get(value, value.replace("_", " ")))
    drawn[0].set_ylim(bottom=min(0.0, drawn[0].get_ylim()[0]))
    return figure_of(drawn)
