"""What a data set holds: clips per class, and how long they are."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Num
from matplotlib.axes import Axes

from lib.plots.style import LINE_COLORS, new_axes, spoken, styled

MOST_HISTOGRAMS = 4  # more groups than this would hide one another


def _check_groups(groups: np.ndarray, names: Sequence[str], what: str) -> None:
    if len(groups) == 0:
        raise ValueError(f"{what}: no clips; needed at least one")
    if groups.min() < 0 or groups.max() >= len(names):
        raise ValueError(
            f"{what}: values {groups.min()}..{groups.max()} for {len(names)} names; needed 0..{len(names) - 1}"
        )


@styled
def class_counts(
    labels: Int[np.ndarray, " N"],
    class_names: Sequence[str],
    *,
    groups: Int[np.ndarray, " N"] | None = None,
    group_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw clips per class as bars, stacked by group where `groups` (N,) names each clip's split."""
    _check_groups(labels, class_names, "labels")
    if groups is None:
        groups, group_names = np.zeros_like(labels), [""]
    if len(groups) != len(labels):
        raise ValueError(f"groups: {len(groups)} entries for {len(labels)} labels; needed one per clip")
    if group_names is None:
        group_names = [f"group {g}" for g in range(int(groups.max()) + 1)]
    _check_groups(groups, group_names, "groups")
    counts = np.zeros((len(group_names), len(class_names)), dtype=int)
    np.add.at(counts, (groups, labels), 1)
    ax = new_axes(ax, (6.8, 0.9 + 0.24 * len(class_names)))
    rows = np.arange(len(class_names))
    for g, name in enumerate(group_names):
        ax.barh(rows, counts[g], left=counts[:g].sum(axis=0), color=LINE_COLORS[g % len(LINE_COLORS)], label=name)
    total = counts.sum(axis=0)
    for row, count in zip(rows, total, strict=True):
        ax.annotate(f"{count}", (count, row), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
    ax.set_yticks(rows, spoken(class_names))
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel="clips", ylabel="class", xlim=(0, max(1, total.max()) * 1.1))
    if len(group_names) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(group_names))
    return ax


@styled
def clip_lengths(
    lengths: Num[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"] | None = None,
    names: Sequence[str] | None = None,
    *,
    fps: float | int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how long clips are: histograms for up to four groups, one row of quartiles and clips for each of more.

    Parameters
    ----------
    lengths
        True frames of each clip.
    groups, names
        Each clip's class or split, and what they are called.
    fps
        Frames per second; lengths are then in seconds.
    """
    if groups is None:
        groups, names = np.zeros(len(lengths), dtype=int), [""]
    if len(groups) != len(lengths):
        raise ValueError(f"groups: {len(groups)} entries for {len(lengths)} lengths; needed one per clip")
    if names is None:
        names = [f"group {g}" for g in range(int(groups.max(initial=0)) + 1)]
    _check_groups(groups, names, "groups")
    values = lengths / (fps or 1.0)
    label = "clip length (frames)" if fps is None else "clip length (s)"
    parts = [values[groups == g] for g in range(len(names))]
    if len(names) <= MOST_HISTOGRAMS:
        ax = new_axes(ax, (6.8, 3.0))
        edges = np.histogram_bin_edges(values, bins="auto" if np.ptp(values) > 0 else 5)
        if len(edges) > 40:
            edges = np.linspace(edges[0], edges[-1], 41)
        for part, name, color in zip(parts, names, LINE_COLORS, strict=False):
            ax.hist(part, edges, histtype="stepfilled", alpha=0.25, color=color)
            ax.hist(part, edges, histtype="step", color=color, lw=1.6, label=f"{name} ({len(part)} clips)")
        ax.set(xlabel=label, ylabel="clips")
        if len(names) > 1:
            ax.legend()
        return ax
    ax = new_axes(ax, (6.8, 0.9 + 0.26 * len(names)))
    jitter = np.random.default_rng(0)
    for row, part in enumerate(parts):
        spread = row + jitter.uniform(-0.22, 0.22, len(part))
        ax.plot(part, spread, "o", ms=3, color=LINE_COLORS[0], alpha=0.5, mew=0)
        if len(part):
            low, middle, high = np.percentile(part, [25, 50, 75])
            ax.plot([low, high], [row, row], color="#333333", lw=3, solid_capstyle="butt")
            ax.plot(middle, row, "o", color="white", mec="#333333", ms=5)
    ax.set_yticks(range(len(names)), spoken(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set(xlabel=f"{label}; bar: quartiles, ring: median", ylabel="class")
    return ax
