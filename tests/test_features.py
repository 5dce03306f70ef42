import numpy as np
import pytest
import torch

from lib import features, models
from lib.clips import ClipSet


@pytest.fixture(scope="module")
def net():
    return models.build("stgcn", num_classes=3, skeleton="kinect20", width=0.125, seed=0)


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (7, 2), (12, 1), (9, 1), (16, 3)]
    arrays = [rng.normal(size=(*shape, 20, 3)) for shape in shapes]
    arrays[1][:, 0] = 0  # the first of two persons is absent
    return ClipSet.from_arrays(arrays, [0, 1, 2, 0, 1], "kinect20")


def hooks(net):
    return sum(len(module._forward_hooks) for module in net.modules())


def test_capture_gives_what_each_layer_returned(net, clips):
    batch = clips.batch([2])
    with torch.no_grad(), features.capture(net.eval(), net.layer_names) as outputs:
        net(*batch[:3])
    assert list(outputs) == list(net.layer_names)
    x = outputs["layers.4"]
    torch.testing.assert_close(outputs["layers.5"], net.layers[5](x))


def test_capture_leaves_nothing_behind(net, clips):
    before = {name: p.requires_grad for name, p in net.named_parameters()}
    net.train()
    with features.capture(net, ["layers.2"]):
        assert hooks(net) == 1
    assert hooks(net) == 0
    assert net.training
    assert before == {name: p.requires_grad for name, p in net.named_parameters()}


def test_capture_leaves_nothing_behind_after_an_error(net):
    with pytest.raises(ValueError, match="needed"), features.capture(net, net.layer_names):
        net(torch.zeros(1))
    assert hooks(net) == 0
    unknown = pytest.raises(ValueError, match=r"no layers \['layers.10'\] in STGCN; it has \['layers.0'")
    with unknown, features.capture(net, ["layers.1", "layers.10"]):
        pass
    assert hooks(net) == 0


def test_capture_keeps_the_graph_for_gradients(net, clips):
    with features.capture(net.eval(), ["layers.9"]) as outputs:
        logits = net(*clips.batch([2])[:3])
    (gradient,) = torch.autograd.grad(logits[0, 0], outputs["layers.9"])
    assert gradient.shape == outputs["layers.9"].shape
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("pool", ["none", "joints", "channels"])
def test_extract_equals_one_clip_at_a_time(net, clips, batch_size, pool):
    """Oracle: each clip alone, unpadded, present persons only, each layer called by hand."""
    found = features.extract(net, clips, pool=pool, batch_size=batch_size)
    assert list(found) == list(net.layer_names)
    net.eval()
    for i, clip in enumerate(clips):
        x = torch.tensor(clip.x[:, clip.present]).permute(1, 3, 0, 2)  # (M, C, T, V)
        flat = x.permute(0, 2, 3, 1).reshape(len(x), -1, 1, 60)  # (M, T, 1, V C)
        x = net.input_norm(flat).view(len(x), -1, 20, 3).permute(0, 3, 1, 2)
        for name, block in zip(net.layer_names, net.layers, strict=True):
            with torch.no_grad():
                x = block(x)
            y = x.mean(dim=0).permute(1, 0, 2)  # (T, C, V)
            y = {"none": y.flatten(1), "joints": y.mean(dim=2), "channels": y.mean(dim=1)}[pool]
            assert len(found[name][i]) == -(-clip.length // net.layer_strides[name])
            np.testing.assert_allclose(found[name][i], y.numpy(), rtol=1e-4, atol=1e-5)


def test_extract_counts_empty_slots_out_of_the_published_mean(clips):
    masked = models.build("stgcn", num_classes=3, skeleton="kinect20", width=0.125, seed=0)
    plain = models.build("stgcn", num_classes=3, skeleton="kinect20", width=0.125, seed=0, pooling="mean")
    one = clips.subset([1])
    for a, b in zip(features.extract(masked, one).values(), features.extract(plain, one).values(), strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-5)


def test_extract_can_fill_files_instead_of_memory(net, clips, tmp_path):
    held = features.extract(net, clips, ["layers.0", "layers.9"])
    stored = features.extract(net, clips, ["layers.0", "layers.9"], store=tmp_path / "features")
    for name, sequences in held.items():
        assert isinstance(stored[name][0].base, np.memmap) or isinstance(stored[name][0], np.memmap)
        for a, b in zip(sequences, stored[name], strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(FileExistsError, match="features exists; choose another"):
        features.extract(net, clips, store=tmp_path / "features")


def test_a_stopped_extraction_leaves_no_files(net, clips, tmp_path, monkeypatch):
    batches = list(clips.batches(2))
    monkeypatch.setattr(ClipSet, "batches", lambda self, size: iter([batches[0], None]))
    with pytest.raises(AttributeError):
        features.extract(net, clips, store=tmp_path / "features")
    assert list(tmp_path.iterdir()) == []
    assert hooks(net) == 0


def test_extract_returns_the_mode_it_found(net, clips):
    net.train()
    net.layers[3].eval()  # a frozen part stays frozen
    features.extract(net, clips, ["layers.0"])
    assert net.training
    assert not net.layers[3].training
    assert hooks(net) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "time"}, r"'time'; choose one of \['channels', 'joints', 'none'\]"),
        ({"layers": ["layers.11"]}, r"no layers \['layers.11'\] in STGCN"),
        ({"layers": ["classifier"]}, r"no layers \['classifier'\]"),
    ],
)
def test_errors_list_the_choices(net, clips, options, message):
    with pytest.raises(ValueError, match=message):
        features.extract(net, clips, **options)
