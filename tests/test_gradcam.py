import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lib import gradcam, models, skeletons
from lib.clips import ClipSet
from lib.skeletons import Skeleton

SKELETON = "kinect20"


def network(num_classes=4, seed=0):
    net = models.build(
        "stgcn", num_classes=num_classes, skeleton=skeletons.get(SKELETON), in_channels=3, width=0.125, seed=seed
    )
    with torch.no_grad():  # statistics that a training would leave
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
    return net


@pytest.fixture
def net():
    torch.manual_seed(0)
    return network()


def clips(rng, shapes, labels=None):
    """Clips of (frames, persons) each; the last person of a clip of two is absent where its count is negative."""
    arrays = []
    for frames, persons in shapes:
        x = rng.normal(size=(frames, abs(persons), 20, 3)).astype(np.float32)
        if persons < 0:
            x[:, -1] = 0
        arrays.append(x)
    return ClipSet.from_arrays(arrays, labels or [0] * len(arrays), SKELETON, class_names=list("abcd"))


def captum_maps(net, batch, layer, target):
    """(P, T_l, V) by captum, which takes every person for a sample."""
    from captum.attr import LayerGradCam

    net.eval()
    explain = LayerGradCam(net, net.get_submodule(layer))
    return (
        explain.attribute(batch.x, target=target, additional_forward_args=(batch.lengths, batch.present))[:, 0]
        .detach()
        .numpy()
    )


def test_every_layer_is_captums(net, rng):
    batch = clips(rng, [(16, 1), (16, 2), (16, 1)]).batch([0, 1, 2])
    target = torch.tensor([2, 0, 3])
    found = gradcam.gradcam(net, batch, target=target)
    assert list(found) == list(net.layer_names)
    for layer, maps in found.items():
        np.testing.assert_allclose(maps[batch.present.numpy()], captum_maps(net, batch, layer, target), atol=1e-6)
        assert maps.shape == (3, 2, -(-16 // net.layer_strides[layer]), 20)


def test_padding_and_absent_persons_are_zero_and_change_nothing(net, rng):
    some = clips(rng, [(9, 1), (13, -2), (30, 2)])
    together = gradcam.gradcam(net, some.batch([0, 1, 2]), target=1)
    for n, (length, persons) in enumerate([(9, 1), (13, 1), (30, 2)]):
        alone = gradcam.gradcam(net, some.batch([n]), target=1)
        for layer, maps in together.items():
            frames = -(-length // net.layer_strides[layer])
            np.testing.assert_allclose(maps[n, :persons, :frames], alone[layer][0, :persons, :frames], atol=1e-5)
            assert not maps[n, persons:].any()
            assert not maps[n, :, frames:].any()


def test_the_network_is_left_as_it_was(net, rng):
    batch = clips(rng, [(8, 1)]).batch([0])
    net.train()
    net.layers[3].eval()
    modes = [module.training for module in net.modules()]
    net.classifier.weight.grad = torch.ones_like(net.classifier.weight)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    gradcam.gradcam(net, batch)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(net.classifier.weight.grad, torch.ones_like(net.classifier.weight))
    assert all(parameter.grad is None for name, parameter in net.named_parameters() if name != "classifier.weight")
    assert not batch.x.requires_grad
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize("outer", [torch.no_grad, torch.enable_grad])
def test_frozen_weights_and_a_callers_no_grad_do_not_matter(net, rng, outer):
    batch = clips(rng, [(8, 1)]).batch([0])
    expected = gradcam.gradcam(net, batch)
    net.requires_grad_(False)
    with outer():
        found = gradcam.gradcam(net, batch)
    for layer, maps in expected.items():
        np.testing.assert_allclose(found[layer], maps, atol=1e-7)


class InPlace(nn.Module):
    """A network whose activation overwrites the layer's output."""

    layer_names, layer_strides = ("conv",), {"conv": 1}

    def __init__(self, inplace):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 5, 1)
        self.relu = nn.ReLU(inplace=inplace)
        self.head = nn.Linear(5, 4)

    def forward(self, x, lengths, present):
        return self.head(self.relu(self.conv(x[..., 0])).mean(dim=(2, 3)))


def test_activations_in_place_overwrite_nothing(rng):
    batch = clips(rng, [(6, 1), (6, 1)]).batch([0, 1])
    expected, found = (gradcam.gradcam(InPlace(inplace), batch, target=0)["conv"] for inplace in (False, True))
    assert (expected < 0).any()
    np.testing.assert_array_equal(found, expected)


def test_targets(net, rng):
    batch = clips(rng, [(8, 1), (8, 1)], labels=[3, 1]).batch([0, 1])
    layer = net.layer_names[-1]

    def maps(target):
        return gradcam.gradcam(net, batch, [layer], target)[layer]

    np.testing.assert_array_equal(maps("true"), maps([3, 1]))
    np.testing.assert_array_equal(maps(2), maps(np.array([2, 2])))
    net.eval()
    np.testing.assert_array_equal(maps(None), maps(net(*batch[:3]).argmax(dim=1)))
    np.testing.assert_allclose(maps(1)[1], maps("true")[1], atol=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 4}, r"classes 4\.\.4, needed 0\.\.3"),
        ({"target": -1}, r"needed 0\.\.3"),
        ({"target": [0, 1, 2]}, r"shape \(3,\), needed one class or 2"),
        ({"target": [0.0, 1.5]}, "float32 of shape .*needed one class or 2"),
        ({"target": "label"}, "'label'; choose None"),
        ({"layers": ["layers.10"]}, r"no layers \['layers.10'\] in STGCN; it has"),
    ],
)
def test_errors(net, rng, options, message):
    with pytest.raises(ValueError, match=message):
        gradcam.gradcam(net, clips(rng, [(8, 1), (8, 1)]).batch([0, 1]), **options)
    assert net.training


