from dataclasses import replace

import numpy as np
import pytest
import torch
from clip_cases import waving
from torch import nn

from lib import models, objectives, recipes, training, transforms
from lib.clips import ClipSet
from lib.focus import FocusLosses
from lib.training import TrainConfig

SHORT = TrainConfig(epochs=4, batch_size=8, warmup_epochs=1, learning_rate=0.05, noise=0.01)


@pytest.fixture(scope="module")
def clips():
    return waving()


def network(seed=0, **options):
    return models.build("stgcn", num_classes=2, skeleton="kinect20", width=0.125, seed=seed, **options)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_it_learns_a_separable_pair_of_classes(clips):
    net = network(dropout=0.0)
    config = replace(SHORT, epochs=25, noise=0.0, turn=0.0, tilt=0.0, stretch=0.0, crop=1.0)
    history = training.fit(net, clips, clips, config=config, progress=False)
    assert training.evaluate(net, clips, config=config).top1 == 1.0
    assert history.epochs["loss"].iloc[-1] < history.epochs["loss"].iloc[0]
    assert history.epochs["validation_accuracy"].iloc[-1] == 1.0


def test_same_seed_same_weights_other_seed_others(clips):
    nets = [network() for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        training.fit(net, clips, config=replace(SHORT, seed=seed, epochs=2), progress=False)
    assert torch.equal(weights(nets[0]), weights(nets[1]))
    assert not torch.equal(weights(nets[0]), weights(nets[2]))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_stopped_training_goes_on_bit_for_bit(clips, tmp_path, monkeypatch, stop_after, optimizer):
    config = replace(SHORT, optimizer=optimizer, learning_rate=0.05 if optimizer == "sgd" else 0.002)
    straight, stopped, resumed = network(), network(), network(seed=5)
    training.fit(straight, clips, config=config, progress=False)

    original = training.checkpoints.save

    def save_then_stop(*arguments):
        original(*arguments)
        if len(arguments[4]) == stop_after:
            raise Stopped

    monkeypatch.setattr(training.checkpoints, "save", save_then_stop)
    with pytest.raises(Stopped):
        training.fit(stopped, clips, config=config, checkpoint=tmp_path / "net.pt", progress=False)
    monkeypatch.undo()
    torch.manual_seed(99)  # whatever the second process did before must not matter
    history = training.fit(resumed, clips, config=config, checkpoint=tmp_path / "net.pt", progress=False)
    assert torch.equal(weights(straight), weights(resumed))
    assert history.epochs["epoch"].tolist() == [0, 1, 2, 3]
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]


def test_a_finished_checkpoint_only_loads(clips, tmp_path):
    first, second = network(), network(seed=5)
    training.fit(first, clips, config=SHORT, checkpoint=tmp_path / "net.pt", progress=False)
    written = (tmp_path / "net.pt").stat().st_mtime_ns
    training.fit(second, clips, config=SHORT, checkpoint=tmp_path / "net.pt", progress=False)
    assert torch.equal(weights(first), weights(second))
    assert (tmp_path / "net.pt").stat().st_mtime_ns == written


def test_a_finished_checkpoint_is_scored_on_validation_clips_it_had_not_seen(clips, tmp_path):
    path = tmp_path / "net.pt"
    training.fit(network(), clips, config=SHORT, checkpoint=path, progress=False)
    again = network()
    history = training.fit(again, clips, clips, config=SHORT, checkpoint=path, progress=False)
    accuracy = history.epochs["validation_accuracy"]
    assert accuracy.iloc[:-1].isna().all()
    assert accuracy.iloc[-1] == training.evaluate(again, clips, config=SHORT).top1


