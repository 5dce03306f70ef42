"""Saliency tubes: the maps that are summed are those of the chosen channels, at their places."""

import numpy as np
import pytest
import torch
from pyramid_cases import clip, tiny
from torch.nn import functional as F


def tube(model, layer, rule="signed", **options):
    from lib import pyramids

    found = pyramids.class_feature_pyramid(model, clip(), 2, 3, rule=rule, **{"threshold": 0.3} | options)
    return found, pyramids.saliency_tube(model, clip(), found, layer)


def plain(model, x):
    """What the second convolution of `Plain` is given."""
    with torch.no_grad():
        return F.max_pool3d(F.relu(model.norm(model.first(x))), (1, 2, 2), 1)


def chosen(found, kernel):
    """Children of a kernel of `Plain`'s second convolution, which are its input channels."""
    (parent,) = (i for i, node in enumerate(found.nodes) if node[:2] == ("second", kernel))
    return [found.nodes[edge.child].kernel for edge in found.edges if edge.parent == parent], found.strengths()[parent]


@pytest.mark.parametrize("rule", ["published", "signed"])
def test_a_tube_is_what_the_chosen_channels_hold(rule):
    model = tiny("Plain")
    found, heat = tube(model, "second", rule)
    x = plain(model, clip())
    expected = 0.0
    for kernel in found.kernels("second"):
        channels, strength = chosen(found, kernel)
        if rule == "published":
            expected = expected + strength * x[:, channels].sum(dim=1, keepdim=True)
        else:
            alone = torch.zeros_like(x)
            alone[:, channels] = x[:, channels]
            with torch.no_grad():
                expected = expected + strength * model.second(alone)[:, [kernel]]
    expected = F.interpolate(expected, clip().shape[2:], mode="trilinear")[0, 0].clamp(min=0)
    assert heat.shape == tuple(clip().shape[2:])
    assert heat.any()
    np.testing.assert_allclose(heat, expected, rtol=1e-4, atol=1e-6)


class Overwriting(torch.nn.Module):
    """Adds to its input, or writes the sum over it; convolutions by name, with another padding."""

    def __init__(self, written):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = torch.nn.Conv3d(3, 4, 3, padding=1)
            self.second = torch.nn.Conv3d(4, 4, 3, padding=1, padding_mode="reflect")
            self.head = torch.nn.Linear(4, 3)
        self.written = written

    def forward(self, x):
        x = self.first(input=x)
        if self.written:
            x += self.second(input=x)
        else:
            x = x + self.second(input=x)
        return self.head(x.mean(dim=(2, 3, 4)))


@pytest.mark.parametrize("rule", ["published", "signed"])
def test_a_tube_is_of_what_the_layer_saw_whatever_is_written_over_it_later(rule):
    (_, one), (_, other) = (tube(Overwriting(written), "second", rule, threshold=0.1) for written in (False, True))
    assert one.any()
    np.testing.assert_array_equal(one, other)


def test_a_clip_is_left_as_it_was():
    from lib import attribution, pyramids

    model = torch.nn.Sequential(torch.nn.ReLU(inplace=True), tiny("Plain"))
    given = clip()
    before = given.clone()
    found = pyramids.class_feature_pyramid(model, given, 1, 3, threshold=0.1)
    pyramids.saliency_tube(model, given, found, "1.second")
    attribution.video_gradcam(model, given, 1, "1.second")
    assert torch.equal(given, before)


@pytest.mark.parametrize("name", ["Grouped", "Residual", "Branched"])
def test_groups_sums_and_branches_have_tubes(name):
    from lib import pyramids

    model = tiny(name)
    found = pyramids.class_feature_pyramid(model, clip(), 1, 4, threshold=0.1)
    parents = {found.nodes[edge.parent].layer for edge in found.edges}
    drawn = 0
    for layer in parents:
        if model.get_submodule(layer).weight.ndim == 5:
            heat = pyramids.saliency_tube(model, clip(), found, layer)
            assert np.isfinite(heat).all()
            assert heat.min() >= 0
            drawn += 1
    assert drawn > 1


def test_a_tube_lies_where_the_network_sees_something():
    """A clip of one bright pixel: only places whose kernels reach it can be warm."""
    from lib import pyramids

    model = tiny("Plain")
    with torch.no_grad():
        model.first.bias.zero_()
        model.norm.bias.zero_()
        model.norm.running_mean.zero_()
        model.first.weight.abs_()
        model.second.weight.abs_()
        model.norm.weight.abs_()
        model.head.weight.abs_()
    x = torch.zeros(1, 3, 3, 33, 33)
    x[0, :, 1, 8, 8] = 1
    found = pyramids.class_feature_pyramid(model, x, 1, 3, threshold=0, rule="signed")
    heat = pyramids.saliency_tube(model, x, found, "second")
    assert heat[:, :20, :20].sum() > 0.9 * heat.sum()


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        ("nowhere", {}, r"no layer 'nowhere' in this pyramid and network; the pyramid has \['head'"),
        ("head", {}, "layer 'head' is no 3D convolution"),
        ("first", {"rule": "published"}, "kernels of 'first' have no children in this pyramid; make it deeper"),
    ],
)
def test_layers_without_a_tube_are_refused(layer, options, message):
    with pytest.raises(ValueError, match=message):
        tube(tiny("Plain"), layer, **options)
