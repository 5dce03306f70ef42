"""Checks of what users hand to `ClipSet.from_arrays`: one clip, one column; errors name the clip and the field."""

import numpy as np
from numpy.typing import ArrayLike

from lib.skeletons import Skeleton


def integers(key: str, column: ArrayLike | None, names: tuple[str, ...]) -> np.ndarray | None:
    """Return one integer per clip as int64, None as None, or raise an error that names the column."""
    if column is None:
        return None
    values = np.asarray(column)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(
            f"{key}: {values.dtype} of shape {values.shape}, needed one integer per clip ({names[0]!r}, ...)"
        )
    return values.astype(np.int64)


def coordinates(array: ArrayLike, skeleton: Skeleton, name: str) -> np.ndarray:
    """Return one clip as (T, M, V, C) float32, or raise an error that names it."""
    if np.ma.is_masked(array):
        raise ValueError(f"clip {name!r}: some joints are masked; fill them in or drop those frames")
    try:
        x = np.asarray(array)
    except ValueError as error:
        raise ValueError(f"clip {name!r}: coordinates are not one rectangular array ({error})") from error
    if x.dtype.kind not in "fiu":
        raise ValueError(f"clip {name!r}: coordinates are {x.dtype}, needed real numbers")
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, refused below
        x = x.astype(np.float32, copy=False)
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4:
        raise ValueError(f"clip {name!r}: shape {np.shape(array)}, needed (T, V, C) or (T, M, V, C)")
    if 0 in x.shape:
        raise ValueError(
            f"clip {name!r}: empty, shape {np.shape(array)}; needed at least one frame, person and channel"
        )
    if x.shape[2] != len(skeleton):
        raise ValueError(f"clip {name!r}: V={x.shape[2]} joints, but skeleton {skeleton.name!r} has {len(skeleton)}")
    if not np.isfinite(x).all():
        t, m, v, c = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(
            f"clip {name!r}: {x[t, m, v, c]} at frame {t}, person {m}, joint {skeleton.joints[v]!r}, channel {c}; "
            "needed finite coordinates (interpolate or drop those frames)"
        )
    return x


def planted_truth(truth: ArrayLike, x: np.ndarray, name: str) -> np.ndarray:
    """Return one clip's truth as (T, M, V) bool, or raise an error that names the clip."""
    mask = np.asarray(truth)
    if mask.ndim == 2:
        mask = mask[:, None]
    if mask.shape != x.shape[:3] or mask.dtype != bool:
        raise ValueError(f"clip {name!r}: truth is {mask.dtype} {mask.shape}, needed bool {x.shape[:3]} (T, M, V)")
    return mask
