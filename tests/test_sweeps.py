"""A page over a grid: what is skipped, what is stopped, and what goes on."""

import json
import os
import re
import signal
import subprocess
import sys

import pandas as pd
import pytest
from book_cases import DRAW, GATED, SAVE, TINY, shell
from store_cases import PATIENCE, wait_until


def test_a_sweep_runs_what_is_missing_and_no_more(write_page, tmp_path):
    from lib import execution, runs, sweeps, tables

    page = write_page(TINY)
    first = [outcome for _, outcome in sweeps.sweep(page, {"count": ["1", "0"]})]
    assert first[0].record["status"] == "finished"
    assert isinstance(first[1], execution.PageFailed), "a failed point does not end the sweep"
    again = [outcome for _, outcome in sweeps.sweep(page, {"count": ["1", "4"]})]
    assert again[0] == first[0], "count=1 is not run again"
    edited = write_page(TINY.replace("10 //", "20 //"))
    ((_, third),) = sweeps.sweep(edited, {"count": ["1"]})
    assert third.folder != first[0].folder, "the page's code changed"
    assert len(list((tmp_path / "build" / "runs").iterdir())) == 4
    assert list(tables.keep(tables.listing(runs.recorded()), ["count=1"])["id"]) == [
        first[0].folder.name,
        third.folder.name,
    ]


def test_a_run_by_other_code_of_the_package_is_another_run(write_page, monkeypatch):
    from lib import runs, sweeps

    page = write_page(TINY)
    ((_, first),) = sweeps.sweep(page, {"count": ["1"]})
    monkeypatch.setattr(runs, "library", lambda: "changed")
    ((_, second),) = sweeps.sweep(page, {"count": ["1"]})
    assert second.folder != first.folder


def test_the_sweep_command_joins_the_tables_of_its_points(write_page):
    page = write_page(TINY + SAVE)
    done = shell("sweep", page, "-q", "--grid", "count=4,0")
    assert done.returncode == 1
    assert re.search(r"^count=4: 07_probe-\S+\ncount=0: failed\n\nt\n *count *ten\n *4 *10\n", done.stdout)
    assert done.stdout.endswith("\n1 points finished, 1 failed\n")
    assert "ZeroDivisionError" in done.stderr


def test_a_wide_table_is_printed_from_both_ends(write_page):
    wide = 'runs.save_table("wide", pd.DataFrame([range(200)]).add_prefix("epoch "))'
    done = shell("sweep", write_page(TINY + SAVE + wide), "-q", "--grid", "count=4")
    table = done.stdout.partition("\nwide\n")[2].splitlines()
    assert table[0].split()[0] == "count"
    assert table[0].endswith("epoch 199")
    assert "epoch 100" not in table[0]


def test_a_sweep_checks_all_points_before_the_first(write_page, tmp_path):
    from lib import pages, sweeps

    with pytest.raises(pages.PageError, match="needs int, not 'x'"):
        list(sweeps.sweep(write_page(TINY), {"count": ["1", "x"]}))
    with pytest.raises(pages.PageError, match="once in the grid: count"):
        list(sweeps.sweep(write_page(TINY), {"count": ["1"]}, {"count": "2"}))
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("grid", [["seed"], ["seed=0", "seed=1"]])
def test_a_grid_without_values_or_with_a_name_twice_is_refused(write_page, capsys, grid):
    from lib.__main__ import main

    write_page()
    assert main(["sweep", "07", "--grid", *grid]) == 2
    assert "needed NAME=A,B,C, each name once" in capsys.readouterr().err


def test_a_point_that_is_there_twice_is_refused(write_page):
    from lib import pages, sweeps

    with pytest.raises(pages.PageError, match="the grid has a point twice: count=1 and count=01"):
        list(sweeps.sweep(write_page(TINY), {"count": ["1", "2", "01"]}))


# Side by side


