"""Skeletons on paper: one pose, and a strip of poses over time.

Where the picture looks from, and who is left out, is told in :mod:`lib.plots.view`.
"""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Int, Num
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, TwoSlopeNorm, to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lib.plots.style import SIDE_COLORS, new_axes, styled
from lib.plots.view import as_clip, bone_sides, head_joint, joint_sides, per_joint, project, unit_name, visible
from lib.skeletons import Skeleton

_DASHES = ("solid", (0, (2.2, 0.8)), (0, (0.8, 0.8)))  # person 0, 1, 2 and on


def importance_scale(
    values: np.ndarray, largest: float | int | None = None, signed: bool | None = None
) -> tuple[Normalize, mpl.colors.Colormap]:
    """Colours for importances: from 0 up, or, where some are negative (or `signed`), the same on both sides of 0."""
    finite = values[np.isfinite(values)]
    top = float(np.abs(finite).max(initial=0.0)) if largest is None else float(largest)
    top = top if top > 0 else 1.0
    if (finite < 0).any() if signed is None else signed:
        return TwoSlopeNorm(0.0, -top, top), mpl.colormaps["PuOr_r"]
    reds = mpl.colormaps["YlOrRd"](np.linspace(0.12, 1.0, 256))  # its first tenth vanishes on white
    return Normalize(0.0, top), mpl.colors.ListedColormap(reds)


def _tint(color: str, person: int, importance: bool) -> tuple[float, float, float]:
    share = min(0.85, 0.35 * min(person, 1) + (0.45 if importance else 0.0))  # of white
    return tuple(channel + (1 - channel) * share for channel in to_rgb(color))


def _draw_person(ax, points, shown, skeleton, person, *, values, scale, size, width):
    """Draw one person's bones and joints; points (V, 2), shown (V,) bool, values (V,) or None."""
    bones = [
        (points[[a, b]], _tint(SIDE_COLORS[side], person, values is not None))
        for (a, b), side in zip(skeleton.edges, bone_sides(skeleton), strict=True)
        if shown[a] and shown[b]
    ]
    dashes = _DASHES[min(person, len(_DASHES) - 1)]
    segments, colors = zip(*bones, strict=True) if bones else ((), ())
    ax.add_collection(
        LineCollection(
            segments, colors=colors, linewidths=width, linestyles=[dashes], capstyle="round" if person == 0 else "butt"
        )
    )
    if values is None:
        sizes = np.full(len(points), float(size))
        sizes[[v for v in [head_joint(skeleton)] if v is not None]] *= 7
        faces = [
            _tint(SIDE_COLORS[side], person, False) for side, v in zip(joint_sides(skeleton), shown, strict=True) if v
        ]
        ax.scatter(*points[shown].T, s=sizes[shown], c=faces, zorder=3, linewidths=0)
    else:
        norm, cmap = scale
        drawn = np.where(np.isfinite(values), values, 0.0)[shown]
        areas = size * (0.7 + 6.0 * np.clip(np.abs(drawn) / norm.vmax, 0, 1))
        ax.scatter(
            *points[shown].T, s=areas, c=drawn, norm=norm, cmap=cmap, zorder=3, linewidths=0.5, edgecolors="#444444"
        )


def _finish(ax, units):
    """Label, and keep lengths true; few ticks where the picture is narrow."""
    ax.set(xlabel=f"horizontal ({units})", ylabel=f"vertical ({units})")
    ax.set_aspect("equal", adjustable="box")
    ax.margins(0.08)
    ax.autoscale_view()
    shape = np.ptp(ax.get_xlim()) / np.ptp(ax.get_ylim())
    ax.xaxis.set_major_locator(MaxNLocator(nbins=int(np.clip(5 * shape, 1, 8)), steps=[1, 2, 5, 10], min_n_ticks=1))


