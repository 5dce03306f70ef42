"""Coordinates of single joints over time."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots.style import LINE_COLORS, figure_of, panels, styled
from lib.plots.view import as_clip, per_joint, unit_name, visible
from lib.skeletons import Skeleton


@styled
def joint_trajectories(
    x: Num[np.ndarray, "T *persons V C"],
    skeleton: Skeleton,
    joints: Sequence[int | str] | None = None,
    *,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    fps: float | int | None = None,
    person: int = 0,
    truth: Bool[np.ndarray, "_ *_ V"] | None = None,
    units: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw coordinates of a few joints over time, one panel per channel.

    Parameters
    ----------
    x
        (T, V, C) or (T, M, V, C), true frames only.
    joints
        Names or indices; the four that travel farthest when None.
    axes
        C axes to draw on.
    truth
        (T, V) or (T, M, V) bool; frames in which one of `joints` is planted are shaded.
    """
    x = as_clip(x, skeleton)
    if not 0 <= person < x.shape[1]:
        raise ValueError(f"person={person}; needed 0..{x.shape[1] - 1}")
    planted = per_joint("truth", truth, x.shape[:3])
    walk = np.where(visible(x)[..., None], x, np.nan)[:, person]  # (T, V, C)
    if joints is None:
        way = np.nansum(np.linalg.norm(np.diff(walk, axis=0), axis=-1), axis=0)
        joints = [int(v) for v in np.argsort(-way, kind="stable")[:4]]
    unknown = [j for j in joints if (j not in skeleton.joints if isinstance(j, str) else not 0 <= j < len(skeleton))]
    if unknown or len(joints) == 0:
        raise ValueError(f"joints {unknown} are not in {skeleton.name!r}; choose from {list(skeleton.joints)}")
    index = [skeleton.joints.index(j) if isinstance(j, str) else int(j) for j in joints]
    num_channels = x.shape[-1]
    drawn = panels(axes, num_channels, columns=1, size=(6.8, 1.45), sharex=True)
    times = np.arange(len(x)) / (fps or 1.0)
    spans = np.zeros(len(x), bool) if planted is None else planted[:, person, index].any(axis=1)
    edges = np.flatnonzero(np.diff(np.r_[False, spans, False].astype(int))).reshape(-1, 2)
    half = 0.5 / (fps or 1.0)
    for c, ax in enumerate(drawn):
        for start, stop in edges:
            ax.axvspan(times[start] - half, times[stop - 1] + half, color="#f0e6c8", lw=0, zorder=0)
        for i, v in enumerate(index):
            style = {"color": LINE_COLORS[i % len(LINE_COLORS)], "ls": ("-", "--", ":")[i // len(LINE_COLORS) % 3]}
            ax.plot(times, walk[:, v, c], label=skeleton.joints[v].replace("_", " "), **style)
        ax.set_ylabel(f"{'xyz'[c] if c < 3 else c} ({unit_name(units, num_channels)})")
        ax.margins(x=0.01)
    drawn[-1].set_xlabel("frame" if fps is None else "time (s)")
    drawn[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.05))
    if title:
        drawn[0].set_title(title)
    return figure_of(drawn)
