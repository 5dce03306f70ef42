"""Distances of every pair: a plan of blocks, run by a few threads; or chunk by chunk into a store, or on a cluster."""

import functools
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
from contextlib import closing
from itertools import islice
from typing import Any

import numba
import numpy as np
from jaxtyping import Float32
from threadpoolctl import ThreadpoolController
from tqdm.auto import tqdm

from lib.dtw import _chunks, _cluster, _exact, _inputs, _plan, _store
from lib.dtw._blocks import block_sums
from lib.dtw._costs import Scratch
from lib.dtw._windows import Options, check_options, divisor, num_windows, superframes


def pairwise(
    sequences: Any,
    others: Any = None,
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: Any = None,
    normalize: Any = None,
    num_threads: int | None = None,
    device: Any = "cpu",
    store: Any = None,
    client: Any = None,
    max_memory: float = 2**30,
    progress: bool = False,
) -> Float32[Any, "N M"]:
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
        each meanwhile, in the whole process. Ignored with `client`.
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:1"``. On a GPU distances come from PyTorch, within 1e-4 of those on the CPU
        relative to their value, and a store takes those of one kind of device. With `client` it is the workers' device.
    store
        Path of a folder that takes the distances, chunk by chunk as they finish. The same call, stopped or killed at
        any moment, goes on with what is missing there; once complete it only opens the folder.
    client
        A `dask.distributed.Client` (extra ``cluster``): its workers compute, this process writes. Start them by
        ``dask scheduler`` on one machine and ``dask worker tcp://host:8786`` on each; they need this package installed
        and memory for a copy of the sequences. A worker that dies costs only the chunks it had in hand.
    max_memory
        Bytes that a call with `store` takes at most beside its input and what Python and its libraries occupy. It
        limits the chunks of a new store, and how many are computed at once here (workers have limits of their own):
        threads for which it is too little stand idle. Sequences of 75 frames and D=256 take about 100 MB per thread.
    progress
        Show a bar that counts pairs, with their rate and the time left; it starts at what the store has.

    Returns
    -------
    Distances (N, N'), row per sequence and column per other, within 1e-5 of `distance` relative to its value. Without
    `others` the matrix is exactly symmetric with zeros on its diagonal. Identical sequences are at distance 0. With
    `store` this is a read-only zarr array, of which a slice reads only what it needs and ``np.asarray`` everything;
    else an ndarray.

    Raises
    ------
    ValueError
        As `distance`, naming the sequence by its place in the list. The store belongs to other sequences or choices,
        which are named, or is something else, or is damaged; or `max_memory` is too little.

    Notes
    -----
    Frames are centred on their common mean and compared in float32, by matrix products over the part of each frame
    matrix that the band touches; the dynamic programme runs over many pairs at once. Pairs so close, next to the size
    of their frames, that float32 would lose digits are done again in float64, and so are those whose
    `normalize="path"` hangs on a tie. Memory: a float32 copy of the sequences, and a few megabytes per thread for each
    hundred frames.

    With `store` or `client` the matrix is cut into chunks of 16 to 512 sequences a side, each computed by one thread
    from nothing but its own sequences. Their size follows from the data, the choices and `max_memory`, so that results
    agree bit for bit however often a run was stopped, for any `num_threads`, and for any workers with the same kind of
    processor and versions of NumPy and Numba. Without both, blocks are cut for the threads there are, and the last
    digits may differ. Memory then is that of the chunks in hand, whatever N: no N by N' array is made with `store`.
    """
    options = check_options(window_size, stride, radius, normalize)
    num_threads = _check_threads(num_threads)
    device = None if isinstance(device, str) and device == "cpu" else _torch_device(device, here=client is None)
    _check_memory(max_memory)
    path = None if store is None else _store.check_path(store)
    if client is not None:
        _cluster.check_client(client)
    sequences = _inputs.check_sequences(sequences, "sequences")
    if others is not None:
        others = _inputs.check_sequences(others, "others")
        _inputs.require_dimensions(others[0], "others[0]", sequences[0].shape[1], "sequences[0]")
    if store is not None or client is not None:
        return _by_chunks(sequences, others, options, num_threads, device, path, client, max_memory, progress)
    return _matrix(sequences, others, options, num_threads, progress, device=device)


def _matrix(sequences, others, options, num_threads=1, progress=False, stop=None, device=None):
    """Distances in memory; `stop` is an event that another thread may set, `device` None our own kernels."""
    stop = stop or threading.Event()
    if others is not None and len(others) < len(sequences):  # the longer list fills the lanes
        run = _Run(others, sequences, options, ("others", "sequences"), stop, device)
        return np.ascontiguousarray(run.start(num_threads, progress).T)
    return _Run(sequences, others, options, ("sequences", "others"), stop, device).start(num_threads, progress)


def _by_chunks(rows, columns, options, num_threads, device, path, client, max_memory, progress):
    """Distances chunk by chunk, into a store or into memory, by threads or by a cluster."""
    lists = [rows] if columns is None else [rows, columns]
    for sequences, name in zip(lists, ("sequences", "others"), strict=False):
        _plan.measure(sequences, name, map)  # refuses what is not finite
    shape, (longest, num_dims) = (len(rows), len(lists[-1])), _chunks.longest_and_dims(*lists)
    array = None
    if path is not None:
        fingerprint = _store.fingerprint(rows, columns, options, device)
        array = _store.open_array(path, fingerprint, shape)
    size = array.chunks[0] if array is not None else _chunks.choose_size(shape, longest, num_dims, options, max_memory)
    cut, done = _chunks.Cut(shape, size, columns is None), set()
    needed = _chunks.working_memory(size, longest, num_dims, options)
    if needed > max_memory:
        raise ValueError(f"max_memory={max_memory} is too little: the store's chunks of {size} need {needed} bytes")
    if path is None:
        distances = np.zeros(shape, np.float32)
    elif array is None:
        array = _store.create(path, fingerprint, shape, size)
    else:
        done = _store.find_done(array, path, cut)
    chunks = cut.chunks()
    missing = [chunk for chunk in chunks if chunk not in done]
    if client is not None:
        compute = functools.partial(_on_worker, options=options, device=device)
        results = _cluster.results(client, compute, lists, cut, missing)
    else:
        at_once = min(num_threads, int(max_memory // needed))
        results = _on_threads(lists, options, cut, missing, at_once, device)
    total, had = (sum(map(cut.num_pairs, part)) for part in (chunks, done))
    with tqdm(total=total, initial=had, unit="pair", disable=not progress) as bar, closing(results):
        for chunk, values in results:
            if path is not None:
                _store.write(array, cut, chunk, values)
            else:
                at = cut.slices(chunk)
                distances[at] = values
                if cut.mirrored(chunk):
                    distances[at[::-1]] = values.T
            bar.update(cut.num_pairs(chunk))
    return distances if path is None else _store.read_only(path)


def _on_threads(lists, options, cut, chunks, num_threads, device):
    """Yield (chunk, values) as threads finish them; a new chunk is begun when an old one has been taken."""
    stop, waiting, running = threading.Event(), iter(chunks), {}

    def compute(chunk):
        rows, columns = (part[at] for part, at in zip((lists[0], lists[-1]), cut.slices(chunk), strict=True))
        own = cut.triangle and chunk[0] == chunk[1]
        return _matrix(rows, None if own else columns, options, stop=stop, device=device)

    with _blas().limit(limits=1), ThreadPoolExecutor(num_threads) as pool:
        try:
            while True:
                for chunk in islice(waiting, num_threads + 1 - len(running)):
                    running[pool.submit(compute, chunk)] = chunk
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_worker(rows, columns, options, device):
    """Distances of a chunk on a cluster's worker, whose threads share what is set here: it is set for good."""
    _blas().limit(limits=1)
    if device is not None:
        from lib.dtw import _device

        _device.require(device)
    return _matrix(rows, columns, options, device=device)


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


def _torch_device(device, here):
    from lib.dtw import _device

    device = _device.check_device(device)
    if here:
        _device.require(device)
    return device


@functools.cache
def _blas():
    """Find the linear algebra libraries; that takes longer than a small matrix of distances, hence only once."""
    return ThreadpoolController().select(user_api="blas")


def _check_threads(num_threads):
    if num_threads is None:
        return numba.config.NUMBA_NUM_THREADS  # every CPU, or fewer where the environment says so
    if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
        raise ValueError(f"num_threads={num_threads!r} must be None (every CPU) or an int, at least 1")
    return num_threads


def _check_memory(max_memory):
    if isinstance(max_memory, bool) or not isinstance(max_memory, int | float) or not max_memory > 0:
        raise ValueError(f"max_memory={max_memory!r} must be a number of bytes, more than 0")
