"""Networks on video, against functions of published weights."""

import oracles_conv3d
import pytest
import torch
from conv3d_cases import SMALL
from model_cases import disturbed

RELEASES = {
    "i3d": oracles_conv3d.i3d,
    "mfnet": lambda weights, x: oracles_conv3d.mfnet(weights, x, groups=4),
    "resnet50": lambda weights, x: oracles_conv3d.resnet(weights, x, (3, 4, 6, 3)),
    "resnet101": lambda weights, x: oracles_conv3d.resnet(weights, x, (3, 4, 23, 3)),
    "resnet152": lambda weights, x: oracles_conv3d.resnet(weights, x, (3, 8, 36, 3)),
    "resnext101": lambda weights, x: oracles_conv3d.resnet(weights, x, (3, 4, 23, 3), groups=8),
}


def clip(T=16, size=64, seed=0, C=3):
    return torch.randn((1, C, T, size, size), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=sorted(SMALL))
def small(request):
    from lib.models import conv3d

    return request.param, disturbed(conv3d.build(request.param, num_classes=5, seed=0, **SMALL[request.param]), 0, 0.03)


def test_every_network_is_tested():
    from lib.models import conv3d

    assert set(SMALL) == set(RELEASES) == set(conv3d.NETWORKS)


def test_published_weights_give_the_published_logits(small):
    name, model = small
    weights = oracles_conv3d.Weights(model.state_dict())
    with torch.no_grad():
        expected, logits = RELEASES[name](weights, clip()), model(clip())
    assert expected.std() > 1e-3
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert {key for key in weights if not key.endswith("num_batches_tracked")} == weights.used


def test_published_weights_load_by_name(small):
    from lib import models
    from lib.models import conv3d

    name, model = small
    published = {f"module.{key}": value for key, value in model.state_dict().items()}
    fresh = conv3d.build(name, num_classes=5, seed=1, **SMALL[name]).eval()
    models.load_reference(fresh, published)
    assert all(map(torch.equal, fresh.state_dict().values(), model.state_dict().values()))
    published.popitem()
    extra = {"module.fc.extra": torch.ones(1)}
    with pytest.raises(ValueError, match=r"missing \['.*unknown \['fc.extra'\]"):
        models.load_reference(fresh, published | extra)


def test_both_translations_of_i3d_load():
    from lib import models
    from lib.models import conv3d

    model = disturbed(conv3d.build("i3d", num_classes=5, seed=0, width=0.125))
    theirs = {}
    for name, value in model.state_dict().items():  # the names of Piergiovanni's translation
        for new, old in {
            "Conv3d_": "conv3d_",
            "Mixed_": "mixed_",
            ".b0.": ".branch_0.",
            ".b1a.": ".branch_1.0.",
            ".b1b.": ".branch_1.1.",
            ".b2a.": ".branch_2.0.",
            ".b2b.": ".branch_2.1.",
            ".b3b.": ".branch_3.1.",
            ".bn.": ".batch3d.",
        }.items():
            name = name.replace(old, new)
        theirs[name.replace("Conv3d_0c_1x1.", "logits.")] = value
    assert "Mixed_4e.b2b.bn.running_var" in theirs
    assert "logits.conv3d.bias" in theirs
    fresh = conv3d.build("i3d", num_classes=5, seed=1, width=0.125).eval()
    models.load_reference(fresh, theirs)
    with torch.no_grad():
        torch.testing.assert_close(fresh(clip(8, 32)), model(clip(8, 32)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "millions"),
    # MF-Net: table of its release. I3D: a stream of Carreira and Zisserman's table 1, whose two have 25 million.
    [("mfnet", 8.0), ("i3d", 12.5)],
)
def test_numbers_of_parameters_are_the_published_ones(name, millions):
    from lib.models import conv3d

    with torch.device("meta"):
        model = conv3d.build(name, num_classes=400)
    count = sum(value.numel() for value in model.parameters())
    # one decimal was published for one, whole millions for both streams of the other
    assert abs(count / 1e6 - millions) < {"mfnet": 0.05, "i3d": 0.25}[name]


