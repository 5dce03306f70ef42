import numpy as np
import pytest

from lib import skeletons
from lib.skeletons import Skeleton

LAYOUTS = sorted(skeletons.LAYOUTS)


@pytest.fixture
def chain():
    return Skeleton.from_edges([(0, 1), (1, 2)], center=0)


@pytest.mark.parametrize(
    ("name", "num_joints"),
    [("ntu25", 25), ("kinect20", 20), ("openpose18", 18), ("coco17", 17), ("mediapipe33", 33), ("cmu31", 31)],
)
def test_layout_has_its_joints_once_each(name, num_joints):
    skeleton = skeletons.get(name)
    assert len(skeleton) == num_joints == len(set(skeleton.joints))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_joint_descends_from_the_center(name):
    skeleton = skeletons.get(name)
    joints = np.arange(len(skeleton))
    for _ in range(len(skeleton)):
        joints = skeleton.parents[joints]
    assert (joints == skeleton.center).all()


@pytest.mark.parametrize("name", LAYOUTS)
def test_mirror_undoes_itself_and_keeps_the_graph(name):
    skeleton = skeletons.get(name)
    mirror = skeleton.mirror
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(skeleton)))
    np.testing.assert_array_equal(skeleton.hops[np.ix_(mirror, mirror)], skeleton.hops)


@pytest.mark.parametrize("name", LAYOUTS)
def test_left_right_pairs_are_opposite_sides(name):
    skeleton = skeletons.get(name)
    sided = [j for j in skeleton.joints if j.startswith(("left_", "right_"))]
    if name == "cmu31":
        assert len(skeleton.left_right) == 12  # legs of five, arms of seven
    else:
        assert 2 * len(skeleton.left_right) == len(sided)


def test_adjacency_carries_joint_v_into_joint_w(chain):
    outward = chain.adjacency("spatial")[2]  # sources nearer to the centre than their target
    x = np.array([1.0, 0.0, 0.0])  # something at the centre only
    reached = np.einsum("v,vw->w", x, outward)
    np.testing.assert_allclose(reached, [0.0, 1 / 3, 0.0])  # arrives at joint 1, which averages three sources


def test_spatial_partition_of_a_chain_by_hand(chain):
    identity, inward, outward = chain.adjacency("spatial")
    np.testing.assert_allclose(identity, np.diag([1 / 2, 1 / 3, 1 / 2]))
    np.testing.assert_allclose(inward, [[0, 0, 0], [1 / 2, 0, 0], [0, 1 / 3, 0]])
    np.testing.assert_allclose(outward, [[0, 1 / 3, 0], [0, 0, 1 / 2], [0, 0, 0]])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("strategy", ["uniform", "distance", "spatial"])
@pytest.mark.parametrize("max_hop", [1, 2])
def test_partitions_split_one_averaging_matrix(name, strategy, max_hop):
    skeleton = skeletons.get(name)
    A = skeleton.adjacency(strategy, max_hop=max_hop)
    np.testing.assert_allclose(A.sum(axis=(0, 1)), 1.0)
    assert ((A > 0).sum(axis=0) <= 1).all()
    np.testing.assert_array_equal(A.sum(axis=0) > 0, skeleton.hops <= max_hop)
    assert len(A) == {"uniform": 1, "distance": max_hop + 1, "spatial": 2 * max_hop + 1}[strategy]


def test_hop_scales_are_disentangled(chain):
    scales = chain.hop_scales(3)
    np.testing.assert_allclose(scales[0], np.eye(3))
    np.testing.assert_allclose(scales[2], [[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])
    np.testing.assert_allclose(scales, scales.transpose(0, 2, 1))


def test_from_edges_finds_the_middle():
    assert Skeleton.from_edges([(0, 1), (1, 2), (2, 3), (3, 4)]).center == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: skeletons.get("ntu26"), r"'ntu26'; choose one of \['cmu31', 'coco17'"),
        (lambda: Skeleton.from_edges([(0, 1), (2, 3)]), r"no path from 'joint_0' to \['joint_2', 'joint_3'\]"),
        (lambda: Skeleton.from_edges([(0, 5)], joints=["a", "b"]), r"edges holds \(0, 5\).*0\.\.1"),
        (lambda: Skeleton.from_edges([(1, 1)]), r"edges holds \(1, 1\)"),
        (lambda: Skeleton.from_edges([(0, 1)], center=7), r"center=7, needed 0\.\.1"),
        (lambda: Skeleton.from_edges([(0, 1)], joints=[]), "has no joints"),
        (lambda: Skeleton.from_edges([(0, 1), (1, 2)], left_right=[(0, 1), (1, 2)]), "uses a joint in two pairs"),
        (lambda: Skeleton.from_edges([(0, 1)], torso=(0, 1, 0, 9)), r"torso=\(0, 1, 0, 9\), needed four joints"),
        (lambda: Skeleton.from_edges([(0, 1)], joints=["a", "a"]), "two joints are called 'a'"),
        (lambda: skeletons.get("coco17").adjacency(max_hop=-1), "max_hop=-1, needed at least 0"),
        (lambda: skeletons.get("coco17").hop_scales(0), "num_scales=0, needed at least 1"),
        (lambda: skeletons.get("coco17").adjacency("radial"), "'radial'; choose 'uniform', 'distance' or 'spatial'"),
    ],
)
def test_errors_say_what_was_found_and_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
