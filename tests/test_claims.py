"""Claims put to made-up runs of which the answer is known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lib import claims, robustness, trust

MASSES = (0.6, 0.6, 0.6, 0.5, 0.4, 0.1)  # over layers; flat, then falling
SEEDS = (0, 1, 2)


def clean_and_noisy(masses=MASSES, levels=((0.04, 0.01), (0.16, 0.5)), chance=0.8):
    """Runs in which noise moves every layer by the given share of its way to chance."""
    rows = []
    for seed, (level, share) in itertools.product(SEEDS, [(0.0, 0.0), *levels]):
        step = [0.0, *(at for at, _ in levels)].index(level)
        row = {"dataset": "utd_mhad", "seed": seed, "step": step, "level": level, "unit": "m", "num_classes": 4}
        row |= {"corruption": "joint_noise" if step else "none", "test": 0.9 - share, "chance_mass": chance}
        for layer, mass in enumerate(masses):
            row |= {f"{measure} layers.{layer}": np.nan for measure in robustness.MEASURES}
            row[f"cross_class_mass layers.{layer}"] = mass + share * (chance - mass) + 0.001 * seed * (layer == 0)
            row[f"untrained_cross_class_mass layers.{layer}"] = 0.5
        rows.append(row)
    return pd.DataFrame(rows)


def transfers(accuracy, sources=("nw_ucla",), targets=("utd_mhad",)):
    """Runs in which `accuracy(start, num_tuned)` is reached, but for a little."""
    rows = []
    for source, target, seed, start, depth in itertools.product(
        sources, targets, SEEDS, ("trained", "fresh"), (0, 2, 10)
    ):
        row = {"source": source, "dataset": target, "seed": seed, "start": start, "num_tuned": depth}
        scores = {"cross-class mass": 1 - depth / 20, "linear probe": 0.5, "LogME": 0.5, "nearest neighbour": 0.5}
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


def test_claims_about_tuning_are_points():
    early = claims.transfer(transfers(lambda start, depth: 0.5 + 0.02 * depth + 0.1 * (start == "trained")))
    early = early.droplevel("dataset")
    assert early["mean"].iloc[:2].tolist() == pytest.approx([10.0, 10.0])
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
    decoy = {"dataset": "nw_ucla", "seed": 0, "step": "stf", "start": "fresh", "num_tuned": 0, "accuracy": 0.0}
    found = claims.shift(pd.DataFrame([*rows, decoy]))
    assert found["mean"].item() == pytest.approx(2)
    assert found["verdict"].item() == trust.VERDICTS[0]
