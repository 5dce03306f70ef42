"""What a window is, which pairs of windows the band allows, and the checks on those choices."""

import math
from typing import Any, NamedTuple

import numpy as np

NORMALIZATIONS = (None, "path", "length")


class Options(NamedTuple):
    """Checked choices of one DTW.

    Attributes
    ----------
    window_size, stride
        Frames in a window, frames from one window to the next; both at least 1.
    radius
        Band in windows (int), as a fraction of the longer list of windows (float), or no band (None).
    normalize
        One of `NORMALIZATIONS`.
    """

    window_size: int
    stride: int
    radius: int | float | None
    normalize: str | None


def check_options(window_size: Any, stride: Any, radius: Any, normalize: Any) -> Options:
    """Refuse choices that have no meaning; return the rest as plain Python numbers."""
    for name, value in (("window_size", window_size), ("stride", stride)):
        if not _is_integer(value) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of frames, at least 1")
    if normalize is not None and normalize not in NORMALIZATIONS:
        choices = ", ".join(repr(choice) for choice in NORMALIZATIONS)
        raise ValueError(f"normalize={normalize!r} is unknown; choose one of {choices}")
    return Options(int(window_size), int(stride), _check_radius(radius), normalize)


def _check_radius(radius: Any) -> int | float | None:
    if radius is None:
        return None
    if _is_integer(radius) and radius >= 0:
        return min(int(radius), 2**31)  # more windows than any sequence has, and still an array's integer
    if isinstance(radius, float | np.floating) and 0.0 <= radius <= 1.0:
        return float(radius)
    raise ValueError(
        f"radius={radius!r} must be None (no band), an int >= 0 (windows) "
        "or a float from 0.0 to 1.0 (fraction of the longer sequence's windows)"
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)


def num_windows(num_frames: int, window_size: int, stride: int) -> int:
    """Windows that fit; a sequence shorter than one window is extended to exactly one."""
    return (max(num_frames, window_size) - window_size) // stride + 1


def band(n, m, radius: int | float | None):
    """How far the path may leave the diagonal: `-below <= j - i <= above`.

    The shorter side gets the radius and the longer side the difference of the lengths on top, so that the two ends
    always join (Sakoe & Chiba 1978 leave unequal lengths open; this is tslearn's rule).

    Parameters
    ----------
    n, m
        Windows of the first and second sequence; ints or broadcastable integer arrays.
    radius
        See `Options`.

    Returns
    -------
    below, above
        Windows, clipped to what the sequences have.
    """
    longer = np.maximum(n, m)
    if radius is None:
        reach = longer
    elif isinstance(radius, float):
        # 0.1 * 30 is 3.0000000000000004 in binary; that must not round up to 4
        reach = np.ceil(np.round(radius * longer, 9)).astype(np.int64)
    else:
        reach = np.minimum(radius, longer)
    below = np.minimum(reach + np.maximum(n - m, 0), longer)
    above = np.minimum(reach + np.maximum(m - n, 0), longer)
    return below, above


def divisor(options: Options, n, m, steps):
    """Return what the summed cost is divided by before the root, apart from the window's own mean."""
    if options.normalize == "path":
        return steps
    return n + m if options.normalize == "length" else 1


class Superframes(NamedTuple):
    """How overlapping windows share their frame costs.

    Frames i and j meet only in windows whose distance is a multiple of the stride, so the frame costs that matter are
    those between equal positions of *superframes* of `stride` frames. A window is `box` whole superframes and, where
    the stride does not divide the window, `tail` frames of the next. Windows that do not overlap are superframes.

    Attributes
    ----------
    step
        Frames from one superframe to the next.
    head, rest
        Frames of a superframe that are compared: the first `head`, then `rest` more. A window's tail is a head.
    box
        Whole superframes in a window.
    tail
        Whether a window ends with the head of one more superframe.
    """

    step: int
    head: int
    rest: int
    box: int
    tail: bool

    def count(self, n: int) -> int:
        """Superframes that `n` windows touch."""
        return n + self.box - 1 + self.tail


def superframes(window_size: int, stride: int) -> Superframes:
    """Split windows into superframes (see there)."""
    if window_size <= stride:
        return Superframes(stride, window_size, 0, 1, False)
    box, tail = divmod(window_size, stride)
    return Superframes(stride, tail or stride, stride - tail if tail else 0, box, tail > 0)


def extend(frames: np.ndarray, window_size: int) -> np.ndarray:
    """Repeat the last frame until one window is full; longer sequences are returned as they are."""
    missing = window_size - len(frames)
    if missing <= 0:
        return frames
    return np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])


def rescale_exponent(largest: float) -> int:
    """Exponent e so that values times 2**-e are at most 1 in size; 0 for data that are all zero."""
    return math.frexp(largest)[1] if largest > 0 else 0
