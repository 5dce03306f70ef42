"""JupyterLab as `make lab` starts it, used in Chromium: pages open, pair, run, and their explorers move."""

import os
import subprocess
from pathlib import Path

import lab_cases
import pytest

ROOT = Path(__file__).resolve().parent.parent

# Pages as small as their explorers allow.
CUT = {
    "01_skeleton_clips": {"num_clips": 24},
    "05_layer_geometry": {"num_clips": 12, "num_compared": 12, "epochs": 1, "num_neighbors": 4},
    "06_gradcam": {"num_clips": 12, "num_explained": 4, "epochs": 1, "width": 0.125},
    "11_sequence_embedding": {"num_recordings": 2, "num_segments": 3, "epochs": 1, "width": 0.02},
}


@pytest.fixture(scope="module")
def window(browser):
    with browser.new_context(viewport={"width": 1400, "height": 1250}) as context:
        context.set_default_timeout(1000 * lab_cases.PATIENCE)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("dialog", lambda dialog: dialog.accept())  # leave a page that is not saved
        yield page


@pytest.fixture(scope="module")
def server(window, tmp_path_factory):  # after the window: without a browser there is nothing to start it for
    root, home = tmp_path_factory.mktemp("book"), tmp_path_factory.mktemp("home")
    lab_cases.copy(root)
    for stem, values in CUT.items():
        lab_cases.cut(root, stem, **values)
    with lab_cases.jupyterlab(root, home) as server:
        yield server


@pytest.fixture
def keep():
    """Leave a screenshot in ``build/lab/``, for people to look at."""
    from lib import paths

    folder = paths.build() / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    return lambda part, name: part.screenshot(path=folder / f"{name}.png")


# The launcher


def test_make_lab_runs_the_command_that_is_tested_here():
    """Also when these tests were started by make, whose variables change what another make prints."""
    environment = {name: value for name, value in os.environ.items() if name not in {"ARGS", "MAKEFLAGS", "MAKELEVEL"}}
    options = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "check": True}
    done = subprocess.run(["make", "--dry-run", "lab"], **options)
    assert done.stdout.splitlines()[-1].strip() == ".venv/bin/python -m lib lab --"


def test_the_launcher_names_every_page_and_its_question():
    from lib import lab, pages

    text = "\n".join(cell.source for cell in lab.launcher().cells)
    for page in pages.found():
        told = lab.entry(page)
        assert f"[{told.title}]({page.stem}." in text
        assert told.question in " ".join(pages.read(page).cells[0].source.split())
        assert told.question in text
    assert {page.stem for page in pages.found() if lab.entry(page).explorer} == set(CUT)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("# Probe\nWhy?\n**Before:** nothing", "needs a line '# title' and"),
        ("# Probe\nBecause.\n**Before:** why? · **Time:** 1 s", "asks no question"),
    ],
)
def test_a_page_that_says_too_little_is_refused(write_page, first, message):
    from lib import lab, pages

    text = "".join(f"# {line}\n" for line in first.splitlines())
    page = write_page(f"# %% [markdown]\n{text}")
    with pytest.raises(pages.PageError, match=f"07_probe: .*{message}"):
        lab.entry(page)


def test_a_page_without_a_stored_notebook_is_linked_as_its_py(write_page):
    from lib import lab

    first = (
        "# %% [markdown]\n# # Probe\n# It is. Is it so, and\n# why?\n#\n# **Before:** nothing · **Time:** 1 s · more\n"
    )
    page = write_page(first)
    row = "| [Probe](07_probe.py) | Is it so, and why? | 1 s |  |"
    assert row in lab.launcher().cells[1].source
    page.with_suffix(".ipynb").write_text("{}")
    assert row.replace(".py", ".ipynb") in lab.launcher().cells[1].source


# In Lab


def test_it_opens_on_the_launcher_and_a_link_there_opens_a_page(window, server, keep):
    window.goto(f"{server.address}?token={server.token}")
    assert window.url.endswith("/lab/tree/notebooks/index.ipynb")
    window.get_by_role("link", name="Window-based dynamic time warping").click()
    title = window.locator(".jp-NotebookPanel:visible h1").get_by_text("Window-based dynamic time warping")
    title.wait_for()
    keep(window, "page")
    window.locator(".lm-TabBar-tab").get_by_text("index.ipynb").click()
    window.get_by_role("link", name="Skeleton clips").wait_for()
    keep(window, "launcher")
    assert window.get_by_text("official Jupyter news").count() == 0


