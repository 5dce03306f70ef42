"""The k nearest of every sequence, without the matrix of all pairs."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from lib.dtw import _inputs
from lib.dtw._nearest_approximate import ApproximateSearch
from lib.dtw._nearest_exact import ExactSearch
from lib.dtw._nearest_search import Nearest
from lib.dtw._threads import blas, check_threads
from lib.dtw._windows import check_options

METHODS = {"exact": ExactSearch, "approximate": ApproximateSearch}


def nearest(
    sequences: Any,
    k: int,
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: Any = None,
    normalize: Any = None,
    method: str = "exact",
    between: bool = False,
    num_threads: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Nearest:
    """Find the `k` nearest others of every sequence by window-based DTW.

    Parameters
    ----------
    sequences
        As in `pairwise`: lists of (frames, D) arrays of any lengths, or one (N, T, D) array.
    k
        Neighbours per sequence, 1 to N - 1.
    window_size, stride, radius, normalize
        See `distance`.
    method
        ``"exact"``: the answer that sorting the distances of all pairs gives; pairs that a lower bound rules out are
        not computed. How many remain depends on the data: few where sequences form clusters, most where all are about
        equally far, and then `pairwise` is faster. ``"approximate"``: candidates whose time-averaged features are
        near, their neighbours' neighbours, and true distances among those alone; cost grows little faster than N, a
        few neighbours in a hundred may be missed.
    between
        Also return the distances among the neighbours of each sequence, which `graphs.nnk` needs: up to N k² / 2
        further pairs and 4 N k² bytes.
    num_threads
        Threads to use; None takes every CPU this process may use. The result does not depend on it.
    seed
        For ``"approximate"``: same sequences, choices and seed give the same result.
    progress
        Show a bar that counts pairs: decided (``"exact"``) or computed.

    Returns
    -------
    Nearest
        Distances are within 1e-5 of `distance`, relative to their value. The order is that of `distance` rounded to
        float32: where computed distances are closer than their own rounding, they are computed again in float64.

    Raises
    ------
    ValueError
        As `pairwise`; for a `k` that the sequences do not have, and for an unknown method.

    Notes
    -----
    :mod:`lib.dtw._bounds` states the bounds and why they hold. ``"exact"`` starts from the distances to the nearest
    in a space of time-averaged features, which leaves a k-th best close to the final one; then it computes each pair
    whose bound is below the k-th best of either side, in ascending order of the bounds. Frames with many dimensions are
    first warped in the few of their sketch, which is a bound as well. No single alignment is abandoned half-way: pairs
    run side by side, and a block ends early only if all of its pairs would.

    ``"approximate"`` takes candidates from NNDescent (Dong et al. 2011; pynndescent), or from all pairs of vectors
    where they are few, and refines them as that algorithm does, with true distances: the neighbours of a sequence and
    those whose neighbour it is are introduced to each other until hardly any list changes.

    Examples
    --------
    >>> found = nearest([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]], 1)
    >>> found.indices.tolist()
    [[1], [0], [1]]
    """
    options = check_options(window_size, stride, radius, normalize)
    num_threads = check_threads(num_threads)
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(map(repr, METHODS))}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed!r} must be an int from 0 to 2**32 - 1")
    sequences = _inputs.check_sequences(sequences, "sequences")
    count = len(sequences)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k < count:
        raise ValueError(f"k={k!r} neighbours asked of {count} sequences; needed an int from 1 to {count - 1}")
    with blas().limit(limits=1), ThreadPoolExecutor(num_threads) as pool:
        try:
            search = METHODS[method](sequences, int(k), options, int(seed), pool.map)
            with tqdm(unit="pair", disable=not progress) as bar:
                search.find(bar)
            return search.result(between)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
