"""Networks that see stick figures."""

import numpy as np
import pytest
import torch
from rendered_cases import ARM, clip

from lib import datasets, models, recipes, training
from lib.clips import ClipSet
from lib.features import capture
from lib.models.figures import StickFigures
from lib.models.rendered import RenderedNetwork
from lib.training import TrainConfig

TINY = {"width": 0.0625, "num_frames": 4, "size": 16}


def network(**options):
    return models.build("video_resnet50", num_classes=2, skeleton=ARM, **{"seed": 0} | TINY | options)


def test_a_network_sees_what_is_drawn(rng):
    model, x, lengths = network().eval(), clip(rng, 2, 3, 5, 4, 1, dtype=torch.float32), torch.tensor([5, 3])
    figures = StickFigures(ARM, num_frames=4, size=16)
    with torch.no_grad():
        assert torch.equal(model(x, lengths), model.network(figures(x, lengths)))
    assert isinstance(model, RenderedNetwork)


def test_layers_are_captured_by_name(rng):
    model = network().eval()
    with torch.no_grad(), capture(model, model.layer_names) as outputs:
        model(clip(rng, 1, 3, 5, 4, 1, dtype=torch.float32))
    assert list(outputs) == ["network.conv1", *(f"network.layer{stage}" for stage in range(1, 5))]


def test_slopes_on_a_cpu_are_those_of_float32(rng):
    x = clip(rng, 2, 3, 5, 4, 1, dtype=torch.float32)
    slopes = []
    for enabled in (False, True):
        model = network()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model(x)
        logits.square().sum().backward()
        slopes.append([weight.grad for weight in model.parameters()])
    assert all(map(torch.equal, *slopes))


def test_groups_stay_as_wide_as_published():
    model = models.build("video_mfnet", num_classes=2, skeleton=ARM, width=0.25)
    assert model.network.conv2.B02.conv_m1.conv.groups == 4
    assert model.network.conv2.B02.conv_m1.conv.weight.shape[1] == 96 // 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stream": "bone"}, "stream='bone'; figures are drawn from joints: needed 'joint'"),
        ({"sise": 3}, r"video_resnet50 has no option \['sise'\]; it has \['in_channels', 'num_frames', 'size', "),
        ({"network": "mfnet"}, r"has no option \['network'\]"),
        ({"width": 0}, "width=0"),
        ({"in_channels": 1}, "in_channels=1"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)


def test_it_trains_and_goes_on_from_a_checkpoint_of_the_same_pictures_only(rng, tmp_path):
    clips = ClipSet.from_arrays(rng.normal(size=(8, 6, 4, 3)), np.arange(8) % 2, ARM)
    config = TrainConfig(
        epochs=2, batch_size=4, optimizer="adamw", learning_rate=0.002, turn=10.0, precision="bfloat16"
    )
    model, again = network(), network(seed=1)
    history = training.fit(model, clips, clips, config=config, checkpoint=tmp_path / "net.pt", progress=False)
    assert np.isfinite(history.epochs[["loss", "validation_accuracy"]]).all(axis=None)
    training.fit(again, clips, config=config, checkpoint=tmp_path / "net.pt", progress=False)
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))
    with pytest.raises(ValueError, match="made by another training"):
        training.fit(network(size=18), clips, config=config, checkpoint=tmp_path / "net.pt", progress=False)


@pytest.mark.parametrize("name", ["video_resnet50", "video_mfnet"])
def test_a_recipe_trains_either_network(tmp_path, monkeypatch, name):
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path))
    recipe = recipes.get("synthetic", recipes.VIDEO_RECIPES, model=name, epochs=1, width=0.0625)
    clips = recipe.prepare(datasets.load("synthetic", split="train", limit=20, progress=False))
    model, history = recipe.fit(clips, 0, progress=False)
    assert model.draw.num_frames == 16
    assert np.isfinite(history.epochs["loss"]).all()
