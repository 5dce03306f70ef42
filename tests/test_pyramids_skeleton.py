"""Class feature pyramids of networks on skeletons, against the same networks written out kernel by kernel."""

import json

import oracles_pyramids_skeleton as oracle
import pytest
import torch
from pyramid_skeleton_cases import NAMES, batch, case_of, tiny


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    return case_of(request.param)


def test_layers_are_those_of_the_plain_network(case):
    assert set(case.layers) == set(case.nodes.inputs)
    torch.testing.assert_close(case.trace.logits, case.logits, rtol=1e-10, atol=1e-10)
    for name, layer in case.layers.items():
        expected = case.nodes.weights[name]
        torch.testing.assert_close(layer.weight.reshape(expected.shape), expected, rtol=0, atol=0)


def test_the_values_that_go_on_are_the_networks_own(case):
    with torch.no_grad():
        logits = case.model(case.clip.x[:, :, :6], case.clip.lengths, case.clip.present)[0]
    torch.testing.assert_close(case.trace.logits, logits, rtol=0, atol=0)


def test_signed_contributions_are_what_goes_when_a_channel_is_silent(case):
    from lib.pyramids import _contributions

    for name, layer in case.layers.items():
        found = _contributions.signed(layer, range(layer.num_kernels))
        torch.testing.assert_close(found, oracle.silenced(case.nodes, name), rtol=1e-9, atol=1e-10)


def test_products_are_those_of_the_published_rule(case):
    from lib.pyramids import _contributions

    for name, layer in case.layers.items():
        if name != "classifier":  # whose products are weights alone
            found = _contributions.published(layer, range(layer.num_kernels))[0]
            torch.testing.assert_close(found, oracle.published(case.nodes, name), rtol=1e-9, atol=1e-10)


def test_connections_are_those_that_brute_force_finds(case):
    heard = {}
    for (layer, channel), share in case.shares().items():
        for source in share:
            heard.setdefault(source, set()).add((layer, channel))
    x = oracle.seen(case.clip)
    for name, layer in case.layers.items():
        if name.startswith("layers.") and (case.name != "stf" or name.startswith("layers.1.")):
            last = layer.num_kernels - 1
            assert heard[name, last] == oracle.listeners(case.network, x, name, last), name


def test_partitions_share_what_they_add_up_to(case):
    shares = case.shares()
    first, last = {
        "stgcn": ("layers.1.gcn", "layers.1.tcn"),
        "msg3d": ("layers.1.spatial", "layers.1.temporal.0.enter"),
        "stf": ("layers.1.windows.0.conv", "layers.1.windows.0.collapse"),
    }[case.name]
    parts = {name: y for name, y in case.nodes.outputs.items() if name.startswith(f"{first}:")}
    total = sum(parts.values())
    channels = len(case.layers[last].inputs)
    for channel in range(channels):
        z = total[:, channel]
        expected = {(name, channel): float((y[:, channel] * z).sum() / (z * z).sum()) for name, y in parts.items()}
        assert shares[last, channel] == pytest.approx(expected, rel=1e-9)
        assert sum(expected.values()) == pytest.approx(1)
        assert len(set(expected.values())) == len(parts) > 1


@pytest.mark.parametrize("name", NAMES)
def test_contributions_and_bias_add_up_to_what_the_modules_give(name):
    """Mean over true frames of present persons of the network's own, fused output before its normalisation."""
    from lib import pyramids
    from lib.features import capture
    from lib.pyramids import _contributions

    model, clip = tiny(name), batch(absent=True)
    clip = clip._replace(x=clip.x.double())
    layers = {layer.name: layer for layer in pyramids.trace(model, clip).layers}
    modules = {"layers.1.gcn": 6, "layers.2.gcn": 6}  # and their true frames
    if name != "stgcn":
        modules = {"layers.1.spatial": 6, "layers.2.windows.0.conv": 2}
    with capture(model, list(modules)) as outputs, torch.no_grad():
        model(clip.x, clip.lengths, clip.present)
    for module, frames in modules.items():
        parts = [layer for key, layer in layers.items() if key.startswith(f"{module}:")]
        signed = sum(_contributions.signed(layer, range(layer.num_kernels)).sum(dim=1) for layer in parts)
        owner = model.get_submodule(module)
        if name == "stgcn":
            A = owner.A * owner.importance
            bias = torch.einsum("kvw,kc->c", A, owner.bias) / A.shape[2]
        else:
            bias = owner.mix.bias
        mean = outputs[module][:, :frames].mean(dim=(0, 1, 2))
        torch.testing.assert_close(signed + bias.detach(), mean, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("depth", "threshold"), [(1, 0.5), (2, 0.7), (4, 0.6)])
