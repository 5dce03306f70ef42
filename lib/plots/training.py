"""How training went, and what the trained network confuses and believes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.plots.style import LINE_COLORS, figure_of, need_columns, new_axes, panels, spoken, styled

MOST_COUNTS = 16  # with more classes the numbers in a confusion matrix are too small to read
_BLUES = LinearSegmentedColormap.from_list("book_blues", ["#ffffff", "#9ecae1", "#0072B2", "#08306b"])


@styled
def learning_curves(
    history: pd.DataFrame, *, axes: Axes | Sequence[Axes] | np.ndarray | None = None, title: str | None = None
) -> Figure:
    """Draw losses and accuracies over epochs, training and validation; several seeds become thin lines and a mean.

    Parameters
    ----------
    history
        One row per epoch (and seed), as in ``History.epochs``: ``epoch``, at least one column with "loss" in its name,
        and any with "accuracy" (0 to 1). Names that start with ``validation_`` or ``val_`` are validation; of several
        networks it is "name accuracy". A column ``seed``, where present, tells runs apart.
    axes
        One for losses and, where there are accuracies, one for them.
    """
    need_columns(history, ["epoch"], "history")
    groups = {
        "loss": [column for column in history.columns if "loss" in str(column)],
        "accuracy": [column for column in history.columns if "accuracy" in str(column)],
    }
    groups = {
        label: [column for column in columns if history[column].notna().any()] for label, columns in groups.items()
    }
    groups = {label: columns for label, columns in groups.items() if columns}
    if not groups:
        raise ValueError(f"history: no column with 'loss' or 'accuracy' in its name; found {list(history.columns)}")
    runs = [run for _, run in history.groupby("seed")] if "seed" in history.columns else [history]
    drawn = panels(axes, len(groups), columns=2, size=(3.7, 3.0))
    for ax, (label, columns) in zip(drawn, groups.items(), strict=True):
        for color, column in zip(_spread(len(columns)), _training_first(columns), strict=True):
            dashes = "--" if _is_validation(column) else "-"
            if len(runs) > 1:
                for run in runs:
                    ax.plot(run["epoch"], run[column], color=color, lw=0.8, alpha=0.4, ls=dashes)
            mean = history.groupby("epoch")[column].mean().dropna()
            marker = {"marker": "o", "ms": 4} if len(mean) < 3 else {}
            ax.plot(mean.index, mean.to_numpy(), color=color, ls=dashes, label=_spoken(str(column)), **marker)
        ax.set(xlabel="epoch", ylabel="loss" if label == "loss" else "accuracy (share of clips)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
        ax.legend()
        if label == "accuracy":
            ax.set_ylim(0, 1.02)
    if len(runs) > 1:
        drawn[0].annotate(
            f"thin: {len(runs)} seeds, thick: mean",
            (0.0, 1.02),
            xycoords="axes fraction",
            fontsize=8.5,
            color="#555555",
        )
    if title:
        figure_of(drawn).suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure_of(drawn)


def _training_first(columns: list[str]) -> list[str]:
    return sorted(columns, key=lambda column: _is_validation(column))


def _spread(count: int) -> list[str]:
    return [LINE_COLORS[i % len(LINE_COLORS)] for i in range(count)]


def _is_validation(column) -> bool:
    return str(column).startswith(("val_", "validation_"))


def _spoken(column: str) -> str:
    if _is_validation(column):
        rest = column.split("_", 1)[1]
        return "validation" if rest in ("loss", "accuracy") else f"validation {rest.replace('_', ' ')}"
    rest = spoken([column.removesuffix(" accuracy")])[0].replace("train ", "training ")
    return "training" if column in ("loss", "accuracy") else rest


@styled
def confusion(
    matrix: Num[np.ndarray, "classes classes"],
    class_names: Sequence[str],
    *,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a confusion matrix: counts (true class by predicted class), colours as the share of each true class.

    Counts are written where there are at most 16 classes; a class without clips has a white row.
    """
    if len(class_names) != len(matrix):
        raise ValueError(f"class_names: {len(class_names)} names for {len(matrix)} rows; needed one per class")
    if (matrix < 0).any():
        raise ValueError(f"matrix: smallest entry {matrix.min()}; needed counts of clips")
    count = len(matrix)
    total = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.where(total > 0, total, 1)
    side = float(np.clip(2.2 + 0.36 * count, 3.6, 7.4))
    ax = new_axes(ax, (side + 0.8, side))
    image = ax.imshow(share, cmap=_BLUES, vmin=0, vmax=1)
    bar = ax.get_figure().colorbar(image, ax=ax, shrink=0.8, pad=0.02, aspect=22)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    small = 9 if count <= 10 else 8 if count <= 20 else 7
    turn = 0 if max(map(len, class_names)) * count <= 30 else 45 if count <= 12 else 90
    if count <= MOST_COUNTS:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            color = "white" if share[i, j] > 0.5 else "#222222"
            ax.text(j, i, f"{matrix[i, j]:g}", ha="center", va="center", color=color, fontsize=small)
    ax.set_xticks(range(count), spoken(class_names), rotation=turn, fontsize=small)
    if turn == 45:
        for tick in ax.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    ax.set_yticks(range(count), spoken(class_names), fontsize=small)
    ax.tick_params(length=0)
    ax.set_xticks(np.arange(count - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(count - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="#eeeeee", lw=0.6)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="predicted class", ylabel="true class")
    if title:
        ax.set_title(title)
    return ax


@styled
def reliability(bins: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw calibration: how often predictions of each confidence are right.

    Parameters
    ----------
    bins
        One row per confidence bin: ``confidence`` (mean, 0 to 1), ``accuracy`` (share right, 0 to 1) and ``clips``,
        as in ``Scores.reliability``; optional ``low`` and ``high`` bound the accuracy. Bins without clips are left out.
    """
    need_columns(bins, ["confidence", "accuracy", "clips"], "bins")
    full = bins[bins["clips"] > 0].sort_values("confidence")
    if len(full) == 0:
        raise ValueError("bins: no clips in any; needed some in at least one bin")
    ax = new_axes(ax, (4.4, 4.6))
    ax.plot([0, 1], [0, 1], color="#888888", lw=1.2, ls="--", label="perfectly calibrated")
    confidence, accuracy = full["confidence"].to_numpy(float), full["accuracy"].to_numpy(float)
    ax.vlines(confidence, np.minimum(confidence, accuracy), np.maximum(confidence, accuracy), color="#D55E00", lw=1.4)
    if {"low", "high"} <= set(full.columns):
        bounds = np.abs(full[["low", "high"]].to_numpy(float).T - accuracy)
        ax.errorbar(confidence, accuracy, bounds, fmt="none", ecolor="#0072B2", elinewidth=1.0, capsize=2.5)
    weight = full["clips"].to_numpy(float)
    ax.scatter(
        confidence, accuracy, s=25 + 160 * weight / weight.max(), color="#0072B2", zorder=3, label="bin (area: clips)"
    )
    error = float((weight * np.abs(accuracy - confidence)).sum() / weight.sum())
    ax.plot([], [], color="#D55E00", lw=1.4, label=f"gap, mean {error:.3f} over clips")
    ax.set(xlabel="confidence of the predicted class", ylabel="accuracy (share right)", xlim=(0, 1.03), ylim=(0, 1.03))
    ax.set_aspect("equal")
    handles, names = ax.get_legend_handles_labels()
    ax.legend(handles, names, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, markerscale=0.6)
    if title:
        ax.set_title(title, pad=52)
    return ax
