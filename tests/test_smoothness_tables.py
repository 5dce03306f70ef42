"""Intervals, the tables by layer and class, and the layer in which discrimination appears."""

import numpy as np
import pytest
from smoothness_cases import clustered, with_isolated_clip

from lib import graphs, smoothness

# intervals


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_interval_of_a_mean_agrees_with_theory(rng, method):
    values = rng.normal(2.0, 3.0, size=400)
    interval = smoothness.bootstrap_interval(values, rng=rng, num_resamples=4000, method=method)
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.04)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.04)


def test_bca_agrees_with_scipy(rng):
    from scipy.stats import bootstrap

    values = rng.exponential(size=60)
    ours = smoothness.bootstrap_interval(values, rng=rng, num_resamples=20000, method="bca")
    theirs = bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=rng).confidence_interval
    assert ours[1:] == pytest.approx(tuple(theirs), abs=0.01)


@pytest.mark.parametrize("num_subjects", [4, 5, 10, 25])
def test_intervals_cover_as_often_as_they_say(rng, num_subjects):
    hits = 0
    subjects = np.repeat(np.arange(num_subjects), 8)
    for _ in range(400):
        values = rng.normal(size=num_subjects)[subjects] + rng.normal(size=len(subjects))
        interval = smoothness.bootstrap_interval(values, rng=rng, num_resamples=400, groups=subjects)
        hits += interval.low < 0 < interval.high
    assert 0.91 < hits / 400 < 0.98


def test_drawing_whole_subjects_widens_the_interval(rng):
    subjects = np.repeat(np.arange(10), 20)
    values = rng.normal(size=10)[subjects] + 0.1 * rng.normal(size=200)
    alone = smoothness.bootstrap_interval(values, rng=rng)
    whole = smoothness.bootstrap_interval(values, rng=rng, groups=subjects)
    assert whole.value == alone.value
    assert whole.high - whole.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_constant_values_have_an_interval_of_no_width(rng, method):
    assert smoothness.bootstrap_interval(np.full(9, 0.25), rng=rng, method=method) == (0.25, 0.25, 0.25)


def test_pairing_narrows_a_difference(rng):
    difficulty = rng.normal(size=300)
    first, second = difficulty + 0.1 * rng.normal(size=(2, 300)) - np.array([[0.05], [0.0]])
    paired = smoothness.paired_difference(first, second, rng=rng)
    assert paired.value == pytest.approx((first - second).mean())
    assert paired.high < 0
    alone = smoothness.bootstrap_interval(first, rng=rng)
    assert paired.high - paired.low < 0.3 * (alone.high - alone.low)


def test_laplacian_interval_is_that_of_the_resampled_ratio(rng):
    distances, labels = clustered(rng, n=300, apart=1.5)
    score = smoothness.label_smoothness(graphs.nnk(distances, 10), labels)
    drawn = rng.integers(300, size=(4000, 300))
    ratios = 2 * score.crossing[drawn].sum(axis=1) / score.degrees[drawn].sum(axis=1)
    interval = smoothness.bootstrap_interval(score.per_clip.laplacian, rng=rng, num_resamples=4000)
    assert interval[1:] == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=0.01)


# tables


def test_by_layer_has_a_row_per_layer_and_measure(rng, layers):
    built, labels, subjects = layers
    table = smoothness.by_layer(built, labels, rng=rng, groups=subjects, num_resamples=300, num_permutations=49)
    assert len(table) == 15
    assert [*table.columns[:6]] == ["layer", "depth", "measure", "value", "low", "high"]
    assert {"p_value", "change_high", "num_neighbors_mean", "most_negative_eigenvalue"} < {*table.columns}
    for name, graph in built.items():
        score = smoothness.label_smoothness(graph, labels)
        rows = table[table.layer == name].set_index("measure")
        assert rows.loc["laplacian", "value"] == pytest.approx(score.laplacian)
        assert (rows.num_neighbors_mean == graph.num_neighbors.mean()).all()
        assert rows.low.le(rows.value).all()
        assert rows.high.ge(rows.value).all()
        assert rows.permuted_low.le(rows.permuted_mean).all()
    early, late = table[table.depth < 3], table[table.depth > 2]
    assert early.p_value.min() > 0.02
    assert late.p_value.max() == pytest.approx(1 / 50)
    assert table.change[table.depth == 0].isna().all()
    np.testing.assert_allclose(table.change[3:], table.value[3:].to_numpy() - table.value[:-3].to_numpy())
    assert (table.change_high[table.depth == 3] < 0).all()


def test_by_layer_compares_with_an_untrained_network(rng, layers):
    built, labels, _ = layers
    untrained = dict.fromkeys(built, built["l0"])
    table = smoothness.by_layer(built, labels, rng=rng, untrained=untrained, num_resamples=300, num_permutations=9)
    np.testing.assert_allclose(table.gain, table.value - table.untrained, atol=1e-12)
    assert (table.gain[table.depth == 0] == 0).all()
    assert (table.gain_high[table.depth > 2] < 0).all()
    plain = {name: graphs.knn(1.0 - np.eye(160), 3) for name in built}
    assert smoothness.by_layer(plain, labels, rng=rng, num_permutations=2, num_resamples=9).kkt_residual.isna().all()


