import numpy as np
import oracles_clustering as oracles
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import clustering

LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=12)


def blobs(rng, count=40, dims=3):
    """Four groups of vectors far apart, in runs."""
    labels = np.repeat(np.arange(4), count)
    return rng.normal(size=(4 * count, dims)) + 20 * np.eye(4, dims)[labels] + 8 * labels[:, None], labels


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=9))
def test_frame_scores_equal_the_slow_ones(pairs):
    found, labels = (np.array(part) for part in zip(*pairs, strict=True))
    scores = clustering.frame_scores(found, labels)
    assert scores.accuracy == pytest.approx(oracles.accuracy(found.tolist(), labels.tolist()))
    assert scores.ari == pytest.approx(oracles.adjusted_rand(found.tolist(), labels.tolist()))
    expected = oracles.v_measure(found.tolist(), labels.tolist())
    np.testing.assert_allclose((scores.homogeneity, scores.completeness, scores.v_measure), expected, atol=1e-9)


@given(LABELS, st.permutations(range(4)))
def test_names_of_clusters_do_not_matter(labels, names):
    labels = np.array(labels)
    renamed = np.array(names)[labels]
    scores = clustering.frame_scores(renamed, labels)
    assert scores.accuracy == 1
    assert scores.ari == pytest.approx(1)
    np.testing.assert_array_equal(np.unique(labels)[clustering.matched(renamed, labels)], labels)


def test_clusters_too_many_stay_alone_and_do_not_count():
    found, labels = np.array([0, 1, 2, 3]), np.array([7, 7, 7, 9])
    assert clustering.frame_scores(found, labels).accuracy == 0.5
    assert set(clustering.matched(found, labels)) == {0, 1, 2, 3}  # two names, two without


@given(st.lists(st.integers(0, 20), max_size=5, unique=True), st.lists(st.integers(0, 20), max_size=4))
def test_boundaries_answer_for_one_transition_each(found, starts):
    found = np.sort(np.array(found, dtype=np.int64))
    intervals = [(start, start + 3) for start in starts]
    earliest, latest = (np.array([pair[k] for pair in intervals], dtype=np.int64) for k in (0, 1))
    scores = clustering.boundary_scores(found, earliest, latest)
    hits = oracles.boundary_hits(found.tolist(), intervals)
    assert (scores.precision == hits / len(found)) if len(found) else np.isnan(scores.precision)
    assert (scores.recall == hits / len(intervals)) if intervals else np.isnan(scores.recall)
    if len(found) or intervals:
        assert scores.f1 == pytest.approx(2 * hits / (len(found) + len(intervals)))


def test_both_ends_of_an_interval_are_inside():
    edges = np.array([10]), np.array([20])
    assert [clustering.boundary_scores(np.array([t]), *edges).f1 for t in (9, 10, 20, 21)] == [0, 1, 1, 0]


@given(LABELS, st.integers(1, 5))
def test_short_runs_join_their_neighbours_as_in_the_slow_way(labels, least):
    merged = clustering.merge_short(np.array(labels), least)
    assert merged.tolist() == oracles.merge_short(labels, least)


def test_edges_of_runs_are_found():
    labels = np.array([4, 4, 1, 1, 1, 4])
    assert clustering.boundaries(labels).tolist() == [2, 5]


@pytest.mark.parametrize("summary", ["moments", "mean", "state"])
@pytest.mark.parametrize("starts", [[0, 4, 8], [0, 1, 9], [5, 9, 14], [3, 3, 3]])
def test_frames_take_the_mean_of_their_windows(rng, starts, summary):
    values = [rng.normal(size=(length, 2)) for length in (4, 5, 3)]
    found = clustering.over_frames(values, np.array(starts), 20, summary=summary)
    np.testing.assert_allclose(found, oracles.over_frames(values, starts, 20, summary), rtol=1e-12)


@pytest.mark.parametrize("method", clustering.METHODS)
def test_groups_far_apart_are_found_by_every_method_and_numbered_as_they_come(rng, method):
    vectors, labels = blobs(rng)
    found = clustering.cluster(vectors, 4, method=method)
    assert clustering.frame_scores(found, labels).accuracy > 0.99
    assert list(dict.fromkeys(found.tolist())) == sorted(set(found.tolist()))


@pytest.mark.parametrize("criterion", ["silhouette", "bic"])
def test_the_number_of_groups_is_found_without_labels(rng, criterion):
    vectors, _ = blobs(rng, dims=4)
    assert clustering.choose_number(vectors, range(2, 8), criterion=criterion) == 4
    assert len(set(clustering.cluster(vectors, criterion, candidates=range(2, 8)).tolist())) == 4


def test_separation_is_high_for_groups_and_low_for_one_cloud(rng):
    vectors, labels = blobs(rng)
    assert clustering.separation(vectors, labels) > 0.8
    assert clustering.separation(vectors, rng.permutation(labels)) < 0.05
    assert clustering.separation(vectors, np.zeros_like(labels)) == -1


@pytest.mark.parametrize("baseline", [clustering.change_points, clustering.hidden_markov])
def test_baselines_find_segments_of_their_own_kind(rng, baseline):
    vectors, labels = blobs(rng)
    assert clustering.frame_scores(baseline(vectors, 4), labels).accuracy > 0.95


def test_a_recording_in_which_nothing_changes_is_one_segment(rng):
    assert not clustering.change_points(rng.normal(size=(60, 3)), 4, least=5).any()


