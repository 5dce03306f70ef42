import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lib import graphs, smoothness


def clustered(rng, n=60, num_classes=4, apart=2.0, dimension=5):
    """Distances and labels of classes that overlap less the farther `apart` their centres are."""
    labels = rng.integers(num_classes, size=n)
    points = apart * np.eye(dimension)[labels] + rng.normal(size=(n, dimension))
    return cdist(points, points), labels


def with_isolated_clip():
    """Three near clips and one that sees nobody."""
    points = np.array([[0.0], [1.0], [2.5], [900.0]])
    return graphs.nnk(cdist(points, points), 2, sigma=1.0)


@pytest.fixture
def layers(rng):
    """Five layers that start to separate classes in the fourth, six subjects."""
    labels = rng.integers(4, size=160)
    points = rng.normal(size=(160, 6))
    built = {}
    for name, apart in {"l0": 0.0, "l1": 0.0, "l2": 0.0, "l3": 3.0, "l4": 4.0}.items():
        moved = points + apart * np.eye(6)[labels]
        built[name] = graphs.nnk(cdist(moved, moved), 8)
    return built, labels, rng.integers(6, size=160)


# measures


def test_smoothness_by_hand():
    # clips at 0 1 3 4 with classes a a a b; two neighbours each, alike
    points = np.array([[0.0], [1.0], [3.0], [4.0]])
    graph = graphs.knn(cdist(points, points), 2)
    score = smoothness.label_smoothness(graph, np.array(["a", "a", "a", "b"]))
    np.testing.assert_allclose(score.per_clip.cross_class_mass, [0, 0, 0.5, 1])
    np.testing.assert_allclose(score.per_clip.interpolation_error, [0, 0, 0.5, 1])
    assert score.cross_class_mass == score.interpolation_error == 0.375
    # links 01 02 12 13 23, the last two between classes
    np.testing.assert_allclose(score.degrees, [2, 3, 3, 2])
    np.testing.assert_allclose(score.crossing, [0, 1, 1, 2])
    assert score.laplacian == pytest.approx(2 * 2 / 5)
    np.testing.assert_allclose(score.per_class.laplacian, [2 * 2 / 8, 2 * 2 / 2])
    np.testing.assert_allclose(score.per_class.cross_class_mass, [0.5 / 3, 1])
    np.testing.assert_array_equal(score.classes, ["a", "b"])
    assert score.num_isolated == 0
    assert smoothness.interpolated_accuracy(graph, np.array(["a", "a", "a", "b"])) == 0.75


@pytest.mark.parametrize("kind", ["nnk", "knn", "inverse", "isolated"])
def test_smoothness_matches_loops(rng, kind):
    distances, labels = clustered(rng)
    if kind == "isolated":
        distances[0], distances[:, 0] = 1e5, 1e5
        distances[0, 0] = 0
        graph = graphs.nnk(distances, 9, sigma=1.0)
    elif kind == "nnk":
        graph = graphs.nnk(distances, 9)
    else:
        graph = graphs.knn(distances, 9, kernel=None if kind == "knn" else kind)
    score = smoothness.label_smoothness(graph, labels)
    errors, masses, laplacian, per_class = oracles.label_smoothness(
        graph.weights, graph.indices, list(labels), graph.adjacency().toarray()
    )
    np.testing.assert_allclose(score.per_clip.interpolation_error, errors, atol=1e-12)
    np.testing.assert_allclose(score.per_clip.cross_class_mass, masses, atol=1e-12)
    assert score.laplacian == pytest.approx(laplacian)
    np.testing.assert_allclose(score.per_class.laplacian, per_class, atol=1e-12)
    for measure in smoothness.Measures._fields:
        assert getattr(score.per_clip, measure).mean() == pytest.approx(getattr(score, measure))
    for code, name in enumerate(score.classes):
        assert score.per_class.cross_class_mass[code] == pytest.approx(masses[labels == name].mean())
        assert score.per_class.interpolation_error[code] == pytest.approx(errors[labels == name].mean())
    assert score.num_isolated == (kind == "isolated")


def test_laplacian_measure_is_the_laplacians_quadratic_form(rng):
    distances, labels = clustered(rng)
    graph = graphs.nnk(distances, 9)
    one_hot = np.eye(4)[labels]
    energy = np.trace(one_hot.T @ graph.laplacian().toarray() @ one_hot)
    score = smoothness.label_smoothness(graph, labels)
    assert score.laplacian == pytest.approx(2 * energy / graph.adjacency().sum())
    volumes = one_hot.T @ score.degrees
    assert score.laplacian == pytest.approx(np.average(score.per_class.laplacian, weights=volumes))


