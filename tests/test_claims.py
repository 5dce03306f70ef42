"""Claims put to made-up runs of which the answer is known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lib import claims, recipes, robustness, trust
from lib.focus import TERMS

MASSES = (0.6, 0.6, 0.6, 0.5, 0.4, 0.1)  # over layers; flat, then falling
SEEDS = (0, 1, 2)


def clean_and_noisy(masses=MASSES, levels=((0.04, 0.01), (0.16, 0.5)), chance=0.8):
    """Runs in which noise moves every layer by the given share of its way to chance, and another corruption farther."""
    rows = []
    spoilt = [("joint_noise", step, level, share) for step, (level, share) in enumerate(levels, start=1)]
    spoilt.append(("joint_dropout", 1, 0.25, 0.6))
    for seed, (corruption, step, level, share) in itertools.product(SEEDS, [*spoilt, ("none", 0, 0.0, 0.0)]):
        row = {"dataset": "utd_mhad", "seed": seed, "step": step, "level": level, "unit": "m", "num_classes": 4}
        row |= {"corruption": corruption, "test": 0.9 - share, "chance_mass": chance}
        for layer, mass in enumerate(masses):
            row |= {f"{measure} layers.{layer}": np.nan for measure in robustness.MEASURES}
            row[f"cross_class_mass layers.{layer}"] = mass + share * (chance - mass) + 0.001 * seed * (layer == 0)
            row[f"untrained_cross_class_mass layers.{layer}"] = 0.7 - 0.04 * layer
        rows.append(row)
    return pd.DataFrame(rows)


def transfers(accuracy, sources=("nw_ucla",), targets=("utd_mhad",)):
    """Runs in which `accuracy(start, num_tuned)` is reached, but for a little."""
    rows = []
    for source, target, seed, start, depth in itertools.product(
        sources, targets, SEEDS, ("trained", "fresh"), (0, 2, 10)
    ):
        row = {"source": source, "dataset": target, "seed": seed, "start": start, "num_tuned": depth}
        mass = 1 - depth / 20 if start == "trained" else depth / 20
        scores = {"cross-class mass": mass, "linear probe": 0.5, "LogME": 0.5, "nearest neighbour": 0.5}
        rows.append(row | scores | {"accuracy": accuracy(start, depth) + 0.001 * seed * (depth == 2)})
    return pd.DataFrame(rows)


def test_claims_about_layers_are_shares_of_chance():
    found = claims.geometry(clean_and_noisy()).droplevel("dataset")
    assert found["verdict"].to_dict() == {
        "labels are smoother in layers.5 than in layers.0": "holds",
        "layers.5 is smoother than in the untrained network": "holds",
        "the last three layers do more of it than all before": "holds",
        "up to layers.2 smoothness moves by less than a tenth": "holds",
        "noise of 4 cm takes less than a tenth of the smoothness of layers.5": "holds",
        "noise of 16 cm takes less than a tenth of the smoothness of layers.5": "does not hold",
    }
    assert found["mean"].iloc[0] == pytest.approx((0.5 + 0.001) / 0.8)
    assert found["mean"].iloc[1] == pytest.approx(0.4 / 0.8)
    assert found["mean"].iloc[4:].tolist() == pytest.approx([0.09, -0.4])


def test_a_curve_that_falls_early_is_no_flat_one():
    found = claims.geometry(clean_and_noisy((0.6, 0.4, 0.2, 0.2, 0.2, 0.2))).droplevel("dataset")["verdict"]
    assert found["the last three layers do more of it than all before"] == "does not hold"
    assert found["up to layers.2 smoothness moves by less than a tenth"] == "does not hold"


@pytest.mark.parametrize("masses", [(0.6, 0.6, 0.72, 0.5, 0.4, 0.1), (0.6, 0.3, 0.6, 0.5, 0.4, 0.1)])
def test_neither_is_one_that_rises_or_comes_back(masses):
    found = claims.geometry(clean_and_noisy(masses)).droplevel("dataset")["verdict"]
    assert found["up to layers.2 smoothness moves by less than a tenth"] == "does not hold"


def test_the_last_three_layers_need_others_before_them():
    with pytest.raises(ValueError, match=r"layers \['layers.0', .*'layers.3'\]; needed at least five"):
        claims.geometry(clean_and_noisy((0.6, 0.5, 0.4, 0.1)))


def test_claims_about_tuning_are_points():
    early = transfers(lambda start, depth: 0.5 + 0.01 * depth + (start == "trained") * (0.1 + 0.01 * depth))
    early = claims.transfer(early).droplevel("dataset")
    assert early["mean"].iloc[:2].tolist() == pytest.approx([20.0, 10.0])
    assert early.loc["tuning the last 2 layers is as good as tuning all 10, within a point", "mean"] == pytest.approx(
        claims.SLACK - 15.9
    )
    assert early["verdict"].tolist() == ["holds", "holds", "does not hold", "holds"]
    late = claims.transfer(transfers(lambda start, depth: 0.5 - 0.01 * depth)).droplevel("dataset")
    assert late["verdict"].tolist() == ["not decided", "not decided", "holds", "does not hold"]


def test_sources_are_averaged_before_seeds_are_compared():
    rows = transfers(lambda start, depth: 0.6 + 0.001 * depth, sources=("nw_ucla", "msr_action3d"))
    rows.loc[(rows["source"] == "nw_ucla") & (rows["start"] == "trained"), "accuracy"] += 0.2
    found = claims.transfer(rows)
    assert found["mean"].iloc[0] == pytest.approx(10)
    assert (found["seeds"] == len(SEEDS)).all()


def test_stf_is_compared_with_msg3d_of_the_same_seed_and_target():
    rows = [
        {"dataset": "nw_ucla", "seed": seed, "step": step, "start": "trained", "num_tuned": 0, "accuracy": value}
        for seed in SEEDS
        for step, value in (("msg3d", 0.1 * seed), ("stf", 0.1 * seed + 0.02))
    ]
    decoy = {"dataset": "nw_ucla", "seed": 0, "step": "stf", "accuracy": 0.0}
    decoys = [decoy | {"start": "fresh", "num_tuned": 0}, decoy | {"start": "trained", "num_tuned": 1}]
    found = claims.shift(pd.DataFrame([*rows, *decoys]))
    assert found["mean"].item() == pytest.approx(2)
    assert found["verdict"].item() == trust.VERDICTS[0]


def test_rows_that_compare_are_of_one_budget_and_real_sources():
    recipe = recipes.get("utd_mhad", recipes.TRANSFER_RECIPES)
    row = recipes.described(recipe) | {"dataset": "utd_mhad", "source": "nw_ucla", "step": "stgcn", "test": 0.5}
    row |= dict.fromkeys(TERMS, 0.0) | {"per_class": 5, "num_neighbors": 5, "norms": None}
    others = [{"per_class": 2}, {"num_neighbors": 3}, {"source": "synthetic"}, {"width": 1.0}]
    found = claims.transfers(pd.DataFrame([row, *(row | other for other in others), row | {"norms": "target"}]))
    assert found["norms"].tolist() == ["source", "target"]
    assert found["accuracy"].tolist() == [0.5, 0.5]
