"""JupyterLab on the book: a launcher made from the pages, pages paired with their ``.py``, no other host asked.

jupytext reads the project's ``[tool.jupytext]`` only when it lies inside the folder that the server shows, so that
folder is the checkout and not ``notebooks/``.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lib import execution, pages, paths

LAUNCHER = "index.ipynb"  # in `paths.NOTEBOOKS`, made anew at each start and not under version control

_ABOUT = """\
Open a page and choose *Run → Run All Cells*; its settings are the cell tagged `parameters`. Saving a page writes its
`.py` too, by which changes are reviewed. What another program changed in a `.py` shows after *File → Reload Notebook
from Disk*, and a `.py` opens as a notebook by a right click on it and *Open With → Jupytext Notebook*. Animations show
once a page has run: JupyterLab leaves stored ones out.

Pages with an **explorer** have controls that move a picture: any clip from any side, any clip of a layer's graph with
its neighbours in motion, any layer's map of any class.

Longer runs belong into a shell, which *File → New → Terminal* opens: `python -m lib run 05 -p seed 1`."""

# Defaults only: who has chosen otherwise in *Settings* keeps that.
_QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


class Entry(NamedTuple):
    """What the launcher says of a page."""

    title: str
    question: str
    time: str
    explorer: bool


def entry(page: Path) -> Entry:
    """Read a page's title, first question and time from its first cell."""
    notebook = pages.read(page)
    text = notebook.cells[0].source if notebook.cells else ""
    title = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    time = re.search(r"\*\*Time:\*\* ([^·\n]+)", text)
    if not title or not time:
        raise pages.PageError(f"{page.stem}: the first cell needs a line '# title' and '**Time:** ...'")
    prose = text[title.end() :].partition("**Before:**")[0]
    sentences = re.split(r"(?<=[.?!:])\s+", " ".join(prose.split()))
    question = next((sentence for sentence in sentences if sentence.endswith("?")), None)
    if question is None:
        raise pages.PageError(f"{page.stem}: the first cell asks no question")
    explorer = any("widgets.explore_" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    return Entry(title[1], question, time[1].strip(), explorer)


def launcher():
    """Return a notebook with a link to each page and the question that it answers."""
    from nbformat import v4

    rows = ["| page | question | time | |", "|:--|:--|:--|:--|"]
    for page in pages.found():
        told, stored = entry(page), page.with_suffix(".ipynb")
        target = stored if stored.is_file() else page
        mark = "explorer" if told.explorer else ""
        rows.append(f"| [{told.title}]({target.name}) | {told.question} | {told.time} | {mark} |")
    text = ["# Layers of Motion", "\n".join(rows), _ABOUT]
    cells = [v4.new_markdown_cell(part, id=f"index-{place}") for place, part in enumerate(text)]
    metadata = {
        "kernelspec": dict(pages.KERNELSPEC),
        "jupytext": {"formats": "ipynb"},
    }  # a page has a .py, this has none
    return v4.new_notebook(cells=cells, metadata=metadata)


def write_launcher() -> Path:
    """Write the launcher beside the pages."""
    from nbformat import v4

    path = paths.NOTEBOOKS / LAUNCHER
    execution.write_whole(path, v4.writes(launcher()) + "\n")
    return path


def write_settings() -> Path:
    """Write JupyterLab's defaults for the book; returns the folder to name in ``JUPYTER_CONFIG_PATH``."""
    folder = paths.build() / "lab"
    path = folder / "labconfig" / "default_setting_overrides.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    execution.write_whole(path, json.dumps(_QUIET))
    return folder


def start(arguments: Sequence[str] = ()) -> None:
    """Write the launcher and run JupyterLab on it until it is stopped; `arguments` are JupyterLab's own."""
    from jupyterlab.labapp import LabApp

    folders = [str(write_settings().resolve()), os.environ.get("JUPYTER_CONFIG_PATH")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, folders))
    settings = [
        f"--ServerApp.root_dir={paths.ROOT}",
        f"--LabApp.default_url=/lab/tree/{write_launcher().relative_to(paths.ROOT).as_posix()}",
        "--LabApp.extension_manager=readonly",  # the other one searches PyPI
    ]
    LabApp.launch_instance(argv=[*settings, *arguments])
