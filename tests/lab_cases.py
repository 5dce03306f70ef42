"""A real JupyterLab on a copy of the checkout, and what a person does in it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import TimeoutError

ROOT = Path(__file__).resolve().parent.parent
COPIED = ["pyproject.toml", "lib", "notebooks", "data/results"]
PATIENCE = 300  # seconds; only a machine with other work to do comes near it
ATTEMPTS = 5
WRONG = ":is([data-mime-type$='.error'], [data-mime-type$='.stderr'])"  # outputs that a page must not have


class Server(NamedTuple):
    """A running JupyterLab."""

    root: Path  # the copy of the checkout, which it shows
    address: str
    token: str

    def ask(self, path):
        """GET from the server's own API."""
        request = urllib.request.Request(f"{self.address}{path}", headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)


def copy(root):
    """Copy what a person needs to work in Lab; __pycache__ too, which spares the kernels compiling."""
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "index.*"))
        else:
            shutil.copy2(source, target)


def cut(root, stem, **values):
    """Give the page `stem` of a copy other parameters, and end it with its explorer."""
    import nbformat

    from lib import pages

    source = root / "notebooks" / f"{stem}.py"
    notebook = pages.read(source)
    last = next(i for i, cell in enumerate(notebook.cells) if "widgets.explore_" in cell.source)
    notebook.cells = notebook.cells[: last + 1]
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    for name, value in values.items():
        cell.source, found = re.subn(rf"^({name}: .+?) = \S+", rf"\1 = {value!r}", cell.source, flags=re.MULTILINE)
        assert found == 1, f"{stem} has no parameter {name}"
    source.write_text(pages.source(notebook), encoding="utf-8")
    nbformat.write(notebook, source.with_suffix(".ipynb"))


