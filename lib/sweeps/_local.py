"""Runs side by side on this machine."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from lib.execution import PageFailed
from lib.runs import Run
from lib.sweeps._process import Process, num_cores
from lib.sweeps._progress import Progress
from lib.sweeps._task import Task


def outcomes(
    tasks: Sequence[Task], out: Path, *, jobs: int, progress: Progress
) -> Iterator[tuple[Task, Run | PageFailed]]:
    """Yield tasks and what became of them as they end; when the caller goes away, runs in progress are stopped."""
    threads = max(1, num_cores() // jobs)
    running, lock, stopping = set(), threading.Lock(), threading.Event()

    def work(task: Task) -> Run | PageFailed:
        with lock:
            if stopping.is_set():  # between the end of one run and the cancelling of those that wait
                return PageFailed("stopped before it began")
            process = Process(task.page, task.given, out, threads=threads)
            running.add(process)
        try:
            return process.result(partial(progress.cell, task.label))
        finally:
            with lock:
                running.remove(process)

    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(work, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            with lock:
                stopping.set()
                for process in running:
                    process.stop()
            pool.shutdown(cancel_futures=True)
