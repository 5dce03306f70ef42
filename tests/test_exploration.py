"""The exploration loss: what the last focus points at is hidden, and the network is asked again."""

import copy

import pytest
import torch
from focus_cases import ALL, network, passed, three_clips

from lib import focus, losses
from lib.focus import FocusLosses


@pytest.fixture
def clips(rng):
    return three_clips(rng)


def test_exploration_leaves_statistics_and_modes_alone(clips):
    model = network().train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    focus.exploration(model, clips.batch([0, 1]), ALL).backward()
    assert all(module.training for module in model.modules())
    for name, value in model.named_buffers():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert model.classifier.weight.grad.abs().sum() > 0


def test_exploration_hides_what_the_focus_points_at(small_stf, clips):
    batch = clips.batch([0])
    seen = []
    hook = small_stf.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    try:
        score = focus.exploration(small_stf, batch, ALL)
    finally:
        hook.remove()
    plain, masked = seen
    torch.testing.assert_close(plain, batch.x)
    q = torch.as_tensor(focus.focus_maps(small_stf, batch)[0][0, 0])  # (T_l, V)
    frame, joint = divmod(int(q.argmax()), 20)
    own, left = plain[0, ..., 0], masked[0, ..., 0]  # (C, T, V)
    share = (left - own).norm(dim=0) / (own.mean(dim=2, keepdim=True) - own).norm(dim=0)  # of the way to the centre
    assert bool((share <= 1 + 1e-5).all())
    assert share.max().item() == pytest.approx(1, abs=1e-4)  # what the focus points at most is hidden wholly
    frames, joints = divmod(int(share.argmax()), 20)
    assert (frames // 2, joints) == (frame, joint)
    assert float(share[:, q.sum(dim=0) == 0].sum()) == 0
    assert 0 < score.item() < 1


def test_exploration_is_weighed_with_the_statistics_of_the_batch(clips):
    model, batch = network().train(), clips.batch([0, 1, 2])
    logit = FocusLosses(exploration=1.0, score="logit")  # of any size: a probability is seldom below a tenth
    with torch.no_grad():
        model.classifier.bias.zero_()
    own = copy.deepcopy(model)
    for norm in (module for module in own.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.momentum = 1.0
    passed(own, batch)
    value = focus.exploration(own, batch, logit).item()
    weights = focus.balanced(model, batch, logit, classification=1.4)
    assert weights["exploration"] == losses.balanced_weights({"exploration": value}, 1.4)["exploration"]
    other = focus.exploration(model, batch, logit).item()
    assert weights["exploration"] != losses.balanced_weights({"exploration": other}, 1.4)["exploration"]


@pytest.mark.parametrize("score", losses.SCORES)
def test_what_is_explored_is_the_class_and_the_score_that_are_asked_for(small_stf, clips, score):
    batch, seen = clips.batch([0]), []
    with torch.no_grad():
        wrong = small_stf(*batch[:3]).argmin(dim=1)
    hook = small_stf.register_forward_hook(lambda _, inputs, logits: seen.append(logits))
    try:
        config = FocusLosses(exploration=1.0, explained="label", score=score)
        found = focus.exploration(small_stf, batch._replace(labels=wrong), config)
    finally:
        hook.remove()
    values = seen[1].softmax(dim=1) if score == "probability" else seen[1]
    torch.testing.assert_close(found, values[0, wrong].squeeze())


def test_a_clip_is_explored_alike_alone_and_beside_longer_ones(small_stf, clips):
    seen = []
    hook = small_stf.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    try:
        focus.exploration(small_stf, clips.batch(range(3)), ALL)
        for n in range(3):
            focus.exploration(small_stf, clips.batch([n]), ALL)
    finally:
        hook.remove()
    together, *alone = seen[1::2]
    for n, masked in enumerate(alone):
        T, M = masked.shape[2], masked.shape[4]
        torch.testing.assert_close(together[n : n + 1, :, :T, :, :M], masked, rtol=1e-3, atol=1e-4)


def test_a_sure_network_can_still_be_explored_in_16_bits(small_stf, clips):
    model = copy.deepcopy(small_stf)
    batch = clips.subset([0]).batch([0])
    with torch.no_grad():
        model.classifier.weight *= 400  # far beyond what 16 bits tell from certain
    slopes = []
    for precision in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision):
            score = focus.exploration(model, batch, ALL)
        assert score.dtype == torch.float32
        score.backward()
        slopes.append(model.classifier.bias.grad.abs().max().item())
    assert slopes[1] == pytest.approx(slopes[0], rel=0.5)
