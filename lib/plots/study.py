"""What a study over seeds found: gains of one network over another, accuracy against clips or tuned layers."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.plots.style import GRAY, LINE_COLORS, need_columns, new_axes, spoken, styled


@styled
def gains(
    found: pd.DataFrame,
    *,
    published: Mapping[str, float] | None = None,
    per_seed: pd.DataFrame | None = None,
    ax: Axes | None = None,
    unit: str = "points",
) -> Axes:
    """Draw gains over a baseline with their intervals, one row each; the baseline is the line at 0.

    Parameters
    ----------
    found
        As `trust.paired_gains` returns it: ``mean``, ``low``, ``high``, indexed by name.
    published
        Gains that others report, drawn as open squares where a name has one.
    per_seed
        (seeds, names) gains, drawn as small dots.
    """
    need_columns(found, ["mean", "low", "high"], "found")
    ax = new_axes(ax, (6.0, 0.9 + 0.42 * len(found)))
    place = np.arange(len(found))[::-1]
    ax.axvline(0, color=GRAY, lw=1)
    if per_seed is not None:
        dots = per_seed[found.index]
        ax.plot(dots, np.tile(place - 0.18, (len(dots), 1)), "o", color=GRAY, ms=3, alpha=0.7, mew=0)
        ax.lines[-1].set_label("single seeds")
    ax.hlines(place, found["low"].astype(float), found["high"].astype(float), color=LINE_COLORS[0], lw=2)
    ax.plot(found["mean"], place, "o", color=LINE_COLORS[0], ms=6, label="mean of seeds, 95 % interval")
    named = {name: value for name, value in ({} if published is None else published).items() if name in found.index}
    if named:
        rows = [place[found.index.get_loc(name)] for name in named]
        ax.plot(list(named.values()), rows, "s", color=LINE_COLORS[1], mfc="none", ms=7, label="published")
    ax.set_yticks(place, spoken(list(found.index)))
    ax.set(xlabel=f"gain ({unit})", ylabel="network", ylim=(-0.6, len(found) - 0.4))
    ax.grid(axis="x")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


@styled
def by_share(rows: pd.DataFrame, names: Sequence[str], *, by: str = "step", ax: Axes | None = None) -> Axes:
    """Draw a score against the share of training clips, a line for each of `names` with its interval over seeds.

    `rows` has columns ``share``, `by`, ``mean``, ``low`` and ``high`` (NaN with a single seed), shares in (0, 1].
    """
    need_columns(rows, ["share"], "rows")
    ax = _lines(rows.assign(share=100 * rows["share"]), names, "share", by, new_axes(ax, (5.2, 3.4)))
    ax.set_xscale("log")
    shares = sorted(set(100 * rows["share"]))
    ax.set_xticks(shares, [f"{share:g}" for share in shares], minor=False)
    ax.minorticks_off()
    ax.set(xlabel="training clips (%)", ylabel="accuracy")
    return ax


@styled
def by_depth(
    rows: pd.DataFrame, names: Sequence[str] | Mapping[str, str], *, by: str = "start", ax: Axes | None = None
) -> Axes:
    """Draw accuracy against the number of tuned layers, a line for each of `names` with its interval over seeds.

    `rows` has columns ``num_tuned``, `by`, ``mean``, ``low`` and ``high`` (NaN with a single seed). A mapping of names
    to colours gives a name the same colour in several panels.
    """
    need_columns(rows, ["num_tuned"], "rows")
    ax = _lines(rows, names, "num_tuned", by, new_axes(ax, (5.2, 3.4)))
    ax.set_xticks(sorted(set(rows["num_tuned"])))
    ax.set(xlabel="tuned layers, beside the classifier", ylabel="accuracy")
    return ax


def _lines(rows, names, along, by, ax):
    need_columns(rows, [by, "mean", "low", "high"], "rows")
    if unknown := [name for name in names if name not in set(rows[by])]:
        raise ValueError(f"names {unknown} have no rows; choose from {sorted(set(rows[by]))}")
    colors = names.values() if isinstance(names, Mapping) else cycle(LINE_COLORS)
    for name, color in zip(names, colors, strict=False):
        part = rows[rows[by] == name].sort_values(along)
        low, high = part["low"].astype(float), part["high"].astype(float)
        ax.fill_between(part[along], low, high, color=color, alpha=0.18, lw=0)
        if len(part) == 1:  # no area
            ax.vlines(part[along], low, high, color=color, alpha=0.5, lw=2)
        ax.plot(part[along], part["mean"], "o-", color=color, ms=4.5, label=spoken([name])[0])
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, 0), min(high, 1))  # intervals of few seeds lie beyond
    ax.grid(axis="y")
    ax.legend()
    return ax
