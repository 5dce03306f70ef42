"""What spoiled clips do to a network: overlap, damage, verdicts, and the table over layers."""

import numpy as np
import oracles_corruptions as oracles
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lib import corruptions, datasets, graphs, models, robustness, smoothness, training
from lib.robustness import GraphConfig


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30))
def test_chance_mass_matches_the_oracle(labels):
    assert robustness.chance_mass(np.array(labels)) == pytest.approx(oracles.chance_mass(labels), abs=1e-12)


def test_chance_mass_is_that_of_permuted_labels(rng):
    labels = rng.integers(3, size=40)
    points = rng.normal(size=(40, 2))
    graph = graphs.knn(cdist(points, points), 5)
    permuted = smoothness.permutation_baseline(graph, labels, rng=rng, num_permutations=2000).total.cross_class_mass
    assert permuted.mean() == pytest.approx(robustness.chance_mass(labels), abs=4 * permuted.std() / np.sqrt(2000))


@given(st.floats(0, 0.4), st.floats(0.5, 1), st.floats(0, 1))
def test_damage_is_0_at_the_clean_value_and_1_at_chance(clean, chance, share):
    assert robustness.damage(clean, clean + share * (chance - clean), chance) == pytest.approx(share, abs=1e-9)
    assert robustness.damage(1 - clean, 1 - chance, 1 - chance) == pytest.approx(1)  # accuracy falls towards chance


def runs_of(clean_accuracy, accuracy, clean_mass, mass, untrained, seeds=(0, 1, 2)):
    """Tables of runs in which noise changes accuracy and mass alike in all seeds, but for a little."""
    shared = {"dataset": "utd_mhad", "unit": "m"}
    steps = ({"corruption": "none", "step": 0, "level": 0.0}, {"corruption": "joint_noise", "step": 2, "level": 0.02})
    answered, seen = [], []
    for seed in seeds:
        for step, right, share, bare in zip(
            steps, (clean_accuracy, accuracy), (clean_mass, mass), (0.5, untrained), strict=True
        ):
            row = shared | step | {"seed": seed}
            answered.append(row | {"num_classes": 10, "test": right + 0.001 * seed})
            masses = {"cross_class_mass": share + 0.001 * seed, "untrained_cross_class_mass": bare}
            seen.append(row | masses | {"layer": "layers.9", "depth": 9, "chance_mass": 0.9})
            early = {"cross_class_mass": share + 0.1 * (step["step"] > 0), "untrained_cross_class_mass": bare}
            seen.insert(0, row | early | {"layer": "layers.0", "depth": 0, "chance_mass": 0.9})
    return pd.DataFrame(answered), pd.DataFrame(seen)


def test_damages_are_shares_of_the_way_to_chance_in_each_run():
    found = robustness.damages(*runs_of(0.9, 0.5, 0.1, 0.3, 0.6, seeds=[0]))
    early, late = found["layer"] == "layers.0", found["layer"] != "layers.0"
    assert found[early].set_index("series")["value"].round(9)["smoothness"] == 0.375
    assert found[late].set_index("series")["value"].round(9).to_dict() == {
        "accuracy": 0.5,
        "smoothness": 0.25,
        "smoothness, untrained": 0.25,
    }
    assert set(found["step"]) == {2}


def test_the_honest_test_set_counts_where_there_are_two():
    answered, seen = runs_of(0.9, 0.5, 0.1, 0.3, 0.6, seeds=[0])
    found = robustness.damages(answered.assign(test_clean=[0.6, 0.1]), seen)
    assert found.loc[found["series"] == "accuracy", "value"].item() == pytest.approx(1)