def _side_legend(ax, num_persons):
    names = {"left": "left", "right": "right", "center": "centre"}
    handles = [Line2D([], [], color=SIDE_COLORS[side], lw=2.5, label=name) for side, name in names.items()]
    if num_persons > 1:
        handles += [
            Line2D([], [], color="#555555", lw=2, ls=_DASHES[min(m, 2)], label=f"person {m + 1}")
            for m in range(num_persons)
        ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def _colorbar(ax, scale, label):
    bar = ax.get_figure().colorbar(mpl.cm.ScalarMappable(*scale), ax=ax, shrink=0.75, pad=0.02, aspect=18)
    bar.set_label(label)
    bar.outline.set_visible(False)


@styled
def pose(
    frame: Num[np.ndarray, "*persons V C"],
    skeleton: Skeleton,
    *,
    ax: Axes | None = None,
    importance: Num[np.ndarray, "*_ V"] | None = None,
    largest: float | int | None = None,
    signed: bool | None = None,
    present: Bool[np.ndarray, " M"] | None = None,
    azimuth: float | int = 0.0,
    elevation: float | int = 0.0,
    y_down: bool = False,
    units: str | None = None,
    legend: bool = False,
    colorbar: bool = True,
    label: str = "importance",
    joint_numbers: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw the skeletons of one frame.

    Parameters
    ----------
    frame
        (V, C) or (M, V, C); C = 2 or 3, see :mod:`lib.plots.view` for the view.
    skeleton
        Bones to draw; left, right and centre have their own colour.
    importance
        (V,) for all persons or (M, V); colours and sizes the joints. Signed values get a two-sided scale.
    largest
        Importance at the end of the colour scale; the largest shown when None. Give one number to compare figures.
    signed
        Whether colours have two sides, for and against; when None, whether any importance shown is negative.
    present
        (M,) bool, persons to draw; those with any coordinate that is not zero when None.
    units
        Unit of the coordinates; metres for C = 3 when None.
    label
        What stands beside the colour scale.
    joint_numbers
        Write each joint's index beside it.
    """
    people = as_clip(frame, skeleton, dims=3)
    values = per_joint("importance", importance, people.shape[:2])
    shown = visible(people)
    if present is not None:
        if len(present) != len(people):
            raise ValueError(f"present: {len(present)} entries for {len(people)} persons; needed one per person")
        shown = shown & present[:, None]
    points = project(people, azimuth=azimuth, elevation=elevation, y_down=y_down)
    scale = None if values is None else importance_scale(values[shown], largest, signed)
    if ax is None:
        spans = np.ptp(points[shown], axis=0) if shown.any() else np.ones(2)
        wide = 3.5 * spans[0] / max(spans[1], 1e-9)
        extra = 1.0 + (1.1 if legend else 0.0) + (0.9 if scale is not None and colorbar else 0.0)
        ax = new_axes(None, (float(np.clip(wide, 1.6, 6.0)) + extra, 4.3))
    for m in np.flatnonzero(shown.any(axis=1)):
        row = None if values is None else values[m]
        _draw_person(ax, points[m], shown[m], skeleton, int(m), values=row, scale=scale, size=22, width=2.4)
        if joint_numbers:
            for v in np.flatnonzero(shown[m]):
                ax.annotate(str(v), points[m, v], (4, 3), textcoords="offset points", fontsize=8)
    _finish(ax, unit_name(units, people.shape[-1]))
    if legend:
        _side_legend(ax, len(people))
    if scale is not None and colorbar:
        _colorbar(ax, scale, label)
    if title:
        ax.set_title(title)
    return ax


@styled
def pose_strip(
    x: Num[np.ndarray, "T *persons V C"],
    skeleton: Skeleton,
    *,
    ax: Axes | None = None,
    num_poses: int = 8,
    frames: Sequence[int] | Int[np.ndarray, " poses"] | None = None,
    fps: float | int | None = None,
    importance: Num[np.ndarray, "_ *_ V"] | None = None,
    largest: float | int | None = None,
    truth: Bool[np.ndarray, "_ *_ V"] | None = None,
    trail: int = 0,
    trail_joints: Sequence[int] | Int[np.ndarray, " J"] | None = None,
    azimuth: float | int = 0.0,
    elevation: float | int = 0.0,
    y_down: bool = False,
    units: str | None = None,
    legend: bool = False,
    colorbar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw poses of one clip side by side, time running to the right, all at one scale above one ground line.

    Parameters
    ----------
    x
        (T, V, C) or (T, M, V, C), true frames only. Travel across the view is taken out: each pose stands in its place.
    num_poses, frames
        That many frames spread evenly from first to last, or the frames themselves.
    fps
        Frames per second; times are then written in seconds, otherwise frame numbers.
    importance
        (T, V) or (T, M, V); colours and sizes the joints, on one scale for the strip.
    truth
        Same shape, bool; rings joints planted as carrying the class.
    trail
        Draw the way of `trail_joints` over this many frames before each pose.
    trail_joints
        Joint indices; by default the three with the largest summed importance, or truth, or way travelled.
    """
    x = as_clip(x, skeleton)
    num_frames = len(x)
    values = per_joint("importance", importance, x.shape[:3])
    planted = per_joint("truth", truth, x.shape[:3])
    if num_poses < 1:
        raise ValueError(f"num_poses={num_poses}; needed at least 1")
    if frames is None:
        frames = np.unique(np.linspace(0, num_frames - 1, num_poses).round().astype(int))
    frames = np.asarray(frames, dtype=int)
    if len(frames) == 0 or frames.min() < 0 or frames.max() >= num_frames:
        raise ValueError(f"frames={frames.tolist()}; needed at least one, each in 0..{num_frames - 1}")
    points = project(x, azimuth=azimuth, elevation=elevation, y_down=y_down)
    shown = visible(x)
    blank = np.where(shown[..., None], points, np.nan)
    if not shown[frames].any():
        raise ValueError(f"frames={frames.tolist()}: nobody is present in them; choose others")

    low = np.min(points[..., 0], axis=(1, 2), initial=np.inf, where=shown)  # (T,), inf where nobody is
    high = np.max(points[..., 0], axis=(1, 2), initial=-np.inf, where=shown)
    centers = (np.where(low <= high, low, 0.0) + np.where(low <= high, high, 0.0)) / 2
    slot = max(float((high - low)[frames].max()), 1e-9) * 1.12
    ground, top = (float(f(blank[frames][..., 1])) for f in (np.nanmin, np.nanmax))
    offsets = np.arange(len(frames)) * slot

    if ax is None:
        tall = 6.6 * max(top - ground, 1e-9) / (len(frames) * slot)
        ax = new_axes(None, (7.6, float(np.clip(tall + 1.1, 2.0, 5.0))))
    ax.axhline(ground, color="#bbbbbb", lw=1.2, zorder=0)
    scale = None if values is None else importance_scale(values[frames][shown[frames]], largest)
    if trail > 0:
        joints = _trail_joints(points, values, planted) if trail_joints is None else np.asarray(trail_joints)
    for t, offset in zip(frames, offsets, strict=True):
        shift = np.array([offset - centers[t], 0.0])
        if trail > 0:
            _draw_trail(ax, blank[max(0, t - trail) : t + 1] + shift, joints)
        for m in np.flatnonzero(shown[t].any(axis=1)):
            row = None if values is None else values[t, m]
            spots = points[t, m] + shift
            _draw_person(ax, spots, shown[t, m], skeleton, int(m), values=row, scale=scale, size=7, width=1.8)
            if planted is not None:
                ringed = spots[planted[t, m] & shown[t, m]]
                ax.scatter(*ringed.T, s=48, facecolors="none", edgecolors="black", linewidths=1.1, zorder=4)

    units = unit_name(units, x.shape[-1])
    _finish(ax, units)
    ax.set_xlim(-0.55 * slot, offsets[-1] + 0.55 * slot)
    ax.set_xticks(offsets, [str(t) if fps is None else f"{t / fps:.2f}" for t in frames])
    ax.tick_params(axis="x", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.set_xlabel("frame" if fps is None else "time (s)")
    if legend:
        _side_legend(ax, x.shape[1])
    if scale is not None and colorbar:
        _colorbar(ax, scale, "importance")
    if title:
        ax.set_title(title)
    return ax


def _trail_joints(points, values, planted, count=3):
    """Choose the joints whose way says most: most important, else planted, else most travelled."""
    if values is not None:
        score = np.nansum(np.abs(values), axis=(0, 1))
    elif planted is not None and planted.any():
        score = planted.sum(axis=(0, 1))
    else:
        score = np.nansum(np.linalg.norm(np.diff(points, axis=0), axis=-1), axis=(0, 1))
    best = np.argsort(-score, kind="stable")[:count]
    return best[score[best] > 0]


def _draw_trail(ax, points, joints):
    """Fade in the way of `joints`; points (frames, M, V, 2), NaN where absent."""
    steps = np.stack([points[:-1], points[1:]], axis=-2)[:, :, joints].transpose(1, 2, 0, 3, 4)  # (M, J, steps, 2, 2)
    if steps.size == 0:
        return
    fade = np.linspace(0.08, 0.75, steps.shape[2])
    for line in steps.reshape(-1, *steps.shape[2:]):
        kept = np.isfinite(line).all(axis=(1, 2))
        colors = [(*to_rgb("#7B3294"), a) for a, k in zip(fade, kept, strict=True) if k]
        ax.add_collection(LineCollection(line[kept], colors=colors, linewidths=1.6, zorder=1), autolim=False)
