"""Notebooks executed by papermill, and the committed copy that is stored beside each page."""

import base64
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lib import pages, paths

ABSOLUTE_PATH = re.compile(
    r"(?:(?<![\w+/.])/(?:home|root|Users|tmp|var|usr|opt|mnt|srv|private)/|file:///|\b[A-Z]:\\+Users\b)[^\s'\"<>]*"
)
OBJECT_ADDRESS = re.compile(r"<[^<>\n]+ at 0x[0-9a-f]{6,}[^<>\n]*>")
PROGRESS_BAR = re.compile(r"^[^\n]*(?:(?<!\d)\d+%\|.*\||\d(?:it/s|s/it)|, +\?\w+/s)[^\n]*\n?", re.MULTILINE)

# A kernel that nobody watches in a browser draws tqdm's bars as text, which a shell can show while a cell runs.
TEXT_BARS = "import sys, tqdm.std; sys.modules['tqdm.notebook'] = tqdm.std"

NOT_STARTED = "Kernel died before replying to kernel_info"  # jupyter_client's words
STARTS = 3


class PageFailed(RuntimeError):
    """A cell of a page raised; the message is the notebook's own traceback."""


def execute(
    notebook,
    target: Path,
    values: Mapping[str, object],
    *,
    folder: Path,
    progress: str | None = None,
    on_cell: Callable[[int, int], None] | None = None,
):
    """Run `notebook` by papermill into the file `target`, which also holds what was reached when a cell fails.

    Cells run in `folder`, which is also where ``lib.runs.save_table`` writes. `progress` names a bar that counts cells;
    with it, what cells write to standard error (their own bars, warnings) is passed on as it comes. `on_cell` is called
    with the number of cells done, and of all.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError

    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of names that `pages.resolve` has checked
    nbformat.write(notebook, target)
    num_cells = len(notebook.cells) + bool(values)  # papermill puts the values into a cell of their own
    # Kernels of this interpreter go first: a "python3" of the system or the user must not win.
    own = os.path.join(sys.prefix, "share", "jupyter")
    with environment(
        LAYERS_RUN_DIR=str(folder), JUPYTER_PATH=os.pathsep.join(filter(None, [own, os.environ.get("JUPYTER_PATH")]))
    ):
        try:
            return _started(
                lambda: papermill.execute_notebook(
                    target,
                    target,
                    dict(values),
                    kernel_name="python3",
                    language="python",
                    progress_bar={"desc": progress} if progress else False,
                    stderr_file=sys.stderr if progress else None,
                    cwd=folder,
                    iopub_timeout=60,  # seconds; of the default 4, a crowded machine may take more
                    on_cell_executed=on_cell and (lambda cell_index, **_: on_cell(cell_index + 1, num_cells)),
                    extra_arguments=["--log-level=CRITICAL", f"--IPKernelApp.exec_lines={TEXT_BARS}"],
                )
            )
        except papermill.PapermillExecutionError as error:
            traceback = "\n".join(error.traceback) or f"{error.ename}: {error.evalue}"
            raise PageFailed(f"{error.ename} in cell [{error.exec_count}]\n{traceback}") from None
        except DeadKernelError:
            raise PageFailed("the notebook's process died; when memory ran out, try smaller sizes") from None


def _started(execute: Callable):
    """Call `execute` again where the kernel could not start.

    Jupyter looks for free ports before the kernel takes them; of two that start side by side, one may come too late.
    """
    for _ in range(STARTS):
        try:
            return execute()
        except RuntimeError as error:
            if str(error) != NOT_STARTED:
                raise
    raise PageFailed(f"the notebook's process could not be started, {STARTS} times ({NOT_STARTED})")


def refresh(page: Path, *, progress: str | None = None) -> Path:
    """Execute a page with its default parameters and replace the committed notebook beside it.

    Raises
    ------
    PageFailed
        A cell raised; the committed notebook is left as it was.
    PageError
        Outputs hold what must not be published (see `problems`); left as it was, too.
    """
    import nbformat

    notebook = pages.read(page)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        executed = execute(notebook, folder / "page.ipynb", {}, folder=folder, progress=progress)
    for cell, done in zip(notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = publishable(done.outputs), done.execution_count
    if found := problems(notebook):
        raise pages.PageError(f"{page.stem} cannot be published:\n  " + "\n  ".join(found))
    target = page.with_suffix(".ipynb")
    write_whole(target, nbformat.writes(notebook) + "\n")
    return target


def publishable(outputs) -> list:
    """Copy outputs without progress bars (their timings change at every run), streams in one piece, pictures small."""
    kept = []
    for output in outputs:
        if output.output_type != "stream":
            kept.append(output.copy())
        elif kept and kept[-1].output_type == "stream" and kept[-1].name == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output.copy())
    for output in kept:
        if picture := output.get("data", {}).get("image/png"):
            output.data = output.data | {"image/png": _with_palette(picture)}
        if output.output_type == "stream" and output.name == "stderr":
            output.text = PROGRESS_BAR.sub("", output.text.replace("\r", "\n")).strip("\n")
    return [output for output in kept if output.get("text") != ""]


def _with_palette(picture: str) -> str:
    """Store a base64 PNG with 256 colours: a third of the size; lines, text and colour scales look the same."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    small = io.BytesIO()
    image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def problems(notebook) -> list[str]:
    """List what a notebook's outputs must not hold: tracebacks, absolute paths, object addresses."""
    own = [str(place) for place in (paths.ROOT, Path.home(), Path(sys.prefix)) if len(place.parts) > 1]
    found = []
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"cell {position}: traceback of {output.ename}: {output.evalue}")
            text = output_text(output)
            for match in ABSOLUTE_PATH.findall(text) + [place for place in own if place in text]:
                found.append(f"cell {position}: absolute path {match}")
            for match in OBJECT_ADDRESS.findall(text):
                found.append(f"cell {position}: object address {match} (end the line with a semicolon)")
    return found


def output_text(output) -> str:
    """Return the readable text of one output; pictures are left out."""
    if output.output_type == "stream":
        return output.text
    return "\n".join(str(value) for mime, value in output.get("data", {}).items() if not mime.startswith("image/"))


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that no reader ever sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def environment(**changes: str) -> Iterator[None]:
    """Set variables of the environment, and put back what was there."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
