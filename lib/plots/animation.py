"""Moving skeletons for a web page: lines drawn as SVG on a film. The same clip always gives the same text."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Num

from lib.plots.film import Animation, animation, player
from lib.plots.view import as_clip, bone_sides, head_joint, per_joint, project, visible
from lib.skeletons import Skeleton

HEIGHT, WIDEST = 480, 720  # of the window, in half pixels: coordinates are whole numbers and still smooth
_MARGIN = 30
_LEVELS = 5  # steps of importance on each side of 0
_HEAD = 99  # not a step: the head where no importance is shown


def pose_animation(
    x: Num[np.ndarray, "T *persons V C"],
    skeleton: Skeleton,
    fps: float | int,
    *,
    title: str = "",
    importance: Num[np.ndarray, "_ *_ V"] | None = None,
    largest: float | int | None = None,
    max_frames: int = 30,
    azimuth: float | int = 0.0,
    elevation: float | int = 0.0,
    y_down: bool = False,
) -> Animation:
    """Play one clip, over and over, at its own speed.

    Parameters
    ----------
    x
        (T, V, C) or (T, M, V, C), true frames only.
    fps
        Frames per second of `x`.
    importance
        (T, V) or (T, M, V); larger, magenta dots matter more, green ones count against.
    largest
        Importance with the largest dot; the largest of the clip when None.
    max_frames
        A longer clip is thinned evenly to this many frames, and lasts as long.
    azimuth, elevation, y_down
        View, as in :mod:`lib.plots.view`.
    """
    view = {"azimuth": azimuth, "elevation": elevation, "y_down": y_down}
    reel = _reel(x, skeleton, fps, importance, max_frames, view)
    return animation([_player(reel, skeleton, title, largest, _box([reel]))], len(reel.times))


def pose_animations(
    clips: Sequence[Num[np.ndarray, "_ *_ V C"]],
    skeleton: Skeleton,
    fps: float | int,
    *,
    titles: Sequence[str] | None = None,
    importances: Sequence[Num[np.ndarray, "_ *_ V"] | None] | None = None,
    largest: float | int | None = None,
    max_frames: int = 30,
    azimuth: float | int = 0.0,
    elevation: float | int = 0.0,
    y_down: bool = False,
) -> Animation:
    """Play several clips side by side at one scale; parameters as in :func:`pose_animation`, one entry per clip."""
    titles = [""] * len(clips) if titles is None else titles
    importances = [None] * len(clips) if importances is None else importances
    if not len(clips) == len(titles) == len(importances) or len(clips) == 0:
        raise ValueError(
            f"{len(clips)} clips, {len(titles)} titles, {len(importances)} importances; needed one each, at least one"
        )
    view = {"azimuth": azimuth, "elevation": elevation, "y_down": y_down}
    reels = [_reel(x, skeleton, fps, imp, max_frames, view) for x, imp in zip(clips, importances, strict=True)]
    box = _box(reels)
    players = [_player(r, skeleton, title, largest, box) for r, title in zip(reels, titles, strict=True)]
    return animation(players, max(len(reel.times) for reel in reels))


@dataclass(frozen=True)
class _Reel:
    """Projected frames to show: points (F, M, V, 2), shown (F, M, V), values the same or None, times (F,)."""

    points: np.ndarray
    shown: np.ndarray
    values: np.ndarray | None
    times: np.ndarray
    seconds: float

    @property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        seen = self.points[self.shown]
        return seen.min(axis=0), seen.max(axis=0)


def _reel(x, skeleton, fps, importance, max_frames, view) -> _Reel:
    x = as_clip(x, skeleton)
    if not (np.isfinite(fps) and fps > 0) or max_frames < 1:
        raise ValueError(f"fps={fps}, max_frames={max_frames}; needed a positive fps and at least one frame")
    values = per_joint("importance", importance, x.shape[:3])
    frames = np.unique(np.linspace(0, len(x) - 1, min(max_frames, len(x))).round().astype(int))
    picked, shown = x[frames], visible(x[frames])
    if not shown.any():
        raise ValueError("x: nobody is present in any frame; needed one person with coordinates that are not zero")
    points = np.where(shown[..., None], project(np.nan_to_num(picked), **view), 0.0)
    shares = None if values is None else np.nan_to_num(values[frames])
    return _Reel(points, shown, shares, frames / fps, len(x) / fps)


def _box(reels: Sequence[_Reel]) -> tuple[float, int, int]:
    """Scale in half pixels per unit, and the width and height of a window that fits every reel."""
    spans = np.array([np.subtract(*reel.corners[::-1]) for reel in reels]).max(axis=0)
    scale = min((HEIGHT - 2 * _MARGIN - 30) / max(spans[1], 1e-9), (WIDEST - 2 * _MARGIN) / max(spans[0], 1e-9))
    width = max(int(np.ceil(spans[0] * scale)) + 2 * _MARGIN, 320)
    return scale, width, int(np.ceil(spans[1] * scale)) + 2 * _MARGIN + 30


def _player(
    reel: _Reel, skeleton: Skeleton, title: str, largest: float | int | None, box: tuple[float, int, int]
) -> str:
    scale, width, height = box
    low, high = reel.corners
    middle = np.array([(low[0] + high[0]) / 2, low[1]])  # feet on the ground line, half the way across
    spots = np.rint((reel.points - middle) * (scale, -scale) + (width / 2, height - _MARGIN - 30)).astype(int)
    levels = None
    if reel.values is not None:
        top = float(np.abs(reel.values).max()) if largest is None else float(largest)
        levels = np.clip(np.rint(_LEVELS * reel.values / (top or 1.0)), -_LEVELS, _LEVELS).astype(int)
    plain = np.zeros(len(skeleton), dtype=int)
    if (head := head_joint(skeleton)) is not None:
        plain[head] = _HEAD
    chains = _chains(skeleton)
    count = len(reel.times)
    film = []
    for i in range(count):
        people = "".join(
            f'<g class="{"q" if m else "o"}{"" if levels is None else " w"}">'
            + _bones(spots[i, m], reel.shown[i, m], chains)
            + _dots(spots[i, m], reel.shown[i, m], levels[i, m] if levels is not None else plain)
            + "</g>"
            for m in np.flatnonzero(reel.shown[i].any(axis=1))
        )
        clock = f'<text x="8" y="{height - 8}">{reel.times[i]:.2f} s</text>'
        film.append(f'<g class="f" transform="translate({i * width})">{people}{clock}</g>')
    sides = ' <small>(<b class="l">left</b> <b class="r">right</b>)</small>' if skeleton.left_right else ""
    return player(
        "\n".join(film),
        (width, height),
        count,
        max(reel.seconds, 0.1),
        title=f"{escape(title)}{sides}",
        label=f"{title or 'skeleton'}: moving figure",
        behind=f'<path d="M0 {height - _MARGIN - 30}h{width}" style="stroke-width:2;opacity:.5"/>',
    )


def _chains(skeleton: Skeleton) -> dict[str, list[list[int]]]:
    """Bones of each side strung together, so that a path names most joints once."""
    left: dict[str, set[tuple[int, int]]] = {"left": set(), "right": set(), "center": set()}
    for edge, side in zip(skeleton.edges, bone_sides(skeleton), strict=True):
        left[side].add(tuple(sorted(edge)))
    chains: dict[str, list[list[int]]] = {side: [] for side in left}
    for side, edges in left.items():
        while edges:
            ends = np.bincount(np.ravel(list(edges)))
            start = int(np.flatnonzero(ends % 2)[0]) if (ends % 2).any() else min(edges)[0]
            chain = [start]
            while following := sorted(edge for edge in edges if chain[-1] in edge):
                a, b = following[0]
                edges.remove((a, b))
                chain.append(b if a == chain[-1] else a)
            chains[side].append(chain)
    return chains


def _pair(step: np.ndarray) -> str:
    x, y = step.tolist()
    return f"{x}{y}" if y < 0 else f"{x} {y}"


def _bones(spots: np.ndarray, shown: np.ndarray, chains: dict[str, list[list[int]]]) -> str:
    paths = []
    for side, strings in chains.items():
        text = ""
        for chain in strings:
            pen = False
            for before, v in zip([None, *chain], chain, strict=False):
                if not shown[v]:
                    pen = False
                elif pen:
                    text += "l" + _pair(spots[v] - spots[before])
                else:
                    text, pen = text + "M" + _pair(spots[v]), True
        if "l" in text:
            mark = "" if side == "center" else f' class="{side[0]}"'
            paths.append(f'<path{mark} d="{text}"/>')
    return "".join(paths)


def _dots(spots: np.ndarray, shown: np.ndarray, levels: np.ndarray) -> str:
    """Zero-length strokes with round ends, one path per level of importance."""
    paths = []
    for level in np.unique(levels[shown]):
        text, pen = "", np.zeros(2, dtype=int)
        for spot in spots[shown & (levels == level)]:
            text, pen = f"{text}m{_pair(spot - pen)}h0", spot
        mark = "d h" if level == _HEAD else "d" if level == 0 else "d p" if level > 0 else "d n"
        wide = "" if level in (0, _HEAD) else f' style="stroke-width:{10 + 6 * abs(level)}"'
        paths.append(f'<path class="{mark}"{wide} d="{text}"/>')
    return "".join(paths)