@given(length=st.integers(1, 40), stride=st.sampled_from([1, 2, 4]), seed=st.integers(0, 99))
def test_time_is_stretched_and_joints_are_not_mixed(length, stride, seed):
    rng = np.random.default_rng(seed)
    frames, order = -(-length // stride), rng.permutation(7)
    maps = rng.normal(size=(2, 1, frames + 1, 7)).astype(np.float32)
    lengths = [length, max(1, length // 2)]
    out = gradcam.upsample_time(maps, stride, lengths)
    assert out.shape == (2, 1, length, 7)
    np.testing.assert_array_equal(out[0, :, ::stride], maps[0, :, :frames])
    assert not out[1, :, lengths[1] :].any()
    np.testing.assert_array_equal(gradcam.upsample_time(maps[..., order], stride, lengths), out[..., order])
    assert out[0].min() >= maps[0].min()
    assert out[0].max() <= maps[0].max()


def test_a_line_stays_a_line():
    maps = np.arange(4.0)[None, None, :, None]
    np.testing.assert_allclose(gradcam.upsample_time(maps, 2, [7])[0, 0, :, 0], np.arange(7) / 2)


def test_importance_by_class_counts_true_frames_persons_and_clips():
    maps = np.zeros((3, 2, 4, 2))
    maps[0, 0, :2] = [[1, -5], [3, 0]]  # two true frames, one person
    maps[1, :, :4] = 2.0  # four true frames, two persons
    present = np.array([[True, False], [True, True], [True, False]])
    found = gradcam.by_class(maps, np.array([0, 0, 2]), 3, np.array([2, 4, 4]), present)
    np.testing.assert_allclose(found, [[(2 + 2) / 2, (0 + 2) / 2], [np.nan, np.nan], [0, 0]])


def test_contrast_of_classes():
    found = gradcam.contrast(np.array([[1.0, 0, 0], [0, 2, 2], [3, 0, 3]]))
    np.testing.assert_allclose(found, [[0, 1, 0.5], [1, 0, 0.5], [0.5, 0.5, 0]])


def test_shares_sum_to_one_where_anything_speaks_for_the_class(rng):
    maps = rng.normal(size=(3, 2, 5, 4))
    maps[1, 1] = -1.0
    maps[2] = -1.0
    found = gradcam.shares(maps)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), [1, 1, 0])
    assert (found >= 0).all()
    assert not found[1, 1].any()


def test_a_network_that_computes_empty_slots_is_explained_for_present_persons(rng):
    net = models.build(
        "stgcn", num_classes=4, skeleton=skeletons.get(SKELETON), in_channels=3, width=0.125, pooling="mean"
    )
    maps = gradcam.gradcam(net, clips(rng, [(9, 1), (13, -2), (13, 2)]).batch([0, 1, 2]), target=1)
    for layer, found in maps.items():
        assert found[2].any(axis=(1, 2)).all()
        assert not found[[0, 1], 1].any()
        assert not found[0, :, -(-9 // net.layer_strides[layer]) :].any()


@pytest.mark.parametrize(
    ("layers", "target", "message"),
    [
        ([], None, "layers: none given"),
        (["layers.9"], ["a"], "cannot be read as classes"),
        (["layers.9"], [None], "cannot be read as classes"),
        (["layers.9"], "true", r"target: classes 7\.\.7, needed 0\.\.3"),
    ],
)
def test_what_cannot_be_explained_is_refused_by_name(net, rng, layers, target, message):
    batch = clips(rng, [(8, 1)]).batch([0])
    batch = batch._replace(labels=torch.tensor([7]))
    with pytest.raises(ValueError, match=message):
        gradcam.gradcam(net, batch, layers, target)


def test_one_layer_by_its_name_and_inside_inference_mode(net, rng):
    batch = clips(rng, [(8, 1)]).batch([0])
    wanted = gradcam.gradcam(net, batch, ["layers.9"])
    with torch.inference_mode():
        found = gradcam.gradcam(net, batch, "layers.9")
    assert found.keys() == wanted.keys() == {"layers.9"}
    np.testing.assert_array_equal(found["layers.9"], wanted["layers.9"])


def test_targets_made_in_inference_mode_serve(net, rng):
    batch = clips(rng, [(8, 1)]).batch([0])
    with torch.inference_mode():
        target = torch.tensor([2])
    np.testing.assert_array_equal(
        gradcam.gradcam(net, batch, target=target)["layers.9"], gradcam.gradcam(net, batch, target=2)["layers.9"]
    )


def recurrent():
    options = {"in_channels": 1, "width": 0.01, "num_layers": 1}
    skeleton = Skeleton("four", ("a", "b", "c", "d"), ((0, 1), (1, 2), (2, 3)), 0)
    clips = ClipSet.from_arrays(np.random.default_rng(0).normal(size=(3, 7, 4, 1)), [0, 1, 0], skeleton)
    return models.build("predict_cluster", num_classes=2, skeleton=skeleton, seed=0, **options), clips.batch([0, 1, 2])


def test_recurrent_layers_are_explained_without_cudnn_which_refuses_them_in_evaluation_mode():
    net, batch = recurrent()
    asked = []
    net.layers[0].register_forward_hook(lambda *_: asked.append(torch.backends.cudnn.enabled))
    before = torch.backends.cudnn.enabled
    gradcam.gradcam(net, batch)
    assert asked == [False]
    assert torch.backends.cudnn.enabled == before


@pytest.mark.gpu
def test_recurrent_layers_have_the_same_maps_on_a_gpu():
    net, batch = recurrent()
    cpu, cuda = gradcam.gradcam(net, batch), gradcam.gradcam(net.to("cuda"), batch)
    for name, maps in cpu.items():
        np.testing.assert_allclose(cuda[name], maps, rtol=1e-3, atol=1e-6)