def test_by_class_has_a_row_per_layer_class_and_measure(rng, layers):
    built, labels, subjects = layers
    labels = np.array([*"abcd"])[labels]
    labels[0] = "lonely"
    table = smoothness.by_class(built, labels, rng=rng, groups=subjects, num_resamples=300, num_permutations=20)
    assert len(table) == 5 * 5 * 3
    score = smoothness.label_smoothness(built["l4"], labels)
    for measure in smoothness.Measures._fields:
        rows = table[(table.layer == "l4") & (table.measure == measure)]
        np.testing.assert_allclose(rows.value, getattr(score.per_class, measure))
        np.testing.assert_array_equal(rows["class"], score.classes)
        assert rows.low.iloc[:4].le(rows.value.iloc[:4]).all()
        assert rows.high.iloc[:4].ge(rows.value.iloc[:4]).all()
        assert (rows.permuted_mean.iloc[:4] > rows.value.iloc[:4]).all()
    lonely = table[table["class"] == "lonely"]
    assert (lonely.num_clips == 1).all()
    assert lonely.low.isna().all()


def test_laplacian_of_a_class_without_links_is_nan(rng):
    labels = np.array([0, 0, 1, 2])
    score = smoothness.label_smoothness(with_isolated_clip(), labels)
    assert np.isnan(score.per_class.laplacian).tolist() == [False, False, True]
    table = smoothness.by_class({"only": with_isolated_clip()}, labels, rng=rng, num_permutations=3, num_resamples=9)
    assert table[(table["class"] == 2) & (table.measure == "laplacian")].value.isna().all()


# where discrimination appears


def test_discrimination_appears_where_it_was_put(rng, layers):
    built, labels, subjects = layers
    scores = {name: smoothness.label_smoothness(graph, labels) for name, graph in built.items()}
    for measure in smoothness.Measures._fields:
        found = smoothness.appears_at(scores, rng=rng, measure=measure, groups=subjects)
        assert (found.layer, found.low, found.high, found.never) == ("l3", "l3", "l3", 0.0)
        assert found.table.share.max() == 1
        assert found.table["drop"].iloc[0] == 0
        assert found.table.significant.tolist()[3:] == [True, True]
    chance = smoothness.permutation_baseline(built["l0"], labels, rng=rng).total.cross_class_mass.mean()
    assert smoothness.appears_at(scores, rng=rng, reference=chance).layer == "l3"
    assert smoothness.appears_at(dict(list(scores.items())[3:]), rng=rng, reference=chance).layer == "l3"


def scores_with(rng, means, noise=0.05, n=200):
    """Per-clip cross-class mass around given layer means, everything else empty."""
    values = np.array(means)[:, None] + noise * rng.normal(size=(len(means), n))
    empty = np.zeros(n)
    return {
        f"l{depth}": smoothness.Smoothness(
            0.0, row.mean(), 0.0, smoothness.Measures(empty, row, empty), smoothness.Measures(empty, empty, empty),
            np.arange(1), 0, empty, empty,
        )
        for depth, row in enumerate(values)
    }  # fmt: skip


def test_an_unsure_layer_has_a_wide_interval(rng):
    found = smoothness.appears_at(scores_with(rng, [0.9, 0.9, 0.601, 0.45, 0.3], noise=0.2), rng=rng)
    assert found.layer in ("l2", "l3")
    assert (found.low, found.high) == ("l2", "l3")
    later = smoothness.appears_at(scores_with(rng, [0.9, 0.9, 0.601, 0.45, 0.3], noise=0.01), rng=rng, half=0.9)
    assert later.layer == "l4"


def test_nothing_appears_where_nothing_changes(rng):
    found = smoothness.appears_at(scores_with(rng, [0.9, 0.95, 0.97]), rng=rng)
    assert found == (None, None, None, 1.0, found.table)
    assert (found.table.share == 0).all()
    noise = smoothness.appears_at(scores_with(rng, [0.9, 0.9, 0.9], noise=0.5), rng=rng)
    assert noise.layer is None


def test_equal_values_are_ties_however_their_sums_round(rng):
    from lib import graphs

    everyone = graphs.knn(1.0 - np.eye(12), 11)
    for labels in (np.arange(12) % 2, (np.arange(12) >= 5).astype(int)):
        table = smoothness.by_layer({"whole": everyone}, labels, rng=rng, num_permutations=50, num_resamples=50)
        assert (table["p_value"] == 1).all()


def test_a_class_that_a_permutation_leaves_without_links_keeps_its_baseline(rng):
    from lib import graphs

    near = np.abs(np.arange(29.0)[:, None] - np.arange(29.0)[None])
    distances = np.full((30, 30), 100.0)
    distances[:29, :29] = near
    distances[29, 29] = 0
    graph = graphs.knn(distances, 3)
    graph.weights[29] = 0
    table = smoothness.by_class({"x": graph}, np.r_[np.zeros(29, int), 1], rng=rng, num_permutations=99)
    assert table["permuted_mean"].notna().all()
