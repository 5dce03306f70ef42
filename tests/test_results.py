"""Rows of studies in `data/results/`: listed, filtered, replaced."""

import re

import pandas as pd
import pytest

# Runs


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


def test_a_table_that_the_page_did_not_save_cannot_be_recorded(tmp_path, monkeypatch):
    from lib import pages, paths, runs

    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    with pytest.raises(pages.PageError, match=r"saved no table 'other'; it saved \['scores'\]"):
        runs.record("other", [finished(runs, tmp_path, 0, 0.1)])
    assert not (tmp_path / "results").exists()
