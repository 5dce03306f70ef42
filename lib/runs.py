"""Runs of pages with chosen parameters, sweeps over them, and the tables that they leave.

A run is one folder ``build/runs/<page>-<time>-<hash>/`` with the executed notebook, its figures as PNG files, the
tables that the page saved and ``run.json``, the provenance record. A page itself uses `output_dir`, `save_table` and
`provenance` only.
"""

import base64
import hashlib
import itertools
import json
import os
import platform
import re
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import FileLock

from lib import execution, pages, paths

RECORD = "run.json"


class Run(NamedTuple):
    """One run of a page; `record` is the content of its ``run.json``."""

    folder: Path
    record: dict

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.record['page']}.ipynb"

    @property
    def figures(self) -> list[Path]:
        return sorted(self.folder.glob("*.png"))

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        return {path.stem: pd.read_csv(path) for path in sorted(self.folder.glob("*.csv"))}


def output_dir() -> Path:
    """Make and return the folder for what a page writes: the run's own, or ``build/interactive/`` outside a run."""
    folder = Path(os.environ.get("LAYERS_RUN_DIR") or paths.build() / "interactive")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_live() -> bool:
    """Whether somebody runs the page by hand, so that explorers make sense; not inside a run, sweep or `execute`."""
    return "LAYERS_RUN_DIR" not in os.environ


def save_table(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Save a small tidy table in `output_dir` as ``<name>.csv``; returns `frame`, so that a cell can show it.

    The index is saved only when it has a name.
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"table name {name!r} becomes a file name: use letters, digits, '-' and '_' only")
    text = frame.to_csv(index=any(level is not None for level in frame.index.names))
    execution.write_whole(output_dir() / f"{name}.csv", text)
    return frame


def provenance() -> dict[str, object]:
    """Where numbers come from: git commit, whether files differed from it, and versions."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if (status := _git("status", "--porcelain")) is None else bool(status),
        "lib": metadata.version("layers-of-motion"),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "torch": next((d.version for d in metadata.distributions(name="torch")), None),
        "platform": platform.platform(terse=True),
    }


def origin() -> dict[str, str]:
    """Commit, marked where files differ from it, and the date: what every row of a benchmark carries."""
    found = provenance()
    commit = "unknown" if found["commit"] is None else found["commit"][:12] + "-dirty" * bool(found["dirty"])
    return {"commit": commit, "date": datetime.now(UTC).isoformat(timespec="seconds")}


def run(
    page: str | Path, given: Mapping[str, str] | None = None, *, out: Path | None = None, progress: bool = False
) -> Run:
    """Execute a page with the parameters `given` (as text) in a folder of its own under `out`, default ``build/runs/``.

    Raises
    ------
    PageError
        No such page or parameter, or a value of another type; nothing is written.
    PageFailed
        A cell raised. The folder keeps the partial notebook, and a record with status ``failed``.
    """
    page = pages.find(page)
    values = pages.resolve(page, given or {})
    key = _key(page, values)
    record = {
        "page": page.stem,
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": None,
        "seed": key["parameters"].get("seed"),
        "given": _differing(page, values),
        **key,
        **provenance(),
    }
    folder = _new_folder(out or paths.build() / "runs", page.stem, key)
    _write_record(folder, record)
    start = time.perf_counter()
    try:
        executed = execution.execute(
            pages.read(page),
            folder / f"{page.stem}.ipynb",
            values,
            folder=folder,
            progress=page.stem if progress else None,
        )
        for name, picture in figures(executed):
            execution.write_whole(folder / f"{name}.png", picture)
        record["status"] = "finished"
    except BaseException as error:
        record["status"] = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        record["error"] = str(error).partition("\n")[0]
        error.add_note(f"run folder: {folder}")
        raise
    finally:
        record["seconds"] = round(time.perf_counter() - start, 2)
        _write_record(folder, record)
    return Run(folder, record)


def sweep(
    page: str | Path,
    grid: Mapping[str, Sequence[str]],
    given: Mapping[str, str] | None = None,
    *,
    out: Path | None = None,
    progress: bool = False,
) -> Iterator[tuple[dict[str, str], Run | execution.PageFailed]]:
    """Run a page at every point of `grid`, one after another, skipping points that have a finished run.

    A run counts when parameters, the page's code and the package's are the same. All points are checked before one
    starts. Yields each point with its run, or with the error that ended it.
    """
    page = pages.find(page)
    if both := set(grid) & set(given or {}):
        raise pages.PageError(f"given once as a fixed value and once in the grid: {', '.join(sorted(both))}")
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    keys = [_key(page, pages.resolve(page, {**(given or {}), **point})) for point in points]
    finished = [item for item in recorded(out) if item.record["status"] == "finished"]
    for point, key in zip(points, keys, strict=True):
        same = {"page": page.stem, **json.loads(json.dumps(key, default=str))}
        done = [item for item in finished if same.items() <= item.record.items()]
        if done:
            yield point, done[-1]
            continue
        try:
            yield point, run(page, {**(given or {}), **point}, out=out, progress=progress)
        except execution.PageFailed as error:
            yield point, error


def recorded(out: Path | None = None) -> list[Run]:
    """All runs under `out` (default ``build/runs/``), oldest first."""
    runs = []
    for path in (out or paths.build() / "runs").glob(f"*/{RECORD}"):
        try:
            item = Run(path.parent, json.loads(path.read_text(encoding="utf-8")))
            item.record["started"], item.record["parameters"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            warnings.warn(f"{path} is no record of a run ({error!r}); left out", RuntimeWarning, stacklevel=2)
            continue
        runs.append(item)
    return sorted(runs, key=lambda item: (item.record["started"], item.folder.name))


def table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per run: id, page, status, seconds, commit, then its parameters."""
    columns = ("page", "status", "seconds", "commit")
    rows = [
        {"id": item.folder.name, **{name: item.record[name] for name in columns}, **item.record["parameters"]}
        for item in runs
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["id", *columns])
    frame["commit"] = frame["commit"].str[:8]
    return frame