def test_claims_are_decided_by_seeds():
    found = robustness.damages(*runs_of(0.9, 0.5, 0.1, 0.3, 0.5))
    table = robustness.claims(found, "layers.9").droplevel(["dataset", "corruption", "step", "level"])
    assert table["verdict"].to_dict() == dict(
        zip(robustness.CLAIMS, ["holds", "does not hold", "holds", "does not hold", "holds"], strict=True)
    )
    assert table["seeds"].tolist() == [3] * 5
    mild = robustness.claims(robustness.damages(*runs_of(0.9, 0.9, 0.1, 0.11, 0.6)), "layers.9")
    assert mild["verdict"].tolist() == ["holds", "holds", "does not hold", "holds", "holds"]
    alone = robustness.claims(robustness.damages(*runs_of(0.9, 0.5, 0.1, 0.3, 0.5, seeds=[0])), "layers.9")
    assert set(alone["verdict"]) == {"not decided"}


def test_verdicts_follow_the_ends_of_the_interval():
    assert [robustness.verdict(*ends) for ends in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))] == list(robustness.CHOICES)
    assert robustness.verdict(np.nan, np.nan) == "not decided"


def test_answers_are_paired_over_clips(network):
    clips = network[0]
    right = np.eye(len(clips.class_names))[clips.labels]
    spoiled = right.copy()
    spoiled[::4] = np.roll(spoiled[::4], 1, axis=1)
    some = np.isin(np.arange(len(clips)), [1, 2, 3])
    found = robustness.answers(right, spoiled, clips.labels, {"test": ~some | some, "test_clean": some})
    assert (found["test"], found["test_change"]) == (0.75, -0.25)
    assert found["test_low"] < -0.25 < found["test_high"] < 0
    assert [found[f"test_clean{part}"] for part in ("", "_change", "_low", "_high")] == [1, 0, 0, 0]


@pytest.fixture(scope="module")
def network():
    raw = datasets.load("synthetic", limit=16, split="test")
    fresh = [
        models.build("stgcn", num_classes=len(raw.class_names), skeleton=raw.skeleton, width=0.0625, seed=seed)
        for seed in (0, 1)
    ]
    return raw, *(training.calibrate_norms(model, raw) for model in fresh)


def test_the_table_of_equal_views_says_so(network):
    clips, model, other = network
    config = GraphConfig(num_neighbors=5)
    layers = ["layers.0", "layers.9"]
    clean = robustness.view(model, clips, clips.labels, layers=layers, config=config)
    control = robustness.view(other, clips, clips.labels, layers=layers, config=config)
    rows = robustness.by_layer(clean, clean, clips, model.layer_strides, (control, control))
    assert rows["layer"].tolist() == layers
    np.testing.assert_array_equal(rows[["overlap", "untrained_overlap"]], 1)
    np.testing.assert_allclose(rows["map_agreement"], 1)
    assert (rows["map_zero"].abs() < 0.9).all()
    assert (rows["interpolation_error"] != rows["untrained_interpolation_error"]).any()


def test_a_spoiled_view_differs_and_smoothness_is_that_of_its_own_graph(network):
    clips, model, other = network
    spoiled = corruptions.corrupt(clips, "joint_noise", 0.1)
    config = GraphConfig(num_neighbors=5)
    clean, after = (
        robustness.view(model, part, clips.labels, layers=["layers.4"], config=config) for part in (clips, spoiled)
    )
    control = robustness.view(other, clips, clips.labels, layers=["layers.4"], config=config)
    rows = robustness.by_layer(clean, after, clips, model.layer_strides, (control, control))
    smooth = smoothness.label_smoothness(after.graphs["layers.4"], clips.labels)
    assert rows["cross_class_mass"].item() == smooth.cross_class_mass
    assert rows["interpolation_error"].item() == smooth.interpolation_error
    assert 0 < rows["overlap"].item() < 1
    assert rows["map_agreement"].item() < 1


def test_a_view_without_a_class_has_no_maps(network):
    clips, model, _ = network
    seen = robustness.view(model, clips, layers=["layers.9"], config=GraphConfig(num_neighbors=3))
    assert seen.maps == {}
    assert list(seen.graphs) == ["layers.9"]
