"""Runs as tasks of a dask cluster; its scheduler and workers are the user's.

A worker needs the book installed, the same version as here, and nothing else: the page goes to it with the task, and
the folder of the run comes back.
"""

import json
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lib import runs
from lib.execution import PageFailed, write_whole
from lib.pages import PageError
from lib.runs import Run
from lib.sweeps._process import Process, num_cores
from lib.sweeps._progress import Progress
from lib.sweeps._task import Task

TIMEOUT = 30  # seconds in which a scheduler has to answer
INTERVAL = 1.0  # seconds between two looks whether a run is still wanted


class Order(NamedTuple):
    """What a worker is sent: a page and its parameters, the digest of our code, and how to report progress."""

    name: str
    source: bytes
    given: dict[str, str]
    library: str
    topic: str
    label: str


class Parcel(NamedTuple):
    """What a worker sends back: a run's folder, as far as there is one, and the message of the error that ended it."""

    name: str
    files: dict[str, bytes]  # by their path in the folder
    failure: str | None


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Client of the scheduler at `address`, for as long as the context lasts."""
    try:
        from distributed import Client
    except ImportError:
        raise PageError("--dask needs dask.distributed, which is in an extra: pip install -e '.[cluster]'") from None
    try:
        client = Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise PageError(f"no dask scheduler answers at {address!r}, such as tcp://host:8786 ({error})") from None
    with client:
        yield client


def outcomes(
    client: Any, tasks: Sequence[Task], out: Path, *, progress: Progress
) -> Iterator[tuple[Task, Run | PageFailed]]:
    """Yield tasks and what became of them as they end; when the caller goes away, workers stop what they run."""
    from distributed import as_completed

    topic = f"layers-{uuid.uuid4().hex}"
    client.subscribe_topic(topic, lambda event: progress.cell(*event[1]))
    library, futures = runs.library(), {}
    try:
        for task in tasks:
            order = Order(task.page.name, task.page.read_bytes(), task.given, library, topic, task.label)
            futures[client.submit(_run, order, key=f"{topic}-{task.label}")] = task
        for future in as_completed(futures, loop=client.loop):
            yield futures[future], _outcome(future, out)
            future.release()
    finally:
        client.cancel(list(futures))
        client.unsubscribe_topic(topic)


def _outcome(future: Any, out: Path) -> Run | PageFailed:
    if future.cancelled():
        return PageFailed("dask gave this run up: is the scheduler gone?")
    error = future.exception()
    if isinstance(error, PageError | ModuleNotFoundError):
        raise PageError(f"a dask worker cannot run pages: {error}; install this version of the book there")
    if error is not None:
        return PageFailed(f"{type(error).__name__}: {error}")
    parcel = future.result()
    failure = None if parcel.failure is None else PageFailed(parcel.failure)
    if not parcel.files:
        return failure
    folder = runs.new_folder(out, parcel.name)
    for name in sorted(parcel.files, key=lambda name: name == runs.RECORD):  # the record last: then the run is whole
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, parcel.files[name])
    if failure is None:
        return Run(folder, json.loads(parcel.files[runs.RECORD]))
    failure.add_note(f"run folder: {folder}")
    return failure


def _run(order: Order) -> Parcel:
    """Run a page on a worker."""
    from distributed import get_worker

    worker = get_worker()
    if runs.library() != order.library:
        raise PageError(f"the code of lib at {worker.address} is not the code here")
    with tempfile.TemporaryDirectory() as scratch:
        page, out = Path(scratch, order.name), Path(scratch, "runs")
        page.write_bytes(order.source)
        process = Process(page, order.given, out, threads=max(1, num_cores() // worker.state.nthreads))
        with _stopped_when_unwanted(process, worker):
            outcome = process.result(lambda done, total: worker.log_event(order.topic, (order.label, done, total)))
        folder = next(out.glob("*"), out)
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return Parcel(folder.name, files, None if isinstance(outcome, Run) else str(outcome))


@contextmanager
def _stopped_when_unwanted(process: Process, worker: Any) -> Iterator[None]:
    """Stop a run whose future was cancelled, or whose client has gone; dask itself lets a running task end."""
    key, done = worker.get_current_task(), threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":
                process.stop()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