def test_a_checkpoint_of_another_training_is_refused_by_name(clips, tmp_path):
    path = tmp_path / "net.pt"
    relabelled = replace(clips, labels=1 - clips.labels)
    training.fit(network(), clips, config=replace(SHORT, epochs=1), checkpoint=path, progress=False)
    for net, part, config, message in [
        (network(), clips, replace(SHORT, learning_rate=0.2, epochs=1), "learning_rate: 0.05 there, 0.2 here"),
        (network(), clips.subset(range(23)), replace(SHORT, epochs=1), "clips: .* there"),
        (network(), relabelled, replace(SHORT, epochs=1), "clips: .* there"),
        (network(max_hop=2), clips, replace(SHORT, epochs=1), "model: STGCN .* there"),
        (network(dropout=0.1), clips, replace(SHORT, epochs=1), "model: STGCN .* there"),  # weights of the same shapes
        (network(pooling="mean"), clips, replace(SHORT, epochs=1), "model: STGCN .* there"),
    ]:
        with pytest.raises(ValueError, match=message):
            training.fit(net, part, config=config, checkpoint=path, progress=False)
    for junk in (b"", b"PK\x03\x04junk", path.read_bytes()[:1000]):
        (tmp_path / "junk.pt").write_bytes(junk)
        with pytest.raises(ValueError, match="not a checkpoint"):
            training.fit(network(), clips, config=SHORT, checkpoint=tmp_path / "junk.pt", progress=False)


def test_a_pickle_with_code_is_not_run(clips, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"identity": Evil()}, tmp_path / "net.pt")
    with pytest.raises(ValueError, match="not a checkpoint"):
        training.fit(network(), clips, config=SHORT, checkpoint=tmp_path / "net.pt", progress=False)
    assert not (tmp_path / "ran").exists()


def test_training_leaves_generators_mode_and_clips_alone(clips):
    states = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    frames = clips.frames.copy()
    net = network().eval()
    training.fit(net, clips, config=replace(SHORT, epochs=1), progress=False)
    assert not net.training
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002
    np.testing.assert_array_equal(clips.frames, frames)
    net.train()
    training.evaluate(net, clips)
    assert net.training


def test_prediction_does_not_depend_on_the_batch(clips):
    net = network()
    one, all_at_once = (training.predict(net, clips, config=replace(SHORT, batch_size=size)) for size in (1, 24))
    np.testing.assert_allclose(one, all_at_once, atol=1e-5)


def test_bfloat16_stays_close_to_float32(clips):
    config = replace(SHORT, epochs=1)
    losses = {}
    for precision in ("float32", "bfloat16"):
        history = training.fit(network(), clips, config=replace(config, precision=precision), progress=False)
        losses[precision] = history.epochs["loss"].iloc[0]
        assert history.seconds > 0
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)  # eight bits of mantissa
    net = network()
    exact, rounded = (training.predict(net, clips, config=replace(config, precision=p)) for p in losses)
    np.testing.assert_allclose(rounded, exact, atol=0.05 * np.abs(exact).max())
    assert not np.array_equal(rounded, exact)


def test_calibrated_norms_know_the_clips_and_nothing_else_changes(clips):
    net = network().train()
    net.layers[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert training.calibrate_norms(net, clips, batch_size=len(clips)) is net
    after = net.state_dict()
    changed = {name.rsplit(".", 1)[1] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    x = torch.cat(
        [torch.tensor(clip.x[:, m]) for clip in clips for m in np.flatnonzero(clip.present)]
    )  # (frames, V, C)
    torch.testing.assert_close(net.input_norm.running_mean, x.mean(dim=0).flatten(), rtol=1e-4, atol=1e-5)
    assert net.training
    assert not net.layers[2].training
    assert {norm.momentum for norm in net.modules() if isinstance(norm, torch.nn.BatchNorm2d)} == {0.1}


class EveryNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([norm(3) for norm in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)])
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x, lengths, present):  # (N, C, T, V, M)
        return [norm(self.scale * x.flatten(2 + n)) for norm, n in zip(self.norms, range(3), strict=True)]


def test_norms_of_every_kind_are_calibrated(clips):
    net = training.calibrate_norms(EveryNorm(), clips, batch_size=len(clips))
    x = clips.batch(np.arange(len(clips))).x
    for norm in net.norms:
        torch.testing.assert_close(norm.running_mean, x.mean(dim=(0, 2, 3, 4)), rtol=1e-4, atol=1e-5)


