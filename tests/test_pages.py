"""Every committed page runs from top to bottom, and its checked outputs are what it stores."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def fresh_build(tmp_path_factory):
    """A build folder as a new reader has it: no page may lean on what an earlier session left."""
    return tmp_path_factory.mktemp("build")


def nbval(page, build):
    """Run one page by nbval in its own pytest; cells without `nbval-check-output` only have to run."""
    (build / "pytest.ini").write_text("[pytest]\n")  # not the project's options: they are for tests of lib
    command = [sys.executable, "-m", "pytest", "-c", str(build / "pytest.ini"), "--rootdir", str(page.parent)]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300", "-p", "no:cacheprovider", "-q"]
    environment = {name: value for name, value in os.environ.items() if name != "LAYERS_RUN_DIR"}
    return subprocess.run(
        [*command, str(page)],
        env=environment | {"LAYERS_BUILD": str(build)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(page, fresh_build):
    done = nbval(page, fresh_build)
    assert done.returncode == 0, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def test_there_is_a_stored_notebook_for_every_page():
    assert [page.stem for page in PAGES] == [page.stem for page in sorted((ROOT / "notebooks").glob("[0-9]*.py"))]


@pytest.fixture
def write_notebook(tmp_path):
    def write(code, *, tags=(), output="4"):
        import nbformat.v4 as v4

        result = v4.new_output("execute_result", {"text/plain": output}, execution_count=1)
        cell = v4.new_code_cell(code, outputs=[result], execution_count=1, metadata={"tags": list(tags)})
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        path = tmp_path / "01_small.ipynb"
        path.write_text(v4.writes(v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})))
        return path

    return write


def test_an_error_in_a_page_is_a_failure(write_notebook, tmp_path):
    done = nbval(write_notebook("2 + undefined"), tmp_path)
    assert done.returncode == 1
    assert "NameError" in done.stdout


@pytest.mark.parametrize(("tags", "code"), [((), 0), (("nbval-check-output",), 1)])
def test_a_stored_number_that_moved_is_a_failure_where_it_is_checked(write_notebook, tmp_path, tags, code):
    assert nbval(write_notebook("2 + 3", tags=tags), tmp_path).returncode == code


def test_pages_run_in_the_interpreter_of_the_tests(write_notebook, tmp_path):
    page = write_notebook("import sys; sys.prefix", tags=["nbval-check-output"], output=repr(sys.prefix))
    done = nbval(page, tmp_path)
    assert done.returncode == 0, done.stdout
