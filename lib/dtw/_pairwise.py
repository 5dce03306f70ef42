"""Distances of every pair: a plan of blocks, run by a few threads."""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
from jaxtyping import Float32
from threadpoolctl import ThreadpoolController
from tqdm.auto import tqdm

from lib.dtw import _exact, _inputs, _plan
from lib.dtw._blocks import block_sums
from lib.dtw._costs import Scratch
from lib.dtw._windows import Options, check_options, divisor, superframes


def pairwise(
    sequences: Any,
    others: Any = None,
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: Any = None,
    normalize: Any = None,
    num_threads: int | None = None,
    progress: bool = False,
) -> Float32[np.ndarray, "N M"]:
    """Window-based DTW distances of all pairs; window, band and normalisation as in `distance`.

    Parameters
    ----------
    sequences, others
        Lists of (frames, D) or (frames,) arrays of any lengths, or one (N, T, D) or (N, T) array; D must agree
        everywhere. Without `others` the pairs are those of `sequences` with itself, of which half are computed.
    window_size, stride, radius, normalize
        See `distance`.
    num_threads
        Threads to use; None takes every CPU this process may use. Libraries for linear algebra are held to one thread
        each meanwhile, in the whole process.
    progress
        Show a bar that counts pairs.

    Returns
    -------
    Distances (N, N'), row per sequence and column per other, within 1e-5 of `distance` relative to its value. Without
    `others` the matrix is exactly symmetric with zeros on its diagonal. Identical sequences are at distance 0.

    Raises
    ------
    ValueError
        As `distance`, naming the sequence by its place in the list.

    Notes
    -----
    Frames are centred on their common mean and compared in float32, by matrix products over the part of each frame
    matrix that the band touches; the dynamic programme runs over many pairs at once. Pairs so close, next to the size
    of their frames, that float32 would lose digits are done again in float64, and so are those whose
    `normalize="path"` hangs on a tie. Memory: a float32 copy of the sequences, and a few megabytes per thread for each
    hundred frames.
    """
    options = check_options(window_size, stride, radius, normalize)
    num_threads = _check_threads(num_threads)
    sequences = _inputs.check_sequences(sequences, "sequences")
    if others is not None:
        others = _inputs.check_sequences(others, "others")
        _inputs.require_dimensions(others[0], "others[0]", sequences[0].shape[1], "sequences[0]")
        if len(others) < len(sequences):  # the longer list fills the lanes
            return np.ascontiguousarray(
                _Run(others, sequences, options, ("others", "sequences")).start(num_threads, progress).T
            )
    return _Run(sequences, others, options, ("sequences", "others")).start(num_threads, progress)


class _Stopped(Exception):
    """Raised inside a block when another thread failed or the user pressed Ctrl-C."""


class _Run:
    """One call of `pairwise`: sequences, plan and result."""

    def __init__(self, rows, columns, options: Options, names):
        self.rows, self.columns, self.options, self.names = rows, columns, options, names
        self.shape = superframes(options.window_size, options.stride)
        self.differences = _plan.uses_differences(rows[0].shape[1], self.shape)
        self.scratch, self.stop = Scratch(), threading.Event()

    def start(self, num_threads, progress):
        """Compute the matrix."""
        with _blas().limit(limits=1), ThreadPoolExecutor(num_threads) as pool:
            try:
                self._prepare(pool.map)
                return self._compute(pool, num_threads, progress)
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _prepare(self, run):
        scaling = _plan.measure(self.rows, self.names[0], run)
        if self.columns is not None:
            scaling = _plan.merge(scaling, _plan.measure(self.columns, self.names[1], run))
        self.exponent = scaling.exponent
        self.row_groups, self.column_groups = _plan.pack(self.rows, self.columns, scaling, self.options, run)

    def _compute(self, pool, num_threads, progress):
        plan = _plan.blocks(self.row_groups, self.column_groups, self.columns is None, num_threads)
        distances = np.zeros((len(self.rows), len(self.columns or self.rows)), np.float32)
        with tqdm(total=sum(block.num_pairs for block in plan), unit="pair", disable=not progress) as bar:
            futures = {pool.submit(self._block, block): block for block in plan}
            for future in as_completed(futures):
                block, values = futures.pop(future), future.result()
                rows, columns = self._indices(block)
                distances[np.ix_(rows, columns)] = values
                if self.columns is None:
                    distances[np.ix_(columns, rows)] = values.T
                bar.update(block.num_pairs)
        return distances

    def _indices(self, block):
        rows = np.concatenate([self.row_groups[i].indices for i in block.rows])
        return rows, self.column_groups[block.column].indices

    def _block(self, block):
        """Distances of one block, (rows, columns) float32."""
        groups, y = [self.row_groups[i] for i in block.rows], self.column_groups[block.column]
        sums = block_sums(groups, y, self.shape, self.options, self.differences, self.scratch, self._check)
        counts = np.concatenate([group.counts for group in groups])[:, None]
        scale = divisor(self.options, counts, y.counts, sums.steps) * self.options.window_size
        distances = np.ldexp(np.sqrt(np.maximum(sums.total, 0) / scale), self.exponent).astype(np.float32)
        doubtful, corner = sums.doubtful, 0
        if self.columns is None and block.column in block.rows:  # the last group meets itself: keep one half
            corner = len(doubtful) - len(y.indices)
            doubtful = np.triu(doubtful, 1 - corner)
        rows, columns = self._indices(block)
        for i, j in np.argwhere(doubtful):
            distances[i, j] = self._exactly(rows[i], columns[j])
        if self.columns is None and block.column in block.rows:
            upper = np.triu(distances[corner:], 1)
            distances[corner:] = upper + upper.T
        return distances

    def _exactly(self, i, j):
        self._check()
        x, y = self.rows[i], (self.columns or self.rows)[j]
        exponent = self.exponent if abs(self.exponent) > 400 else 0
        if exponent:
            x, y = np.ldexp(x.astype(np.float64), -exponent), np.ldexp(y.astype(np.float64), -exponent)
        alignment = _exact.align(x.astype(np.float64, copy=False), y.astype(np.float64, copy=False), self.options)
        return np.ldexp(alignment.distance(self.options), exponent)

    def _check(self):
        if self.stop.is_set():
            raise _Stopped


@functools.cache
def _blas():
    """Find the linear algebra libraries; that takes longer than a small matrix of distances, hence only once."""
    return ThreadpoolController().select(user_api="blas")


def _check_threads(num_threads):
    if num_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
        raise ValueError(f"num_threads={num_threads!r} must be None (every CPU) or an int, at least 1")
    return num_threads
