"""Runs as folders, what a page writes into them, and sweeps that go on."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from book_cases import SAVE, TINY, shell
from store_cases import wait_until

PLOT = """\
# %%
import matplotlib.pyplot as plt

plt.plot([1, 2]);
"""

# Runs


def test_run_from_any_folder_prints_tables_and_paths(write_page, tmp_path):
    page = write_page()
    page.with_suffix(".ipynb").write_text("stale: the .py is what counts")
    done = shell("run", page, "-p", "count", "5", "-p", "band", "4", cwd=tmp_path / "book")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "build" / "runs").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "07_probe.ipynb",
        "fig-line.png",
        "run.json",
        "scores.csv",
    ]
    assert (folder / "fig-line.png").read_bytes().startswith(b"\x89PNG")
    assert "scores\n layer  score\n     1  0.167\n     2  0.167\n" in done.stdout
    for name in ("07_probe.ipynb", "fig-line.png", "run.json"):
        assert str(folder / name) in done.stdout
    assert "07_probe: 100%" in done.stderr, "progress per cell"
    assert "inner bar: 100%" in done.stderr, "progress inside a cell"
    assert "unknown parameter" not in done.stderr.lower()
    assert not list((tmp_path / "book").glob(".*")), "nothing half-written is left"

    record = json.loads((folder / "run.json").read_text())
    assert record["page"] == "07_probe"
    assert record["status"] == "finished"
    assert record["parameters"] == {
        **{"count": 5, "rate": 0.5, "band": 4, "layers": [1, 2], "name": "a b"},
        **{"flag": True, "seed": 3},
    }
    assert record["seed"] == 3
    assert record["seconds"] > 0
    assert record["numpy"] == np.__version__
    assert {"commit", "dirty", "lib", "torch", "python", "started"} <= set(record)


def test_a_failed_cell_shows_the_notebooks_own_traceback_and_leaves_what_was_reached(write_page, tmp_path):
    done = shell("run", write_page(), "--quiet", "-p", "count", "0")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("ZeroDivisionError in cell [7]\n")
    assert "----> 1 print(10 // count)" in done.stderr
    assert not re.search(r"papermill|nbclient|\x1b", done.stderr)
    (folder,) = (tmp_path / "build" / "runs").iterdir()
    assert done.stderr.endswith(f"run folder: {folder}\n")
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["error"] == "ZeroDivisionError in cell [7]"
    assert (folder / "scores.csv").is_file()
    assert "inner bar" in (folder / "07_probe.ipynb").read_text()


def interrupted(process):
    """Press Ctrl-C, and again where Python lost it (in a finaliser no exception gets out); the cell sleeps longer."""
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)
        try:
            return process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.communicate()
    raise AssertionError("three interrupts in three minutes did not end the run")


def test_an_interrupted_run_says_so_and_is_recorded(write_page, tmp_path):
    page = write_page(TINY + "\n# %%\nimport time\n\ntime.sleep(300)\n")
    command = [sys.executable, "-m", "lib", "run", str(page), "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(
        lambda: any(
            '"status": "running"' in path.read_text() and '"output_type"' in path.read_text()
            for path in (tmp_path / "build" / "runs").glob("*/07_probe.ipynb")
        )
    )
    stderr = interrupted(process)
    assert process.returncode == 130
    (folder,) = (tmp_path / "build" / "runs").iterdir()
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    assert str(folder) in stderr
    assert "Traceback" not in stderr


def test_a_python3_kernel_of_the_system_does_not_win(write_page, tmp_path):
    kernel = tmp_path / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false", "{connection_file}"], "display_name": "x", "language": "python"})
    )
    page = write_page("# %%\nimport sys\n\nprint(sys.prefix)\n")
    done = shell("run", page, "-q", JUPYTER_PATH=str(tmp_path / "share" / "jupyter"), JUPYTER_PREFER_ENV_PATH="0")
    assert done.returncode == 0, done.stderr
    (notebook,) = (tmp_path / "build" / "runs").glob("*/*.ipynb")
    assert sys.prefix in notebook.read_text()


@pytest.mark.parametrize("deaths", [2, 3])
def test_a_notebook_whose_process_did_not_start_is_started_again(write_page, monkeypatch, deaths):
    import papermill

    from lib import execution, runs

    started, execute = [], papermill.execute_notebook

    def die_first(*arguments, **options):
        started.append(1)
        if len(started) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return execute(*arguments, **options)

    monkeypatch.setattr(papermill, "execute_notebook", die_first)
    page = write_page(TINY)
    if deaths < execution.STARTS:
        assert runs.run(page).record["status"] == "finished"
    else:
        with pytest.raises(execution.PageFailed, match=r"could not be started, 3 times \(Kernel died before"):
            runs.run(page)
    assert len(started) == 3


def test_wrong_names_end_the_command_with_code_2_and_one_message(write_page, capsys):
    from lib.__main__ import main

    assert main(["run", str(write_page()), "-p", "cuont", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: 07_probe has no parameter 'cuont'; did you mean 'count'?\n")


# What a page writes


def test_tables_go_to_the_folder_of_the_run(tmp_path, monkeypatch):
    from lib import runs

    monkeypatch.setenv("LAYERS_RUN_DIR", str(tmp_path / "here"))
    frame = pd.DataFrame({"layer": [1, 2], "score": [0.25, 0.5]})
    assert runs.save_table("scores", frame) is frame
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "here" / "scores.csv"), frame)
    runs.save_table("indexed", frame.set_index("layer"))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "here" / "indexed.csv"), frame)
    with pytest.raises(ValueError, match=r"'\.\./x' becomes a file name"):
        runs.save_table("../x", frame)


def test_outside_a_run_tables_go_to_the_build_folder(tmp_path, monkeypatch):
    from lib import runs

    monkeypatch.delenv("LAYERS_RUN_DIR", raising=False)
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path))
    assert runs.output_dir() == tmp_path / "interactive"


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    from lib import execution

    path = tmp_path / "table.csv"
    execution.write_whole(path, "old")
    monkeypatch.setattr(execution.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        execution.write_whole(path, "new")
    assert [item.name for item in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "old"


# Records


RECORD = {"page": "07_probe", "status": "running", "started": "2026", "parameters": {}}


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", *(json.dumps(RECORD | change) for change in ({"started": 1}, {"parameters": []}, {"page": None}))],
)
def test_a_foreign_record_among_the_runs_is_named_and_left_out(write_page, tmp_path, content):
    from lib import runs

    own = runs.run(write_page(TINY), {"count": "1"})
    other = tmp_path / "build" / "runs" / "other"
    other.mkdir()
    (other / "run.json").write_text(content)
    with pytest.warns(RuntimeWarning, match="other/run.json is no record of a run"):
        assert [item.folder for item in runs.recorded()] == [own.folder]


def test_a_running_record_without_its_process_is_lost(tmp_path):
    from lib import runs

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text(json.dumps(RECORD | {"host": platform.node()}))
    assert [item.record["status"] for item in runs.recorded(tmp_path)] == ["lost"]


def test_a_folder_that_cannot_be_made_ends_the_command_with_a_message(write_page, tmp_path, capsys):
    from lib.__main__ import main

    page, nowhere = write_page(TINY), tmp_path / "gone"
    nowhere.symlink_to(tmp_path / "missing" / "missing")
    for out in (nowhere, page):
        assert main(["run", str(page), "--out", str(out), "-q"]) == 2
        assert capsys.readouterr().err.startswith("error: [Errno")


def test_a_parameter_given_twice_is_refused(write_page, capsys):
    from lib.__main__ import main

    assert main(["run", str(write_page(TINY)), "-p", "count", "1", "-p", "count", "2"]) == 2
    assert "a parameter is given twice: count count" in capsys.readouterr().err


def test_a_table_without_columns_is_refused():
    from lib import runs

    with pytest.raises(ValueError, match="table 'empty' has no columns"):
        runs.save_table("empty", pd.DataFrame())


# Several tables, and HTML


def test_a_run_records_several_tables_or_none_and_writes_one_file_of_html(write_page, tmp_path, monkeypatch, capsys):
    from lib import paths
    from lib.__main__ import main

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    both = SAVE + '\nruns.save_table("u", pd.DataFrame({"eleven": [11]}))\n'
    page = write_page("# %% [markdown]\n# (nb-probe)=\n# # Probe\n# See [](#fig-line).\n\n" + PLOT + both)
    assert main(["run", str(page), "-q", "--record", "t", "--record", "v"]) == 2
    assert "saved no table 'v'; it saved ['t', 'u']" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    assert main(["run", str(page), "-q", "--record", "t", "--record", "u", "--html"]) == 0
    assert sorted(path.name for path in (tmp_path / "results").glob("*.csv")) == ["t.csv", "u.csv"]
    path = re.search(r"page +(\S+\.html)", capsys.readouterr().out)[1]
    text = Path(path).read_text()
    assert '<h1 id="Probe">Probe' in text
    assert "See <code>fig-line</code>" in text
    assert "nb-probe" not in text
    assert 'src="data:image/png;base64,' in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)|import\("|<script src""", text), (
        "nothing beside it is needed"
    )