@pytest.mark.parametrize(
    ("name", "blocks", "groups", "count"),
    [
        ("resnet50", (3, 4, 6, 3), None, 47_018_576),
        ("resnet101", (3, 4, 23, 3), None, 86_064_720),
        ("resnet152", (3, 8, 36, 3), None, 118_223_440),
        ("resnext101", (3, 4, 23, 3), 32, 48_340_816),
    ],
)
def test_numbers_of_parameters_follow_from_the_published_layout(name, blocks, groups, count):
    from lib.models import conv3d

    with torch.device("meta"):
        model = conv3d.build(name, num_classes=400)
    assert sum(value.numel() for value in model.parameters()) == count
    assert oracles_conv3d.resnet_parameters(blocks, 400, groups) == count


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 9), (5, 33, 16)])
def test_any_size_of_clip(small, shape):
    _, model = small
    with torch.no_grad():
        logits = model(torch.zeros(2, 3, *shape))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()


def test_clips_of_a_batch_do_not_see_each_other(small):
    _, model = small
    clips = torch.cat([clip(4, 32, seed) for seed in range(2)])
    with torch.no_grad():
        torch.testing.assert_close(model(clips)[1:], model(clips[1:]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["i3d", "mfnet", "resnet50"])
def test_a_small_one_learns_small_clips(name):
    from lib.models import conv3d

    options = SMALL[name] | {"stem_stride": (1, 1, 1), "stem_pool": False}
    model = conv3d.build(name, num_classes=2, seed=0, **options)
    clips = torch.cat([clip(4, 8, seed) for seed in range(8)])
    labels = torch.arange(8) % 2
    clips[labels == 1, :, :, :4] += 1  # the upper half is brighter
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(model(clips), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_seed_fixes_the_weights_and_leaves_the_generator_alone():
    from lib.models import conv3d

    state = torch.random.get_rng_state()
    one, two = (conv3d.build("mfnet", num_classes=3, seed=4, **SMALL["mfnet"]) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_layer_names_are_modules_that_give_maps(small):
    from lib.features import capture

    _, model = small
    with torch.no_grad(), capture(model, model.layer_names) as outputs:
        model(clip(4, 32))
    assert list(outputs) == list(model.layer_names)
    assert all(output.ndim == 5 for output in outputs.values())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {}, r"no network 'resnet18'; choose one of \['i3d', 'mfnet', 'resnet101'"),
        ("i3d", {"widht": 2}, r"i3d has no option \['widht'\]; it has \['in_channels', 'width', "),
        ("resnet50", {"depth": 18}, r"resnet50 has no option \['depth'\]"),
        ("resnet50", {"width": 0}, r"width=0; needed positive"),
        ("mfnet", {"groups": 0}, "groups=0; needed at least 1"),
        ("resnext101", {"groups": -1}, "groups=-1; needed None or at least 1"),
        ("i3d", {"dropout": 1.0}, r"dropout=1.0, needed in \[0, 1\)"),
    ],
)
def test_a_wrong_option_is_named(name, options, message):
    from lib.models import conv3d

    with pytest.raises(ValueError, match=message):
        conv3d.build(name, num_classes=3, **options)


def test_an_unknown_depth_is_named():
    from lib.models import conv3d

    with pytest.raises(ValueError, match=r"depth=18; choose one of \[50, 101, 152\]"):
        conv3d.ResNet3D(3, depth=18)


@pytest.mark.parametrize("shape", [(3, 4, 8, 8), (1, 1, 4, 8, 8), (1, 3, 0, 8, 8)])
def test_a_clip_of_another_shape_is_refused(small, shape):
    with pytest.raises(ValueError, match=r"clip has shape .*, needed \(N, C=3, T >= 1, H >= 1, W >= 1\)"):
        small[1](torch.zeros(shape))
