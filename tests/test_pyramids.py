"""Class feature pyramids: the rules of selection, and what is refused."""

import oracles_pyramids
import pytest
import torch
from pyramid_cases import CASES, clip, tiny
from torch import nn


@pytest.mark.parametrize("name", sorted(set(CASES) - {"Gated", "Dense", "Branched"}))  # the oracle's heads are linear
@pytest.mark.parametrize(("depth", "threshold"), [(1, 0.5), (2, 0.7), (3, 0.6), (9, 0.3), (9, 0.0)])
def test_the_published_rule_equals_plain_loops(name, depth, threshold):
    from lib import pyramids

    model = tiny(name)
    found = pyramids.class_feature_pyramid(model, clip(), 1, depth, threshold=threshold)
    edges = {(found.nodes[edge.parent][:2], found.nodes[edge.child][:2]) for edge in found.edges}
    trace = pyramids.trace(model, clip())
    shares = {
        (layer.name, j): {(trace.layers[source].name, kernel): value for (source, kernel), value in share.items()}
        for layer in trace.layers
        for j, share in enumerate(layer.inputs)
    }
    assert edges == oracles_pyramids.published(model, clip(), 1, depth, threshold, shares)
    assert len(edges) == len(found.edges)


def test_sides_of_a_sum_share_it():
    from lib import pyramids

    model = tiny("Residual")
    trace = pyramids.trace(model, clip())
    layers = {layer.name: layer for layer in trace.layers}
    with torch.no_grad():
        seen, _ = oracles_pyramids.run(model, clip())
        stem = torch.relu(seen["stem"][1])
        total = seen["one"][1] + stem
        expected = (seen["one"][1] * total).sum(dim=(0, 2, 3, 4)) / total.square().sum(dim=(0, 2, 3, 4))
    place = [layer.name for layer in trace.layers].index("one")
    for kernel, share in enumerate(layers["two"].inputs):
        assert share[place, kernel] == pytest.approx(float(expected[kernel]), rel=1e-4)
    for layer in trace.layers:
        assert all(sum(share.values()) == pytest.approx(1) for share in layer.inputs if share)


def test_the_signed_rule_keeps_what_speaks_for_its_parent():
    from lib import pyramids

    model = tiny("Grouped")
    found = pyramids.class_feature_pyramid(model, clip(), 0, 9, rule="signed", threshold=0.5)
    layers = {layer.name: layer for layer in pyramids.trace(model, clip()).layers}
    gains = {name: oracles_pyramids.mean_outputs(model, clip(), name) for name in layers}
    expected, seen = set(), set()
    open_nodes = [("head", 0)]
    inputs, _ = oracles_pyramids.connections(model, clip())
    while open_nodes:
        name, kernel = node = open_nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        for channel, gain in enumerate(gains[name][kernel].tolist()):
            if gain > 0 and gain >= 0.5 * float(gains[name][kernel].max()):
                for child in inputs[name, channel]:
                    expected.add((node, child))
                    open_nodes.append(child)
    edges = {(found.nodes[edge.parent][:2], found.nodes[edge.child][:2]) for edge in found.edges}
    assert edges == expected
    assert edges
    for edge in found.edges:
        assert edge.contribution > 0
        assert 0.5 <= edge.score <= 1


def test_contributions_of_a_kernel_add_up_to_its_mean_output():
    from lib import pyramids

    model = tiny("Residual")
    found = pyramids.class_feature_pyramid(model, clip(), 1, 1, rule="signed", threshold=0)
    against = pyramids.class_feature_pyramid(negated(model), clip(), 1, 1, rule="signed", threshold=0)
    for_class = sum(edge.contribution for edge in found.edges) - sum(edge.contribution for edge in against.edges)
    assert for_class + model.head.bias[1].item() == pytest.approx(found.logit, abs=1e-5)


def negated(model):
    """Copy with a classifier of the opposite sign, whose pyramid holds what speaks against."""
    import copy

    other = copy.deepcopy(model)
    with torch.no_grad():
        other.head.weight.neg_()
    return other


def test_without_shortcuts_only_the_longest_way_is_followed():
    from lib import pyramids

    model = tiny("Residual")
    both, main = (
        pyramids.class_feature_pyramid(model, clip(), 1, 2, threshold=0, shortcuts=choice) for choice in (True, False)
    )
    assert {node.layer for node in both.nodes} == {"head", "three", "shortcut", "two", "one", "stem"}
    assert {node.layer for node in main.nodes} == {"head", "three", "shortcut", "two"}  # the shortcut is as long


