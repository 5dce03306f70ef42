import numpy as np
import oracles_msg3d
import pytest
import torch
from model_cases import clip, disturbed

from lib import features, gradcam, models, skeletons
from lib.clips import ClipSet
from lib.models import msg3d_weights, multiscale


def links(skeleton):
    return (skeleton.hops == 1).astype(float)


def pair(layout="kinect20", num_classes=5, channels=12, *, windows=(3, 5), scales=(13, 6), persons=2):
    """Return the published network with arbitrary weights, and ours with the same ones."""
    skeleton = skeletons.get(layout)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        published = oracles_msg3d.PublishedMSG3D(3, num_classes, links(skeleton), channels, persons, *scales, windows)
    disturbed(published, scale=0.03)
    ours = models.build(
        "msg3d",
        num_classes=num_classes,
        skeleton=skeleton,
        width=channels / 96,
        num_gcn_scales=scales[0],
        num_g3d_scales=scales[1],
        graph_window_sizes=windows,
        pooling="mean",
        num_persons=persons,
    )
    models.load_reference(ours, {f"module.{name}": value for name, value in published.state_dict().items()})
    return published, ours.eval()


@pytest.fixture(scope="module")
def small():
    options = {"num_classes": 5, "skeleton": "kinect20", "width": 0.0625, "seed": 0}
    return disturbed(models.build("msg3d", **options), scale=0.03)


# --- the published network ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "num_classes", "channels", "T", "options"),
    [
        ("ntu25", 60, 96, 20, {}),
        ("ntu25", 60, 12, 33, {}),
        ("openpose18", 400, 12, 7, {"scales": (8, 8)}),
        ("kinect20", 5, 18, 1, {"persons": 1}),
        ("kinect20", 5, 12, 16, {"windows": (3, 5, 7)}),
        ("kinect20", 5, 12, 9, {"windows": (1,), "persons": 3}),
    ],
)
def test_published_weights_give_the_published_logits(layout, num_classes, channels, T, options):
    published, ours = pair(layout, num_classes, channels, **options)
    M = options.get("persons", 2)
    x = torch.randn((2, 3, T, len(skeletons.get(layout)), M), generator=torch.Generator().manual_seed(1))
    if M > 1:
        x[1, ..., 1] = 0  # an absent person counts in the published network
    with torch.no_grad():
        expected, logits = published(x), ours(x)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(("layout", "T", "windows"), [("ntu25", 11, (3, 5)), ("kinect20", 8, (1, 7))])
