"""STF-GCN modules inside MS-G3D, and the slopes that a focus is made of."""

import threading

import numpy as np
import oracles_msg3d
import pytest
import torch
from focus_cases import network, three_clips

from lib import focus, models
from lib.models import layers, stf
from lib.models.multiscale import ScaleConv
from lib.models.stf import FocusAdjacency

SHAPES = [((4, 3), 1, 1), ((4, 3), 3, 2), ((2, 3), 3, 1), ((2, 3), 1, 1)]  # channels shrink and grow


@pytest.fixture
def clips(rng):
    return three_clips(rng)


def test_training_starts_from_msg3d(clips):
    plain = models.build("msg3d", num_classes=4, skeleton="kinect20", width=0.0625, seed=1).eval()
    ours = network(seed=1).eval()
    weights = ours.state_dict()
    assert all(torch.equal(value, weights.pop(name)) for name, value in plain.state_dict().items())
    assert all(".focus." in name for name in weights)
    batch = clips.batch(range(3))
    with torch.no_grad():
        torch.testing.assert_close(ours(*batch[:3]), plain(*batch[:3]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("channels", "window_size", "stride"), SHAPES)
def test_each_clip_adds_its_own_graph_to_every_window(channels, window_size, stride):
    P, T, V, K = 2, 5, 3, 2
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    conv = ScaleConv(*channels, draw(K, window_size * V, window_size * V), window_size, stride).double()
    x, graph = draw(P, T, V, channels[0]), draw(P, K, V, V)
    expected = oracles_msg3d.scale_conv(
        x, (conv.A + conv.A_res).view(K, window_size * V, -1), graph, conv.mix, window_size, stride
    )
    torch.testing.assert_close(conv(x, graph), expected, rtol=1e-10, atol=1e-10)


def test_replacing_drops_the_fixed_graph_where_modules_stand():
    ours = network(focus_places=("layers.1.joints",), focus_replaces=True)
    assert not ours.layers[1].spatial.A.any()
    assert ours.layers[1].windows[0].conv.A.any()
    assert ours.layers[0].spatial.A.any()
    assert list(ours.layers[1].focus) == ["joints"]
    assert not len(ours.layers[2].focus)
    assert bool((ours.layers[1].focus["joints"].size == 1).all())
    with pytest.raises(ValueError, match=r"no \['layers.3.joints'\]; choose from \['layers.0.joints'"):
        network(focus_places=("layers.3.joints",))


def test_padding_changes_nothing(small_stf, clips):
    together = clips.batch(range(3))
    with torch.no_grad():
        logits = small_stf(*together[:3])
        for n in range(3):
            alone = clips.batch([n])
            torch.testing.assert_close(small_stf(*alone[:3])[0], logits[n], rtol=1e-4, atol=1e-5)
    q, beta, stride = focus.focus_maps(small_stf, together)
    assert stride == 2
    for n in range(3):
        frames, persons = -(-int(together.lengths[n]) // 2), int(together.present[n].sum())
        for maps, single in zip((q, beta), focus.focus_maps(small_stf, clips.batch([n]))[:2], strict=True):
            assert not maps[n, :, frames:].any()
            assert not maps[n, persons:].any()
            np.testing.assert_allclose(maps[n, :persons, :frames], single[0, :persons], rtol=1e-3, atol=1e-5)


def test_spans_average_true_frames_in_equal_shares():
    module = FocusAdjacency(2, 1, 1.0)
    with torch.no_grad():
        for linear in (module.source, module.target):
            linear.weight.zero_()
            linear.bias.zero_()
    x = torch.randn(2, 2, 6, 4)
    mask = (torch.arange(6) < torch.tensor([6, 3])[:, None]).float()[:, None, :, None]
    beta, graph = module(x, mask)
    assert not beta[1, 3:].any()
    assert bool(((beta[0] > 0) & (beta[0] < 1)).all())
    torch.testing.assert_close(graph, torch.full((2, 1, 4, 4), 0.25))  # nothing to tell joints apart: all alike


def own_module(rng):
    """A module with scales of their own sizes, features for it, and a mask."""
    module = FocusAdjacency(3, 2, 1.0).double()
    with torch.no_grad():
        for weights in module.parameters():
            weights.copy_(torch.as_tensor(rng.normal(size=weights.shape)))
    x = torch.as_tensor(rng.normal(size=(2, 3, 6, 4)))
    return module, x.requires_grad_(), (torch.arange(6) < torch.tensor([6, 4])[:, None]).double()[:, None, :, None]


def test_every_joint_shares_out_the_size_of_its_scale_among_its_sources(rng):
    module, x, mask = own_module(rng)
    graph = module(x, mask)[1]
    torch.testing.assert_close(graph.sum(dim=3), module.size[:, None].expand(2, 2, 4))
    assert graph.std(dim=3).abs().min() > 1e-6


def test_graphs_are_as_exact_within_autocast(rng):
    module, x, mask = own_module(rng)
    module.float()
    with torch.autocast("cpu", torch.bfloat16):
        beta, graph = module(x.float(), mask.float())
    spans = (stf._spans(beta, mask.float()) @ beta).mT
    source, target = (part(spans).view(2, 4, 2, -1).transpose(1, 2) for part in (module.source, module.target))
    affinity = (target @ source.mT * stf.RANK**-0.5).softmax(dim=3) * module.size[:, None, None]
    torch.testing.assert_close(graph, affinity, rtol=1e-6, atol=1e-7)


def test_mean_slopes_by_way_of_beta_are_those_of_the_input(rng):
    module, x, mask = own_module(rng)
    beta = module(x, mask)[0]
    slope = torch.as_tensor(rng.normal(size=beta.shape))
    expected = torch.autograd.grad(beta, x, slope)[0].sum(dim=(2, 3)) / torch.tensor([[24.0], [16.0]])
    torch.testing.assert_close(module.mean_slope(slope, beta, mask), expected.double())


@pytest.mark.parametrize("lengths", [None, (5, 3)])
@pytest.mark.parametrize(("channels", "window_size", "stride"), SHAPES)
def test_mean_slopes_are_those_of_the_input(channels, window_size, stride, lengths):
    P, T, V, K = 2, 5, 3, 2
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    conv = ScaleConv(*channels, draw(K, window_size * V, window_size * V), window_size, stride).double()
    x, graph = draw(P, T, V, channels[0]).requires_grad_(), draw(P, K, V, V)
    lengths = torch.tensor(lengths or (T, T))
    true = (torch.arange(T) < lengths[:, None]).double()[:, :, None, None]
    y = conv(x * true, graph)
    slope = draw(*y.shape)
    expected = (torch.autograd.grad(y, x, slope)[0] * true).sum(dim=(1, 2))
    torch.testing.assert_close(conv.mean_slope(slope, graph, lengths), expected)


def test_slopes_of_features_are_meant_in_every_thread():
    """PyTorch takes slopes on a GPU in threads of its own."""
    seen = []
    with layers.features_explained():
        thread = threading.Thread(target=lambda: seen.append(layers.slopes_of_features.is_set()))
        thread.start()
        thread.join()
    assert seen == [True]
    assert not layers.slopes_of_features.is_set()


def test_slopes_of_features_are_meant_until_the_outermost_context_ends():
    with layers.features_explained():
        with layers.features_explained():
            pass
        assert layers.slopes_of_features.is_set()
    assert not layers.slopes_of_features.is_set()