def test_more_passes_average_probabilities_of_changed_clips(clips):
    net = network()
    still = replace(SHORT, turn=0.0, tilt=0.0, stretch=0.0, crop=1.0, noise=0.0)
    once = torch.tensor(training.predict(net, clips, config=still)).log_softmax(dim=1)
    np.testing.assert_allclose(training.predict(net, clips, config=still, passes=3), once, atol=1e-4)
    first, second = (training.predict(net, clips, config=SHORT, passes=2) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - once.numpy()).max() > 1e-3
    np.testing.assert_allclose(np.exp(first).sum(axis=1), 1.0, rtol=1e-5)
    with pytest.raises(ValueError, match="passes=0, needed at least 1"):
        training.predict(net, clips, passes=0)


def test_learning_rate_warms_up_then_falls_to_zero():
    config = TrainConfig(epochs=10, warmup_epochs=2, learning_rate=0.5)
    rates = [training._learning_rate(config, epoch) for epoch in np.linspace(0, 10, 101)]
    assert max(rates) == pytest.approx(0.5)
    assert int(np.argmax(rates)) == 20
    assert (np.diff(rates[:20]) > 0).all()
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[-1] == pytest.approx(0.0)


def test_balanced_loss_weighs_every_class_alike(clips):
    uneven = clips.subset([*range(0, 24, 2), 1, 3])
    weight = objectives.class_weights(uneven, "cpu")
    counts = np.bincount(uneven.labels)
    np.testing.assert_allclose(weight.numpy() * counts, len(uneven) / 2)
    training.fit(network(), uneven, config=replace(SHORT, epochs=1, class_balanced=True), progress=False)


def test_a_diverging_training_says_so_and_returns_every_mode(clips):
    net = network().eval()
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        training.fit(net, clips, config=replace(SHORT, learning_rate=1e30, warmup_epochs=0), progress=False)
    assert not any(module.training for module in net.modules())


def test_a_last_batch_of_one_frame_trains():
    one = ClipSet.from_arrays([np.random.default_rng(0).normal(size=(1, 20, 3))], [0], "kinect20")
    history = training.fit(network(), one, config=replace(SHORT, epochs=1), progress=False)
    assert np.isfinite(history.epochs["loss"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"\{'epochs': 0\}, needed whole numbers"),
        ({"turn": float("nan"), "noise": -1.0}, r"\{'turn': nan, 'noise': -1.0\}, needed finite"),
        ({"momentum": 1.0}, "momentum=1.0, below 1"),
        ({"optimizer": "adamw", "focus": FocusLosses(exploration=1.1)}, "exploration=1.1.* at most 1"),
        ({"crop": 0.0}, r"crop=0.0, needed in \(0, 1\]"),
        ({"optimizer": "adam"}, r"'adam'; choose one of \['sgd', 'adamw'\]"),
        ({"precision": "float16"}, r"'float16'; choose one of \['bfloat16', 'float32'\]"),
    ],
)
def test_configuration_errors(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


def test_exploration_may_have_the_whole_learning_rate():
    assert TrainConfig(optimizer="adamw", focus=FocusLosses(exploration=1.0)).focus.exploration == 1


def test_clip_sets_with_the_same_names_have_checkpoints_of_their_own(clips, tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path))
    recipe = recipes.get("synthetic", epochs=1, width=0.125)
    others = clips.map(lambda clip: transforms.scale(clip, 2.0))
    for part in (clips, others, clips):
        recipe.fit(part, 0, progress=False)
    assert len(list(tmp_path.glob("checkpoints/*.pt"))) == 2


def test_calibration_sees_what_varies_between_classes_that_lie_side_by_side(rng):
    arrays = [rng.normal(size=(6, 20, 3)) + 10 * (n >= 16) for n in range(32)]
    net = network()
    training.calibrate_norms(net, ClipSet.from_arrays(arrays, [0] * 16 + [1] * 16, "kinect20"), batch_size=8)
    assert net.input_norm.running_var.min() > 15  # 1 within a class, 25 between the two
