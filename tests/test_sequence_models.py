"""Networks that learn without labels: what they tell, what each loss moves, and that a stop changes nothing."""

from dataclasses import replace

import numpy as np
import oracles_clustering as oracles
import pytest
import torch
from model_cases import clip, disturbed

from lib import models, objectives, recipes, training
from lib.clips import Batch, ClipSet
from lib.training import TrainConfig

NAMES = ("seq2seq", "adversarial_seq2seq", "predict_cluster")
FRAMES = {"source_frames": 5, "target_frames": 4}
SHORT = TrainConfig(
    epochs=3, batch_size=8, warmup_epochs=1, optimizer="adamw", learning_rate=0.005, weight_decay=0.0, clip_norm=1.0
)


def network(name, seed=0, **options):
    options = (FRAMES if "seq2seq" in name else {"num_layers": 2}) | options
    return models.build(name, num_classes=2, skeleton="kinect20", width=0.02, seed=seed, **options)


def batch(T=9, N=3, lengths=None, seed=0):
    x = torch.cat([clip(T, 1, seed + n) for n in range(N)])
    lengths = torch.tensor(lengths or N * [T])
    x *= (torch.arange(T) < lengths[:, None]).float()[:, None, :, None, None]
    return Batch(x, lengths, torch.ones(N, 1, dtype=torch.bool), torch.zeros(N, dtype=torch.long))


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    waves = [np.sin(np.arange(9) / (1 + i % 3))[:, None, None] * rng.normal(size=(1, 20, 3)) for i in range(20)]
    return ClipSet.from_arrays([wave + rng.normal(size=(1, 20, 3)) for wave in waves], np.arange(20) % 2, "kinect20")


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_prediction_equals_one_cell_stepped_by_hand():
    net = disturbed(network("seq2seq"))
    told = net.predict(batch(N=1))
    gru = net.layers[0].gru
    cell = [
        getattr(gru, f"{kind}_l0").detach().double().numpy()
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    output = net.output.weight.detach().double().numpy(), net.output.bias.detach().double().numpy()
    frames, states = oracles.predicted(told.source[0].double().numpy(), 4, cell, output)
    np.testing.assert_allclose(told.told[0].detach(), frames, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(told.states[0].detach(), states, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(told.target[0], batch(N=1).x[0, :, 5:, :, 0].permute(1, 2, 0).flatten(1))


@pytest.mark.parametrize("name", NAMES)
def test_padding_adds_nothing_to_a_loss(name):
    net = disturbed(network(name))
    losses = []
    for T in (8, 9):
        part = batch(9, lengths=[8, 7, 8])
        part = part._replace(x=part.x[:, :, :T])
        if T == 9:
            part.x[:, :, 8:] = 100.0
            part.x[1, :, 7:] = -50.0
        losses.append([turn.loss.item() for turn in net.turns(part)])
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_every_person_counts_alike_however_long(name):
    net = disturbed(network(name))
    alone = [next(net.turns(batch(9, N=1, lengths=[n], seed=s))).terms["loss"].item() for s, n in enumerate((9, 6))]
    together = next(net.turns(batch(9, N=2, lengths=[9, 6]))).terms["loss"].item()
    assert together == pytest.approx(np.mean(alone), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_never_read(name, clips):
    nets = [network(name), network(name)]
    for net, labels in zip(nets, (clips.labels, 1 - clips.labels), strict=True):
        training.fit(net, replace(clips, labels=labels), config=SHORT, progress=False)
    assert torch.equal(weights(nets[0]), weights(nets[1]))


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss_and_leaves_the_probe(name, clips):
    options = {"fidelity": 0.05, "continuity": 0.05} if name == "adversarial_seq2seq" else {}
    net, before = network(name, **options), network(name, **options).classifier.weight
    config = replace(SHORT, epochs=30, learning_rate=0.01, turn=0.0, tilt=0.0, stretch=0.0, crop=1.0)
    history = training.fit(net, clips, clips, config=config, progress=False).epochs
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]
    assert history["validation_loss"].iloc[-1] < history["validation_loss"].iloc[0]
    assert "accuracy" not in history
    assert torch.equal(net.classifier.weight, before)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_training_goes_on_bit_for_bit(name, clips, tmp_path, monkeypatch):
    straight, stopped, resumed = network(name), network(name), network(name, seed=5)
    training.fit(straight, clips, config=SHORT, progress=False)
    original = training.checkpoints.save

    def save_then_stop(*arguments):
        original(*arguments)
        raise Stopped

    monkeypatch.setattr(training.checkpoints, "save", save_then_stop)
    with pytest.raises(Stopped):
        training.fit(stopped, clips, config=SHORT, checkpoint=tmp_path / "net.pt", progress=False)
    monkeypatch.undo()
    training.fit(resumed, clips, config=SHORT, checkpoint=tmp_path / "net.pt", progress=False)
    assert torch.equal(weights(straight), weights(resumed))


def test_each_player_moves_its_own_weights_and_the_judges_see_the_predictor_after_its_step(clips):
    net = network("adversarial_seq2seq")
    goal = objectives.objective(net, clips, SHORT)
    assert list(goal.optimizers) == ["predictor", "discriminators"]
    groups = {name: [id(w) for w in part] for name, part in net.players().items()}
    assert not set(groups["predictor"]) & set(groups["discriminators"])
    everything = {id(w) for w in net.parameters()} - {id(w) for w in net.classifier.parameters()}
    assert set(groups["predictor"]) | set(groups["discriminators"]) == everything
    for turn in goal.turns(batch(), 0):
        before = {id(w): w.detach().clone() for w in net.parameters()}
        training._descend(goal.optimizers[turn.player], turn.loss, SHORT.clip_norm)
        moved = {id(w) for w in net.parameters() if not torch.equal(before[id(w)], w)}
        assert moved == set(groups[turn.player])


def test_judges_learn_to_tell_and_the_predictor_to_be_believed():
    net = network("adversarial_seq2seq", fidelity=1.0, continuity=1.0)
    part = batch(N=8)
    judged, prediction = dict(net._judged(net.predict(part), net.predict(part).target)), net.predict(part)
    assert {name: logits.shape for name, logits in judged.items()} == {"fidelity": (8,), "continuity": (8,)}
    judges = torch.optim.Adam(net.discriminators.parameters(), lr=0.02)
    for _ in range(60):
        *_, turn = net.turns(part)
        judges.zero_grad()
        turn.loss.backward()
        judges.step()
    assert turn.terms["discrimination"] < 0.2
    first = next(net.turns(part)).terms["fidelity"].item()
    predictor = torch.optim.Adam(net.players()["predictor"], lr=0.02)
    for _ in range(30):
        turn = next(net.turns(part))
        predictor.zero_grad()
        (turn.loss - turn.terms["loss"]).backward()
        predictor.step()
    assert turn.terms["fidelity"] < 0.5 * first
    assert prediction.errors.shape == (8, 4)


@pytest.mark.parametrize("decoder", ["fixed_state", "zero_input"])
def test_decoders_know_a_clip_by_its_code_alone(decoder):
    net = disturbed(network("predict_cluster", decoder=decoder))
    code = torch.randn(2, 2 * net.units)
    told = net._decoded(code, 6)
    assert told.shape == (2, 6, 60)
    torch.testing.assert_close(net._decoded(code, 4), told[:, :4])
    assert not torch.allclose(told[0], told[1])
    if decoder == "fixed_state":  # the state is the code again at every frame: what is added goes by the frame alone
        state = net.decoder(told[:, 2:3], code[None])[0]
        torch.testing.assert_close(told[:, 3:4], told[:, 2:3] + net.output(state))


def test_a_code_is_the_last_state_of_either_direction():
    net = disturbed(network("predict_cluster"))
    part = batch(9, lengths=[9, 6, 3])
    code = net.embed(part.x, part.lengths, part.present)
    for n, length in enumerate(part.lengths.tolist()):
        states = net._features(net._people(part.x[n : n + 1, :, :length], None, None))[0][0, :, :, 0]
        torch.testing.assert_close(
            code[n], torch.cat([states[: net.units, -1], states[net.units :, 0]]), atol=1e-5, rtol=1e-4
        )


def test_the_range_of_a_clip_does_not_matter_to_the_autoencoder():
    net = disturbed(network("predict_cluster"))
    part = batch(9, lengths=[9, 6, 9])
    moved = 3.0 * part.x + torch.tensor([1.0, -2.0, 5.0])[:, None, None, None]
    with torch.no_grad():
        first, second = (net(x, part.lengths) for x in (part.x, moved))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def test_what_is_watched_joins_the_history(clips):
    net = network("seq2seq")
    history = training.fit(
        net, clips, config=SHORT, watch=lambda one: {"norm": float(one.output.weight.detach().norm())}, progress=False
    )
    assert history.epochs["norm"].iloc[-1] == pytest.approx(float(net.output.weight.detach().norm()))


def test_published_sizes():
    net = models.build("predict_cluster", num_classes=10, skeleton="kinect20")
    assert [block.gru.hidden_size for block in net.layers] == [1024, 1024, 1024]
    assert net.classifier.in_features == net.decoder.hidden_size == 2048
    net = models.build("adversarial_seq2seq", num_classes=10, skeleton="kinect20")
    assert (net.layers[0].gru.hidden_size, net.source_frames, net.target_frames) == (1024, 50, 25)


def test_recipes_build_what_they_say(clips):
    recipe = recipes.get("cmu_subject86", recipes.RECORDING_RECIPES, width=0.02, epochs=1)
    assert recipe.build(clips, 0).source_frames == 25
    assert recipe.options == {"source_frames": 25, "target_frames": 25}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: next(network("seq2seq").turns(batch(12))),
            "clips of 12 to 12 frames, needed more than source_frames=5",
        ),
        (lambda: next(network("seq2seq").turns(batch(9, lengths=[9, 5, 9]))), r"clips of 5 to 9 .*windows\.cut"),
        (lambda: network("seq2seq", source_frames=0), "source_frames=0, target_frames=4; needed at least one"),
        (lambda: network("adversarial_seq2seq", fidelity=-1.0), "fidelity=-1.0"),
        (
            lambda: network("predict_cluster", decoder="fixed_weights"),
            r"'fixed_weights'; choose one of \['fixed_state'",
        ),
        (lambda: network("predict_cluster", num_layers=0), "num_layers=0, needed at least 1"),
        (lambda: network("predict_cluster", scaling="unit"), r"'unit'; choose one of \['none', 'range'\]"),
        (lambda: network("seq2seq", scaling="range"), r"seq2seq has no option \['scaling'\]"),
        (lambda: TrainConfig(clip_norm=0.0), "clip_norm=0.0, needed positive"),
    ],
)
def test_errors_say_what_was_found_and_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
