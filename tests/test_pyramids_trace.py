"""Layers and their connections against brute force, in networks small, published and unheard of."""

import oracles_pyramids
import pytest
import torch
from conv3d_cases import SMALL
from model_cases import disturbed
from pyramid_cases import CASES, clip, tiny
from torch import nn


def named(trace, shares):
    return {(trace.layers[layer].name, kernel) for layer, kernel in shares}


@pytest.mark.parametrize("name", sorted(CASES))
def test_connections_are_those_that_brute_force_finds(name):
    from lib import pyramids

    model = tiny(name)
    trace = pyramids.trace(model, clip())
    inputs, outputs = oracles_pyramids.connections(model, clip())
    found = {(layer.name, j): named(trace, share) for layer in trace.layers for j, share in enumerate(layer.inputs)}
    assert found == inputs
    assert {index: named(trace, share) for index, share in enumerate(trace.outputs)} == outputs
    with torch.no_grad():
        torch.testing.assert_close(trace.logits, model(clip())[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(CASES))
def test_contributions_are_what_goes_when_a_channel_is_silent(name):
    from lib import pyramids
    from lib.pyramids import _contributions

    model = tiny(name)
    for layer in pyramids.trace(model, clip()).layers:
        expected = oracles_pyramids.mean_outputs(model, clip(), layer.name)
        assert layer.num_kernels == len(expected)
        for kernel in range(layer.num_kernels):
            given = torch.zeros(expected.shape[1], dtype=torch.float64)
            given[list(layer.channels(kernel))] = _contributions.signed(layer, [kernel])[0]
            torch.testing.assert_close(given, expected[kernel], rtol=1e-5, atol=1e-6)


def test_writing_into_part_of_a_map_is_followed():
    from lib import pyramids

    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv3d(3, 4, 1)
            self.b = nn.Conv3d(3, 2, 1)
            self.head = nn.Conv3d(4, 2, 1)

        def forward(self, x):
            y = self.a(x)
            half = y[:, 1:3]
            half += self.b(x)
            y[:, 3].zero_()
            return self.head(y).amax(dim=(2, 3, 4))

    model = Written().eval()
    trace = pyramids.trace(model, clip())
    inputs, _ = oracles_pyramids.connections(model, clip())
    head = trace.layers[-1]
    assert {("head", j): named(trace, share) for j, share in enumerate(head.inputs)} == {
        key: value for key, value in inputs.items() if key[0] == "head"
    }


def test_an_unknown_operator_mixes_everything_and_says_so():
    from lib import pyramids

    class Sorted(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 2, 1)
            self.head = nn.Linear(2, 2)

        def forward(self, x):
            return self.head(self.conv(x).mean(dim=(2, 3, 4)).sort(dim=1).values)

    with pytest.warns(UserWarning, match=r"aten.sort in Sorted is not known: its result .* every kernel"):
        trace = pyramids.trace(Sorted().eval(), clip())
    assert [named(trace, share) for share in trace.layers[-1].inputs] == [{("conv", 0), ("conv", 1)}] * 2


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_published_networks_need_no_code_of_their_own(name):
    from lib import pyramids
    from lib.models import conv3d

    model = disturbed(conv3d.build(name, num_classes=5, seed=0, **SMALL[name]), 0, 0.03)
    x = torch.randn((1, 3, 8, 32, 32), generator=torch.Generator().manual_seed(0))
    trace = pyramids.trace(model, x)
    modules = [key for key, module in model.named_modules() if isinstance(module, nn.Conv3d | nn.Linear)]
    assert sorted(layer.name for layer in trace.layers) == sorted(modules)
    assert all(share for layer in trace.layers[1:] for share in layer.inputs)
    for rule in ("published", "signed"):
        found = pyramids.class_feature_pyramid(model, x, 2, 3, rule=rule, threshold=0.8)
        assert max(node.level for node in found.nodes) == 3


def test_blocks_without_a_shortcut_of_their_own_reach_back_to_the_last_one():
    from lib import pyramids
    from lib.models import conv3d

    model = disturbed(conv3d.build("resnet50", num_classes=5, seed=0, width=0.0625), 0, 0.03)
    trace = pyramids.trace(model, torch.ones(1, 3, 8, 32, 32))
    before_the_classifier = {"layer4.0.conv3", "layer4.0.downsample.0", "layer4.1.conv3", "layer4.2.conv3"}
    for channel, share in enumerate(trace.layers[-1].inputs):
        assert named(trace, share) == {(layer, channel) for layer in before_the_classifier}


def test_a_layer_that_runs_twice_is_two():
    from lib import pyramids

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 3, 1)

        def forward(self, x):
            return self.conv(torch.relu(self.conv(x))).mean(dim=(2, 3, 4))

    found = pyramids.class_feature_pyramid(Twice(), clip(), 1, threshold=0)
    assert found.layer_sizes == {"conv:2": 3, "conv": 3}
