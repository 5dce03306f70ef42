"""Rows of studies in `data/results/`: listed, filtered, replaced."""

import json
import re

import numpy as np
import pandas as pd
import pytest


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


def finished(runs, tmp_path, seed, score, name="scores"):
    folder = tmp_path / f"run-{seed}-{score}"
    folder.mkdir()
    pd.DataFrame({"layer": [0, 1], "score": [score, score]}).to_csv(folder / f"{name}.csv", index=False)
    origin = {"dirty": False, "lib": "0", "torch": "2", "numpy": "2", "platform": "x", "started": "now"}
    record = {"page": "07_probe", "parameters": {"seed": seed, "k": 5}, "seconds": 1.5, "commit": "abc", **origin}
    return runs.Run(folder, record)


def test_recorded_rows_carry_their_origin_and_replace_only_their_own(tmp_path, monkeypatch):
    from lib import paths, runs, tables

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    tables.record("scores", [finished(runs, tmp_path, seed, 0.1) for seed in (0, 1)])
    path = tables.record("scores", [finished(runs, tmp_path, 1, 0.9)])
    rows = pd.read_csv(path)
    assert rows.groupby("seed")["score"].mean().to_dict() == {0: 0.1, 1: 0.9}
    assert len(rows) == 4
    assert rows["run"].nunique() == 2
    assert {"k", "commit", "torch", "run_seconds", "started"} <= set(rows)
    assert [p.name for p in path.parent.glob("[!.]*")] == ["scores.csv"]


def test_rows_of_the_same_command_are_replaced_when_the_page_gained_parameters(tmp_path, monkeypatch):
    from lib import paths, runs, tables

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    old, new = finished(runs, tmp_path, 1, 0.1), finished(runs, tmp_path, 1, 0.9)
    old.record["given"] = new.record["given"] = {"seed": 1}
    new.record["parameters"]["rate"] = 0.5
    tables.record("scores", [old])
    rows = pd.read_csv(tables.record("scores", [new]))
    assert rows["score"].tolist() == [0.9, 0.9]


def test_hashes_that_look_like_numbers_stay_text(tmp_path, monkeypatch):
    from lib import paths, runs

    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "scores.csv").write_text("score,run,commit\n0.5,02e1652001,1234567890\n")
    assert runs.studies()["scores"][["run", "commit"]].iloc[0].tolist() == ["02e1652001", "1234567890"]


def test_a_column_that_hides_a_parameter_is_refused(tmp_path, monkeypatch):
    from lib import pages, paths, runs, tables

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    item = finished(runs, tmp_path, 0, 0.1)
    pd.DataFrame({"k": [7]}).to_csv(item.folder / "scores.csv", index=False)
    with pytest.raises(pages.PageError, match=r"columns \['k'\] that are not the page's parameters"):
        tables.record("scores", [item])
    pd.DataFrame({"k": [5, None]}).to_csv(item.folder / "scores.csv", index=False)  # 5.0 and a gap
    assert len(pd.read_csv(tables.record("scores", [item]))) == 2
    pd.DataFrame({"k": [0, 5]}).to_csv(item.folder / "scores.csv", index=False)  # it holds for one row only
    assert pd.read_csv(tables.record("scores", [item]))["k"].tolist() == [0, 5]
    pd.DataFrame({"k": [0, 0]}).to_csv(item.folder / "scores.csv", index=False)  # it holds for no row
    assert pd.read_csv(tables.record("scores", [item]))["k"].tolist() == [0, 0]
    pd.DataFrame({"k": [5, 7]}).to_csv(item.folder / "scores.csv", index=False)  # 7 is another value of it
    with pytest.raises(pages.PageError, match="not the page's parameters"):
        tables.record("scores", [item])
    pd.DataFrame({"score": [1.0], "k": [None]}).to_csv(item.folder / "scores.csv", index=False)
    assert len(pd.read_csv(tables.record("scores", [item]))) == 1


def test_a_table_that_no_run_has_written_is_not_added_to(tmp_path, monkeypatch):
    from lib import pages, paths, runs, tables

    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "scores.csv").write_text("peer,seconds\nours,1\n")
    with pytest.raises(pages.PageError, match=r"scores\.csv was not recorded from runs"):
        tables.record("scores", [finished(runs, tmp_path, 0, 0.1)])
    assert (tmp_path / "scores.csv").read_text() == "peer,seconds\nours,1\n"


def test_a_table_that_the_page_did_not_save_cannot_be_recorded(tmp_path, monkeypatch):
    from lib import pages, paths, runs, tables

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    item = finished(runs, tmp_path, 0, 0.1)
    with pytest.raises(pages.PageError, match=r"saved no table 'other'; it saved \['scores'\]"):
        tables.record("other", [item])
    assert not (tmp_path / "results").exists()


# Side by side


