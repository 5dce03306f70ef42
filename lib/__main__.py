"""Command line of the book: ``python -m lib run 05_layer_geometry -p seed 1`` and its companions."""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

from lib import execution, lab, pages, paths, runs


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 a page failed, 2 a wrong name or value."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except pages.PageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except execution.PageFailed as error:
        _show_failure(error)
        return 1
    except KeyboardInterrupt as error:
        print("\nstopped", *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 130


def run(options) -> int:
    """Execute one page and print its tables and files."""
    item = runs.run(options.page, dict(options.parameters), out=options.out, progress=not options.quiet)
    _show_run(item)
    _record(options.record, [item])
    return 0


def sweep(options) -> int:
    """Execute a page over a grid of values."""
    page = pages.find(options.page)
    kinds = pages.parameters(page)
    grid = {}
    for text in options.grid:
        name, sign, values = text.partition("=")
        if not sign or name in grid:
            raise pages.PageError(f"--grid {text}: needed NAME=A,B,C, each name once")
        lists = name in kinds and kinds[name].type.startswith("list")
        grid[name] = values.split(";" if lists else ",")
    finished, failures = [], 0
    points = runs.sweep(page, grid, dict(options.parameters), out=options.out, progress=not options.quiet)
    for point, outcome in points:
        print(" ".join(f"{name}={value}" for name, value in point.items()), end=": ")
        if isinstance(outcome, Exception):
            failures += 1
            print("failed", flush=True)
            _show_failure(outcome)
        else:
            finished.append((point, outcome))
            print(outcome.folder.name, flush=True)
    for name in sorted({name for _, item in finished for name in item.tables}):
        parts = [item.tables[name].assign(**point) for point, item in finished if name in item.tables]
        _show_table(name, pd.concat(parts, ignore_index=True))
    _record(options.record, [item for _, item in finished])
    print(f"\n{len(finished)} points finished, {failures} failed")
    return 1 if failures else 0


def results(options) -> int:
    """List or show tables of results and runs."""
    studies = runs.studies()
    if options.study:
        if options.study not in studies:
            raise pages.PageError(f"no study {options.study!r} in data/results/: {', '.join(studies) or 'it is empty'}")
        _show_table(options.study, runs.keep(studies[options.study], options.filters))
        return 0
    if not options.filters:
        counts = pd.DataFrame({"study": list(studies), "rows": [len(frame) for frame in studies.values()]})
        _show_table("studies in data/results", counts)
    frame = runs.keep(runs.table(runs.recorded(options.out)), options.filters).dropna(axis="columns", how="all")
    _show_table("runs, newest last", frame.tail(options.last))
    return 0


def show_pages(options) -> int:
    """List all pages with their parameters."""
    for page in pages.found():
        print(f"{page.stem}\n{pages.describe(page)}\n")
    return 0


def execute(options) -> int:
    """Regenerate committed notebooks."""
    failed = []
    for page in [pages.find(name) for name in options.pages] or pages.found():
        try:
            target = execution.refresh(page, progress=not options.quiet)
            print(f"{page.stem}: {target.stat().st_size / 1000:.0f} kB", flush=True)
        except (pages.PageError, execution.PageFailed) as error:
            failed.append(page.stem)
            print(f"{page.stem}: not stored", flush=True)
            _show_failure(error)
    if failed:
        print(f"not stored: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def open_lab(options) -> int:
    """Open JupyterLab on a launcher of all pages."""
    lab.start(options.arguments)
    return 0


def _show_run(item: runs.Run) -> None:
    for name, frame in item.tables.items():
        _show_table(name, frame)
    print(f"\nnotebook  {_shorten(item.notebook)}")
    for figure in item.figures:
        print(f"figure    {_shorten(figure)}")
    print(f"record    {_shorten(item.folder / runs.RECORD)}   ({item.record['seconds']:.0f} s)")


def _record(study: str | None, finished: list[runs.Run]) -> None:
    if study and finished:
        print(f"\nrows      {_shorten(runs.record(study, finished))}")


def _show_table(title: str, frame: pd.DataFrame) -> None:
    print(f"\n{title}")
    print(frame.round(3).to_string(index=False) if len(frame) else "  none")


def _show_failure(error: Exception) -> None:
    text = str(error) if sys.stderr.isatty() else re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    print(text, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)


def _shorten(path: Path) -> str:
    """Write a path as the reader can type it: relative where it lies below the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, name: str | None = None) -> argparse.ArgumentParser:
        text = function.__doc__
        added = commands.add_parser(name or function.__name__, help=text, description=text)
        added.set_defaults(command=function)
        return added

    def add_run_options(added: argparse.ArgumentParser) -> None:
        added.add_argument("page", metavar="PAGE", help="stem (05_layer_geometry), number (05) or path of a page")
        added.add_argument(
            *("-p", "--parameter"),
            dest="parameters",
            nargs=2,
            action="append",
            default=[],
            metavar=("NAME", "VALUE"),
            help="set one parameter of the page; may be repeated (`python -m lib pages` lists them)",
        )

    def add_record(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--record", metavar="STUDY", help="write the table STUDY that the page saves into data/results/STUDY.csv"
        )

    def add_quiet(added: argparse.ArgumentParser) -> None:
        added.add_argument("-q", "--quiet", action="store_true", help="no progress bars")

    def add_out(added: argparse.ArgumentParser) -> None:
        default = paths.build() / "runs"
        added.add_argument(
            "--out", type=Path, metavar="DIR", help=f"folder of run folders, default {_shorten(default)}"
        )

    added = command(run)
    add_run_options(added)
    add_out(added)
    add_record(added)
    add_quiet(added)

    added = command(sweep)
    add_run_options(added)
    added.add_argument(
        "--grid",
        nargs="+",
        action="extend",
        required=True,
        metavar="NAME=A,B,C",
        help="values of one parameter (lists are separated by ';'); points with a finished run are not run again",
    )
    add_out(added)
    add_record(added)
    add_quiet(added)

    added = command(results)
    added.add_argument("filters", nargs="*", metavar="COLUMN=VALUE", help="keep rows that match")
    added.add_argument("--study", metavar="NAME", help="show data/results/NAME.csv instead of the lists")
    added.add_argument("--last", type=int, default=20, metavar="N", help="number of runs shown, default 20")
    add_out(added)

    command(show_pages, "pages")

    added = command(execute)
    added.add_argument("pages", nargs="*", metavar="PAGE", help="pages to regenerate, default all")
    add_quiet(added)

    added = command(open_lab, "lab")
    added.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="JupyterLab's own, after --: -- --port 8890")
    return parser


if __name__ == "__main__":
    sys.exit(main())
