"""Command line of the book: ``python -m lib run 05_layer_geometry -p seed 1`` and its companions."""

import argparse
import sys
from pathlib import Path

from lib import commands, execution, pages, runs


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 a page failed, 2 a wrong name or value."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except pages.PageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except execution.PageFailed as error:
        print(commands.failure(error), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print("\nstopped", *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib", description=__doc__.splitlines()[0])
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, name: str | None = None) -> argparse.ArgumentParser:
        text = function.__doc__
        added = subparsers.add_parser(name or function.__name__, help=text, description=text)
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
            "--record",
            action="append",
            default=[],
            metavar="STUDY",
            help="write the table STUDY that the page saves into data/results/STUDY.csv; may be repeated",
        )

    def add_html(added: argparse.ArgumentParser) -> None:
        added.add_argument("--html", action="store_true", help="also write the executed page as one HTML file")

    def add_quiet(added: argparse.ArgumentParser) -> None:
        added.add_argument("-q", "--quiet", action="store_true", help="no progress bars")

    def add_out(added: argparse.ArgumentParser) -> None:
        default = runs.folder_of_runs()
        added.add_argument(
            "--out", type=Path, metavar="DIR", help=f"folder of run folders, default {commands.shorten(default)}"
        )

    added = command(commands.run)
    add_run_options(added)
    add_out(added)
    add_record(added)
    add_html(added)
    add_quiet(added)

    added = command(commands.sweep)
    add_run_options(added)
    added.add_argument(
        "--grid",
        nargs="+",
        action="extend",
        required=True,
        metavar="NAME=A,B,C",
        help="values of one parameter (lists are separated by ';'); points with a finished run are not run again",
    )
    where = added.add_mutually_exclusive_group()
    where.add_argument(
        *("-j", "--jobs"),
        type=_at_least_one,
        default=1,
        metavar="N",
        help="runs side by side, each with its share of the cores; default 1",
    )
    where.add_argument("--dask", metavar="ADDRESS", help="run on the cluster of the dask scheduler at ADDRESS")
    add_out(added)
    add_record(added)
    add_html(added)
    add_quiet(added)

    added = command(commands.results)
    added.add_argument("filters", nargs="*", metavar="COLUMN=VALUE", help="keep rows that match")
    added.add_argument("--study", metavar="NAME", help="show data/results/NAME.csv instead of the lists")
    added.add_argument(
        "--compare",
        nargs="+",
        metavar="RUN",
        help="show what differs between runs, and their tables side by side; an id, or how it starts or ends "
        "(with --study: values of its column `run`)",
    )
    added.add_argument(
        "--columns", type=lambda text: text.split(","), default=[], metavar="A,B,C", help="show only these columns"
    )
    added.add_argument("--last", type=int, default=20, metavar="N", help="number of runs shown, default 20")
    add_out(added)

    command(commands.show_pages, "pages")

    added = command(commands.execute)
    added.add_argument("pages", nargs="*", metavar="PAGE", help="pages to execute, default all")
    added.add_argument(
        "--store",
        action="store_true",
        help="replace the committed notebooks beside the pages (then checkpoints of earlier sessions are used)",
    )
    add_quiet(added)

    added = command(commands.open_lab, "lab")
    added.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="JupyterLab's own, after --: -- --port 8890")
    return parser


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