def test_tables_side_by_side_show_once_what_agrees_and_what_differs_with_its_difference():
    from lib import tables

    first = pd.DataFrame({"layer": ["a", "b"], "epoch": [1, 1], "width": [4.0, 5.0], "score": [0.5, 0.25]})
    second = pd.DataFrame({"layer": ["b", "c"], "epoch": [1, 1], "width": [5.0, 6.0], "score": [0.75, 1.0]})
    both = tables.side_by_side([first, first.assign(score=[1.0, 0.25])])
    assert list(both) == ["layer", "epoch", "width", "score [1]", "score [2]", "score [2]-[1]"]
    assert both["score [2]-[1]"].tolist() == [0.5, 0.0]
    both = tables.side_by_side([first, second]).set_index("layer")
    assert both["score [2]-[1]"].round(3).to_dict() == pytest.approx({"a": np.nan, "b": 0.5, "c": np.nan}, nan_ok=True)
    three = tables.side_by_side([first, first, second])
    assert [name for name in three if name.startswith("score")] == ["score [1]", "score [2]", "score [3]"]


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ({"layer": [0, 1], "errors": [3, 4], "score": [0.1, 0.2]}, ["layer"]),
        ({"name": ["a", "a"], "layer": [0, 1], "score": [0.1, 0.2]}, ["name", "layer"]),
        ({"name": ["a", None], "score": [0.1, 0.2]}, ["name"]),
        ({"score": [0.1, 0.2]}, []),
        ({"name": ["a", "a"], "score": [0.1, 0.2]}, []),
    ],
)
def test_rows_are_matched_by_the_columns_that_tell_them_apart(columns, keys):
    from lib import tables

    frame = pd.DataFrame(columns)
    both = tables.side_by_side([frame, frame.assign(score=[0.4, 0.2])])
    assert list(both)[: len(keys)] == keys
    assert both["score [2]-[1]"].round(3).tolist() == [0.3, 0.0]


def test_tables_of_one_row_are_turned():
    from lib import tables

    frame = pd.DataFrame({"clips": [9], "score": [0.5], "name": ["x"]})
    both = tables.side_by_side([frame, frame.assign(score=[0.75], name=["y"])])
    assert both.to_numpy().tolist() == [["score", 0.5, 0.75], ["name", "x", "y"]]


def save_run(out, name, *, seed, scores, **record):
    folder = out / name
    folder.mkdir(parents=True)
    pd.DataFrame({"layer": [0, 1], "clips": [9, 9], "score": scores}).to_csv(folder / "scores.csv", index=False)
    shared = {"page": "07_probe", "status": "finished", "seconds": 2.0, "commit": "abc", "started": f"2026-{seed}"}
    record = shared | {"parameters": {"seed": seed, "k": 5}} | record
    (folder / "run.json").write_text(json.dumps(record))


def test_runs_are_compared_by_id_or_by_how_it_starts_or_ends(tmp_path, capsys):
    from lib.__main__ import main

    save_run(tmp_path, "07_probe-20261120-0aa", seed=1, scores=[0.5, 0.25])
    save_run(tmp_path, "07_probe-20261121-0bb", seed=2, scores=[0.5, 0.75], commit="def")
    options = ["results", "--out", str(tmp_path)]
    assert main([*options, "--compare", "07_probe-20261120", "0bb"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"what differs\n.*\[1\] +\[2\]\n *run .*0aa .*0bb\n *seed +1 +2\n *commit +abc +def\n\n", printed)
    assert re.search(r"scores\n *layer +clips +score \[1\] +score \[2\] +score \[2\]-\[1\]\n", printed)
    assert re.search(r"\n *1 +9 +0.25 +0.75 +0.5\n$", printed)
    assert main([*options, "--compare", "07", "0bb"]) == 2
    assert "2 runs match '07': 07_probe-20261120-0aa, 07_probe-20261121-0bb" in capsys.readouterr().err
    assert main([*options, "--compare", "07_probe-20261120-0ab", "0bb"]) == 2
    assert "no run '07_probe-20261120-0ab'; did you mean '07_probe-20261120-0aa'?" in capsys.readouterr().err


def test_results_show_the_columns_asked_for(tmp_path, capsys):
    from lib.__main__ import main

    save_run(tmp_path, "07_probe-0aa", seed=1, scores=[0.5, 0.25])
    assert main(["results", "--out", str(tmp_path), "seed=1", "--columns", "id,k"]) == 0
    assert re.search(r"newest last\n +id +k\n07_probe-0aa +5\n$", capsys.readouterr().out)
    assert main(["results", "--out", str(tmp_path), "--columns", "id,kk"]) == 2
    assert "no column kk; columns: id, page, status" in capsys.readouterr().err
    assert main(["results", "--out", str(tmp_path / "none"), "seed=1"]) == 0
    assert "newest last\n  none" in capsys.readouterr().out


def test_runs_of_a_study_are_compared(tmp_path, monkeypatch, capsys):
    from lib import paths
    from lib.__main__ import main

    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    rows = {
        "run": ["aa", "aa", "bb", "bb"],
        "seed": [0, 0, 1, 1],
        "layer": ["x", "y"] * 2,
        "score": [0.1, 0.2, 0.1, 0.7],
    }
    pd.DataFrame(rows).to_csv(tmp_path / "geometry.csv", index=False)
    assert main(["results", "--study", "geometry", "--compare", "aa", "bb"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"what differs\n.*\n *run +aa +bb\n *seed +0 +1\n\ngeometry\nlayer ", printed)
    assert re.search(r"\n *y +0.2 +0.7 +0.5\n$", printed)
    assert main(["results", "--study", "geometry", "--compare", "aa", "cc"]) == 2
    assert "no run cc in this study; runs: aa, bb" in capsys.readouterr().err