def test_saving_a_page_writes_its_py(window, server):
    page = server.root / "notebooks" / "04_windowed_dtw.py"
    written = page.read_text()
    lab_cases.show(window, server, "notebooks/04_windowed_dtw.ipynb")
    assert not (server.root / "notebooks" / "index.py").exists()
    window.locator(".jp-NotebookPanel:visible .jp-Cell").first.click()
    window.keyboard.press("b")
    window.keyboard.press("Enter")
    window.keyboard.type("1 + 1")
    lab_cases.save(window)
    marker = "\n# %%\n1 + 1\n"
    lab_cases.until(lambda: marker in page.read_text(), "the .py does not have the new cell")
    assert page.read_text().replace(marker, "", 1) == written, "nothing else changes"


def test_a_py_opens_as_a_notebook_and_runs(window, server, keep):
    """And its explorer moves: frames by slider and by playing, clips, and sides."""
    (server.root / "notebooks" / "01_skeleton_clips.ipynb").unlink()
    lab_cases.show(window, server, "notebooks/index.ipynb")
    lab_cases.open_with(window, "01_skeleton_clips.py", "Jupytext Notebook")
    window.locator(".jp-NotebookPanel:visible h1").get_by_text("Skeleton clips").wait_for()
    explorer = lab_cases.run_up_to_explorer(window, server, "notebooks/01_skeleton_clips.py")
    keep(explorer, "clips")
    now = lab_cases.picture(explorer)
    for slider in ("frame", "turn (°)"):
        lab_cases.slide(explorer, slider)
        now = lab_cases.changed(explorer, now)
    lab_cases.select(explorer, "clip", 5)
    now = lab_cases.changed(explorer, now)
    play = explorer.locator(".widget-play button").first
    play.click()
    for _ in range(3):
        now = lab_cases.changed(explorer, now)
    play.click()
    assert lab_cases.complaints(window) == []


def test_a_clip_of_the_graph_is_picked_and_moves_with_its_neighbours(window, server, keep):
    place = "notebooks/05_layer_geometry.ipynb"
    lab_cases.show(window, server, place)
    explorer = lab_cases.run_up_to_explorer(window, server, place)
    keep(explorer, "graph")
    assert explorer.locator(".lom-dots").bounding_box() == explorer.locator(".widget-image").bounding_box()
    now, players = lab_cases.picture(explorer), explorer.locator(".lom-pose")
    lab_cases.slide(explorer, "clip")
    now = lab_cases.changed(explorer, now)
    lab_cases.slide(explorer, "layer", "ArrowLeft")
    now = lab_cases.changed(explorer, now)
    dot = explorer.get_by_role("button", name="9", exact=True)
    assert lab_cases.aside(dot) == pytest.approx([0, 0], abs=1)
    dot.click()
    lab_cases.changed(explorer, now)
    keep(explorer, "graph-picked")
    assert lab_cases.readout(explorer, "clip") == "9"
    assert players.count() > 1
    assert "chosen" in players.first.inner_text()
    moving = [players.nth(i).locator("svg") for i in range(2)]
    shots = [part.screenshot() for part in moving]
    window.wait_for_timeout(400)
    assert all(part.screenshot() != shot for part, shot in zip(moving, shots, strict=True))
    assert lab_cases.complaints(window) == []


def test_the_map_of_a_layer_follows_every_control(window, server, keep):
    place = "notebooks/06_gradcam.ipynb"
    lab_cases.show(window, server, place)
    explorer = lab_cases.run_up_to_explorer(window, server, place)
    keep(explorer, "gradcam")
    now = lab_cases.picture(explorer)
    lab_cases.slide(explorer, "frame")
    now = lab_cases.changed(explorer, now)
    for control, place in (("method", 2), ("class", 4), ("clip", 1)):
        lab_cases.select(explorer, control, place)
        now = lab_cases.changed(explorer, now)
    keep(explorer, "gradcam-chosen")
    assert lab_cases.complaints(window) == []


def test_no_other_host_was_asked(window, server):
    own = (server.address, "data:", "blob:")
    assert len(window.asked) > 10
    assert [url for url in window.asked if not url.startswith(own)] == []