def studies() -> dict[str, pd.DataFrame]:
    """Tables of ``data/results/``: one row per run of a study."""
    return {path.stem: _read_study(path) for path in sorted(paths.RESULTS.glob("*.csv"))}


def _read_study(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"run": str, "commit": str})  # hashes may look like numbers


def record(study: str, finished: Iterable[Run]) -> Path:
    """Write the table called `study` of each run into ``data/results/<study>.csv``, and return that file.

    Every row carries the run's parameters, commit, versions, date and seconds. Rows of an earlier run of the same page
    with the same parameters given are replaced, also where defaults or recipes have changed since; all others stay.
    """
    parts = []
    for item in finished:
        if study not in item.tables:
            raise pages.PageError(f"{item.folder.name} saved no table {study!r}; it saved {list(item.tables)}")
        parameters = {n: "" if v is None else str(v) for n, v in item.record["parameters"].items()}
        given = item.record.get("given", parameters)
        key = json.dumps([item.record["page"], given], sort_keys=True, default=str)
        origin = {
            name: item.record[name] for name in ("commit", "dirty", "lib", "torch", "numpy", "platform", "started")
        }
        part = item.tables[study]
        clash = [n for n in parameters if n in part and parameters[n] and (part[n].astype(str) != parameters[n]).any()]
        if clash:
            raise pages.PageError(
                f"table {study!r} has columns {clash} that are not the page's parameters; rename them"
            )
        extra = {name: value for name, value in {**parameters, **origin}.items() if name not in part}
        part = part.assign(
            **extra, run_seconds=item.record["seconds"], run=hashlib.sha256(key.encode()).hexdigest()[:10]
        )
        parts.append(part)
    fresh = pd.concat(parts, ignore_index=True)
    path = paths.RESULTS / f"{study}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{study}.lock")):  # two sweeps may end at once
        if path.exists():
            old = _read_study(path)
            fresh = pd.concat([old[~old["run"].isin(fresh["run"])], fresh], ignore_index=True)
        execution.write_whole(path, fresh.to_csv(index=False))
    return path


def keep(frame: pd.DataFrame, filters: Iterable[str]) -> pd.DataFrame:
    """Rows of `frame` that satisfy every ``column=value``; numbers compare as numbers."""
    for text in filters:
        column, sign, value = text.partition("=")
        if not sign or column not in frame:
            raise pages.PageError(f"filter {text!r} is not column=value; columns: {', '.join(map(str, frame.columns))}")
        values = frame[column]
        numbers = pd.to_numeric(values, errors="coerce")
        wanted = pd.to_numeric(pd.Series([value]), errors="coerce")[0]
        frame = frame[(values.astype(str) == value) | (numbers.notna() & (numbers == wanted))]
    return frame


def figures(notebook) -> Iterator[tuple[str, bytes]]:
    """PNG pictures of an executed notebook, named by the ``#| label:`` of their cell, else by its position."""
    for position, cell in enumerate(notebook.cells):
        pictures = [o.data["image/png"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        label = re.search(r"^#\|\s*label:\s*(\S+)", cell.source, flags=re.MULTILINE)
        name = re.sub(r"[^\w.-]", "-", label[1]) if label else f"cell-{position:02d}"
        for number, picture in enumerate(pictures):
            yield name + (f"-{number + 1}" if number else ""), base64.b64decode(picture)


def _key(page: Path, values: Mapping[str, object]) -> dict[str, object]:
    """Return what makes two runs the same: all parameters, and hashes of the page's code cells and of the package."""
    defaults = {name: parameter.value for name, parameter in pages.parameters(page).items()}
    code = "\0".join(cell.source for cell in pages.read(page).cells if cell.cell_type == "code")
    digest = hashlib.sha256(code.encode()).hexdigest()[:16]
    return {"parameters": defaults | dict(values), "code": digest, "library": _library()}


def _differing(page: Path, values: Mapping[str, object]) -> dict[str, object]:
    """Parameters that are not at the page's defaults."""
    known = pages.parameters(page)
    return {name: value for name, value in values.items() if value != known[name].value}


def _library() -> str:
    """Hash of the package's code: a run by other code is another run."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _new_folder(out: Path, stem: str, key: dict) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:6]
    name = f"{stem}-{datetime.now():%Y%m%d-%H%M%S}-{digest}"
    folder = out / name
    for number in itertools.count(2):
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder = out / f"{name}-{number}"
    return folder.resolve()


def _write_record(folder: Path, record: dict) -> None:
    execution.write_whole(folder / RECORD, json.dumps(record, indent=1, default=str) + "\n")


def _git(*arguments: str) -> str | None:
    """Output of git in the project's folder; None where it is not a git checkout or has no commit."""
    try:
        done = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
