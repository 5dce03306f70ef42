"""Distances of every pair in memory: a plan of blocks, run by a few threads."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
from tqdm.auto import tqdm

from lib.dtw import _exact, _plan
from lib.dtw._blocks import block_sums
from lib.dtw._costs import Scratch
from lib.dtw._threads import blas
from lib.dtw._windows import Options, divisor, num_windows, superframes


def matrix(sequences, others, options, num_threads=1, progress=False, stop=None, device=None):
    """Distances in memory; `stop` is an event that another thread may set, `device` None our own kernels."""
    stop = stop or threading.Event()
    if others is not None and len(others) < len(sequences):  # the longer list fills the lanes
        run = _Run(others, sequences, options, ("others", "sequences"), stop, device)
        return np.ascontiguousarray(run.start(num_threads, progress).T)
    return _Run(sequences, others, options, ("sequences", "others"), stop, device).start(num_threads, progress)


class _Stopped(Exception):
    """Raised inside a block when another thread failed or the user pressed Ctrl-C."""


class _Run:
    """One call of `pairwise`: sequences, plan and result."""

    def __init__(self, rows, columns, options: Options, names, stop, device):
        self.rows, self.columns, self.options, self.names = rows, columns, options, names
        self.shape = superframes(options.window_size, options.stride)
        self.differences = _plan.uses_differences(rows[0].shape[1], self.shape)
        self.scratch, self.stop, self.device = Scratch(), stop, device

    def start(self, num_threads, progress):
        """Compute the matrix."""
        with blas().limit(limits=1), ThreadPoolExecutor(num_threads) as pool:
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
        size = None
        if self.device is not None:
            from lib.dtw import _device

            longest = max(len(x) for side in (self.rows, self.columns or ()) for x in side)
            windows = num_windows(longest, self.options.window_size, self.options.stride)
            size = _device.group_size(windows, self.shape)
        self.row_groups, self.column_groups = _plan.pack(self.rows, self.columns, scaling, self.options, run, size)

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
        common = (groups, y, self.shape, self.options, self.differences)
        if self.device is None:
            sums = block_sums(*common, self.scratch, self._check)
        else:
            from lib.dtw import _device

            sums = _device.block_sums(*common, self.device, self._check)
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
        return _exact.rounded_distance(x, y, self.options, self.exponent)

    def _check(self):
        if self.stop.is_set():
            raise _Stopped