@contextmanager
def jupyterlab(root, home):
    """Run the command behind `make lab` on a copy, with a `home` of its own instead of this user's settings."""
    environment = {name: value for name, value in os.environ.items() if name != "LAYERS_RUN_DIR"}
    environment |= {name: str(home / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    environment |= {"PYTHONPATH": str(root), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    command = [sys.executable, "-m", "lib", "lab", "--", "--no-browser", "--ServerApp.ip=127.0.0.1"]
    if os.geteuid() == 0:
        command.append("--allow-root")
    with (home / "lab.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield _answering(process, root, home)
        finally:
            process.terminate()  # it stops its kernels first
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answering(process, root, home):
    """Wait until the server says where it is (Jupyter keeps a file about each running server) and answers."""
    about = home / "runtime" / f"jpserver-{process.pid}.json"
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            known = json.loads(about.read_text())
            server = Server(root, known["url"], known["token"])
            server.ask("api/status")
            return server
        except (OSError, ValueError):  # not yet written, or half of it, or not yet listening
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{(home / 'lab.log').read_text()}")


def show(page, server, place):
    """Open a file of the copy in Lab, with no other one left open."""
    page.goto(f"{server.address}lab/tree/{place}?reset&token={server.token}")
    page.locator(".jp-NotebookPanel:visible .jp-Cell").first.wait_for()


def choose(page, menu, entry):
    """Choose an entry of a menu."""
    page.locator(".lm-MenuBar-item").get_by_text(menu, exact=True).click()
    page.locator(".lm-Menu-item").get_by_text(entry, exact=True).click()


def open_with(page, name, kind):
    """Open a file of the folder that is shown as another kind than its own.

    Lab draws its list of files anew from time to time, and a menu that is open then may come to nothing: once more.
    """
    menu, wait = page.locator(".lm-Menu-item"), 1000 * PATIENCE / ATTEMPTS
    for _ in range(ATTEMPTS):
        try:
            page.locator(".jp-DirListing-item").get_by_text(name, exact=True).click(button="right", timeout=wait)
            menu.get_by_text("Open With", exact=True).hover(timeout=wait)
            menu.get_by_text(kind, exact=True).click(timeout=wait)
            page.locator(".lm-TabBar-tab").get_by_text(name, exact=True).wait_for(timeout=wait)
            return
        except TimeoutError:
            page.keyboard.press("Escape")
    raise AssertionError(
        f"{name} does not open; Lab shows: {page.locator('.jp-Dialog, .lm-TabBar-tab').all_inner_texts()}"
    )


def save(page):
    page.keyboard.press("Control+s")


def until(holds, complaint):
    """Wait for what the browser does not show."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, complaint
        time.sleep(0.1)


def complaints(page):
    """Errors and warnings among the outputs of the open page."""
    return page.locator(f".jp-NotebookPanel:visible .jp-OutputArea-output{WRONG}").all_inner_texts()


def standing(page):
    """How far the open page came: kernel, dialogs, and each cell's number with the end of its output."""
    indicator = page.locator(".jp-NotebookPanel:visible .jp-Notebook-ExecutionIndicator")
    cells = page.locator(".jp-NotebookPanel:visible .jp-CodeCell").all()
    lines = [f"kernel {indicator.get_attribute('data-status')}", *page.locator(".jp-Dialog").all_inner_texts()]
    for cell in cells:
        number = cell.locator(".jp-InputPrompt").inner_text()
        lines.append(f"{number} {' '.join(cell.locator('.jp-OutputArea-output').all_inner_texts())[-200:]}")
    return "\n".join(lines)


def _settle(page, server, place):
    """Wait for the page's kernel: what is run before is dropped, and the page says "idle" at first, too."""

    def connected():
        kernels = [session["kernel"] for session in server.ask("api/sessions") if session["path"] == place]
        return any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in kernels)

    until(connected, f"no kernel for {place}")
    page.locator(".jp-NotebookPanel:visible .jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()


def run_up_to_explorer(page, server, place):
    """Run all cells of the open page, the file `place`; gives the explorer, which is the last output."""
    _settle(page, server, place)
    choose(page, "Run", "Run All Cells")
    output = page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output")
    explorer = output.locator(".widget-vbox").filter(has=page.locator(".widget-image")).first
    try:
        explorer.or_(page.locator(f".jp-NotebookPanel:visible .jp-OutputArea-output{WRONG}")).first.wait_for()
    except TimeoutError as error:
        raise AssertionError(f"no explorer; the page shows:\n{standing(page)}") from error
    assert complaints(page) == []
    explorer.scroll_into_view_if_needed()
    return explorer


def control(explorer, label):
    """Find the control that a reader calls `label`."""
    return explorer.locator(".widget-inline-hbox").filter(
        has=explorer.page.locator(f".widget-label:text-is('{label}')")
    )


def slide(explorer, label, key="ArrowRight"):
    """Move a slider by one step."""
    control(explorer, label).locator(".noUi-handle").press(key)


def select(explorer, label, place):
    """Choose an entry of a list by its place."""
    control(explorer, label).locator("select").select_option(index=place)


def readout(explorer, label):
    """Number beside a slider."""
    return control(explorer, label).locator(".widget-readout").inner_text()


def aside(dot):
    """How far, in pixels, the middle of a dot's button lies from where the style sheet puts it on the picture."""
    return dot.evaluate(
        """button => {
          const place = getComputedStyle(button), own = button.getBoundingClientRect();
          const picture = button.closest(".lom-dots").querySelector("img").getBoundingClientRect();
          return [own.x + own.width / 2 - picture.x - parseFloat(place.left),
                  own.y + own.height / 2 - picture.y - parseFloat(place.top)];
        }"""
    )


def picture(explorer):
    """Bytes of the explorer's picture, as hexadecimal digits, as the browser has them."""
    return explorer.locator(".widget-image").evaluate(
        """async image => {
          const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
          return [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join("");
        }"""
    )


def changed(explorer, before):
    """Wait until the picture is another one than `before`; gives the new one."""
    end = time.monotonic() + PATIENCE
    while (now := picture(explorer)) == before:
        assert time.monotonic() < end, "the picture stays as it was"
        explorer.page.wait_for_timeout(50)
    return now
