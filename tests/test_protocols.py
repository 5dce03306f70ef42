import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import protocols
from lib.clips import ClipSet


def labelled(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return ClipSet.from_arrays([np.ones((2, 17, 3), np.float32)] * len(labels), labels, "coco17")


@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=4), share=st.floats(0.01, 1.0), seed=st.integers(0, 9))
def test_parts_are_stratified_and_lie_within_larger_ones(counts, share, seed):
    clips = labelled(counts)
    places = protocols.scarce(clips, share, seed)
    kept = np.bincount(clips.labels[places], minlength=len(counts))
    np.testing.assert_array_equal(kept, [max(1, round(share * count)) for count in counts])
    assert np.isin(places, protocols.scarce(clips, min(1.0, 1.5 * share), seed)).all()
    assert len(np.unique(places)) == len(places)


def test_another_seed_keeps_others_and_all_is_all():
    clips = labelled([40, 40])
    assert set(protocols.scarce(clips, 0.25, 0)) != set(protocols.scarce(clips, 0.25, 1))
    np.testing.assert_array_equal(protocols.scarce(clips, 1.0, 3), np.arange(80))
    with pytest.raises(ValueError, match=r"share=0; needed in \(0, 1\]"):
        protocols.scarce(clips, 0, 0)


@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=4), per_class=st.integers(1, 8), seed=st.integers(0, 9))
def test_a_budget_counts_clips_of_each_class_and_lies_within_larger_ones(counts, per_class, seed):
    clips = labelled(counts)
    places = protocols.budget(clips, per_class, seed)
    kept = np.bincount(clips.labels[places], minlength=len(counts))
    np.testing.assert_array_equal(kept, np.minimum(counts, per_class))
    assert np.isin(places, protocols.budget(clips, per_class + 1, seed)).all()


def test_a_budget_without_clips_is_refused():
    with pytest.raises(ValueError, match="per_class=0; needed at least 1"):
        protocols.budget(labelled([3]), 0, 0)


@given(num_classes=st.integers(4, 9), seed=st.integers(0, 20))
def test_halves_share_no_class_and_leave_none_out(num_classes, seed):
    first, second = protocols.class_halves(labelled([1] * num_classes), seed)
    assert sorted(first + second) == list(range(num_classes))
    assert len(first) - len(second) in (0, 1)


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=30), seed=st.integers(0, 9), count=st.integers(1, 30))
def test_the_first_clips_hold_as_many_classes_as_they_can(labels, seed, count):
    labels = np.array(labels)
    first = np.random.default_rng(seed).random(len(labels)) < 0.6
    order = protocols.round_robin(labels, first)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(labels)))
    assert (np.diff(first[order].astype(int)) <= 0).all()
    own = order[: min(count, first.sum())]
    assert len(set(labels[own])) == min(len(own), len(set(labels[first])))


def test_halves_need_two_classes_each():
    with pytest.raises(ValueError, match="has 3 classes; two halves to tell apart need at least 4"):
        protocols.class_halves(labelled([1, 1, 1]), 0)


def test_classes_are_counted_anew_and_keep_their_names():
    part = protocols.of_classes(labelled([2, 3, 1, 2]), [3, 1])
    assert part.class_names == ("class_3", "class_1")
    assert part.names == ("clip_2", "clip_3", "clip_4", "clip_6", "clip_7")
    np.testing.assert_array_equal(part.labels, [1, 1, 1, 0, 0])


@pytest.mark.parametrize("classes", [[0, 0], [4], [-1]])
def test_classes_that_are_not_there_are_refused(classes):
    with pytest.raises(ValueError, match=r"needed numbers in 0\.\.3, each once"):
        protocols.of_classes(labelled([2, 3, 1, 2]), classes)


def test_classes_without_clips_are_named():
    clips = labelled([2, 3]).subset([0, 1])
    with pytest.raises(ValueError, match=r"has no clips of classes \['class_1'\]"):
        protocols.of_classes(clips, [1])


# --- what a network knows, and what it is to learn ----------------------------------------------------------------


def test_one_dataset_gives_halves_of_its_classes():
    old, new = protocols.transfer("synthetic", "synthetic", seed=1, limit=60, progress=False)
    assert not set(old.class_names) & set(new["test"].class_names)
    assert new["train"].class_names == new["test"].class_names
    assert len(old.class_names) == len(new["test"].class_names) == 10


def test_two_datasets_give_all_classes_on_the_skeleton_of_the_target(downloads):
    old, new = protocols.transfer("synthetic", "msr_action3d", seed=1, limit=30, progress=False)
    assert old.skeleton == new["train"].skeleton
    assert (len(old), len(new["train"]), list(new)) == (30, 284, ["train", "test"])


def test_joints_that_the_source_lacks_are_named(downloads):
    with pytest.raises(ValueError, match="'kinect20' has no joints"):
        protocols.transfer("msr_action3d", "synthetic", seed=0, limit=10, progress=False)
