from dataclasses import replace

import numpy as np
import pytest
import torch

from lib import clustering, datasets, models, recognition, recordings, states, windows
from lib.clips import ClipSet
from lib.datasets import cmu


@pytest.fixture(scope="module")
def parts():
    return recordings.load("synthetic", num_recordings=2, num_segments=3, seed=0)


@pytest.fixture(scope="module")
def predictor(parts):
    clips = recordings.as_clips(recordings.prepared(parts[0], parts[0]))
    options = {"in_channels": 1, "width": 0.01, "source_frames": 6, "target_frames": 4}
    return models.build("seq2seq", num_classes=1, skeleton=clips.skeleton, seed=0, **options)


def test_windows_cover_every_frame_and_copy_none(rng):
    clips = ClipSet.from_arrays([rng.normal(size=(T, 2, 20, 3)) for T in (23, 7, 10)], [0, 1, 2], "kinect20")
    cut = windows.cut(clips, 10, 4)
    assert cut.clips.frames is clips.frames
    assert cut.start.tolist() == [0, 4, 8, 12, 13, 0, 0]
    assert cut.owner.tolist() == [0] * 5 + [1, 2]
    assert cut.of(1).tolist() == [5]
    for n in range(len(cut.clips)):
        whole, part = clips[cut.owner[n]], cut.clips[n]
        np.testing.assert_array_equal(part.x, whole.x[cut.start[n] : cut.start[n] + 10])
    with pytest.raises(ValueError, match="size=0, stride=4"):
        windows.cut(clips, 0, 4)


def test_windows_of_windows_are_where_they_say(rng):
    clips = ClipSet.from_arrays([rng.normal(size=(20, 20, 3))], [0], "kinect20")
    inner = windows.cut(windows.cut(clips, 12, 8).clips, 5, 5)
    np.testing.assert_array_equal(inner.clips[-1].x, clips[0].x[15:20])


def test_joined_recordings_are_as_annotated(parts):
    for recording in (*parts[0], *parts[1]):
        assert [s.start for s in recording.segments] == [0, *(s.stop for s in recording.segments[:-1])]
        assert recording.segments[-1].stop == len(recording) == len(recording.frame_labels())
        assert all(a.name != b.name for a, b in zip(recording.segments, recording.segments[1:], strict=False))
        edges = recordings.transitions(recording)
        assert (edges[:, 2] - edges[:, 0] == 30).all()  # half a second to either side at 30 fps
        steps = np.abs(np.diff(recording.channels, axis=0)).max(axis=1)
        assert steps.max() < 0.6  # blended: no joint jumps


def test_channels_are_scaled_by_training_recordings_alone(parts):
    train, test = parts
    ready = recordings.prepared(train, train)
    frames = np.concatenate([one.channels for one in ready])
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)
    one, both = recordings.prepared(test, train), recordings.prepared([*test, *train], train)
    np.testing.assert_array_equal(one[0].channels, both[0].channels)


def test_a_network_sees_no_label(parts):
    clips = recordings.as_clips(parts[0])
    assert set(clips.labels) == {0}
    assert clips.class_names == ("class_0",)


def test_views_have_one_vector_per_frame_and_states_where_they_arose(parts, predictor):
    test = recordings.prepared(parts[1], parts[0])
    views = states.views(test, {"net": predictor}, size=10, stride=3)
    assert list(views) == ["net", "net_decoder", "net_target", "pose", "pose_velocity"]
    assert all(len(part[0]) == len(test[0]) for part in views.values())
    cut = windows.cut(recordings.as_clips(test), 10, 3)
    by_hand = [predictor.predict(cut.clips.batch([n])).states[0].detach().numpy() for n in cut.of(0)]
    expected = clustering.over_frames(by_hand, cut.start[cut.of(0)] + 6, len(test[0]))
    np.testing.assert_allclose(views["net_decoder"][0], expected, rtol=1e-4, atol=1e-5)
    read = [states.encoder_states(predictor, cut)[n][6:] for n in cut.of(0)]
    expected = clustering.over_frames(read, cut.start[cut.of(0)] + 6, len(test[0]))
    np.testing.assert_allclose(views["net_target"][0], expected, rtol=1e-6)
    np.testing.assert_allclose(
        states.errors(predictor, cut)[0],
        predictor.predict(cut.clips.batch([0])).errors.mean().item(),
        rtol=1e-4,
    )


