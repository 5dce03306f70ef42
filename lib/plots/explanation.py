"""What a network looks at: joints by class, and how far explanations can be trusted, layer by layer."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots.geometry import label_layers
from lib.plots.skeleton import importance_scale
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
def joints_over_time(
    maps: Mapping[str, Float[np.ndarray, "T V"]],
    joints: Sequence[str],
    *,
    fps: float | int | None = None,
    frame: int | None = None,
    largest: float | int | None = None,
    label: str = "importance",
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    columns: int = 3,
) -> Figure:
    """Draw importance as a picture of joints by frames, one panel per map (a layer, a method), all on one scale.

    Parameters
    ----------
    maps
        {title: (T, V)}, one person each; signed values get a scale that is the same on both sides of 0.
    fps
        Frames per second; times are then written in seconds, otherwise frame numbers.
    frame
        A frame to mark by a line.
    largest
        Importance at the end of the colour scale; the largest of all maps when None.
    label
        What stands beside the colour scale.
    """
    if wrong := {title: part.shape for title, part in maps.items() if part.shape[1] != len(joints)}:
        raise ValueError(f"maps: shapes {wrong}; needed (frames, {len(joints)}), a column per joint")
    drawn = panels(axes, len(maps), columns=columns, size=(2.9, 3.6), sharey=axes is None)
    norm, cmap = importance_scale(np.concatenate([part.ravel() for part in maps.values()]), largest)
    for place, (ax, (title, part)) in enumerate(zip(drawn, maps.items(), strict=True)):
        end = len(part) / (fps or 1)
        image = ax.imshow(
            part.T, aspect="auto", norm=norm, cmap=cmap, extent=(0, end, len(joints) - 0.5, -0.5), interpolation="none"
        )
        if frame is not None:
            ax.axvline((frame + 0.5) / (fps or 1), color="black", lw=1.2, ls=(0, (3, 2)))
        if place % columns == 0 or axes is not None:
            ax.set_yticks(range(len(joints)), spoken(joints), fontsize=7)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(title=title, xlabel="frame" if fps is None else "time (s)")
    figure_of(drawn).colorbar(image, ax=drawn, label=label, pad=0.02, aspect=30)
    return figure_of(drawn)


_MEASURED = {"truth": "average precision, {}", "deletion": "area of {}", "insertion": "area of {}"}


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
        label_layers(ax, [name.removeprefix("layers.") for name in layers])
        ax.set_ylabel(_MEASURED.get(measure.partition(" ")[0], "{}").format(measure))
        ax.margins(y=0.1)
        ax.grid(axis="y")
    handles, labels = drawn[0].get_legend_handles_labels()
    figure = figure_of(drawn)
    figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return figure