@pytest.mark.parametrize("rule", ["published", "signed"])
def test_pyramids_equal_plain_loops(case, rule, depth, threshold):
    from lib import pyramids

    found = pyramids.class_feature_pyramid(case.model, case.clip, 1, depth, threshold=threshold, rule=rule)
    edges = {(found.nodes[edge.parent][:2], found.nodes[edge.child][:2]) for edge in found.edges}
    assert edges
    if rule == "published":
        tables = {name: oracle.published(case.nodes, name) for name in case.layers}
        tables["classifier"] = case.nodes.weights["classifier"].squeeze(2)
        assert edges == oracle.pyramid(tables, case.shares(), ("classifier", 1), depth, threshold)
    else:
        tables = {name: oracle.silenced(case.nodes, name) for name in case.layers}
        assert edges == oracle.signed_pyramid(tables, case.shares(), ("classifier", 1), depth, threshold)


def test_padding_and_absent_persons_change_nothing(case):
    from lib import pyramids

    clean, disturbed = (
        pyramids.class_feature_pyramid(case.model, clip, 2, 4, rule="signed", threshold=0.4)
        for clip in (batch(), batch(padding=float("nan"), absent=True))
    )
    assert clean == disturbed


def test_a_network_that_counts_padding_has_it_counted():
    from lib import pyramids
    from lib.pyramids import _contributions

    model, clip = tiny("stgcn", pooling="mean"), batch(padding=1.0, absent=True)
    clip = clip._replace(x=clip.x.double())
    found = pyramids.trace(model, clip)
    with torch.no_grad():
        torch.testing.assert_close(found.logits, model(clip.x, clip.lengths, clip.present)[0])
    given = _contributions.signed(found.layers[-1], range(3)).sum(dim=1)
    torch.testing.assert_close(given + model.classifier.bias.detach(), found.logits)
    assert pyramids.joint_maps(model, clip, [("layers.0.tcn", 0)])["layers.0.tcn", 0].shape == (3, 9, 5)


@pytest.mark.parametrize("stream", ["joint", "bone_motion"])
def test_slots_and_streams_are_followed(stream):
    from lib import models, pyramids
    from lib.skeletons import Skeleton

    options = {"width": 1 / 16, "num_gcn_scales": 2, "num_g3d_scales": 2, "num_persons": 3, "stream": stream}
    skeleton = Skeleton.from_edges([(0, 1), (1, 2), (2, 3), (1, 4)])
    model, clip = models.build("msg3d", num_classes=3, skeleton=skeleton, seed=0, **options).eval(), batch(absent=True)
    with torch.no_grad():
        logits = model(clip.x, clip.lengths, clip.present)[0]
    torch.testing.assert_close(pyramids.trace(model, clip).logits, logits, rtol=1e-5, atol=1e-6)


def test_json_gives_the_pyramid_back(case):
    from lib import pyramids

    found = pyramids.class_feature_pyramid(case.model, case.clip, 1, 5, threshold=0.5)
    assert any(":" in node.layer for node in found.nodes)
    assert pyramids.Pyramid.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    assert len(found.to_networkx()) == len(found.nodes)


def test_the_model_and_the_clip_stay_as_they_were():
    from lib import pyramids

    model, clip = tiny("stf").train(), batch()
    model.layers[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pyramids.class_feature_pyramid(model, clip, 1)
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 6, 4, 2\), needed"):
        pyramids.trace(model, clip._replace(x=clip.x[:, :, :, :4].double()))
    assert model.training
    assert not model.layers[0].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(clip.x, batch().x)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def two_clips():
    from lib.clips import Batch

    return Batch(*(torch.cat([part, part]) for part in batch()))


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (lambda: batch().x, r"clip: video \(a tensor\), needed a batch of one clip, such as .* for STGCN"),
        (two_clips, r"a batch of 2 clips, needed one"),
        (lambda: batch()._replace(lengths=torch.tensor([10])), r"10 true frames, needed 1\.\.9"),
        (lambda: batch()._replace(lengths=torch.tensor([0])), r"0 true frames, needed 1\.\.9"),
        (lambda: batch()._replace(x=batch().x.long()), "clip: torch.int64 values, needed finite"),
        (lambda: batch()._replace(x=batch().x / 0), "clip: torch.float32 values, needed finite"),
        (lambda: batch()._replace(x=batch().x[:, :2]), r"x has shape \(1, 2, 6, 5, 2\), needed \(N, C=3, "),
        (lambda: batch()._replace(present=torch.zeros(1, 2, dtype=torch.bool)), "no present person"),
    ],
)
def test_hostile_clips_are_refused(clip, message):
    from lib import pyramids

    model = tiny("stgcn")
    with pytest.raises(ValueError, match=message):
        pyramids.class_feature_pyramid(model, clip(), 0)


def test_a_network_on_video_wants_video():
    from pyramid_cases import tiny as on_video

    from lib import pyramids

    with pytest.raises(ValueError, match=r"clip: skeletons \(a batch\), needed a tensor \(1, C, T, H, W\) for Plain"):
        pyramids.class_feature_pyramid(on_video("Plain"), batch(), 0)
