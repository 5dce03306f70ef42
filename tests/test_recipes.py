import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lib
from lib import datasets, focus, objectives, paths, recipes, runs, training
from lib.focus import TERMS, FocusLosses
from lib.recipes import _recipe


def test_recipes_change_by_name_and_refuse_other_names():
    recipe = recipes.get("nw_ucla", epochs=3, width=0.25, precision=None)
    assert (recipe.train.epochs, recipe.width) == (3, 0.25)
    assert recipe.train.precision == recipes.get("nw_ucla").train.precision
    with pytest.raises(ValueError, match=r"has no \['lerning_rate'\]"):
        recipes.get("nw_ucla", lerning_rate=1.0)
    with pytest.raises(ValueError, match="no recipe for 'ntu'"):
        recipes.get("ntu")


def test_the_ablation_adds_one_term_at_a_time():
    recipe = recipes.get("synthetic", recipes.FOCUS_RECIPES)
    kept = []
    for step in recipes.FOCUS_STEPS:
        changed = recipes.focus_step(recipe, step)
        assert changed.model == ("msg3d" if step == "msg3d" else "stf")
        kept.append([name for name in TERMS if getattr(changed.train.focus, name)])
    assert [len(names) for names in kept] == [0, 0, 1, 2, 3, 4]
    assert recipes.focus_step(recipe, "stgcn").model == "stgcn"
    with pytest.raises(ValueError, match="no step 'sft'; choose one of"):
        recipes.focus_step(recipe, "sft")


def test_networks_of_the_ablation_are_trained_alike():
    recipe = recipes.get("utd_mhad", recipes.FOCUS_RECIPES)
    rows = [recipes.described(recipes.focus_step(recipe, step)) for step in recipes.STEPS]
    assert all(row == rows[0] for row in rows)


@pytest.fixture
def little(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path))
    recipe = recipes.get("synthetic", recipes.FOCUS_RECIPES, epochs=2, width=0.0625, num_frames=8, batch_size=4)
    return recipe, recipe.prepare(datasets.load("synthetic", split="train", limit=20, progress=False))


def test_terms_are_logged_and_change_what_is_learnt(little):
    recipe, clips = little
    plain, history = recipes.focus_step(recipe, "modules").fit(clips, 0, progress=False)
    focused, terms = recipes.focus_step(recipe, "stf").fit(clips, 0, progress=False)
    assert set(TERMS) <= set(terms.epochs.columns)
    assert not set(TERMS) & set(history.epochs.columns)
    assert np.isfinite(terms.epochs[list(TERMS)].to_numpy()).all()
    differs = [not torch.equal(a, b) for a, b in zip(plain.parameters(), focused.parameters(), strict=True)]
    assert any(differs)


def test_label_smoothness_joins_the_loss_of_its_step_alone(little):
    recipe = replace(little[0], train=replace(little[0].train, smoothness=0.5, batch_size=20))
    clips = little[1].subset(np.arange(40) % 10)  # classes come more than once, so that there is something to learn
    smooth, history = recipes.focus_step(recipe, recipes.SMOOTH).fit(clips, 0, progress=False)
    plain, without = recipes.focus_step(recipe, "stgcn").fit(clips, 0, progress=False)
    assert history.epochs["smoothness"].between(0, 2).all()
    assert "smoothness" not in without.epochs
    weights = zip(plain.parameters(), smooth.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in weights)
    assert not smooth.classifier._forward_pre_hooks
    for step in recipes.FOCUS_STEPS:
        assert recipes.focus_step(recipe, step).train.smoothness == 0


def test_exploration_takes_every_eighth_step_with_an_optimiser_of_its_own(little, monkeypatch):
    recipe, clips = little
    steps, explored = [], []
    original = focus.exploration
    monkeypatch.setattr(training, "_descend", lambda optimizer, *others: steps.append(optimizer))
    monkeypatch.setattr(focus, "exploration", lambda *args: explored.append(len(steps)) or original(*args))
    recipes.focus_step(recipe, "exploration").fit(clips, 0, progress=False)
    assert len(set(map(id, steps))) == 2
    assert explored == [1, 10]  # after the first and, one exploration later, the ninth of ten steps in two epochs
    assert [index for index, one in enumerate(steps) if one is not steps[0]] == explored
    assert steps[1].defaults["weight_decay"] == 0


