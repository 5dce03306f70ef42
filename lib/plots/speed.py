"""What benchmarks measured: seconds by case and library, and how seconds grow."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.plots.style import LINE_COLORS, need_columns, new_axes, styled


@styled
def speed(
    rows: pd.DataFrame, *, value: str = "seconds_per_pair", xlabel: str = "seconds per pair", ax: Axes | None = None
) -> Axes:
    """Draw one line of dots per case, a dot per library, on a logarithmic axis; the first library is filled.

    Parameters
    ----------
    rows
        Columns ``case``, ``library`` and `value`, in the order to be drawn.
    """
    need_columns(rows, ["case", "library", value], "rows")
    if not (rows[value] > 0).all():
        raise ValueError(f"rows: {value} reaches {rows[value].min()}; a logarithmic axis needs positive numbers")
    cases, libraries = list(dict.fromkeys(rows["case"])), list(dict.fromkeys(rows["library"]))
    ax = new_axes(ax, (6.8, 0.9 + 0.42 * len(cases)))
    place = rows["case"].map(cases.index)
    span = rows.groupby("case", sort=False)[value].agg(["min", "max"])
    ax.hlines(range(len(cases)), span["min"], span["max"], color="#CCCCCC", lw=1.5, zorder=1)
    for number, library in enumerate(libraries):
        own = rows["library"] == library
        color = LINE_COLORS[number % len(LINE_COLORS)]
        fill = color if number == 0 else "white"
        ax.plot(rows[value][own], place[own], "o", ms=8, color=color, mfc=fill, mew=1.8, label=library)
    ax.set_xscale("log")
    ax.set_yticks(range(len(cases)), cases)
    ax.set_ylim(len(cases) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set(xlabel=xlabel, ylabel="case")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(libraries))
    return ax


@styled
def growth(
    rows: pd.DataFrame,
    *,
    x: str,
    value: str = "seconds",
    series: str | None = None,
    exponents: tuple[float, ...] = (1.0, 2.0),
    xlabel: str | None = None,
    ylabel: str = "seconds",
    ax: Axes | None = None,
) -> Axes:
    """Draw `value` against `x` on two logarithmic axes, with thin lines that grow by the powers `exponents`.

    Parameters
    ----------
    rows
        Columns `x`, `value` and, where lines differ, `series`.
    """
    need_columns(rows, [x, value, *([series] if series else [])], "rows")
    if not (rows[[x, value]] > 0).all(axis=None):
        raise ValueError(f"rows: {x} and {value} must be positive for logarithmic axes")
    ax = new_axes(ax, (6.8, 3.4))
    parts = list(rows.groupby(series, sort=False)) if series else [("", rows)]
    for color, (name, part) in zip(LINE_COLORS, parts, strict=False):
        part = part.sort_values(x)
        ax.plot(part[x], part[value], "o-", color=color, label=str(name) or None)
    ends = np.array([rows[x].min(), rows[x].max()], dtype=float)
    start = rows[value][rows[x] == ends[0]].min()
    place = {"xytext": (-6, 4), "textcoords": "offset points", "ha": "right", "va": "bottom", "fontsize": 8}
    for exponent in exponents:
        line = start * (ends / ends[0]) ** exponent
        ax.plot(ends, line, "--", color="#999999", lw=1, zorder=1)
        ax.annotate(f"power {exponent:g}", (ends[1], line[1]), color="#666666", **place)
    ax.set(xscale="log", yscale="log", xlabel=xlabel or x, ylabel=ylabel)
    found = np.unique(rows[x])
    ax.set_xticks(found, [f"{value:g}" for value in found])
    ax.xaxis.minorticks_off()
    ax.margins(x=0.08)
    ax.grid(True)
    if series:
        ax.legend()
    return ax
