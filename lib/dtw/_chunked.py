"""Distances of every pair chunk by chunk, into a store or into memory, by threads or on a cluster."""

import functools
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice

import numpy as np
from tqdm.auto import tqdm

from lib.dtw import _chunks, _cluster, _plan, _store
from lib.dtw._matrix import matrix
from lib.dtw._threads import blas


def by_chunks(rows, columns, options, num_threads, device, path, client, max_memory, progress):
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
        return matrix(rows, None if own else columns, options, stop=stop, device=device)

    with blas().limit(limits=1), ThreadPoolExecutor(num_threads) as pool:
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
    blas().limit(limits=1)
    if device is not None:
        from lib.dtw import _device

        _device.require(device)
    return matrix(rows, columns, options, device=device)