def test_terms_weigh_what_the_recipe_says(little):
    recipe, clips = little
    terms = FocusLosses(divergence=3.0, adjacency=0.5, consistency=0.25)
    config = replace(recipe.train, focus=terms, smoothness=0.0)
    goal = objectives.objective(recipe.build(clips, 0), clips, config)
    turn = next(goal.turns(clips.batch(range(8)), 0))
    weights = {"loss": 1.0, "divergence": 3.0, "adjacency": 0.5, "consistency": 0.25}
    torch.testing.assert_close(turn.loss, sum(weight * turn.terms[name] for name, weight in weights.items()))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_exploration_moves_the_network_by_its_share_of_the_rate(little, monkeypatch, optimizer):
    recipe, clips = little
    goals, original = [], objectives.objective
    monkeypatch.setattr(objectives, "objective", lambda *args: goals.append(original(*args)) or goals[-1])
    step = recipes.focus_step(recipe, "exploration")
    step = replace(step, train=replace(step.train, optimizer=optimizer, focus=FocusLosses(exploration=0.25)))
    step.fit(clips, 0, progress=False)
    own, explorer = (goals[0].optimizers[name].param_groups[0]["lr"] for name in ("network", "explorer"))
    assert explorer == pytest.approx(0.25 * own)
    assert own != step.train.learning_rate  # the schedule reached both


def test_a_stopped_focus_training_goes_on_bit_for_bit(little, monkeypatch):
    recipe, clips = little
    straight, _ = recipes.focus_step(recipe, "stf").fit(clips, 0, progress=False)
    monkeypatch.setenv("LAYERS_BUILD", str(paths.build() / "again"))
    original = training.checkpoints.save

    def save_then_stop(*arguments):
        original(*arguments)
        raise InterruptedError

    monkeypatch.setattr(training.checkpoints, "save", save_then_stop)
    with pytest.raises(InterruptedError):
        recipes.focus_step(recipe, "stf").fit(clips, 0, progress=False)
    monkeypatch.setattr(training.checkpoints, "save", original)
    resumed, history = recipes.focus_step(recipe, "stf").fit(clips, 0, progress=False)
    assert len(history.epochs) == 2
    for a, b in zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_studies_keep_to_the_recipes():
    recipe = recipes.get("utd_mhad", recipes.FOCUS_RECIPES)
    row = {"dataset": "utd_mhad", "seed": 0, "protocol": np.nan, "step": "msg3d", "exploration": 0.0}
    row |= recipes.described(recipe)
    weight = recipe.train.focus.exploration
    others = [{"width": 1.0}, {"protocol": "selection"}, {"dataset": "synthetic"}, {"epochs": 3}, {"step": "stf"}]
    others += [{"crop": 0.5}, {"score": "logit"}, {"explained": "label"}]  # which earlier rows do not tell
    others += [{"moving_target": True}, {"exploration_every": 2}, {"stream": "bone"}]
    others += [{"step": "exploration", "exploration": np.nan}]  # of which nobody knows how it was explored
    others += [{"streams": "joint + bone"}, {"exploration": 7.0}, {"exploration": weight}]  # weights of another step
    with_term = row | {"seed": 1, "streams": "joint", "step": "exploration", "exploration": weight}
    rows = pd.DataFrame([row, with_term, *(row | change for change in others)])
    rows["smoothness_weight"] = [np.nan, *[0.0] * (len(rows) - 1)]  # rows from before there was such a weight
    rows = pd.concat([rows, pd.DataFrame([row | {"smoothness_weight": 77.0}])], ignore_index=True)
    assert recipes.unchanged(rows, recipes.FOCUS_RECIPES)["seed"].tolist() == [0, 1]
    assert len(recipes.unchanged(rows, recipes.FOCUS_RECIPES, fused=True)) == 4
    bones = {"utd_mhad": replace(recipe, stream="bone")}
    told = pd.DataFrame([row | {"streams": name} for name in ("joint", "bone", np.nan)])
    assert recipes.unchanged(told, bones).index.tolist() == [1, 2]
    older = rows.drop(columns="noise")
    older.loc[0, "exploration"] = np.nan
    assert recipes.unchanged(older, recipes.FOCUS_RECIPES)["seed"].tolist() == [0, 1]
    assert list(recipes.unchanged(rows[rows["dataset"] == "synthetic"], recipes.FOCUS_RECIPES).columns) == list(rows)


