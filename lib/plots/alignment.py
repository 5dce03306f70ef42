"""Dynamic time warping: the cost of every pairing, the way through it, and what the band does to results."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Num
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from lib.plots.style import BLUE, LINE_COLORS, VERMILION, need_columns, new_axes, styled


def _check_path(path: np.ndarray, rows: int, columns: int) -> None:
    if len(path) == 0 or path.min() < 0 or (path.max(axis=0) >= (rows, columns)).any():
        found = f"reaching {path.max(axis=0).tolist()}" if len(path) else "empty"
        raise ValueError(f"path: {found}; needed pairs within ({rows}, {columns})")


@styled
def alignment(
    cost: Num[np.ndarray, "n m"],
    path: Int[np.ndarray, "L 2"],
    *,
    band: Bool[np.ndarray, "n m"] | None = None,
    ax: Axes | None = None,
    step: str = "window",
    title: str | None = None,
) -> Axes:
    """Draw the cost of pairing each window of x with each of y, the band, and the cheapest way.

    Parameters
    ----------
    cost
        (n, m) window costs, n windows of x by m of y; entries that are not finite stay blank.
    path
        (L, 2) pairs (i, j) from (0, 0) to (n - 1, m - 1).
    band
        (n, m) True where the band lets the way pass; the rest is greyed and its border drawn.
    step
        What a row is: ``"window"`` or ``"frame"``.
    """
    _check_path(path, *cost.shape)
    if band is not None and band.shape != cost.shape:
        raise ValueError(f"band: shape {band.shape}; needed that of cost, {cost.shape}")
    n, m = cost.shape
    if ax is None:
        wide = 4.4 * np.sqrt(m / n) if max(n, m) < 4 * min(n, m) else 4.4
        ax = new_axes(None, (float(np.clip(wide, 3.4, 6.2)) + 1.2, float(np.clip(4.4 * np.sqrt(n / m), 3.0, 5.5))))
    shown = np.where(np.isfinite(cost), cost, np.nan)
    image = ax.imshow(shown.T, origin="lower", aspect="auto", cmap="cividis_r", interpolation="nearest")
    bar = ax.get_figure().colorbar(image, ax=ax, shrink=0.85, pad=0.02, aspect=22)
    bar.set_label(f"{step} cost (squared feature units)")
    bar.outline.set_visible(False)
    if band is not None:
        veil = np.where(band, np.nan, 1.0)
        ax.imshow(veil.T, origin="lower", aspect="auto", cmap=ListedColormap(["#f4f4f4"]), alpha=0.78)
        _outline(ax, band)
    ax.plot(path[:, 0], path[:, 1], color="white", lw=4, solid_capstyle="round")
    ax.plot(path[:, 0], path[:, 1], color=VERMILION, lw=2, solid_capstyle="round", label="cheapest way")
    ax.set(xlabel=f"{step} of x", ylabel=f"{step} of y", xlim=(-0.5, n - 0.5), ylim=(-0.5, m - 0.5))
    ax.spines[:].set_visible(False)
    if band is not None:
        ax.plot([], [], color="#333333", lw=1, label="band")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    if title:
        ax.set_title(title, pad=24)
    return ax


def _outline(ax, band):
    """Draw the border between inside and outside of a band, cell edge by cell edge."""
    i, j = np.nonzero(band[1:] != band[:-1])
    upright = np.stack([np.stack([i + 0.5, j - 0.5], -1), np.stack([i + 0.5, j + 0.5], -1)], axis=1)
    i, j = np.nonzero(band[:, 1:] != band[:, :-1])
    level = np.stack([np.stack([i - 0.5, j + 0.5], -1), np.stack([i + 0.5, j + 0.5], -1)], axis=1)
    ax.add_collection(LineCollection(np.concatenate([upright, level]), colors="#333333", linewidths=1.0))


@styled
def warped_pair(
    x: Num[np.ndarray, " n"],
    y: Num[np.ndarray, " m"],
    path: Int[np.ndarray, "L 2"],
    *,
    ax: Axes | None = None,
    window_size: int = 1,
    stride: int = 1,
    fps: float | int | None = None,
    names: tuple[str, str] = ("x", "y"),
    units: str = "feature units",
    most_links: int = 60,
    title: str | None = None,
) -> Axes:
    """Draw two curves, one lifted above the other, and links between the frames (middles of windows) that are paired.

    Each has ticks of its own, in its colour.

    Parameters
    ----------
    x, y
        One number per frame: a coordinate, or one feature dimension.
    path
        (L, 2) pairs (i, j) of windows; of frames where a window is one frame.
    window_size, stride
        Frames in a window and from one to the next, as the path was made.
    fps
        Frames per second; time is then in seconds.
    most_links
        Of a longer way every so-manieth pair is linked.
    """
    if window_size < 1 or stride < 1:
        raise ValueError(f"window_size={window_size}, stride={stride}; needed at least 1 each")
    _check_path(path * stride, len(x), len(y))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x or y has a value that is not finite; needed one number per frame")
    ax = new_axes(ax, (6.8, 3.2))
    spread = max(float(np.ptp(x)), float(np.ptp(y)), 1e-9)
    lift = float(np.max(y) - np.min(x)) + 0.25 * spread
    scale = 1.0 / (fps or 1.0)
    picked = path[np.unique(np.linspace(0, len(path) - 1, min(most_links, len(path))).round().astype(int))]
    ends = []
    for windows, values, up in zip(picked.T, (x, y), (lift, 0.0), strict=True):
        middle = np.minimum(windows * stride + (window_size - 1) / 2, len(values) - 1)
        ends.append(np.stack([middle * scale, np.interp(middle, np.arange(len(values)), values) + up], axis=-1))
    links = np.stack(ends, axis=1)
    ax.add_collection(LineCollection(links, colors="#b5b5b5", linewidths=0.8, zorder=1))
    ax.plot(np.arange(len(x)) * scale, x + lift, color=BLUE, lw=2.2)
    ax.plot(np.arange(len(y)) * scale, y, color=VERMILION, lw=2.2)
    ticks = {}
    for values, up, name, color in ((x, lift, names[0], BLUE), (y, 0.0, names[1], VERMILION)):
        end = ((len(values) - 1) * scale, values[-1] + up)
        ax.annotate(name, end, (6, 0), textcoords="offset points", color=color, va="center", annotation_clip=False)
        low, high = float(np.min(values)), float(np.max(values))
        round_ones = [tick for tick in MaxNLocator(3).tick_values(low, high) if low <= tick <= high]
        ticks |= {tick + up: (f"{tick:.10g}", color) for tick in round_ones or (low, high)}
    ax.set(xlabel="frame" if fps is None else "time (s)", ylabel=f"value ({units})")
    ax.set_yticks(list(ticks), [text for text, _ in ticks.values()])
    for label, (_, color) in zip(ax.get_yticklabels(), ticks.values(), strict=True):
        label.set_color(color)
    ax.margins(x=0.02)
    if title:
        ax.set_title(title)
    return ax


@styled
def band_sensitivity(
    rows: pd.DataFrame,
    *,
    x: str = "radius",
    value: str = "value",
    series: str | None = None,
    ax: Axes | None = None,
    xlabel: str = "band radius (windows)",
    ylabel: str | None = None,
    title: str | None = None,
) -> Axes:
    """Draw how a result moves with the band, the window or any other number, with intervals.

    Parameters
    ----------
    rows
        One row per setting: columns `x` and `value`, optional ``low`` and ``high`` for the interval, and optional
        `series`, one line each. An `x` that is missing or infinite means "no band" and is drawn at the right edge.
    """
    need_columns(rows, [x, value, *([series] if series else [])], "rows")
    free = ~np.isfinite(rows[x].to_numpy(float))
    known = np.unique(rows[x].to_numpy(float)[~free])
    gap = float(np.diff(known).max()) if len(known) > 1 else 1.0
    edge = float(known.max()) + gap if len(known) else 0.0
    ax = new_axes(ax, (6.0, 3.4))
    table = rows.assign(**{x: np.where(free, edge, rows[x].to_numpy(float))})
    lines = list(table.groupby(series, sort=False)) if series else [(None, table)]
    for i, (name, line) in enumerate(lines):
        line = line.sort_values(x)
        color = LINE_COLORS[i % len(LINE_COLORS)]
        if {"low", "high"} <= set(line.columns):
            ax.fill_between(
                line[x], line["low"].astype(float), line["high"].astype(float), color=color, alpha=0.18, lw=0
            )
        label = None if name is None else str(name)
        ax.plot(line[x], line[value], color=color, marker="osD^vP"[i % 6], ms=4.5, label=label)
    if free.any():
        ticks = known if len(known) <= 8 else known[:: -(-len(known) // 8)]
        ax.set_xticks([*ticks, edge], [*(f"{t:g}" for t in ticks), "none"])
    ax.set(xlabel=xlabel, ylabel=ylabel if ylabel is not None else value.replace("_", " "))
    ax.grid(axis="y")
    if series:
        ax.legend(title=series.replace("_", " "))
    if title:
        ax.set_title(title)
    return ax
