"""What the files of the two CMU archives say: channels frame by frame, and where a segment ends.

Columns are the root's position and one exponential map per bone, after Taylor, Hinton & Roweis 2006. Their rotations
act on rows, so that a column's rotation is that of the negative map.
"""

import io
import re

import numpy as np
from scipy.spatial.transform import Rotation

from lib.datasets import matlab
from lib.datasets._cmu_bodies import SKELETON
from lib.datasets.archive import DatasetError
from lib.datasets.expmaps import continued, rotations

_TIPS = {"ltoes", "rtoes", "head", "lfingers", "lthumb", "rfingers", "rthumb"}
# Nodes of a BVH file: each bone, and after a tip its end, which has columns but no angles.
NODES = [node for bone in SKELETON.joints for node in ((bone, f"{bone}_end") if bone in _TIPS else (bone,))]
IS_BONE = np.array([not node.endswith("_end") for node in NODES])
MAX_POSITION = 900.0  # units of 5.6 cm: no studio is 50 m wide
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_SYNONYMS = {"walking": "walk", "punching": "punch", "leg_kicking": "leg_kick"}  # one action, in other files or lines


def action_channels(contents: bytes, file: str) -> tuple[np.ndarray, bool]:
    """Channels (T, 117) of one text file, and whether it began with the rest pose, which is then left out.

    Root rotations are set right: the files hold Euler angles of a BVH file, which are to be applied about z, y, x,
    put together about z, x, y.
    """
    lines = [line for line in contents.decode("ascii", errors="replace").splitlines() if line.strip()]
    if not lines:
        raise DatasetError(f"{file}: empty; needed rows of {3 + 3 * len(NODES)} numbers")
    try:
        rows = np.loadtxt(io.StringIO("\n".join(lines)), delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        raise DatasetError(f"{file}: not rows of numbers ({str(error)[:120]})") from error
    _check(rows, len(NODES), file, "row")
    maps = rows[:, 3:].reshape(len(rows), len(NODES), 3)
    if maps[:, ~IS_BONE].any():
        t, k, axis = np.argwhere(maps[:, ~IS_BONE])[0]
        node = np.flatnonzero(~IS_BONE)[k]
        column = 3 + 3 * node + axis
        raise DatasetError(f"{file}: row {t}, column {column} ({NODES[node]}) is {rows[t, column]:.4g}, needed 0")
    # Conversions to BVH put the rest pose first, with the position of the first real frame.
    rest = len(rows) > 2 and not rows[0, 3:6].any() and rows[1, 3:6].any() and (rows[0, :3] == rows[1, :3]).all()
    rows = rows[int(rest) :]
    turned = Rotation.from_matrix(reordered(rotations(-rows[:, 3:6]))).as_rotvec()
    rows[:, 3:6] = continued(-turned)
    return rows.astype(np.float32), bool(rest)


def trial_channels(contents: bytes, file: str) -> np.ndarray:
    """Channels (T, 96) of one MATLAB file of subject 86."""
    try:
        rows = np.array(matlab.read(contents, "expmapchannels"), dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise DatasetError(f"{file}: expmapchannels cannot be read: {error}") from error
    if rows.ndim != 2:
        raise DatasetError(f"{file}: expmapchannels has {rows.ndim} dimensions, needed frames by channels")
    _check(rows, len(SKELETON), file, "expmapchannels, row")
    rows[:, 3:6] = continued(rows[:, 3:6])
    return rows.astype(np.float32)


def transitions(contents: bytes, file: str, num_frames: int) -> list[tuple[str, int, int, int]]:
    """Name of each segment and the (earliest, best, latest) frame of the transition that ends it.

    The last one ends with the recording; the file may miss that by one frame. Where the earliest frame comes after the
    best one, as once in trial 05, the best one is taken for it.
    """
    lines = [line.strip() for line in contents.decode("ascii", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    count = int(lines[0]) if lines and re.fullmatch(r"\d{1,4}", lines[0]) else 0
    if count == 0 or len(lines) != 1 + 2 * count:
        raise DatasetError(f"{file}: {len(lines)} lines, needed the number of segments and two lines for each")
    result, start, free = [], 0, 0
    for k, (head, frames) in enumerate(zip(lines[1::2], lines[2::2], strict=True), start=1):
        index, _, name = head.partition(" ")
        if index != str(k) or not _NAME.fullmatch(name.strip()):
            raise DatasetError(f"{file}: segment {k} is headed {head[:60]!r}, needed `{k} name`")
        numbers = [int(n) for n in frames.split()] if re.fullmatch(r"\d{1,9}(\s+\d{1,9})*", frames) else []
        if len(numbers) != (1 if k == count else 3):
            needed = "the last frame" if k == count else "earliest, best and latest frame"
            raise DatasetError(f"{file}: segment {k} ends at {frames[:60]!r}, needed {needed}")
        if k == count:
            if abs(numbers[0] - num_frames) > 1 or start >= num_frames:
                raise DatasetError(f"{file}: segment {k} runs from {start} to {numbers[0]}, needed {num_frames} frames")
            numbers = [num_frames] * 3
        earliest, best, latest = numbers
        earliest = min(earliest, best) if earliest <= latest else earliest
        if not free <= earliest <= best <= latest <= num_frames or best <= start:
            raise DatasetError(
                f"{file}: segment {k} ends at {frames!r}; needed earliest <= best <= latest, "
                f"after frame {max(start, free)}, within {num_frames} frames"
            )
        result.append((_SYNONYMS.get(name.strip(), name.strip()), earliest, best, latest))
        start, free = best, latest
    return result


def reordered(turned: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) about z, x, y, by the same angles about z, y, x.

    Angles (a, b, c) about z, x, y are also (a + pi, pi - b, c + pi), which about z, y, x is (a, -b, -c). Recordings
    change from one to the other where a body faces sideways, c = ±pi/2, and there the two are half a turn apart: the
    one that goes on is right. A recording begins within pi/2 in the first way, beyond it in the second.
    """
    a = np.arctan2(-turned[:, 0, 1], turned[:, 1, 1])
    b = np.arcsin(np.clip(turned[:, 2, 1], -1, 1))
    c = np.arctan2(-turned[:, 2, 0], turned[:, 2, 2])
    zero = np.zeros_like(a)
    about_z, about_y, about_x = (
        rotations(np.stack(axis, axis=-1)) for axis in ((zero, zero, a), (zero, c, zero), (b, zero, zero))
    )
    one = about_z @ about_y @ about_x
    other = one * np.outer([-1, -1, 1], [-1, -1, 1])  # both sides turned by pi about z: (a, -c, -b)
    beyond = np.abs(c) > np.pi / 2
    crossing = np.flatnonzero(beyond[1:] != beyond[:-1]) + 1
    stays, changes = (np.einsum("tij,tij->t", one[crossing - 1], after[crossing]) for after in (one, other))
    swaps = np.zeros(len(turned), dtype=np.int64)
    swaps[crossing] = changes > stays  # traces: the larger, the smaller the angle between
    swaps[0] = beyond[0]
    return np.where((np.cumsum(swaps) % 2 == 1)[:, None, None], other, one)


def _check(rows: np.ndarray, num_nodes: int, file: str, field: str) -> None:
    if rows.shape[1] != 3 + 3 * num_nodes or len(rows) < 2:
        raise DatasetError(
            f"{file}: {rows.shape[0]} rows of {rows.shape[1]} numbers, needed at least 2 of {3 + 3 * num_nodes} "
            "(position of the root, and an exponential map per bone)"
        )
    if not np.isfinite(rows).all():
        t, column = np.argwhere(~np.isfinite(rows))[0]
        raise DatasetError(f"{file}: {field} {t}, column {column} is {rows[t, column]}, needed finite numbers")
    for what, part, most in (("position", rows[:, :3], MAX_POSITION), ("angle", rows[:, 3:], 2 * np.pi)):
        if np.abs(part).max() > most:
            unit = "units of 5.6 cm" if what == "position" else "radians"
            raise DatasetError(f"{file}: a {what} reaches {np.abs(part).max():.4g}, needed {unit} within {most:.4g}")
