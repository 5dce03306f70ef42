"""Pages by name, parameters by type, runs as folders, sweeps that go on, and the notebooks that are stored."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

"""
PAGE = """\
# %% [markdown]
# (nb-probe)=
# # Probe

# %%
import sys

import matplotlib.pyplot as plt
import pandas as pd
from tqdm.auto import tqdm

from lib import runs

# %% tags=["parameters"]
count: int = 2  # how many
rate: float = 0.5  # share of the whole
band: int | None = None  # no band when None
layers: list[int] = [1, 2]  # layers shown
name: str = "a b"  # who
flag: bool = True  # whether
seed: int = 3  # random numbers

# %%
for _ in tqdm(range(count), desc="inner bar"):
    pass

# %% tags=["nbval-check-output"]
runs.save_table("scores", pd.DataFrame({"layer": layers, "score": [rate / 3] * len(layers)}))

# %%
#| label: fig-line
#| caption: "A line. 2 points, no unit."
plt.plot([1, count]);

# %%
print(10 // count)
"""
TINY = """\
# %% tags=["parameters"]
count: int = 2  # how many

# %%
10 // count
"""
SAVE = """
# %%
import pandas as pd

from lib import runs

runs.save_table("t", pd.DataFrame({"ten": [10]}))
"""


@pytest.fixture
def write_page(tmp_path, monkeypatch):
    """Write a page in a book of its own."""
    from lib import paths

    book = tmp_path / "book"
    book.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", book)
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path / "build"))

    def write(body=PAGE, stem="07_probe"):
        path = book / f"{stem}.py"
        path.write_text(HEADER + body, encoding="utf-8")
        return path

    return write


