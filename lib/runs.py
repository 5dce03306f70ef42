"""One run of a page with chosen parameters, its record, and what a page itself calls.

A run is one folder ``build/runs/<page>-<time>-<hash>/`` with the executed notebook, its figures as PNG files, the
tables that the page saved and ``run.json``, the provenance record. A page uses `output_dir`, `save_table`, `is_live`,
`studies` and `provenance` only. Many runs are `lib.sweeps`; what is done with their rows is `lib.tables`.
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
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib import execution, pages, paths

RECORD = "run.json"
_RECORDED = {"page": str, "status": str, "started": str, "parameters": dict}


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
    if not len(frame.columns):
        raise ValueError(f"table {name!r} has no columns: there is nothing to save")
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
    page: str | Path,
    given: Mapping[str, str] | None = None,
    *,
    out: Path | None = None,
    progress: str | None = None,
    on_cell: Callable[[int, int], None] | None = None,
) -> Run:
    """Execute a page with the parameters `given` (as text) in a folder of its own under `out`, default ``build/runs/``.

    `progress` names a bar that counts cells; `on_cell` is called with the number of cells done, and of all.

    Raises
    ------
    PageError
        No such page or parameter, or a value of another type; nothing is written.
    PageFailed
        A cell raised. The folder keeps the partial notebook, and a record with status ``failed``.
    """
    page = pages.find(page)
    values = pages.resolve(page, given or {})
    key = identity(page, values)
    record = {
        "page": page.stem,
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": None,
        "seed": key["parameters"].get("seed"),
        "given": _differing(page, values),
        **key,
        **provenance(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "host": platform.node(),
        "process": os.getpid(),
    }
    folder = new_folder(out or folder_of_runs(), _name(page, key))
    _write_record(folder, record)
    start = time.perf_counter()
    try:
        executed = execution.execute(
            pages.read(page),
            folder / f"{page.stem}.ipynb",
            values,
            folder=folder,
            progress=progress,
            on_cell=on_cell,
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


def folder_of_runs() -> Path:
    """Folder in which runs lie unless told otherwise."""
    return paths.build() / "runs"


def recorded(out: Path | None = None) -> list[Run]:
    """All runs under `out` (default ``build/runs/``), oldest first.

    A run whose process has gone without a word (killed, power cut) has status ``lost`` instead of ``running``.
    """
    runs = []
    for path in (out or folder_of_runs()).glob(f"*/{RECORD}"):
        try:
            item = Run(path.parent, json.loads(path.read_text(encoding="utf-8")))
            if wrong := [name for name, kind in _RECORDED.items() if not isinstance(item.record.get(name), kind)]:
                raise ValueError(f"missing or of the wrong type: {', '.join(wrong)}")
        except (OSError, ValueError, AttributeError) as error:
            warnings.warn(f"{path} is no record of a run ({error}); left out", RuntimeWarning, stacklevel=2)
            continue
        if item.record.get("status") == "running" and _has_gone(item.record):
            item.record["status"] = "lost"
        runs.append(item)
    return sorted(runs, key=lambda item: (item.record["started"], item.folder.name))


def studies() -> dict[str, pd.DataFrame]:
    """Tables of ``data/results/``: one row per run of a study."""
    return {path.stem: read_study(path) for path in sorted(paths.RESULTS.glob("*.csv"))}


def read_study(path: Path) -> pd.DataFrame:
    """Read one table of ``data/results/``."""
    rows = pd.read_csv(path, dtype={"run": str, "commit": str})  # hashes may look like numbers
    return rows.copy()  # in one piece: wide tables come in one block per column, of which pandas warns later


def figures(notebook) -> Iterator[tuple[str, bytes]]:
    """PNG pictures of an executed notebook, named by the ``#| label:`` of their cell, else by its position."""
    for position, cell in enumerate(notebook.cells):
        pictures = [o.data["image/png"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        label = re.search(r"^#\|\s*label:\s*(\S+)", cell.source, flags=re.MULTILINE)
        name = re.sub(r"[^\w.-]", "-", label[1]) if label else f"cell-{position:02d}"
        for number, picture in enumerate(pictures):
            yield name + (f"-{number + 1}" if number else ""), base64.b64decode(picture)


def identity(page: Path, values: Mapping[str, object]) -> dict[str, object]:
    """Return what makes two runs the same: all parameters, and hashes of the page's code cells and of the package."""
    defaults = {name: parameter.value for name, parameter in pages.parameters(page).items()}
    code = "\0".join(cell.source for cell in pages.read(page).cells if cell.cell_type == "code")
    digest = hashlib.sha256(code.encode()).hexdigest()[:16]
    return {"parameters": defaults | dict(values), "code": digest, "library": library()}


def _differing(page: Path, values: Mapping[str, object]) -> dict[str, object]:
    """Parameters that are not at the page's defaults."""
    known = pages.parameters(page)
    return {name: value for name, value in values.items() if value != known[name].value}


def library() -> str:
    """Hash of the package's code: a run by other code is another run."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _name(page: Path, key: dict) -> str:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:6]
    return f"{page.stem}-{datetime.now():%Y%m%d-%H%M%S}-{digest}"


def new_folder(out: Path, name: str) -> Path:
    """Make and return a folder called `name` in `out`, with a number after it where that is taken."""
    out.mkdir(parents=True, exist_ok=True)
    folder = out / name
    for number in itertools.count(2):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            folder = out / f"{name}-{number}"
    return folder.resolve()


def _has_gone(record: Mapping[str, object]) -> bool:
    """Whether the process of a record was one of this machine's and is no more."""
    if os.name != "posix" or record.get("host") != platform.node():
        return False
    try:
        os.kill(record["process"], 0)  # signal 0 only asks
    except (ProcessLookupError, KeyError, TypeError):
        return True
    except PermissionError:
        pass
    return False


def _write_record(folder: Path, record: dict) -> None:
    execution.write_whole(folder / RECORD, json.dumps(record, indent=1, default=str) + "\n")


def _git(*arguments: str) -> str | None:
    """Output of git in the project's folder; None where it is not a git checkout or has no commit."""
    try:
        done = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
