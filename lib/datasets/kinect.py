"""What the three Kinect v1 datasets have in common: checked coordinates, one joint order, subjects held out."""

import numpy as np

from lib.clips import ClipSet
from lib.datasets.archive import DatasetError

MAX_METRES = 50.0  # a Kinect v1 sees 8 m; files in millimetres or pixels exceed this


def checked_coordinates(x: object, file: str, field: str) -> np.ndarray:
    """Return (T, 20, 3) float32 metres, or raise an error that names file and field."""
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise DatasetError(f"{file}: {field} is ragged ({error}); needed (T, 20, 3) numbers") from error
    if x.dtype.kind not in "fiu" or x.ndim != 3 or x.shape[1:] != (20, 3) or len(x) == 0:
        raise DatasetError(f"{file}: {field} is {x.dtype} of shape {x.shape}, needed (T, 20, 3) numbers with T >= 1")
    x = x.astype(np.float64)  # |-128| is -128 in int8
    if not np.isfinite(x).all():
        t, v, _ = np.argwhere(~np.isfinite(x))[0]
        raise DatasetError(f"{file}: {field} is not finite at frame {t}, joint {v}; needed finite metres")
    if np.abs(x).max() > MAX_METRES:
        raise DatasetError(
            f"{file}: {field} reaches {np.abs(x).max():.3g}, needed metres within {MAX_METRES:g} of the camera"
        )
    return x.astype(np.float32)


def without_lost_frames(x: np.ndarray, file: str) -> tuple[np.ndarray, int]:
    """Replace frames that are all zero (body lost) by interpolation in time, held at the ends; count them."""
    lost = ~x.any(axis=(1, 2))
    if lost.all():
        raise DatasetError(f"{file}: every frame is zero; needed at least one with a body")
    if not lost.any():
        return x, 0
    known = np.flatnonzero(~lost)
    filled = [np.interp(np.arange(len(x)), known, column) for column in x[known].reshape(len(known), -1).T]
    return np.stack(filled, axis=1).reshape(x.shape).astype(np.float32), int(lost.sum())


def cross_subject(clips: ClipSet, selection: bool) -> tuple[ClipSet, dict[str, np.ndarray]]:
    """Train on odd subjects and test on even ones; for `selection` keep the odd ones and test on the last of them."""
    odd = clips.subjects % 2 == 1
    if not selection:
        return clips, {"train": odd, "test": ~odd}
    clips = clips.subset(odd)
    last = clips.subjects == clips.subjects.max()
    return clips, {"train": ~last, "test": last}