def shell(*arguments, cwd=None, **environment):
    """Run ``python -m lib`` as a user does, with warnings of the command itself as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "lib", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


# Names


@pytest.mark.parametrize("name", ["07_probe", "07", "7", "07_pr", "07_probe.py", "07_probe.ipynb"])
def test_a_page_is_found_by_stem_number_start_or_file_name(write_page, name):
    from lib import pages

    page = write_page()
    assert pages.find(name) == page


def test_a_page_is_found_by_path_of_either_file(write_page, tmp_path):
    from lib import pages

    page = write_page()
    page.with_suffix(".ipynb").write_text("stale")
    elsewhere = tmp_path / "mine.py"
    elsewhere.write_text(page.read_text())
    assert pages.find(page.with_suffix(".ipynb")) == page
    assert pages.find(elsewhere) == elsewhere


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("07_prope", r"no page matches '07_prope'; did you mean '07_probe'\?\npages: 07_probe, 08_other, 08_twin"),
        ("08", "pages 08_other, 08_twin match '08'"),
        ("", "pages 07_probe, 08_other, 08_twin match ''"),
        ("nowhere/99.py", "no page matches '99'"),
    ],
)
def test_an_unknown_or_ambiguous_page_is_refused(write_page, name, message):
    from lib import pages

    for stem in ("07_probe", "08_other", "08_twin"):
        write_page(stem=stem)
    with pytest.raises(pages.PageError, match=message):
        pages.find(name)


# Parameters


def test_parameters_have_type_default_and_help(write_page):
    from lib import pages

    known = pages.parameters(write_page())
    assert known["rate"] == ("rate", "float", "0.5", "share of the whole")
    assert known["band"] == ("band", "int | None", "None", "no band when None")
    assert {name: parameter.value for name, parameter in known.items()} == {
        "count": 2,
        "rate": 0.5,
        "band": None,
        "layers": [1, 2],
        "name": "a b",
        "flag": True,
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "7", 7),
        ("count", "-7", -7),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("band", "none", None),
        ("band", "4", 4),
        ("layers", "3,4", [3, 4]),
        ("layers", "[3]", [3]),
        ("layers", "", []),
        ("name", "7", "7"),
        ("name", "it's", "it's"),
        ("flag", "false", False),
        ("flag", "Yes", True),
    ],
)
def test_a_value_takes_the_type_of_its_parameter(write_page, name, text, value):
    from lib import pages

    found = pages.resolve(write_page(), {name: text})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("count", "7.5", r"07_probe: parameter 'count' needs int, not '7.5' \(how many\)"),
        ("rate", "fast", "needs float, not 'fast'"),
        ("band", "wide", r"needs int \| None, not 'wide'"),
        ("layers", "1,b", r"needs list\[int\], not '1,b'"),
        ("flag", "2", "needs bool, not '2'"),
        ("widht", "7", r"07_probe has no parameter 'widht'\n  count   int "),
        ("cuont", "7", r"no parameter 'cuont'; did you mean 'count'\?\n  count   int         2       how many\n"),
    ],
)
def test_a_wrong_name_or_value_is_refused_before_anything_is_written(write_page, tmp_path, name, text, message):
    from lib import pages, runs

    page = write_page()
    with pytest.raises(pages.PageError, match=message):
        runs.run(page, {name: text})
    assert not (tmp_path / "build").exists()


def test_an_unannotated_parameter_takes_the_type_of_its_default(write_page):
    from lib import pages

    page = write_page('# %% tags=["parameters"]\nrate = 0.5\n')
    assert pages.resolve(page, {"rate": "2"}) == {"rate": 2.0}
    with pytest.raises(pages.PageError, match="needs float, not 'x'"):
        pages.resolve(page, {"rate": "x"})


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


def test_an_interrupted_run_says_so_and_is_recorded(write_page, tmp_path):
    page = write_page(TINY + "\n# %%\nimport time\n\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "lib", "run", str(page), "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    notebook = "*/07_probe.ipynb"
    while not any(
        '"status": "running"' in path.read_text() and '"output_type"' in path.read_text()
        for path in (tmp_path / "build" / "runs").glob(notebook)
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
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


# Sweeps and results


def test_a_sweep_runs_what_is_missing_and_no_more(write_page, tmp_path):
    from lib import execution, runs

    page = write_page(TINY)
    first = [outcome for _, outcome in runs.sweep(page, {"count": ["1", "0"]})]
    assert first[0].record["status"] == "finished"
    assert isinstance(first[1], execution.PageFailed), "a failed point does not end the sweep"
    again = [outcome for _, outcome in runs.sweep(page, {"count": ["1", "4"]})]
    assert again[0] == first[0], "count=1 is not run again"
    edited = write_page(TINY.replace("10 //", "20 //"))
    ((_, third),) = runs.sweep(edited, {"count": ["1"]})
    assert third.folder != first[0].folder, "the page's code changed"
    assert len(list((tmp_path / "build" / "runs").iterdir())) == 4
    assert list(runs.keep(runs.table(runs.recorded()), ["count=1"])["id"]) == [first[0].folder.name, third.folder.name]


def test_a_run_by_other_code_of_the_package_is_another_run(write_page, monkeypatch):
    from lib import runs

    page = write_page(TINY)
    ((_, first),) = runs.sweep(page, {"count": ["1"]})
    monkeypatch.setattr(runs, "_library", lambda: "changed")
    ((_, second),) = runs.sweep(page, {"count": ["1"]})
    assert second.folder != first.folder


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"started": 1}'])
def test_a_foreign_record_among_the_runs_is_named_and_left_out(write_page, tmp_path, content):
    from lib import runs

    ((_, own),) = runs.sweep(write_page(TINY), {"count": ["1"]})
    other = tmp_path / "build" / "runs" / "other"
    other.mkdir()
    (other / "run.json").write_text(content)
    with pytest.warns(RuntimeWarning, match="other/run.json is no record of a run"):
        assert [item.folder for item in runs.recorded()] == [own.folder]


def test_the_sweep_command_joins_the_tables_of_its_points(write_page):
    page = write_page(TINY + SAVE)
    done = shell("sweep", page, "-q", "--grid", "count=4,0")
    assert done.returncode == 1
    assert re.search(r"^count=4: 07_probe-\S+\ncount=0: failed\n\nt\n *ten *count\n *10 *4\n", done.stdout)
    assert done.stdout.endswith("\n1 points finished, 1 failed\n")
    assert "ZeroDivisionError" in done.stderr


def test_a_sweep_checks_all_points_before_the_first(write_page, tmp_path):
    from lib import pages, runs

    with pytest.raises(pages.PageError, match="needs int, not 'x'"):
        list(runs.sweep(write_page(TINY), {"count": ["1", "x"]}))
    with pytest.raises(pages.PageError, match="once in the grid: count"):
        list(runs.sweep(write_page(TINY), {"count": ["1"]}, {"count": "2"}))
    assert not (tmp_path / "build").exists()


def test_results_list_show_and_filter_studies(tmp_path, monkeypatch, capsys):
    from lib import paths
    from lib.__main__ import main

    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path / "build"))
    frame = pd.DataFrame({"dataset": ["a", "a", "b"], "seed": [0, 1, 0], "top1": [0.91234, 0.5, 0.7]})
    frame.to_csv(tmp_path / "geometry.csv", index=False)
    assert main(["results"]) == 0
    assert re.search(r"study +rows\n *geometry +3\n", capsys.readouterr().out)
    assert main(["results", "--study", "geometry", "dataset=a", "seed=0.0"]) == 0
    assert re.search(r"geometry\n.*\n *a +0 +0.912\n$", capsys.readouterr().out)
    assert main(["results", "--study", "geometry", "data=a"]) == 2
    assert "columns: dataset, seed, top1" in capsys.readouterr().err
    assert main(["results", "--study", "none"]) == 2
    assert "no study 'none' in data/results/: geometry" in capsys.readouterr().err


def test_pages_are_listed_with_their_parameters(write_page, capsys):
    from lib.__main__ import main

    write_page()
    assert main(["pages"]) == 0
    assert "07_probe\n  count   int         2       how many\n" in capsys.readouterr().out


# Stored notebooks


def test_a_stored_notebook_is_repeatable_and_gives_its_source_back(write_page):
    import nbformat

    from lib import execution, pages

    page = write_page()
    before = page.read_bytes()
    done = shell("execute", page, "-q")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"07_probe: \d+ kB\n", done.stdout)
    stored = page.with_suffix(".ipynb").read_bytes()
    notebook = nbformat.reads(stored.decode(), as_version=4)
    assert pages.source(notebook).encode() == before == page.read_bytes()
    assert [cell.id for cell in notebook.cells] == [f"07_probe-{i:03d}" for i in range(7)]
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(range(1, 7))
    assert {tuple(cell.metadata) for cell in notebook.cells} == {(), ("tags",)}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert [cell.outputs for cell in notebook.cells if "inner bar" in cell.source] == [[]]
    assert execution.refresh(page).read_bytes() == stored


def test_what_must_not_be_published_is_not_stored(write_page):
    from lib import execution, pages

    page = write_page("# %%\nfrom lib import paths\n\nprint(paths.ROOT)\n\n# %%\nobject()\n")
    page.with_suffix(".ipynb").write_text("old")
    with pytest.raises(pages.PageError, match=r"cell 0: absolute path .*\n  cell 1: object address <object at"):
        execution.refresh(page)
    page = write_page("# %%\n1 / 0\n")
    with pytest.raises(execution.PageFailed, match=r"^ZeroDivisionError in cell"):
        execution.refresh(page)
    assert page.with_suffix(".ipynb").read_text() == "old"


def test_execute_goes_on_after_a_page_that_fails_and_names_it(write_page, monkeypatch, capsys):
    from lib import execution
    from lib.__main__ import main

    write_page(stem="07_bad"), write_page(stem="08_good")

    def refresh(page, *, progress):
        if page.stem == "07_bad":
            raise execution.PageFailed("ZeroDivisionError in cell [1]")
        return page

    monkeypatch.setattr(execution, "refresh", refresh)
    assert main(["execute"]) == 1
    printed = capsys.readouterr()
    assert re.fullmatch(r"07_bad: not stored\n08_good: \d+ kB\n", printed.out)
    assert printed.err.endswith("not stored: 07_bad\n")


def test_progress_bars_are_left_out_of_stored_outputs_and_warnings_are_kept():
    from nbformat import v4

    from lib import execution

    bar = "\rfit:   0%|          | 0/2 [00:00<?, ?it/s]\rfit: 100%|##########| 2/2 [00:00<00:00, 19.8it/s]\n"
    streams = [
        v4.new_output("stream", name="stderr", text=bar),
        v4.new_output("stream", name="stderr", text="UserWarning: few clips\n"),
        v4.new_output("stream", name="stdout", text="accuracy 50% | 3 clips\n"),
    ]
    kept = execution.publishable(streams)
    assert [(output.name, output.text) for output in kept] == [
        ("stderr", "UserWarning: few clips"),
        ("stdout", "accuracy 50% | 3 clips\n"),
    ]
    assert execution.publishable(streams[:1]) == []
    assert streams[0].text == bar, "outputs given are left alone"


# Rows of a study


def finished(runs, tmp_path, seed, score, name="scores"):
    folder = tmp_path / f"run-{seed}-{score}"
    folder.mkdir()
    pd.DataFrame({"layer": [0, 1], "score": [score, score]}).to_csv(folder / f"{name}.csv", index=False)
    origin = {"dirty": False, "lib": "0", "torch": "2", "numpy": "2", "platform": "x", "started": "now"}
    record = {"page": "07_probe", "parameters": {"seed": seed, "k": 5}, "seconds": 1.5, "commit": "abc", **origin}
    return runs.Run(folder, record)


def test_recorded_rows_carry_their_origin_and_replace_only_their_own(tmp_path, monkeypatch):
    from lib import paths, runs

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    runs.record("scores", [finished(runs, tmp_path, seed, 0.1) for seed in (0, 1)])
    path = runs.record("scores", [finished(runs, tmp_path, 1, 0.9)])
    rows = pd.read_csv(path)
    assert rows.groupby("seed")["score"].mean().to_dict() == {0: 0.1, 1: 0.9}
    assert len(rows) == 4
    assert rows["run"].nunique() == 2
    assert {"k", "commit", "torch", "run_seconds", "started"} <= set(rows)
    assert [p.name for p in path.parent.glob("[!.]*")] == ["scores.csv"]


def test_rows_of_the_same_command_are_replaced_when_the_page_gained_parameters(tmp_path, monkeypatch):
    from lib import paths, runs

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    old, new = finished(runs, tmp_path, 1, 0.1), finished(runs, tmp_path, 1, 0.9)
    old.record["given"] = new.record["given"] = {"seed": 1}
    new.record["parameters"]["rate"] = 0.5
    runs.record("scores", [old])
    rows = pd.read_csv(runs.record("scores", [new]))
    assert rows["score"].tolist() == [0.9, 0.9]


def test_hashes_that_look_like_numbers_stay_text(tmp_path, monkeypatch):
    from lib import paths, runs

    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "scores.csv").write_text("score,run,commit\n0.5,02e1652001,1234567890\n")
    assert runs.studies()["scores"][["run", "commit"]].iloc[0].tolist() == ["02e1652001", "1234567890"]


def test_a_column_that_hides_a_parameter_is_refused(tmp_path, monkeypatch):
    from lib import pages, paths, runs

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    item = finished(runs, tmp_path, 0, 0.1)
    pd.DataFrame({"k": [7]}).to_csv(item.folder / "scores.csv", index=False)
    with pytest.raises(pages.PageError, match=r"columns \['k'\] that are not the page's parameters"):
        runs.record("scores", [item])


@pytest.mark.parametrize("grid", [["seed"], ["seed=0", "seed=1"]])
def test_a_grid_without_values_or_with_a_name_twice_is_refused(write_page, capsys, grid):
    from lib.__main__ import main

    write_page()
    assert main(["sweep", "07", "--grid", *grid]) == 2
    assert "needed NAME=A,B,C, each name once" in capsys.readouterr().err


def test_a_table_that_the_page_did_not_save_cannot_be_recorded(tmp_path, monkeypatch):
    from lib import pages, paths, runs

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    with pytest.raises(pages.PageError, match=r"saved no table 'other'; it saved \['scores'\]"):
        runs.record("other", [finished(runs, tmp_path, 0, 0.1)])
    assert not (tmp_path / "results").exists()