def records(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/run.json"))]


def test_runs_side_by_side_give_the_same_rows_in_the_grids_order(write_page, tmp_path, monkeypatch):
    from lib import sweeps
    from lib.sweeps import _process

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(_process, "num_cores", lambda: 2)
    page, grid = write_page(DRAW), {"wait": ["1.5", "0"], "seed": ["1"]}
    tables = []
    for out in ("first", "second"):
        outcomes = list(sweeps.sweep(page, grid, out=tmp_path / out, jobs=3))
        assert [point["wait"] for point, _ in outcomes] == ["1.5", "0"]
        assert [run.record["parameters"]["wait"] for _, run in outcomes] == [1.5, 0]
        tables.append([run.tables["t"] for _, run in outcomes])
    for first, second in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert all(record["threads"] == "1" for record in records(tmp_path / "first"))
    started = [record["started"] for record in records(tmp_path / "second")]
    again = [run.record["started"] for _, run in sweeps.sweep(page, grid, out=tmp_path / "second", jobs=3)]
    assert sorted(again) == sorted(started), "nothing was run again"


@pytest.mark.parametrize(
    ("given", "cores", "jobs", "threads"), [("", 16, 4, 4), ("2", 16, 4, 2), ("9", 16, 4, 4), ("x", 2, 3, 1)]
)
def test_a_run_gets_its_share_of_the_cores_or_less_where_it_was_told_so(monkeypatch, given, cores, jobs, threads):
    from lib.sweeps import _process

    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert _process.limits(max(1, cores // jobs))["OMP_NUM_THREADS"] == str(threads)


def test_what_a_page_and_its_programs_print_is_no_answer(write_page):
    from lib import sweeps

    talk = "\n# %%\nimport os, subprocess\n\nos.write(1, b'hello\\n')\nsubprocess.run(['echo', 'hello'])\n"
    outcomes = list(sweeps.sweep(write_page(TINY + talk), {"count": ["1", "2"]}, jobs=2))
    assert [outcome.record["status"] for _, outcome in outcomes] == ["finished"] * 2


def test_a_failure_and_a_death_side_by_side_are_outcomes(write_page):
    from lib import execution, sweeps

    page = write_page(TINY + "\n# %%\nimport os\n\nif count == 7:\n    os.kill(os.getppid(), 9)\n")
    outcomes = [outcome for _, outcome in sweeps.sweep(page, {"count": ["0", "7", "1"]}, jobs=2)]
    failed, killed, fine = outcomes
    assert isinstance(failed, execution.PageFailed)
    assert "ZeroDivisionError in cell" in str(failed).splitlines()[0], str(failed)
    assert failed.__notes__[0].startswith("run folder: ")
    assert "left no result and ended by signal 9 (Killed)" in str(killed)
    assert fine.record["status"] == "finished"


def test_a_run_whose_process_died_is_lost_and_not_running(write_page):
    from lib import runs

    item = runs.run(write_page(TINY))
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for host, status in ((item.record["host"], "lost"), ("elsewhere", "running")):
        record = item.record | {"status": "running", "process": process.pid, "host": host}
        (item.folder / "run.json").write_text(json.dumps(record))
        assert runs.recorded()[0].record["status"] == status


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_a_sweep_that_was_stopped_says_so_in_its_records_and_goes_on(write_page, tmp_path, monkeypatch, signal_number):
    from lib import runs, sweeps

    page, gate = write_page(GATED), tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    command = [sys.executable, "-m", "lib", "sweep", page, "--grid", "seed=1,2,3,4", "--jobs", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_until(lambda: gate.with_suffix(".2").exists() and gate.with_suffix(".3").exists())
        os.killpg(process.pid, signal_number)
        stderr = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
    if signal_number == signal.SIGINT:
        assert process.returncode == 130
        assert stderr.endswith("\nstopped\nfinished runs are kept: the same command goes on from here\n")
        assert "Traceback" not in stderr
    statuses = {1: "finished", 2: "stopped", 3: "stopped"}
    wait_until(lambda: {r["seed"]: r["status"] for r in records(runs.folder_of_runs())} == statuses)
    first = {run.folder.name for run in runs.recorded()}

    gate.touch()
    outcomes = [run for _, run in sweeps.sweep(page, {"seed": ["1", "2", "3", "4"]}, jobs=2)]
    assert [run.record["status"] for run in outcomes] == ["finished"] * 4
    assert [run.folder.name in first for run in outcomes] == [True, False, False, False]


# Fails with 0, but not before another run has come to its last cell.
LATE = """\
import os, time
from pathlib import Path

gate = Path(os.environ["GATE"])
if count:
    gate.touch()
while not gate.exists():
    time.sleep(0.05)
10 // count
"""


def test_progress_is_one_line_that_names_runs_and_cells(write_page, tmp_path):
    page = write_page(TINY.replace("10 // count", LATE))
    done = shell("sweep", page, "--grid", "count=0,5", "--jobs", "2", GATE=str(tmp_path / "gate"))
    assert done.returncode == 1
    assert re.search(r"^count=0: failed\ncount=5: 07_probe-\S+\n", done.stdout)
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stderr))
    assert any(re.search(r"07_probe: .* 0/2 .*count=5 \d/3", line) for line in lines)
    assert any(re.search(r"07_probe: 100%.* 2/2 .*1 failed", line) for line in lines)
    assert "inner bar" not in done.stderr
