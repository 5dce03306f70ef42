"""Chunks of the matrix as tasks of a dask cluster; its scheduler and workers are the user's."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from lib.dtw._chunks import Cut

TASKS_PER_THREAD = 2  # enough that no worker waits, few enough that finished chunks do not pile up


def check_client(client: Any) -> None:
    """Refuse what is no client, an address for example."""
    if not (hasattr(client, "scatter") and hasattr(client, "submit")):
        raise ValueError(f"client={client!r} must be a dask.distributed.Client, as Client('tcp://host:8786') makes one")


def results(
    client: Any,
    compute: Callable,
    lists: list[list[np.ndarray]],
    cut: Cut,
    chunks: list[tuple[int, int]],
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Yield (chunk, values) as workers finish them; `compute` takes the sequences of its rows and of its columns.

    A copy of the sequences goes to every worker, so that a worker that dies takes nothing with it: dask gives its tasks
    to the others. Only when the last copy has gone are the sequences sent again.
    """
    from distributed import CancelledError, as_completed

    if not chunks:
        return
    waiting, places, finished = iter(chunks), {}, as_completed()
    parts = _send(client, lists, cut)

    def submit(chunk):
        rows, columns = parts[0][chunk[0]], parts[-1][chunk[1]]
        own = cut.triangle and chunk[0] == chunk[1]
        future = client.submit(compute, rows, None if own else columns, pure=False)
        places[future.key] = chunk, parts
        finished.add(future)

    def top_up():
        at_once = TASKS_PER_THREAD * max(1, sum(client.nthreads().values()))  # workers come and go
        for chunk in islice(waiting, max(0, at_once - len(places))):
            submit(chunk)

    top_up()
    for future in finished:
        chunk, sent = places.pop(future.key)
        try:
            values = future.result()
        except CancelledError:  # the sequences that it needed are gone
            if sent is parts:
                parts = _send(client, lists, cut)
            submit(chunk)
            continue
        future.release()
        top_up()
        yield chunk, values


def _send(client, lists, cut):
    """Futures of the sequences of every row of chunks, and of every column unless they are the same."""
    return [
        client.scatter(
            [sequences[start : start + cut.size] for start in range(0, len(sequences), cut.size)],
            broadcast=True,
            hash=False,
        )
        for sequences in lists
    ]