def test_top_keeps_the_strongest():
    from lib import pyramids

    model = tiny("Plain")
    all_of_them = pyramids.class_feature_pyramid(model, clip(), 1, 2, threshold=0)
    two = pyramids.class_feature_pyramid(model, clip(), 1, 2, threshold=0, top=2)
    strongest = sorted((edge.score for edge in all_of_them.edges if edge.parent == 0), reverse=True)[:2]
    assert [edge.score for edge in two.edges if edge.parent == 0] == strongest


def test_a_kernel_that_sees_nothing_has_no_children():
    from lib import pyramids

    model = tiny("Plain")
    with torch.no_grad():
        model.norm.weight.zero_()
        model.norm.bias.fill_(-1)  # ReLU leaves nothing of the first layer
    for rule in ("published", "signed"):
        found = pyramids.class_feature_pyramid(model, clip(), 1, 3, threshold=0, rule=rule)
        assert "first" not in found.layer_sizes


def test_a_threshold_above_all_weights_of_a_class_leaves_it_alone():
    from lib import pyramids

    model = tiny("Plain")
    with torch.no_grad():
        model.head.weight[1] = -1 - model.head.weight.abs().max()
    found = pyramids.class_feature_pyramid(model, clip(), 1, 3, threshold=1)
    assert [node[:2] for node in found.nodes] == [("head", 1)]
    assert found.edges == ()


def test_the_model_and_the_clip_stay_as_they_were():
    from lib import pyramids

    model, x = tiny("Residual").train(), clip()
    model.one.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pyramids.class_feature_pyramid(model, x, 1)
    assert model.training
    assert not model.one.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, clip())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hooks_go_also_when_the_model_fails():
    from lib import pyramids

    model = tiny("Plain")
    with pytest.raises(ValueError, match=r"Plain cannot take a clip of shape \(1, 2, 3, 5, 5\), \(1, C, T, H, W\): .*"):
        pyramids.class_feature_pyramid(model, torch.zeros(1, 2, 3, 5, 5), 0)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


Plain = CASES["Plain"]


class Flat(nn.Module):
    def __init__(self, shape=()):
        super().__init__()
        self.head, self.shape = nn.Linear(3, 4), shape

    def forward(self, x):
        return self.head(x.mean(dim=(2, 3, 4))).reshape(self.shape or (1, 4))


class Constant(nn.Module):
    def forward(self, x):
        return torch.zeros(1, 3)


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (Plain, {"class_index": 3}, r"class_index=3, needed 0\.\.2"),
        (Plain, {"class_index": -1}, "class_index=-1; needed at least 0"),
        (Plain, {"depth": 0}, "depth=0; needed at least 1"),
        (Plain, {"threshold": 1.1}, "threshold=1.1; needed from 0 to 1"),
        (Plain, {"threshold": float("nan")}, "threshold=nan"),
        (Plain, {"rule": "other"}, r"rule='other'; choose one of \['published', 'signed'\]"),
        (Plain, {"top": 0}, "top=0; needed None or at least 1"),
        (Plain, {"clip": torch.zeros(2, 3, 3, 5, 5)}, r"clip has shape \(2, 3, 3, 5, 5\), needed one clip"),
        (Plain, {"clip": torch.zeros(3, 5, 5)}, r"clip has shape \(3, 5, 5\), needed one clip"),
        (Plain, {"clip": torch.zeros(1, 3, 0, 5, 5)}, r"clip has shape \(1, 3, 0, 5, 5\)"),
        (Plain, {"clip": torch.zeros(1, 3, 3, 5, 5).long()}, "clip: torch.int64 values, needed finite"),
        (Plain, {"clip": torch.full((1, 3, 3, 5, 5), float("nan"))}, "needed finite"),
        (Flat, {}, r"Flat ran no 3D convolution on the clip; its layers: \['head'\]"),
        (lambda: Flat((2, 2)), {}, r"the model gives \(2, 2\), needed logits \(1, classes\)"),
        (Constant, {}, "logits do not come from the clip"),
    ],
)
def test_hostile_input_is_refused(model, arguments, message):
    from lib import pyramids

    with pytest.raises(ValueError, match=message):
        pyramids.class_feature_pyramid(model(), **({"clip": clip(), "class_index": 0} | arguments))


def test_a_clip_without_its_first_axis_is_the_same():
    from lib import pyramids

    model = tiny("Plain")
    assert pyramids.class_feature_pyramid(model, clip()[0], 1) == pyramids.class_feature_pyramid(model, clip(), 1)
