"""Distances of every pair: what may be asked for, and which way it is computed."""

from typing import Any

from jaxtyping import Float32

from lib.dtw import _cluster, _inputs, _store
from lib.dtw._chunked import by_chunks
from lib.dtw._matrix import matrix
from lib.dtw._threads import check_threads
from lib.dtw._windows import check_options


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
    num_threads = check_threads(num_threads)
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
        return by_chunks(sequences, others, options, num_threads, device, path, client, max_memory, progress)
    return matrix(sequences, others, options, num_threads, progress, device=device)


def _torch_device(device, here):
    from lib.dtw import _device

    device = _device.check_device(device)
    if here:
        _device.require(device)
    return device


def _check_memory(max_memory):
    if isinstance(max_memory, bool) or not isinstance(max_memory, int | float) or not max_memory > 0:
        raise ValueError(f"max_memory={max_memory!r} must be a number of bytes, more than 0")