def test_clip_without_neighbors_is_guessed_from_the_other_clips():
    graph, labels = with_isolated_clip(), np.array([0, 0, 1, 1])
    assert graph.num_neighbors[3] == 0
    score = smoothness.label_smoothness(graph, labels)
    assert score.num_isolated == 1
    assert score.per_clip.cross_class_mass[3] == pytest.approx(2 / 3)
    assert score.per_clip.interpolation_error[3] == pytest.approx(2 / 3)
    assert score.per_clip.laplacian[3] == pytest.approx(score.laplacian)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 30), num_classes=st.integers(1, 5))
def test_smoothness_stays_in_range_and_follows_its_clips(seed, n, num_classes):
    rng = np.random.default_rng(seed)
    distances, labels = clustered(rng, n, num_classes, apart=rng.uniform(0, 4))
    graph = graphs.nnk(distances, n - 1)
    score = smoothness.label_smoothness(graph, labels)
    assert 0 <= score.cross_class_mass <= 1
    assert 0 <= score.interpolation_error <= np.sqrt(2 / len(score.classes)) + 1e-12
    assert 0 <= score.laplacian <= 2
    constant = smoothness.label_smoothness(graph, np.zeros(n))
    assert constant[:3] == pytest.approx((0, 0, 0), abs=1e-7)  # 1 - sum of weights, under a root
    order = rng.permutation(n)
    moved = smoothness.label_smoothness(graphs.nnk(distances[np.ix_(order, order)], n - 1), labels[order])
    for measure in smoothness.Measures._fields:
        np.testing.assert_allclose(getattr(moved.per_clip, measure), getattr(score.per_clip, measure)[order], atol=1e-5)


def test_constant_labels_are_perfectly_smooth_even_with_an_isolated_clip():
    assert smoothness.label_smoothness(with_isolated_clip(), np.zeros(4))[:3] == pytest.approx((0, 0, 0), abs=1e-7)


def test_classes_that_come_apart_get_smoother(rng):
    totals = []
    for apart in (0.0, 2.0, 5.0):
        distances, labels = clustered(np.random.default_rng(1), apart=apart)
        totals.append(smoothness.label_smoothness(graphs.nnk(distances, 10), labels)[:3])
    assert np.all(np.diff(totals, axis=0) < 0)


def test_num_classes_only_scales_the_interpolation_error(rng):
    distances, labels = clustered(rng)
    graph = graphs.knn(distances, 5)
    few, many = (smoothness.label_smoothness(graph, labels, num_classes=c) for c in (4, 60))
    assert many.interpolation_error == pytest.approx(few.interpolation_error * np.sqrt(4 / 60))
    assert (many.cross_class_mass, many.laplacian) == (few.cross_class_mass, few.laplacian)


# chance


def test_permuted_values_are_those_of_permuted_labels(rng):
    distances, labels = clustered(rng, n=30)
    graph = graphs.nnk(distances, 6)
    chance = smoothness.permutation_baseline(graph, labels, rng=np.random.default_rng(3), num_permutations=4)
    same = np.random.default_rng(3)
    for number in range(4):
        permuted = labels[np.argsort(same.random(30))]
        score = smoothness.label_smoothness(graph, permuted)
        for measure in smoothness.Measures._fields:
            assert getattr(chance.total, measure)[number] == pytest.approx(getattr(score, measure))
            np.testing.assert_allclose(getattr(chance.per_class, measure)[number], getattr(score.per_class, measure))


def test_chance_is_what_labels_unrelated_to_the_graph_score(rng):
    distances, labels = clustered(rng, n=200, apart=0.0)
    graph = graphs.knn(distances, 10)
    chance = smoothness.permutation_baseline(graph, labels, rng=rng, num_permutations=300).total
    sizes = np.bincount(labels)
    expected = 1 - (sizes * (sizes - 1)).sum() / (200 * 199)  # a random other clip is of another class
    assert chance.cross_class_mass.mean() == pytest.approx(expected, abs=0.003)
    assert chance.laplacian.mean() == pytest.approx(2 * expected, abs=0.006)
    low, high = np.quantile(chance.cross_class_mass, [0.001, 0.999])
    assert low < smoothness.label_smoothness(graph, labels).cross_class_mass < high