def test_learning_curves_survive_the_way_into_a_row_and_back():
    accuracy = {"short": [0.1, 0.5], "long": [0.2, 0.4, 0.6]}
    histories = {n: pd.DataFrame({"epoch": range(len(values)), "accuracy": values}) for n, values in accuracy.items()}
    rows = recipes.curves(histories, "step")
    assert rows["step"].tolist() == ["short", "long"]
    other = rows.assign(**{"accuracy 0": [0.3, 0.2]})
    found = recipes.over_epochs(pd.concat([rows, other]).assign(width=0.5), "step")
    expected = {"epoch": [0, 1, 2], "long accuracy": [0.2, 0.4, 0.6], "short accuracy": [0.2, 0.5, np.nan]}
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected), check_like=True)


def test_true_lengths_are_a_recipes_choice_too():
    row = {"dataset": "nw_ucla"} | recipes.described(recipes.get("nw_ucla", recipes.VIDEO_RECIPES))
    rows = pd.DataFrame([row, row | {"num_frames": 48}])
    assert recipes.unchanged(rows, recipes.VIDEO_RECIPES).index.tolist() == [0]


@pytest.mark.parametrize("text", ["", "msg3d, sft", "stf stf"])
def test_steps_are_names_each_once(text):
    assert recipes.parse_steps("msg3d, stf stgcn") == ["msg3d", "stf", "stgcn"]
    with pytest.raises(ValueError, match="needed names from"):
        recipes.parse_steps(text)


@pytest.mark.parametrize("text", ["", "0.1; 0.2", "half", "0 1", "0.5 1.5", "0.1 0.1", "nan"])
def test_shares_are_numbers_each_once(text):
    assert recipes.parse_shares("0.1, 0.25 1") == [0.1, 0.25, 1.0]
    with pytest.raises(ValueError, match="needed numbers above 0"):
        recipes.parse_shares(text)


class Counted:
    """A watch that tells how often it has measured."""

    def __init__(self, name):
        self.name, self.calls = name, 0

    def __call__(self, network):
        self.calls += 1
        return {"watched": float(self.calls)}

    def digest(self):
        return self.name


def test_what_was_watched_does_not_outlive_what_measured_it(little, monkeypatch):
    recipe, clips = little
    recipe.fit(clips, 0, progress=False)
    first, again, other, later = Counted("a"), Counted("a"), Counted("b"), Counted("a")
    _, history = recipe.fit(clips, 0, watch=first, progress=False)
    assert history.epochs["watched"].tolist() == [1, 2]  # though the same training had finished without a watch
    assert recipe.fit(clips, 0, watch=again, progress=False)[1].epochs["watched"].tolist() == [1, 2]
    recipe.fit(clips, 0, watch=other, progress=False)
    monkeypatch.setattr(runs, "library", lambda: "other code")
    recipe.fit(clips, 0, watch=later, progress=False)
    assert [one.calls for one in (first, again, other, later)] == [2, 0, 2, 2]


def test_no_checkpoint_outlives_code_that_training_reads():
    unread = {"__init__", "_clip_checks", "_clip_files", "checkpoints", "paths", "scores"}  # none decides a weight
    root, seen, ahead = Path(lib.__file__).parent, set(), {"lib.training", "lib.models"}
    while ahead:
        name = ahead.pop()
        path = root.parent.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if path.is_file() and path not in seen:
            seen.add(path)
            found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
            found = [node for node in found if node.module.startswith("lib")]
            ahead |= {node.module for node in found}
            ahead |= {f"{node.module}.{one.name}" for node in found for one in node.names}
    needed = {path for path in seen if path.parent != root or path.stem not in unread}
    assert root / "_epochs.py" in needed
    assert needed <= set(_recipe.deciding_files())
