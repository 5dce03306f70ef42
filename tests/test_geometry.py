"""Measures of layers beside smoothness, and settings of the graph."""

import numpy as np
import oracles_geometry as oracles
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lib import geometry, graphs
from lib.geometry import Setting

SIZES = {"n": st.integers(4, 9), "d": st.integers(1, 6), "seed": st.integers(0, 2**16)}
STRIDES = {"a": 1, "b": 2}


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def walks(rng, n=14, frames=(8, 13)):
    """Sequences of two layers, the second with half the frames, in two classes."""
    labels = np.arange(n) % 2
    parts = [rng.normal(size=(rng.integers(*frames), 3)) + 2 * label for label in labels]
    return {"a": parts, "b": [part[::2] ** 2 for part in parts]}, labels


# --- measures --------------------------------------------------------------------------------------------------------


@given(**SIZES)
def test_cka_is_that_of_the_oracle_and_knows_no_turn_place_or_scale(n, d, seed):
    x, y = draw(n, d, seed), draw(n, d + 1, seed + 1)
    found = geometry.cka(x, y)
    assert found == pytest.approx(oracles.cka(x.tolist(), y.tolist()), rel=1e-6, abs=1e-9)
    turn = np.linalg.qr(draw(d, d, seed + 2))[0]
    assert geometry.cka(3.0 * x @ turn + 1.0, y) == pytest.approx(found, rel=1e-6, abs=1e-9)
    assert geometry.cka(x, x) == pytest.approx(1.0)


def test_cka_of_unrelated_layers_is_about_zero_with_more_dimensions_than_clips():
    found = [geometry.cka(draw(30, 500, seed), draw(30, 500, seed + 100)) for seed in range(10)]
    assert abs(np.mean(found)) < 0.02


@given(**SIZES)
def test_information_imbalance_is_that_of_the_oracle(n, d, seed):
    first, second = (cdist(x, x) for x in (draw(n, d, seed), np.round(draw(n, d, seed + 1))))  # with ties
    expected = oracles.information_imbalance(first.tolist(), second.tolist())
    assert geometry.information_imbalance(first, second) == pytest.approx(expected)


def test_a_layer_that_forgets_is_known_by_the_other_and_does_not_know_it():
    x = draw(200, 2)
    whole, part = cdist(x, x), cdist(x[:, :1], x[:, :1])
    assert geometry.information_imbalance(whole, whole) == pytest.approx(2 / 200)
    assert geometry.information_imbalance(whole, part) < 0.5 * geometry.information_imbalance(part, whole)
    other = draw(200, 2, seed=1)
    assert geometry.information_imbalance(whole, cdist(other, other)) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_dimension_of_a_flat_cloud_is_found_in_any_space(d):
    x = np.random.default_rng(d).uniform(size=(1500, d)) @ draw(d, 20)
    assert geometry.intrinsic_dimension(cdist(x, x)) == pytest.approx(d, rel=0.15)


def test_of_copies_one_is_kept():
    x = np.random.default_rng(0).uniform(size=(300, 2))
    twice = np.r_[x, x]
    alone = geometry.intrinsic_dimension(cdist(x, x))
    found = geometry.intrinsic_dimension(np.round(cdist(twice, twice), 12))
    assert found == pytest.approx(alone, rel=0.05)
    with pytest.raises(ValueError, match="1 clips without copies"):
        geometry.intrinsic_dimension(np.zeros((5, 5)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geometry.cka(draw(3, 2), draw(3, 2)), "3 and 3 clips; needed .* at least 4"),
        (lambda: geometry.cka(draw(5, 2), draw(4, 2)), "5 and 4 clips"),
        (lambda: geometry.cka(draw(5, 2), np.ones((5, 2))), "all the same"),
        (lambda: geometry.intrinsic_dimension(np.ones((3, 4))), r"shape \(3, 4\); needed \(N, N\)"),
        (lambda: geometry.intrinsic_dimension(np.full((4, 4), np.nan)), "NaN or inf"),
        (lambda: geometry.information_imbalance(np.ones((3, 3)), np.ones((4, 4))), "3 and 4 clips"),
    ],
)
def test_what_is_no_measure_of_layers_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- probe -----------------------------------------------------------------------------------------------------------


