"""The commands of ``python -m lib``: what each does, prints and returns as its exit code."""

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lib import execution, lab, pages, reports, runs, sweeps, tables

LIMIT = 600  # seconds that the book with its default parameters may take on two cores
MOST_COLUMNS = 40  # of a printed table; learning curves have one for every epoch


def run(options) -> int:
    """Execute one page and print its tables and files."""
    progress = None if options.quiet else pages.find(options.page).stem
    item = runs.run(options.page, _given(options), out=options.out, progress=progress)
    report = [reports.html(item)] if options.html else []
    _show_run(item, report)
    _record(options.record, [item])
    return 0


def sweep(options) -> int:
    """Execute a page over a grid of values; the same command goes on where an earlier one stopped."""
    page = pages.find(options.page)
    grid = sweeps.parse(page, options.grid)
    finished, failures = [], 0
    with ExitStack() as stack:
        client = stack.enter_context(sweeps.connect(options.dask)) if options.dask else None
        stack.enter_context(_saying_how_to_go_on())
        points = sweeps.sweep(
            page,
            grid,
            _given(options),
            out=options.out,
            jobs=options.jobs,
            client=client,
            progress=not options.quiet,
        )
        for point, outcome in stack.enter_context(closing(points)):
            name = " ".join(f"{name}={value}" for name, value in point.items())
            if isinstance(outcome, Exception):
                failures += 1
                tqdm.write(f"{name}: failed")  # above the bars, where there are any
                tqdm.write(failure(outcome), file=sys.stderr)
            else:
                finished.append((point, outcome))
                shown = reports.html(outcome) if options.html else outcome.folder.name
                tqdm.write(f"{name}: {shorten(shown) if options.html else shown}")
    saved = [(point, item.tables) for point, item in finished]
    for name in sorted({name for _, each in saved for name in each}):
        # A copy is in one piece: adding columns to a table of a hundred pieces makes pandas warn.
        parts = [each[name].copy().assign(**point) for point, each in saved if name in each]
        table, varied = pd.concat(parts, ignore_index=True), list(saved[0][0])
        _show_table(name, table[[*varied, *table.columns.difference(varied, sort=False)]])
    _record(options.record, [item for _, item in finished])
    print(f"\n{len(finished)} points finished, {failures} failed")
    return 1 if failures else 0


def results(options) -> int:
    """List, filter or compare runs and the tables of studies."""
    if options.study:
        _results_of_study(options)
        return 0
    items = runs.recorded(options.out)
    if options.compare:
        facts, side_by_side = tables.compare_runs([tables.find(items, name) for name in options.compare])
        _show_comparison(facts, side_by_side, options)
        return 0
    if not options.filters:
        counts = [(name, len(frame)) for name, frame in runs.studies().items()]
        _show_table("studies in data/results", pd.DataFrame(counts, columns=["study", "rows"]))
    frame = tables.listing(items)
    if len(frame):
        frame = tables.pick(tables.keep(frame, options.filters), options.columns)
    frame = frame if options.columns else frame.dropna(axis="columns", how="all")
    _show_table("runs, newest last", frame.tail(options.last))
    return 0


def _given(options) -> dict[str, str]:
    given = dict(options.parameters)
    if len(given) < len(options.parameters):
        raise pages.PageError(f"a parameter is given twice: {' '.join(name for name, _ in options.parameters)}")
    return given


def _results_of_study(options) -> None:
    studies = runs.studies()
    if options.study not in studies:
        raise pages.PageError(f"no study {options.study!r} in data/results/: {', '.join(studies) or 'it is empty'}")
    frame = studies[options.study]
    if options.compare:
        facts, side_by_side = tables.compare_study(frame, options.compare)
        _show_comparison(facts, {options.study: side_by_side}, options)
    else:
        _show_table(options.study, tables.pick(tables.keep(frame, options.filters), options.columns))


def _show_comparison(facts: pd.DataFrame, side_by_side: dict[str, pd.DataFrame], options) -> None:
    _show_table("what differs", facts)
    for name, frame in side_by_side.items():
        if len(frame.columns):
            _show_table(name, tables.keep(frame, options.filters))


def show_pages(options) -> int:
    """List all pages with their parameters."""
    for page in pages.found():
        print(f"{page.stem}\n{pages.describe(page)}\n")
    return 0


def execute(options) -> int:
    """Execute pages with their default parameters and print how long each takes."""
    chosen, failed, total = [pages.find(name) for name in options.pages] or pages.found(), [], 0.0
    out = runs.folder_of_runs()
    for page in chosen:
        progress = None if options.quiet else page.stem
        try:
            # As a new reader has it: what earlier sessions trained is not found.
            with tempfile.TemporaryDirectory() as build, execution.environment(LAYERS_BUILD=build):
                if options.store:
                    size = execution.refresh(page, progress=progress).stat().st_size
                    print(f"{page.stem}: {size / 1000:.0f} kB", flush=True)
                else:
                    seconds = runs.run(page, out=out, progress=progress).record["seconds"]
                    total += seconds
                    print(f"{page.stem}: {seconds:.0f} s", flush=True)
        except (pages.PageError, execution.PageFailed) as error:
            failed.append(page.stem)
            print(f"{page.stem}: {'not stored' if options.store else 'failed'}", flush=True)
            print(failure(error), file=sys.stderr)
    if failed:
        print(f"{'not stored' if options.store else 'failed'}: {', '.join(failed)}", file=sys.stderr)
    if not options.store:
        print(f"{len(chosen)} pages: {total:.0f} s; the whole book may take {LIMIT} s on two cores")
    return 1 if failed or total > LIMIT else 0


@contextmanager
def _saying_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note("finished runs are kept: the same command goes on from here")
        raise


def open_lab(options) -> int:
    """Open JupyterLab on a launcher of all pages."""
    lab.start(options.arguments)
    return 0


def _show_run(item: runs.Run, reports: list[Path]) -> None:
    for name, frame in item.tables.items():
        _show_table(name, frame)
    print(f"\nnotebook  {shorten(item.notebook)}")
    for path in reports:
        print(f"page      {shorten(path)}")
    for figure in item.figures:
        print(f"figure    {shorten(figure)}")
    print(f"record    {shorten(item.folder / runs.RECORD)}   ({item.record['seconds']:.0f} s)")


def _record(studies: list[str], finished: list[runs.Run]) -> None:
    if not finished:
        return
    tables.check_saved(studies, finished)
    for study in studies:
        print(f"\nrows      {shorten(tables.record(study, finished))}")


def _show_table(title: str, frame: pd.DataFrame) -> None:
    print(f"\n{title}")
    print(frame.round(3).to_string(index=False, max_cols=MOST_COLUMNS) if len(frame) else "  none")


def failure(error: Exception) -> str:
    text = str(error) if sys.stderr.isatty() else re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return "\n".join([text, *getattr(error, "__notes__", [])])


def shorten(path: Path) -> str:
    """Write a path as the reader can type it: relative where it lies below the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