def test_a_watcher_measures_and_leaves_the_network_alone(parts, predictor):
    watch = states.Watcher(recordings.prepared(parts[1], parts[0]), 10, 8)
    before = [weight.clone() for weight in predictor.parameters()]
    predictor.train()
    measured = watch(predictor)
    assert set(measured) == {"separation", "accuracy", "ari", "error"}
    assert all(isinstance(value, float) for value in measured.values())  # a checkpoint holds plain numbers
    assert predictor.training
    assert all(torch.equal(a, b) for a, b in zip(before, predictor.parameters(), strict=True))


@pytest.mark.parametrize(("summary", "method", "least"), [("moments", "kmeans", 20), ("mean", "agglomerative", 1)])
def test_what_is_watched_is_what_the_table_says(parts, predictor, summary, method, least):
    test = recordings.prepared(parts[1], parts[0])
    measured = states.Watcher(test, 10, 8, summary=summary, method=method, least=least)(predictor)
    views = {"net": states.views(test, {"net": predictor}, size=10, stride=8, summary=summary)["net"]}
    counts = [len(one.segment_names) for one in test]
    found = clustering.segmentations(views, counts, method=method, least=least, sequential=())
    labels, edges = [one.frame_labels() for one in test], [recordings.transitions(one) for one in test]
    table = clustering.score_table(found, labels, edges, [one.name for one in test])
    assert measured["ari"] == pytest.approx(table["ari"].mean())
    assert measured["accuracy"] == pytest.approx(table["accuracy"].mean())
    wrong = states.errors(predictor, windows.cut(recordings.as_clips(test), 10, 8))
    assert measured["error"] == pytest.approx(wrong.mean())


def test_watchers_that_differ_have_other_digests(parts):
    test = recordings.prepared(parts[1], parts[0])
    renamed = [replace(one, segments=tuple(s._replace(name="same") for s in one.segments)) for one in test]
    watchers = [
        states.Watcher(test, 10, 8),
        states.Watcher(test, 10, 8, summary="mean"),
        states.Watcher(test, 10, 8, least=9),
        states.Watcher(test, 10, 8, method="agglomerative"),
        states.Watcher(test, 10, 8, seed=1),
        states.Watcher(test, 12, 8),
        states.Watcher(test, 10, 4),
        states.Watcher(renamed, 10, 8),
        states.Watcher(parts[1], 10, 8),
    ]
    assert len({one.digest() for one in watchers}) == len(watchers)
    assert states.Watcher(test, 10, 8).digest() == watchers[0].digest()


def test_simple_predictors_tell_the_mean_pose_or_the_last_frame(parts):
    test = recordings.prepared(parts[1], parts[0])
    cut = windows.cut(recordings.as_clips(test), 10, 7)
    found = states.simple_errors(cut, 6)
    n = int(cut.of(0)[2])
    frames = test[0].channels[cut.start[n] : cut.start[n] + 10].astype(float)
    assert found["mean_pose"][n] == pytest.approx(np.mean([x * x for frame in frames[6:] for x in frame]))
    wrong = [(x - y) ** 2 for frame in frames[6:] for x, y in zip(frame, frames[5], strict=True)]
    assert found["last_frame"][n] == pytest.approx(np.mean(wrong))
    still = windows.cut(ClipSet.from_arrays([np.ones((12, 20, 3))], [0], "kinect20"), 10, 1)
    assert not states.simple_errors(still, 6)["last_frame"].any()


def test_two_persons_in_a_window_are_refused(rng):
    clips = ClipSet.from_arrays([rng.normal(size=(10, 2, 20, 3)) for _ in range(3)], [0, 0, 0], "kinect20")
    options = {"width": 0.01, "source_frames": 6, "target_frames": 4}
    model = models.build("seq2seq", num_classes=1, skeleton="kinect20", seed=0, **options)
    for measure in (states.errors, states.decoder_states):
        with pytest.raises(ValueError, match="6 persons in 3 windows; needed one in each"):
            measure(model, windows.cut(clips, 10, 1))


