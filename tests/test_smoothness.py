import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from smoothness_cases import clustered, with_isolated_clip

from lib import graphs, smoothness

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
