"""What a network looks at: joints by class, and how far explanations can be trusted, layer by layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots.geometry import _label_layers
from lib.plots.style import GRAY, LINE_COLORS, figure_of, need_columns, new_axes, panels, spoken, styled


@styled
def class_importance(
    importance: Float[np.ndarray, "classes V"],
    class_names: Sequence[str],
    joints: Sequence[str],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw each joint's share of a class's importance, a row per class; rows without clips stay empty."""
    if importance.shape != (len(class_names), len(joints)):
        raise ValueError(
            f"importance: shape {importance.shape}; needed {(len(class_names), len(joints))}, classes by joints"
        )
    total = importance.sum(axis=1, keepdims=True)
    shares = np.divide(importance, total, out=np.full(importance.shape, np.nan), where=total > 0)
    ax = new_axes(ax, (6.0, 1.2 + 0.16 * len(class_names)))
    image = ax.imshow(shares, aspect="auto", cmap="cividis", vmin=0)
    ax.set_xticks(range(len(joints)), spoken(joints), rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_yticks(range(len(class_names)), spoken(class_names), fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="joint", ylabel="class")
    figure_of([ax]).colorbar(image, ax=ax, label="share of the class's importance", pad=0.02)
    return ax


@styled
def trust_by_layer(
    rows: pd.DataFrame,
    layers: Sequence[str],
    measures: Sequence[str],
    *,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    columns: int = 2,
) -> Figure:
    """Draw a measure of GradCAM over layers, one panel per measure; other methods are level lines.

    Parameters
    ----------
    rows
        Columns ``method``, ``measure``, ``value``, and optional ``low`` and ``high``. Methods named in `layers` make
        the curve, in that order; all others a line across.
    """
    need_columns(rows, ["method", "measure", "value"], "rows")
    if unknown := [name for name in measures if name not in set(rows["measure"])]:
        raise ValueError(f"measures {unknown} have no rows; choose from {sorted(set(rows['measure']))}")
    drawn = panels(axes, len(measures), columns=columns, size=(4.4, 3.1))
    others = [method for method in dict.fromkeys(rows["method"]) if method not in layers]
    for ax, measure in zip(drawn, measures, strict=True):
        part = rows[rows["measure"] == measure].set_index("method")
        own = part.reindex(layers)
        place = np.arange(len(layers))
        if {"low", "high"} <= set(part.columns):
            ax.fill_between(
                place, own["low"].astype(float), own["high"].astype(float), color=LINE_COLORS[0], alpha=0.2, lw=0
            )
        ax.plot(place, own["value"], "o-", color=LINE_COLORS[0], ms=4.5, label="GradCAM of the layer")
        for number, method in enumerate(others):
            if method in part.index:
                color = GRAY if method == "random" else LINE_COLORS[1 + number % (len(LINE_COLORS) - 2)]
                style = ":" if method == "random" else "--"
                ax.axhline(part.loc[method, "value"], color=color, ls=style, lw=1.4, label=method)
        _label_layers(ax, [name.removeprefix("layers.") for name in layers])
        ax.set_ylabel(measure)
        ax.grid(axis="y")
    handles, labels = drawn[0].get_legend_handles_labels()
    figure = figure_of(drawn)
    figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return figure
