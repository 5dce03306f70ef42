import numpy as np
import pyramid_cases
import pytest
import torch
from faithfulness_cases import SKELETON, WRIST, Watcher, batch_of
from focus_cases import network, three_clips
from model_cases import disturbed

from lib import attribution, focus, models


def test_a_still_body_keeps_every_joints_mean_and_padding(rng):
    batch = batch_of(rng)
    calm = attribution.still(batch)
    for n, length in enumerate(batch.lengths):
        true = calm[n, :, :length]
        torch.testing.assert_close(true, true[:, :1].expand_as(true))
        torch.testing.assert_close(true[:, 0], batch.x[n, :, :length].mean(dim=1))
        assert not calm[n, :, length:].any()


def test_motion_energy_is_squared_speed(rng):
    batch = batch_of(rng)
    energy = attribution.motion_energy(batch)
    step = batch.x[1, :, 3, 4, 1] - batch.x[1, :, 2, 4, 1]
    assert energy[1, 1, 3, 4] == pytest.approx(float(step.square().sum()), rel=1e-5)
    assert not energy[:, :, 0].any()
    assert not energy[1, :, 7:].any()
    assert not energy[2, 1].any()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_methods_of_captum_find_the_only_joint_that_matters(rng, method):
    batch = batch_of(rng)
    found = getattr(attribution, method)(Watcher(), batch, torch.ones(3, dtype=torch.long))
    assert found.shape == (3, 2, 12, 20)
    strength = np.abs(found).sum(axis=2)
    top = strength[:, 0].argsort(axis=1)[:, -2:]
    assert (np.sort(top, axis=1) == sorted([WRIST, int(SKELETON.parents[WRIST])])).all()
    assert not strength[:, 1].any()
    assert not found[1, :, 7:].any()


def test_methods_of_captum_on_a_network_leave_its_mode(rng):
    net = models.build("stgcn", num_classes=2, skeleton=SKELETON, in_channels=3, width=0.125)
    batch = batch_of(rng)
    for method in (attribution.integrated_gradients, attribution.occlusion):
        assert np.isfinite(method(net, batch, torch.zeros(3, dtype=torch.long))).all()
    assert net.training


def test_gradcam_of_a_layer_of_a_network_on_video():
    """Mean slopes of the class weigh the layer's maps; taken here by autograd alone."""
    model, x = pyramid_cases.tiny("Plain"), pyramid_cases.clip()
    kept = []
    handle = model.second.register_forward_hook(lambda _, inputs, output: kept.append(output))
    logits = model(x)
    handle.remove()
    (slope,) = torch.autograd.grad(logits[0, 1], kept[0])
    expected = (slope.mean(dim=(2, 3, 4), keepdim=True) * kept[0]).sum(dim=1, keepdim=True)
    expected = torch.nn.functional.interpolate(expected, x.shape[2:], mode="trilinear")[0, 0].clamp(min=0)
    found = attribution.video_gradcam(model, x, 1, "second")
    np.testing.assert_allclose(found, expected.detach(), rtol=1e-4, atol=1e-7)


def test_a_network_with_modules_says_itself_where_it_looks(rng):
    batch, target = three_clips(rng).batch([0, 1]), torch.tensor([3, 1])
    found = attribution.of_layers(disturbed(network(), scale=0.05), batch, target, rng, layers=["layers.1"])
    assert list(found) == ["layers.1", "focus", "beta", "motion energy", "random"]
    own = focus.focus_maps(disturbed(network(), scale=0.05), batch, target)
    for name in ("focus", "beta"):
        assert found[name].shape == found["random"].shape
        np.testing.assert_allclose(found[name][0, :, ::2], getattr(own, name)[0, :, :6], rtol=1e-5)
        assert not found[name][1, :, 9:].any()  # padding
    other = focus.focus_maps(disturbed(network(), scale=0.05), batch, target - 1).focus
    assert not np.allclose(own.focus, other)
    plain = models.build("msg3d", num_classes=4, skeleton="kinect20", width=0.0625, seed=0)
    told = attribution.of_layers(plain, batch, target, rng, layers=["layers.1"])
    assert list(told) == ["layers.1", "motion energy", "random"]
