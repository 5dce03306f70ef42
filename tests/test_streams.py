"""Networks of joints, bones and motions, and several as one."""

import pytest
import torch
from model_cases import clip, disturbed

from lib import models, recipes
from lib.models import layers


@pytest.fixture(scope="module")
def small():
    return disturbed(models.build("stgcn", num_classes=5, skeleton="kinect20", width=0.25, seed=0))


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("joint", {"joint": 1.0}),
        ("joint+bone", {"joint": 1.0, "bone": 1.0}),
        ("2*joint + 0.5 * bone_motion", {"joint": 2.0, "bone_motion": 0.5}),
    ],
)
def test_streams_are_read(text, weights):
    assert recipes.parse_streams(text) == weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("velocity", "'velocity' is unknown or comes twice"),
        ("joint+joint", "'joint' is unknown or comes twice"),
        ("joint+", "'' is unknown"),
        ("two*joint", "weight 'two' is no number"),
        ("joint + 0*bone", "weight '0' of bone; needed above 0 and finite"),
        ("-1*joint", "weight '-1' of joint; needed above 0"),
        ("nan*joint", "weight 'nan' of joint; needed above 0"),
        ("inf*joint", "weight 'inf' of joint; needed above 0"),
    ],
)
def test_streams_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        recipes.parse_streams(text)


@pytest.mark.parametrize("stream", layers.STREAMS)
def test_streams_are_those_of_the_transforms_whatever_the_padding(rng, stream):
    from lib import transforms
    from lib.clips import ClipSet

    arrays = [rng.normal(size=(length, 20, 3)) for length in (9, 4, 1)]
    clips = ClipSet.from_arrays(arrays, [0, 1, 2], "kinect20", class_names=["a", "b", "c"])
    batch = clips.batch([0, 1, 2])
    found = layers.as_stream(batch.x, stream, torch.as_tensor(clips.skeleton.parents), batch.lengths)
    steps = [transforms.bones] if stream.startswith("bone") else []
    steps += [transforms.motion] if stream.endswith("motion") else []
    wanted = clips.map(*steps).batch([0, 1, 2]).x if steps else batch.x
    torch.testing.assert_close(found, wanted)


def test_without_lengths_every_frame_is_true():
    x = torch.arange(5.0).square().view(1, 1, 5, 1, 1)
    found = layers.as_stream(x, "joint_motion", torch.zeros(1, dtype=torch.long), None)
    assert found.flatten().tolist() == [1, 3, 5, 7, 0]


def test_a_network_of_another_stream_has_the_same_weights_and_says_so(small):
    other = models.build("stgcn", num_classes=5, skeleton="kinect20", width=0.25, stream="bone_motion")
    assert other.state_dict().keys() == small.state_dict().keys()
    assert "stream='bone_motion'" in repr(other)
    assert "stream" not in repr(small)
    with pytest.raises(ValueError, match=r"stream='velocity'; choose one of \['joint', 'bone',"):
        models.build("stgcn", num_classes=5, skeleton="kinect20", stream="velocity")


def test_fusion_is_the_weighted_mean_of_log_probabilities(small):
    from lib.models.fusion import Fusion

    other = disturbed(models.build("stgcn", num_classes=5, skeleton="kinect20", width=0.25, stream="bone"), seed=4)
    x = clip(12, 1)
    one, two = small(x).log_softmax(1), other(x).log_softmax(1)
    fused = Fusion({"joint": small, "bone": other}, {"joint": 3, "bone": 1})
    torch.testing.assert_close(fused(x), 0.75 * one + 0.25 * two)
    torch.testing.assert_close(Fusion({"joint": small, "bone": other})(x), (one + two) / 2)
    assert fused.layer_names[0] == "networks.joint.layers.0"
    assert len(fused.layer_names) == 20


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": 1.0}, {"a": -1.0}, {}])
def test_fusion_refuses_weights_that_do_not_fit(small, weights):
    from lib.models.fusion import Fusion

    with pytest.raises(ValueError, match="needed a positive weight for each network"):
        Fusion({"a": small}, weights)