def test_permuting_within_subjects_keeps_what_subjects_explain(rng):
    # every subject is a cluster and does mostly one action: neighbours agree because they are one person
    subjects = np.repeat(np.arange(4), 25)
    labels = np.where(rng.random(100) < 0.9, subjects, (subjects + 1) % 4)
    points = 20.0 * np.eye(5)[subjects] + rng.normal(size=(100, 5))
    graph = graphs.knn(cdist(points, points), 8)
    value = smoothness.label_smoothness(graph, labels).cross_class_mass
    free = smoothness.permutation_baseline(graph, labels, rng=rng).total.cross_class_mass
    within = smoothness.permutation_baseline(graph, labels, rng=rng, groups=subjects).total.cross_class_mass
    assert value < free.min()
    assert within.min() < value < within.max()


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


# refusals and side effects


def test_bad_input_is_refused(rng):
    distances, labels = clustered(rng, n=20)
    graph = graphs.knn(distances, 4)
    with pytest.raises(ValueError, match=r"labels have shape \(19,\); the graph covers 20 clips"):
        smoothness.label_smoothness(graph, labels[:-1])
    with pytest.raises(ValueError, match="num_classes=1, but 4 classes occur"):
        smoothness.label_smoothness(graph, labels, num_classes=1)
    with pytest.raises(ValueError, match="the graph has no links; use a wider kernel"):
        smoothness.label_smoothness(graphs.nnk(1.0 - np.eye(4), 2, sigma=1e-3), np.arange(4))
    with pytest.raises(ValueError, match="labels do not vary inside any group"):
        smoothness.permutation_baseline(graph, labels, rng=rng, groups=labels)
    with pytest.raises(ValueError, match=r"groups have shape \(3,\); need one per clip \(20,\)"):
        smoothness.permutation_baseline(graph, labels, rng=rng, groups=np.arange(3))
    with pytest.raises(ValueError, match="num_permutations=0"):
        smoothness.permutation_baseline(graph, labels, rng=rng, num_permutations=0)
    values = np.arange(5.0)
    with pytest.raises(ValueError, match=r"level=95\.0; need a coverage between 0 and 1"):
        smoothness.bootstrap_interval(values, rng=rng, level=95.0)
    with pytest.raises(ValueError, match="method='t'; choose 'percentile' or 'bca'"):
        smoothness.bootstrap_interval(values, rng=rng, method="t")
    with pytest.raises(ValueError, match="num_resamples=0"):
        smoothness.bootstrap_interval(values, rng=rng, num_resamples=0)
    with pytest.raises(ValueError, match="1 group to resample; need at least 2"):
        smoothness.bootstrap_interval(values, rng=rng, groups=np.zeros(5))
    with pytest.raises(ValueError, match="values: 1 of 2 are not finite"):
        smoothness.bootstrap_interval(np.array([1.0, np.nan]), rng=rng)
    with pytest.raises(ValueError, match=r"values have shape \(1, 5\)"):
        smoothness.bootstrap_interval(values[None], rng=rng)
    with pytest.raises(ValueError, match="5 values against 4 of the reference"):
        smoothness.paired_difference(values, values[:4], rng=rng)
    with pytest.raises(ValueError, match="no layers given"):
        smoothness.by_layer({}, labels, rng=rng)
    with pytest.raises(ValueError, match=r"different numbers of clips: \{'a': 20, 'b': 4\}"):
        smoothness.by_layer({"a": graph, "b": graphs.knn(1.0 - np.eye(4), 2)}, labels, rng=rng)
    with pytest.raises(ValueError, match=r"untrained has layers \['b'\]; graphs has \['a'\]"):
        smoothness.by_layer({"a": graph}, labels, rng=rng, untrained={"b": graph})
    scores = {"a": smoothness.label_smoothness(graph, labels)}
    with pytest.raises(ValueError, match="measure='accuracy'; choose one of"):
        smoothness.appears_at(scores, rng=rng, measure="accuracy")
    with pytest.raises(ValueError, match="half=0"):
        smoothness.appears_at(scores, rng=rng, half=0.0)


def test_results_repeat_with_the_seed_and_inputs_stay(layers):
    built, labels, subjects = layers
    before = {name: (graph.indices.copy(), graph.weights.copy()) for name, graph in built.items()}
    kept = labels.copy(), subjects.copy()
    tables = [
        smoothness.by_layer(
            built, labels, rng=np.random.default_rng(5), groups=subjects, num_resamples=50, num_permutations=5
        )
        for _ in range(2)
    ]
    assert tables[0].equals(tables[1])
    for name, graph in built.items():
        np.testing.assert_array_equal(graph.indices, before[name][0])
        np.testing.assert_array_equal(graph.weights, before[name][1])
    np.testing.assert_array_equal(labels, kept[0])
    np.testing.assert_array_equal(subjects, kept[1])


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