def test_a_probe_finds_what_is_linear_and_only_that():
    x, labels = draw(120, 5), np.arange(120) % 2
    x[:, 0] += 6 * labels
    groups = np.arange(120) // 2 % 6
    probe = geometry.linear_probe(x, labels, groups=groups)
    assert probe.cross_validated > 0.95
    assert (probe.classifier.predict(draw(40, 5, 1) + np.eye(5)[0] * 6) == 1).mean() > 0.95
    nothing = geometry.linear_probe(draw(120, 5, 7), labels, groups=groups)
    assert nothing.cross_validated < 0.65


def test_whole_subjects_are_held_out():
    """Each subject has a place of its own and a class of its own: nothing that carries over to another subject."""
    subjects = np.repeat(np.arange(6), 10)
    x = draw(60, 6) * 0.01 + np.eye(6)[subjects]
    labels = subjects % 2
    assert geometry.linear_probe(x, labels).cross_validated == 1.0
    assert geometry.linear_probe(x, labels, groups=subjects).cross_validated < 0.6
    with pytest.raises(ValueError, match="2 classes, 1 groups; needed at least 2"):
        geometry.linear_probe(x, labels, groups=np.zeros(60, int))


@pytest.mark.parametrize("order", [np.arange(50), np.arange(50).reshape(10, 5).T.ravel()], ids=["sorted", "in turn"])
def test_every_fold_holds_every_class_whatever_the_order_of_clips(order):
    labels = np.repeat(np.arange(10), 5)
    x = draw(50, 10) * 0.01 + np.eye(10)[labels]
    assert geometry.linear_probe(x[order], labels[order]).cross_validated == 1.0
    assert geometry.linear_probe(x[order], labels[order], num_folds=99).cross_validated == 1.0  # five clips of each


def test_a_class_of_one_clip_cannot_be_held_out():
    labels = np.array([0, 0, 0, 1, 1, 7])
    with pytest.raises(ValueError, match="3 classes, 1 clips of class 7; needed at least 2"):
        geometry.linear_probe(draw(6, 3), labels)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_of_measures_has_a_row_per_layer(rng):
    sequences, labels = walks(rng)
    features = geometry.vectors(sequences)
    matrices = geometry.distances(sequences, STRIDES, Setting())
    rows = geometry.by_layer(matrices, features, labels, train=features, train_labels=labels)
    assert rows["layer"].tolist() == ["a", "b"]
    assert rows["cka_last"].iloc[-1] == pytest.approx(1)
    assert rows["imbalance_to_last"].iloc[-1] == pytest.approx(2 / 14)
    assert rows["probe"].iloc[0] == 1.0
    between = geometry.between_layers(features)
    assert between.loc["a", "b"] == pytest.approx(rows["cka_last"].iloc[0])
    np.testing.assert_allclose(between, between.T)


# --- settings --------------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_their_oracles(rng, dtw):
    sequences, _ = walks(rng, n=5)
    plain = geometry.distances(sequences, STRIDES, Setting(window_size=1, stride=1, radius=None))
    pooled = geometry.distances(sequences, STRIDES, Setting("pooled"))
    resampled = geometry.distances(sequences, STRIDES, Setting("resampled"))
    for layer, parts in sequences.items():
        assert plain[layer][0, 1] == pytest.approx(dtw.distance(*parts[:2], normalize="path"), rel=1e-5)
        assert pooled[layer][0, 1] == pytest.approx(np.linalg.norm(parts[0].mean(axis=0) - parts[1].mean(axis=0)))
        longest = max(map(len, parts))
        expected = oracles.resampled_distance(parts[0].tolist(), parts[1].tolist(), longest)
        assert resampled[layer][0, 1] == pytest.approx(expected)
    with pytest.raises(ValueError, match="metric='cosine'; choose one of"):
        geometry.distances(sequences, STRIDES, Setting("cosine"))


