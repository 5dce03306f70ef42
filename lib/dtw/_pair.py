"""The two public functions that take one pair of sequences."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from lib.dtw import _exact, _inputs, _windows


class Path(NamedTuple):
    """Cheapest alignment of two sequences.

    Attributes
    ----------
    pairs
        Window of the first and window of the second sequence, from (0, 0) to (n - 1, m - 1). Window k covers frames
        k * stride to k * stride + window_size - 1.
    distance
        As `distance` returns it.
    """

    pairs: Int64[np.ndarray, "L 2"]
    distance: float


def distance(
    x: Any,
    y: Any,
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: Any = None,
    normalize: Any = None,
) -> float:
    """Window-based DTW distance of two sequences, computed in float64.

    Parameters
    ----------
    x, y
        Frames by dimensions, or frames alone for one dimension; any real dtype, finite. Lengths may differ, D may not.
    window_size, stride
        Frames in a window and from one window to the next. There are floor((frames - window_size) / stride) + 1
        windows: frames at the end that fill no window are dropped, and a sequence shorter than one window is extended
        to one by repeating its last frame.
    radius
        Sakoe-Chiba band. An int counts windows; a float from 0.0 to 1.0 is a fraction of the longer sequence's windows,
        rounded up (so 1 is one window, 1.0 all of them); None is no band. For unequal lengths the longer sequence may
        lead by the radius plus the difference, so the ends always join.
    normalize
        None, "path" (divide the sum by the number of window pairs on the path) or "length" (by the windows of both
        sequences together), before the root. Where several paths are equally cheap, the shortest counts; that makes the
        result the same for swapped and for reversed sequences.

    Returns
    -------
    Root of the (normalised) sum of window costs, in units of the features; exactly 0 for identical sequences.

    Raises
    ------
    ValueError
        For choices without meaning, and for sequences that are empty, not finite, not numbers or of other dimensions.

    Notes
    -----
    Sakoe & Chiba (1978), symmetric steps without slope weights. With one-frame windows and no normalisation the value
    equals ``tslearn.metrics.dtw``, band included. Departures from the paper: squared frame distances with one root at
    the end, windows, and the widened band for unequal lengths. Time O(frames * band * D), memory O(frames²).

    Examples
    --------
    >>> distance([0.0, 0.0, 3.0], [0.0, 3.0, 5.0])
    2.0
    """
    return _align(x, y, window_size, stride, radius, normalize)[1]


def path(
    x: Any,
    y: Any,
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: Any = None,
    normalize: Any = None,
) -> Path:
    """Cheapest alignment of two sequences; parameters and errors as in `distance`.

    Among equally cheap paths this is the shortest; if several are, then the one that, read from its end, takes the
    diagonal step wherever it may, and else the step in x.

    Examples
    --------
    >>> path([0.0, 0.0, 3.0], [0.0, 3.0, 5.0]).pairs.tolist()
    [[0, 0], [1, 0], [2, 1], [2, 2]]
    """
    alignment, value = _align(x, y, window_size, stride, radius, normalize)
    return Path(_exact.trace_back(alignment.total, alignment.steps), value)


def _align(x, y, window_size, stride, radius, normalize):
    options = _windows.check_options(window_size, stride, radius, normalize)
    x, y = _inputs.check_sequence(x, "x"), _inputs.check_sequence(y, "y")
    _inputs.require_dimensions(y, "y", x.shape[1], "x")
    _inputs.require_finite(x, "x")
    _inputs.require_finite(y, "y")
    exponent = _windows.rescale_exponent(max(abs(x).max(), abs(y).max()))
    x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    if abs(exponent) > 400:  # the squares of such values would overflow or vanish
        x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
    else:
        exponent = 0
    alignment = _exact.align(x, y, options)
    return alignment, float(np.ldexp(alignment.distance(options), exponent))