def test_fast_and_slow_movement_about_one_pose_differ_in_velocity_alone():
    t = np.arange(200)
    frames = np.where(t < 100, np.sin(t / 10), np.sin(t))[:, None]
    both = clustering.pose_velocity(frames)
    assert both[120:].mean(axis=0)[1] > 3 * both[:80].mean(axis=0)[1]
    np.testing.assert_allclose(both.var(axis=0), 1)


def test_a_picture_has_the_same_coordinates_every_time_and_keeps_distances_of_a_plane(rng):
    plane = rng.normal(size=(30, 2)) @ np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    spots = clustering.principal(plane, 2)
    np.testing.assert_array_equal(spots, clustering.principal(plane, 2))
    distance = lambda x: np.linalg.norm(x[:, None] - x[None], axis=2)  # noqa: E731
    np.testing.assert_allclose(distance(spots), distance(plane), atol=1e-9)


def test_components_do_not_hang_on_an_svd_that_may_not_converge(rng, monkeypatch):
    import scipy.linalg

    def refuse(*_, **__):
        raise np.linalg.LinAlgError("SVD did not converge")  # as on states of an untrained network

    monkeypatch.setattr(scipy.linalg, "svd", refuse)
    vectors = rng.normal(size=(40, 6)) * np.arange(6, 0, -1)
    found = clustering.principal(vectors, 3)
    _, _, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs((vectors - vectors.mean(axis=0)) @ axes[:3].T), atol=1e-9)


def test_views_of_recordings_are_scored_side_by_side(rng):
    vectors, labels = blobs(rng)
    edges = np.array([[38, 40, 42], [78, 80, 82], [118, 120, 122]])
    noise = rng.normal(size=vectors.shape)
    parts = clustering.segmentations({"pose": [vectors], "noise": [noise]}, [4], least=5, sequential=["pose"])
    assert list(parts) == ["pose", "noise", "change_points_pose", "hidden_markov_pose"]
    table = clustering.score_table(parts, [labels], [edges], ["one"]).set_index("method")
    assert table.loc["pose", "accuracy"] == table.loc["pose", "boundary_f1"] == 1
    assert table.loc["noise", "ari"] < 0.2
    assert table.loc["pose", "found"] == 4


def test_sequential_ways_are_made_of_the_views_that_are_asked_for(rng):
    vectors, noise = blobs(rng)[0], rng.normal(size=(160, 3))
    parts = clustering.segmentations({"pose": [noise], "pose_velocity": [vectors]}, [4], least=5)
    names = [f"{way}_{view}" for view in ("pose", "pose_velocity") for way in ("change_points", "hidden_markov")]
    assert list(parts) == ["pose", "pose_velocity", *names]
    np.testing.assert_array_equal(parts[names[2]][0], clustering.change_points(vectors, 4, least=5))
    assert not np.array_equal(parts[names[0]][0], parts[names[2]][0])


@pytest.mark.parametrize(
    ("method", "by"), [("kmeans", "kmeans"), ("agglomerative", "agglomerative"), ("hdbscan", "agglomerative")]
)
def test_a_criterion_chooses_the_number_of_every_way_by_clusters_of_the_same_method(rng, method, by, monkeypatch):
    from lib.clustering import _study

    vectors, _ = blobs(rng, dims=4)
    asked = []
    monkeypatch.setattr(_study, "choose_number", lambda *_, **options: asked.append(options["method"]) or 4)
    parts = clustering.segmentations({"pose": [vectors]}, "silhouette", method=method, sequential=["pose"])
    assert asked == [by]
    assert {name: len(np.unique(part[0])) for name, part in parts.items()} == {
        "pose": 4,
        "change_points_pose": 4,
        "hidden_markov_pose": 4,
    }


def test_runs_that_are_written_down_come_back(rng):
    truth, found = rng.integers(0, 3, 30), rng.integers(5, 9, 30)
    table = clustering.spans({"mine": [found]}, [truth], [("a", "b", "c")], ["one"])
    back = clustering.from_spans(table, ("a", "b", "c"))
    assert back["annotated"].tolist() == truth.tolist()
    assert back["mine"].tolist() == np.minimum(clustering.matched(found, truth), 3).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: clustering.cluster(x, 2, method="dbscan"), r"method='dbscan'; choose one of \['agglomerative'"),
        (lambda x: clustering.cluster(x, 0), r"num_clusters=0, needed 1\.\.6"),
        (lambda x: clustering.cluster(x * np.nan, 2), "hold NaN"),
        (lambda x: clustering.cluster(x, "gap"), r"criterion 'gap'; choose a number or one of \['silhouette', 'bic'\]"),
        (lambda x: clustering.choose_number(x, [9]), "none between 2 and 5"),
        (lambda x: clustering.change_points(x, 2, least=5), "6 frames, needed at least two segments of least=5"),
        (lambda x: clustering.segmentations({"a": [x]}, [2]), r"no views \['pose', 'pose_velocity'\]; .* \['a'\]"),
        (lambda x: clustering.segmentations({"a": [x]}, [2, 2], sequential=()), r"num_clusters=\[2, 2\]; .* {'a': 1}"),
        (lambda x: clustering.frame_scores(np.zeros(3), np.zeros(4)), "3 frames for 4 labels"),
        (lambda x: clustering.over_frames([x], np.array([0]), 9, summary="max"), r"'max'; choose one of \['moments'"),
        (lambda x: clustering.over_frames([x], np.array([0]), 5), "window of frames 0 to 6; the recording has 0 to 5"),
        (lambda x: clustering.boundary_scores(np.array([1]), np.array([5]), np.array([4])), "earliest first"),
    ],
)
def test_errors_say_what_was_found_and_needed(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.normal(size=(6, 2)))