def test_bodies_stand_where_their_root_is(parts):
    joints, skeleton = recordings.bodies(parts[1][0])
    assert joints.shape == (len(parts[1][0]), 25, 3)
    assert not joints[:, skeleton.center].any()


@pytest.mark.real_data
def test_every_trial_of_subject_86_is_clustered_once_by_a_network_that_has_not_read_it(downloads):
    folds = [recordings.load("cmu_subject86", fold) for fold in (0, 1)]
    names = [[one.name for one in part] for fold in folds for part in fold]
    assert not set(names[0]) & set(names[1])
    assert sorted(names[1] + names[3]) == [f"86_{trial:02d}" for trial in (1, 3, 5, 7, 9, 10, 11)]
    ready = recordings.prepared(folds[0][1], folds[0][0])
    assert not {"root.tx", "root.tz"} & set(ready[0].channel_names)
    joints, skeleton = recordings.bodies(folds[0][1][0])
    assert joints.shape[1:] == (31, 3)
    assert len(skeleton) == 31


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda part: recordings.load("h36m"), r"name='h36m', fold=0; choose one of \['synthetic', 'cmu_subject86'\]"),
        (lambda part: recordings.load("synthetic", num_recordings=0), "num_recordings=0, needed at least 1"),
        (lambda part: recordings.load("synthetic", num_recordings=-1), "num_recordings=-1, needed at least 1"),
        (lambda part: recordings.load("synthetic", num_segments=1), "num_segments=1, .*; needed a recording, two"),
        (lambda part: recordings.prepared([], part), "no recordings; needed at least one"),
        (lambda part: recordings.as_clips([]), "no recordings; needed at least one"),
        (lambda part: cmu.joint_positions(part[0]), r"joined_0: of 'synthetic'; needed one of \['cmu_mocap', 'cmu_sub"),
    ],
)
def test_what_is_no_recording_is_refused(parts, call, message):
    with pytest.raises(ValueError, match=message):
        call(parts[0])


# Recognition


@pytest.fixture(scope="module")
def clips():
    return datasets.load("synthetic", split="train", limit=40)


@pytest.fixture(scope="module")
def encoder(clips):
    return models.build(
        "predict_cluster", num_classes=len(clips.class_names), skeleton=clips.skeleton, width=0.01, num_layers=1, seed=0
    )


def test_a_probe_on_the_network_is_the_regression_it_came_from(clips, encoder):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    recognition.fit_probe(encoder, clips)
    vectors = recognition.embed(encoder, clips)
    scaled = StandardScaler().fit_transform(vectors)
    expected = LogisticRegression(C=recognition.STRENGTH, max_iter=1000).fit(scaled, clips.labels)
    b = clips.batch(np.arange(len(clips)))
    with torch.no_grad():
        logits = encoder(b.x, b.lengths, b.present)
    np.testing.assert_allclose(logits.softmax(dim=1), expected.predict_proba(scaled), atol=1e-4)


def test_classes_without_clips_are_never_chosen(clips, encoder):
    two = clips.subset(np.isin(clips.labels, [3, 11]))
    found = recognition.recognise(encoder, two, {"train": two})
    assert found["nearest_neighbor"]["train"] == 1
    assert found["linear_probe"]["train"] == 1


def test_a_probe_needs_two_classes(clips, encoder):
    one = clips.subset(clips.labels == 3)
    with pytest.raises(ValueError, match=f"{len(one)} clips of 1 classes; needed two classes"):
        recognition.fit_probe(encoder, one)


def test_the_nearest_neighbour_is_by_angle_about_the_mean():
    train = np.array([[10.0, 1.0], [10.0, -1.0], [11.0, 0.0], [9.0, 0.0]])
    test = np.array([[10.0, 7.0], [30.0, 0.5]])
    assert recognition.nearest_neighbor(train, np.array([0, 1, 2, 3]), test).tolist() == [0, 2]
