"""From a grid of values to runs in the grid's order, without those that are there already."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lib import pages, runs
from lib.execution import PageFailed
from lib.runs import Run
from lib.sweeps import _cluster, _local
from lib.sweeps._progress import Progress
from lib.sweeps._task import Task


def parse(page: Path, texts: Iterable[str]) -> dict[str, list[str]]:
    """Read a grid from texts like ``seed=0,1,2``; values of a parameter that is a list are separated by ``;``."""
    known = pages.parameters(page)
    grid = {}
    for text in texts:
        name, sign, values = text.partition("=")
        if not sign or name in grid:
            raise pages.PageError(f"--grid {text}: needed NAME=A,B,C, each name once")
        lists = name in known and known[name].type.startswith("list")
        grid[name] = values.split(";" if lists else ",")
    return grid


def sweep(
    page: str | Path,
    grid: Mapping[str, Sequence[str]],
    given: Mapping[str, str] | None = None,
    *,
    out: Path | None = None,
    jobs: int = 1,
    client: Any = None,
    progress: bool = False,
) -> Iterator[tuple[dict[str, str], Run | PageFailed]]:
    """Run a page at every point of `grid`, skipping points that have a finished run.

    A run counts when parameters, the page's code and the package's are the same. All points are checked before one
    starts. Yields each point with its run, or with the error that ended it, in the grid's order. Whoever stops
    iterating stops the runs in progress; their records say so, and the next sweep of the grid begins with them.

    Parameters
    ----------
    page, grid, given, out
        As for `runs.run`; `grid` has several values, as text, for each of its names.
    jobs
        Runs side by side, each in a process of its own with its share of the cores. The number of threads can change
        last digits: sweeps agree bit for bit when it is the same.
    client
        A ``dask.distributed.Client``: the runs are tasks of its cluster, and `jobs` is left to its workers.
    progress
        Show bars: of cells where runs follow one another, of runs with the cells they have reached otherwise.
    """
    page = pages.find(page)
    if both := set(grid) & set(given or {}):
        raise pages.PageError(f"given once as a fixed value and once in the grid: {', '.join(sorted(both))}")
    if jobs < 1:
        raise ValueError(f"jobs={jobs}; needed at least 1")
    out = out or runs.folder_of_runs()
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    tasks = [_task(page, {**(given or {}), **point}, _label(point)) for point in points]
    first = {}
    for task in tasks:
        if (other := first.setdefault(task.key, task)) is not task:
            raise pages.PageError(f"the grid has a point twice: {other.label} and {task.label}")
    ended = _finished(page, out)
    missing = [task for task in tasks if task.key not in ended]
    with closing(_dispatch(missing, out, jobs, client, len(tasks) - len(missing), progress)) as outcomes:
        for point, task in zip(points, tasks, strict=True):
            while task.key not in ended:
                other, outcome = next(outcomes)
                ended[other.key] = outcome
            yield point, ended[task.key]


def _dispatch(
    tasks: Sequence[Task], out: Path, jobs: int, client: Any, skipped: int, progress: bool
) -> Iterator[tuple[Task, Run | PageFailed]]:
    if client is None and jobs == 1:
        yield from _in_turn(tasks, out, progress)
        return
    total = len(tasks) + skipped
    with Progress(tasks[0].page.stem, total=total, skipped=skipped, show=progress) as bar:
        if client is None:
            outcomes = _local.outcomes(tasks, out, jobs=jobs, progress=bar)
        else:
            outcomes = _cluster.outcomes(client, tasks, out, progress=bar)
        with closing(outcomes):
            for task, outcome in outcomes:
                bar.end(task.label, failed=isinstance(outcome, PageFailed))
                yield task, outcome


def _in_turn(tasks: Sequence[Task], out: Path, progress: bool) -> Iterator[tuple[Task, Run | PageFailed]]:
    """One run after another in this process, where bars of single cells can be shown as well."""
    for number, task in enumerate(tasks, start=1):
        bar = f"{task.page.stem} {task.label} (run {number} of {len(tasks)})" if progress else None
        try:
            yield task, runs.run(task.page, task.given, out=out, progress=bar)
        except PageFailed as error:
            yield task, error


def _finished(page: Path, out: Path) -> dict[str, Run]:
    """Finished runs of a page by what makes two runs the same."""
    names = ("parameters", "code", "library")
    return {
        _key({name: item.record.get(name) for name in names}): item
        for item in runs.recorded(out)
        if item.record.get("status") == "finished" and item.record.get("page") == page.stem
    }


def _task(page: Path, given: dict[str, str], label: str) -> Task:
    return Task(page, given, label, _key(runs.identity(page, pages.resolve(page, given))))


def _key(identity: Mapping[str, object]) -> str:
    return json.dumps(identity, sort_keys=True, default=str)


def _label(point: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in point.items())
