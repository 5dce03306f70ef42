"""Layers against each other, and graphs of layers against the same graphs made in another way."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots.geometry import label_layers
from lib.plots.style import BLUE, GRAY, figure_of, need_columns, new_axes, panels, spoken, styled


@styled
def sensitivity(
    overlap: pd.DataFrame, correlation: pd.DataFrame, *, axes: Sequence[Axes] | np.ndarray | None = None
) -> Figure:
    """Draw, for every setting, the overlap of neighbours by layer as colours and the rank correlation beside it.

    Parameters
    ----------
    overlap
        (settings, layers) from 0 to 1, rows in the order to draw.
    correlation
        ``mean``, ``low`` and ``high``, indexed by setting; without an interval where the ends are NaN.
    axes
        Two, side by side.
    """
    need_columns(correlation, ["mean", "low", "high"], "correlation")
    if missing := [name for name in overlap.index if name not in correlation.index]:
        raise ValueError(f"correlation: no rows {missing}; needed one for every setting of overlap")
    if axes is None:
        size = (7.6, 1.2 + 0.23 * len(overlap))
        axes = plt.subplots(1, 2, figsize=size, sharey=True, width_ratios=(3, 2))[1]
    left, right = panels(axes, 2, columns=2, size=(4, 4))
    image = left.imshow(overlap.to_numpy(float), vmin=0, vmax=1, aspect="auto", cmap="cividis")
    beside = {"location": "top", "shrink": 0.5, "anchor": (0.0, 0.0), "fraction": 0.05, "pad": 0.03, "aspect": 25}
    bar = figure_of([left]).colorbar(image, ax=[left, right], **beside)  # of both, so that rows stay level
    bar.set_label("neighbours in common (Jaccard)")
    bar.outline.set_visible(False)
    label_layers(left, list(overlap.columns))
    left.set_xlim(-0.5, len(overlap.columns) - 0.5)
    left.set_yticks(range(len(overlap)), spoken(list(overlap.index)))
    left.tick_params(length=0)
    left.spines[:].set_visible(False)
    found = correlation.loc[overlap.index].astype(float)
    rows = np.arange(len(overlap))
    right.axvline(1, color=GRAY, lw=1)
    right.hlines(rows, found["low"].clip(-1, 1), found["high"].clip(-1, 1), color=BLUE, lw=2)  # Student's may go beyond
    right.plot(found["mean"], rows, "o", color=BLUE, ms=5)
    right.set(
        xlabel="rank correlation of the curve", xlim=(min(0, np.nanmin(found.to_numpy().clip(-1, 1))) - 0.05, 1.05)
    )
    right.set_ylim(len(overlap) - 0.5, -0.5)
    right.grid(axis="x")
    return figure_of([left])


@styled
def between_layers(table: pd.DataFrame, *, label: str = "CKA", ax: Axes | None = None) -> Axes:
    """Draw how alike every pair of layers is, as colours from 0 to 1; `table` (layers, layers) names them."""
    if table.shape[0] != table.shape[1] or len(table) == 0:
        raise ValueError(f"table has shape {table.shape}; needed as many rows as columns")
    ax = new_axes(ax, (4.2, 3.4))
    image = ax.imshow(table.to_numpy(float), vmin=0, vmax=1, cmap="cividis")
    bar = ax.get_figure().colorbar(image, ax=ax, pad=0.03)
    bar.set_label(label)
    bar.outline.set_visible(False)
    label_layers(ax, list(table.columns))
    ax.set_xlim(-0.5, len(table) - 0.5)
    ax.set_yticks(range(len(table)), spoken(list(table.index)))
    ax.set_ylabel("layer")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
