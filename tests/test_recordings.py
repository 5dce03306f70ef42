import numpy as np
import pytest
import torch

from lib import clustering, datasets, models, recognition, recordings, states, windows
from lib.clips import ClipSet


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
    assert list(views) == ["net", "net_decoder", "pose", "pose_velocity"]
    assert all(len(part[0]) == len(test[0]) for part in views.values())
    cut = windows.cut(recordings.as_clips(test), 10, 3)
    by_hand = [predictor.predict(cut.clips.batch([n])).states[0].detach().numpy() for n in cut.of(0)]
    expected = clustering.over_frames(by_hand, cut.start[cut.of(0)] + 6, len(test[0]))
    np.testing.assert_allclose(views["net_decoder"][0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        states.errors(predictor, cut)[0],
        predictor.predict(cut.clips.batch([0])).errors.mean().item(),
        rtol=1e-4,
    )


def test_a_watcher_measures_and_leaves_the_network_alone(parts, predictor):
    watch = states.watcher(recordings.prepared(parts[1], parts[0]), size=10, stride=8)
    before = [weight.clone() for weight in predictor.parameters()]
    predictor.train()
    measured = watch(predictor)
    assert set(measured) == {"separation", "accuracy", "ari", "error"}
    assert all(isinstance(value, float) for value in measured.values())  # a checkpoint holds plain numbers
    assert predictor.training
    assert all(torch.equal(a, b) for a, b in zip(before, predictor.parameters(), strict=True))


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


def test_unknown_recordings_are_refused():
    with pytest.raises(ValueError, match=r"name='h36m', fold=0; choose one of \['synthetic', 'cmu_subject86'\]"):
        recordings.load("h36m")


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


def test_the_nearest_neighbour_is_by_angle_about_the_mean():
    train = np.array([[10.0, 1.0], [10.0, -1.0], [11.0, 0.0], [9.0, 0.0]])
    test = np.array([[10.0, 7.0], [30.0, 0.5]])
    assert recognition.nearest_neighbor(train, np.array([0, 1, 2, 3]), test).tolist() == [0, 2]