def test_neighbors_are_those_of_nnk_over_the_distances(rng):
    sequences, _ = walks(rng, n=12)
    setting = Setting(num_neighbors=4, sigma_scale=0.5)
    for layer, graph in geometry.neighbors(sequences, STRIDES, setting).items():
        matrix = geometry.distances(sequences, STRIDES, setting)[layer]
        expected = graphs.nnk(matrix, 4, sigma=graphs.bandwidth(matrix, 4, scale=0.5))
        np.testing.assert_array_equal(graph.indices, expected.indices)
        np.testing.assert_array_equal(graph.weights, expected.weights)


def test_overlap_is_that_of_sets(rng):
    first, second = (graphs.knn(cdist(x, x), k) for x, k in ((draw(9, 2), 3), (draw(9, 2, 1), 5)))
    second.weights[4] = 0
    sets = [[set(row[w > 0]) for row, w in zip(g.indices, g.weights, strict=True)] for g in (first, second)]
    np.testing.assert_allclose(geometry.jaccard(first, second), oracles.jaccard(*sets))
    np.testing.assert_array_equal(geometry.jaccard(first, second), geometry.jaccard(second, first))
    assert (geometry.jaccard(first, first) == 1).all()


def test_clips_without_neighbours_agree(rng):
    points = np.array([[0.0], [1.0], [2.5], [900.0]])
    alone = graphs.nnk(cdist(points, points), 2, sigma=1.0)
    assert alone.num_neighbors[3] == 0
    np.testing.assert_array_equal(geometry.jaccard(alone, alone), 1)
    with pytest.raises(ValueError, match="graphs of 4 and 9 clips; needed the same"):
        geometry.jaccard(alone, graphs.knn(cdist(draw(9, 2), draw(9, 2)), 3))


def test_variations_differ_from_the_default_in_one_respect():
    default = Setting(window_size=8)
    found = geometry.variations(default)
    assert "window_size 8" not in found
    changed = [sum(a != b for a, b in zip(setting, default, strict=True)) for setting in found.values()]
    assert changed[:-1] == [1] * (len(found) - 1)
    assert list(found)[-1] == "plain DTW"
    assert len(set(found.values())) == len(found)
    assert "plain DTW" not in geometry.variations(Setting(window_size=1, stride=1))
    assert "plain DTW" not in geometry.variations(Setting(window_size=1))  # its stride 1


def test_sensitivity_compares_with_the_default(rng):
    sequences, labels = walks(rng)
    noise = {layer: [rng.normal(size=part.shape) for part in parts] for layer, parts in sequences.items()}
    settings = {"same": Setting(num_neighbors=4), "more": Setting(num_neighbors=8), "pooled": Setting("pooled")}
    rows = geometry.sensitivity(
        sequences, STRIDES, labels, Setting(num_neighbors=4), settings=settings, networks={"noise": noise}
    ).set_index("setting")
    assert rows.index.tolist() == ["default", "same", "more", "pooled", "noise"]
    assert rows.loc["same", "jaccard"] == 1
    assert rows.loc["more", "jaccard"] < 1
    assert rows.loc["more", "neighbors_a"] > rows.loc["same", "neighbors_a"]
    assert rows.loc["noise", "jaccard"] < rows.loc["pooled", "jaccard"]
    assert (rows["jaccard"] - rows[["jaccard_a", "jaccard_b"]].mean(axis=1)).abs().max() < 1e-12
    pair = rows.loc["pooled", ["mass_a", "mass_b"]].to_numpy(float)
    assert np.isnan(rows.loc["pooled", "rank_correlation"]) or abs(rows.loc["pooled", "rank_correlation"]) > 0.999
    assert ((pair >= 0) & (pair <= 1)).all()