def test_a_training_step_is_the_published_networks(layout, T, windows, monkeypatch):
    monkeypatch.setattr(multiscale, "PART", 40_000)  # one or two of the six persons at a time
    published, ours = (net.double().train() for net in pair(layout, windows=windows))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn((3, 3, T, len(skeletons.get(layout)), 2), dtype=torch.float64, generator=generator)
    losses = []
    for net in (published, ours):
        losses.append(net(x).square().sum())
        losses[-1].backward()
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=0)
    gradients = msg3d_weights.from_reference({name: p.grad for name, p in published.named_parameters()}, ours)
    own = dict(ours.named_parameters())
    assert gradients.keys() == own.keys()
    for name, gradient in gradients.items():
        # adjacencies are rounded to float32 by two ways of normalising, which leaves 1e-7 of difference
        atol = 1e-5 * float(gradient.abs().max()) + 1e-7
        torch.testing.assert_close(own[name].grad, gradient, rtol=1e-4, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
    statistics = msg3d_weights.from_reference(published.state_dict(), ours)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, statistics[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("fc.bias"), r"missing \['classifier.bias'\]"),
        (lambda s: s.update(extra=torch.ones(1)), r"unknown \['extra'\]"),
        (lambda s: s.update({"fc.weight": torch.ones(7, 48)}), r"classifier.weight \(7, 48\) instead of \(5, 48\)"),
        (
            lambda s: s.pop("tcn1.branches.2.3.conv.weight"),
            r"missing \['layers.0.after.taps'\], unknown \['tcn1.branches.0.3.conv.weight'",
        ),
        (
            lambda s: s.update({"sgcn2.1.branches.4.1.weight": torch.ones(9)}),
            r"missing \['layers.1.temporal.0.enter_norm.weight'\], unknown .*'sgcn2.1.branches.4.1.weight'",
        ),
        (lambda s: s.update({"gcn3d1.gcn3d.0.gcn3d.1.A_res": torch.ones(450, 75)}), r"A_res \(450, 75\) instead of"),
        (
            lambda s: s.update({"data_bn.weight": torch.ones(60)}),
            r"input_norms.0.weight \(30,\) instead of \(60,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(change, message):
    published, ours = pair()
    state = published.state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        models.load_reference(ours, state)


def test_weights_of_two_person_slots_say_what_network_they_need():
    net = models.build("msg3d", num_classes=5, skeleton="kinect20", width=0.125)
    with pytest.raises(ValueError, match=r"build the network with num_persons=2, and pooling='mean'"):
        models.load_reference(net, pair()[0].state_dict())


def test_full_width_has_the_published_size():
    net = models.build("msg3d", num_classes=60, skeleton="ntu25", num_persons=2)
    count = sum(p.numel() for p in net.parameters())
    published = oracles_msg3d.PublishedMSG3D(3, 60, links(skeletons.get("ntu25")))
    assert count == sum(p.numel() for p in published.parameters()) == 3_194_595
    assert [block.after.out_norm.num_features for block in net.layers] == [96, 192, 384]
    assert net.layer_strides == {"layers.0": 1, "layers.1": 2, "layers.2": 4}
    assert not any(name.endswith(".A") for name in dict(net.named_parameters()))
    assert net.layers[0].spatial.A.shape == (13 * 25, 25)


@pytest.mark.parametrize("window_size", [1, 3, 5])
def test_scales_of_windows_are_the_published_ones(window_size):
    skeleton = skeletons.get("ntu25")
    graph = links(skeleton)
    if window_size > 1:
        graph = np.tile(graph + np.eye(25), (window_size, window_size))
    expected = oracles_msg3d.stacked_scales(graph, 7)
    found = skeleton.hop_scales(7, window_size=window_size).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_sixteen_bits_give_nearly_the_same_gradients(small):
    x = clip(12, 2)
    slopes = []
    for enabled in (False, True):
        small.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = small(x)
        logits.float().square().sum().backward()
        slopes.append({name: p.grad.clone() for name, p in small.named_parameters()})
    small.zero_grad()
    for name in ("classifier.weight", "layers.2.windows.1.conv.A_res", "layers.0.spatial.mix.weight"):
        assert slopes[1][name].dtype == torch.float32
        similarity = torch.nn.functional.cosine_similarity(slopes[0][name].flatten(), slopes[1][name].flatten(), dim=0)
        assert similarity > 0.95


# --- padding, persons, clips ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_persons", [None, 3])
def test_neither_padding_nor_absent_persons_enter_training(num_persons):
    options = {"num_classes": 5, "skeleton": "kinect20", "width": 0.0625, "num_persons": num_persons}
    nets = [models.build("msg3d", seed=0, **options).double().train() for _ in range(2)]
    x = torch.cat([clip(9, 3, seed) for seed in range(3)]).double()
    lengths, present = torch.tensor([9, 9, 9]), torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=torch.bool)
    longer = torch.randn(3, 3, 14, 20, 3, dtype=torch.float64)
    longer[:, :, :9] = torch.where(present[:, None, None, None], x, longer[:, :, :9])
    inputs = [(x, None, present), (longer, lengths, present)]
    losses = [net(*args).square().sum() for net, args in zip(nets, inputs, strict=True)]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(losses[1], losses[0])
    for (name, a), b in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        if a.grad is None:  # normalisation of a slot in which nobody is
            assert b.grad is None
            assert name.startswith("input_norms.2.")
            continue
        torch.testing.assert_close(b.grad, a.grad, msg=lambda m, n=name: f"{n}: {m}")
    for a, b in zip(nets[0].buffers(), nets[1].buffers(), strict=True):
        torch.testing.assert_close(b, a)


# --- options --------------------------------------------------------------------------------------------------------


def test_every_option_trains():
    options = {"width": 0.0625, "num_gcn_scales": 3, "num_g3d_scales": 2, "graph_window_sizes": (7,), "dropout": 0.5}
    net = models.build("msg3d", num_classes=3, skeleton="openpose18", in_channels=2, stream="bone_motion", **options)
    assert "stream='bone_motion'" in repr(net)
    net(torch.randn(2, 2, 9, 18, 2)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("width", [0.01, 0.25, 0.3])
def test_channels_are_multiples_of_the_branches(width):
    net = models.build("msg3d", num_classes=3, skeleton="coco17", width=width)
    first = net.layers[0].after.out_norm.num_features
    assert first == max(6, round(96 * width / 6) * 6)
    assert [block.after.out_norm.num_features for block in net.layers] == [first, 2 * first, 4 * first]


def test_same_seed_same_weights_and_global_generator_untouched():
    state = torch.random.get_rng_state()
    options = {"num_classes": 3, "skeleton": "coco17", "width": 0.0625}
    a, b, c = (models.build("msg3d", seed=seed, **options).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["layers.1.after.taps"], c["layers.1.after.taps"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widht": 2}, r"no option \['widht'\]; it has .*'graph_window_sizes'"),
        ({"pooling": "max"}, "'max'; choose 'masked'"),
        ({"dropout": 1.0}, "dropout=1.0, needed in"),
        ({"width": 0}, "width=0; needed positive"),
        ({"graph_window_sizes": (3, 4)}, r"graph_window_sizes=\(3, 4\); needed odd numbers"),
        ({"graph_window_sizes": ()}, r"graph_window_sizes=\(\); needed odd"),
        ({"num_gcn_scales": 0}, "num_gcn_scales=0, num_g3d_scales=6; needed at least 1"),
        ({"stream": "velocity"}, r"stream='velocity'; choose one of \['joint', 'bone',"),
        ({"num_persons": 0}, "num_persons=0; needed None or at least 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.build("msg3d", num_classes=2, skeleton="coco17", **options)


def test_bad_clips_are_refused(small):
    with pytest.raises(ValueError, match=r"shape \(1, 3, 4, 25, 1\), needed \(N, C=3, T >= 1, V=20"):
        small(torch.zeros(1, 3, 4, 25, 1))
    with pytest.raises(ValueError, match=r"clips \[1\] of the batch have no present person"):
        small(torch.zeros(2, 3, 4, 20, 1), None, torch.tensor([[True], [False]]))
    with pytest.raises(ValueError, match="x has M=3 person slots, this network num_persons=2"):
        pair()[1](clip(4, 3))


# --- features and maps ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(*shape, 20, 3)) for shape in [(1, 1), (7, 2), (12, 1), (16, 3)]]
    arrays[1][:, 0] = 0  # the first of two persons is absent
    return ClipSet.from_arrays(arrays, [0, 1, 2, 0], "kinect20")


def test_features_of_every_layer_do_not_hang_on_the_batch(small, clips):
    together = features.extract(small, clips)
    assert list(together) == ["layers.0", "layers.1", "layers.2"]
    for name, channels in zip(together, (6, 12, 24), strict=True):
        stride = small.layer_strides[name]
        assert [len(rows) for rows in together[name]] == [-(-length // stride) for length in (1, 7, 12, 16)]
        assert together[name][0].shape[1] == channels * 20
    alone = features.extract(small, clips, batch_size=1)
    for name in together:
        for a, b in zip(together[name], alone[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_maps_of_all_layers_come_from_one_pass(small, clips):
    calls = []
    handle = small.register_forward_hook(lambda *_: calls.append(1))
    batch = clips.batch([0, 1, 2, 3])
    maps = gradcam.gradcam(small, batch)
    assert len(calls) == 1
    for name in small.layer_names:
        stride = small.layer_strides[name]
        assert maps[name].shape == (4, 3, -(-16 // stride), 20)
        one = gradcam.gradcam(small, batch, [name])
        np.testing.assert_allclose(maps[name], one[name], rtol=1e-4, atol=1e-6)
        for n, length in enumerate((1, 7, 12, 16)):
            assert not maps[name][n, :, -(-length // stride) :].any()
            assert not maps[name][n, ~batch.present[n].numpy()].any()
            assert maps[name][n, batch.present[n].numpy()].any()
    handle.remove()


def test_maps_are_captums(small):
    from captum.attr import LayerGradCam

    arrays = [np.random.default_rng(n).normal(size=(13, 20, 3)) for n in range(3)]
    batch = ClipSet.from_arrays(arrays, [0, 1, 2], "kinect20").batch([0, 1, 2])
    found = gradcam.gradcam(small, batch, target=1)
    for name in small.layer_names:
        explain = LayerGradCam(small, small.get_submodule(name))
        expected = explain.attribute(batch.x, target=1, additional_forward_args=(batch.lengths, batch.present))
        np.testing.assert_allclose(found[name][:, 0], expected[:, 0].detach().numpy(), rtol=1e-3, atol=1e-6)
