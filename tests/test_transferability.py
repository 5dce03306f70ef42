import numpy as np
import oracles_transfer as oracles
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import datasets, dtw, features, geometry, graphs, protocols, recipes, smoothness, transferability
from lib.clips import ClipSet


def clouds(rng, num_classes=3, per_class=8, dimensions=5, apart=2.0):
    labels = np.repeat(np.arange(num_classes), per_class)
    centers = apart * rng.normal(size=(num_classes, dimensions))
    return centers[labels] + rng.normal(size=(len(labels), dimensions)), labels


@pytest.mark.parametrize(("dimensions", "apart"), [(2, 2.0), (5, 1.0), (40, 1.0)])
def test_logme_is_the_greatest_evidence(rng, dimensions, apart):
    features, labels = clouds(rng, dimensions=dimensions, apart=apart)
    assert transferability.logme(features, labels) == pytest.approx(oracles.logme(features, labels), abs=2e-4)


def test_logme_of_features_that_tell_the_classes_exactly_is_finite_and_highest(rng):
    features, labels = clouds(rng)
    exact = np.eye(3)[labels]
    assert np.isfinite(transferability.logme(exact, labels))
    assert transferability.logme(exact, labels) > transferability.logme(features, labels)


@given(st.integers(0, 100))
def test_scores_do_not_know_the_order_of_clips_or_the_numbers_of_classes(seed):
    rng = np.random.default_rng(seed)
    features, labels = clouds(rng)
    order, renamed = rng.permutation(len(labels)), rng.permutation(3)
    for score in (transferability.logme, transferability.nearest_neighbor):
        assert score(features[order], renamed[labels][order]) == pytest.approx(score(features, labels), rel=1e-9)
    apart = features + 30 * np.eye(3, 5)[labels]
    assert geometry.linear_probe(apart[order], renamed[labels][order]).cross_validated == 1.0


def test_nearest_neighbor_matches_the_plain_loop(rng):
    for apart in (0.0, 1.0, 5.0):
        features, labels = clouds(rng, apart=apart)
        assert transferability.nearest_neighbor(features, labels) == oracles.nearest_neighbor(features, labels)


def test_every_score_prefers_classes_that_are_apart(rng):
    near, labels = clouds(rng, apart=0.0, per_class=15)
    far, _ = clouds(rng, apart=4.0, per_class=15)
    for score in (transferability.logme, transferability.nearest_neighbor):
        assert score(far, labels) > score(near, labels)


def test_layers_are_scored_in_their_order_after_the_clips():
    recipe = recipes.get("synthetic", recipes.FOCUS_RECIPES, num_frames=12)
    recipe = recipes.focus_step(recipe, "stgcn")
    clips = recipe.prepare(datasets.load("synthetic", split="train", limit=40, progress=False))
    clips = clips.subset(protocols.budget(clips, 2, 0))
    alone = [np.concatenate([clip.x[:, :1], 0 * clip.x[:, :1]], axis=1) for clip in clips]  # a second person is absent
    clips = ClipSet.from_arrays(alone, clips.labels, clips.skeleton, class_names=clips.class_names)
    model = recipe.build(clips, 0)
    found = transferability.by_layer(model, clips, num_neighbors=3)
    assert list(found.index) == ["clips", *model.layer_names]
    assert list(found.columns) == list(transferability.SCORES)
    assert np.isfinite(found.to_numpy()).all()
    assert found["cross-class mass"].between(0, 1).all()
    joints = features.extract(model, clips, pool="joints")["layers.9"]
    check_scores(found.loc["layers.9"], features.extract(model, clips, ["layers.9"])["layers.9"], joints, clips, 4)
    assert not all(clip.present.all() for clip in clips)
    persons = [[clip.x[: clip.length, m] for m in np.flatnonzero(clip.present)] for clip in clips]
    frames = [np.reshape(sum(each) / len(each), (len(each[0]), -1)) for each in persons]
    check_scores(found.loc["clips"], frames, frames, clips, 1)


def check_scores(row, sequences, averaged, clips, stride):
    """Scores of a layer whose frames are `stride` input frames apart, against direct ones."""
    vectors = np.stack([part.mean(axis=0) for part in averaged])
    size = max(4 // stride, 1)
    distances = dtw.pairwise(sequences, window_size=size, stride=size, radius=0.2, normalize="path")
    graph = graphs.nnk(distances, 3, sigma=graphs.bandwidth(distances, 3, scale=1 / 3))
    assert row["cross-class mass"] == pytest.approx(smoothness.label_smoothness(graph, clips.labels).cross_class_mass)
    assert row["linear probe"] == geometry.linear_probe(vectors, clips.labels).cross_validated
    assert row["LogME"] == pytest.approx(transferability.logme(vectors, clips.labels), rel=1e-5)
    assert row["nearest neighbour"] == transferability.nearest_neighbor(vectors, clips.labels)


def test_agreement_orders_depths_and_prices_the_choice():
    rows = pd.DataFrame({"accuracy": [0.5, 0.7, 0.9, np.nan], "error": [0.4, 0.3, 0.1, 0.0], "luck": [3.0, 1, 2, 5]})
    found = transferability.agreement(rows, {"error": -1, "luck": 1})
    assert found.loc["error", "correlation"] == pytest.approx(1.0)
    assert found.loc["error", "regret"] == 0
    assert found.loc["luck", "correlation"] == pytest.approx(-0.5)
    assert found.loc["luck", "regret"] == pytest.approx(0.4)
    flat = transferability.agreement(rows.assign(luck=1.0), {"luck": 1})
    assert np.isnan(flat.loc["luck", "correlation"])
    assert flat.loc["luck", "regret"] == pytest.approx(0.2)  # 0.9 less the mean of all three
    with pytest.raises(ValueError, match="1 depths with all of"):
        transferability.agreement(rows.iloc[2:], {"luck": 1})


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.full((3, 2), np.nan), np.arange(3), "NaN or inf"),
        (np.zeros((3, 2)), np.zeros(3, int), "a single class"),
    ],
)
def test_unusable_features_are_refused(features, labels, message):
    for score in (transferability.logme, transferability.nearest_neighbor):
        with pytest.raises(ValueError, match=message):
            score(features, labels)


def test_every_transfer_is_judged_beside_rules_that_look_at_nothing():
    rows = [
        {"source": source, "dataset": "b", "seed": seed, "num_tuned": depth, "accuracy": 0.5 + 0.1 * depth}
        | {"cross-class mass": depth, "linear probe": depth, "LogME": depth, "nearest neighbour": -depth}
        for source in ("a", "c")
        for seed in (0, 1)
        for depth in (0, 1, 2)
    ]
    found = transferability.judged(pd.DataFrame(rows))
    assert len(found) == 2 * 2 * 6
    one = found[(found["source"] == "c") & (found["seed"] == 1)].set_index("predictor")
    assert one["correlation"].round(9).to_dict() == {
        "cross-class mass": -1,
        "linear probe": 1,
        "LogME": 1,
        "nearest neighbour": -1,
        "tune everything": 1,
        "tune the classifier": -1,
    }
    assert one["regret"].round(9).tolist() == [0.2, 0, 0, 0.2, 0, 0.2]


def test_a_transfer_of_one_depth_has_nothing_to_order():
    row = {"source": "a", "dataset": "b", "seed": 0, "num_tuned": 0, "accuracy": 0.5} | dict.fromkeys(
        transferability.SCORES, 0.5
    )
    found = transferability.judged(pd.DataFrame([row]))
    assert list(found.columns) == ["source", "dataset", "seed", "predictor", "correlation", "regret"]
    assert len(found) == 0
