import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib import gradcam, losses


def draw(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1


def grad_inputs(*tensors):
    return tuple(t.clone().requires_grad_(True) for t in tensors)


# --- values --------------------------------------------------------------------------------------------------------


def test_focus_is_gradcam_without_its_negative_part():
    features, alpha = draw(2, 3, 4, 5), torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 0.0]], dtype=torch.float64)
    wanted = torch.einsum("pc,pctv->ptv", alpha, features).clamp(min=0)
    torch.testing.assert_close(losses.focus(features, alpha), wanted)


def test_padded_frames_have_no_focus():
    features, alpha = draw(1, 2, 6, 3), draw(1, 2, seed=1)
    mask = torch.zeros(1, 1, 6, 1, dtype=torch.float64)
    mask[:, :, :4] = 1
    found = losses.focus(features, alpha, mask)
    torch.testing.assert_close(found[:, :4], losses.focus(features[:, :, :4], alpha))
    assert not found[:, 4:].any()


def test_the_focus_can_be_differentiated():
    assert torch.autograd.gradcheck(losses.focus, grad_inputs(draw(2, 3, 4, 5), draw(2, 3, seed=1)))


def test_exploration_is_the_mean_probability_of_the_class():
    logits = torch.tensor([[0.0, 0.0], [0.0, np.log(3.0)]], dtype=torch.float64)
    predicted = torch.tensor([0, 1])
    assert losses.exploration(logits, predicted).item() == pytest.approx((0.5 + 0.75) / 2)
    assert losses.exploration(logits, predicted, score="logit").item() == pytest.approx(np.log(3) / 2)
    with pytest.raises(ValueError, match="score='odds'; choose"):
        losses.exploration(logits, predicted, score="odds")


def test_masking_moves_the_focus_to_the_centre_and_nothing_else():
    x, q = draw(1, 3, 4, 2), torch.zeros(1, 4, 2, dtype=torch.float64)
    q[0, :, 1] = 1.0
    centre = x[:, :, :, :1]
    found = losses.masked_input(x, q, centre)
    torch.testing.assert_close(found[..., 0], x[..., 0])
    torch.testing.assert_close(found[..., 1], centre[..., 0])


def test_distances_by_hand():
    one, other = torch.zeros(1, 2, 2, dtype=torch.float64), torch.zeros(1, 2, 2, dtype=torch.float64)
    one[0, 0, 0], other[0, 1, 1] = 5.0, 0.1  # scaled, both are 1 at their place
    assert losses.consistency(one, other).item() == pytest.approx(2**0.5)
    assert losses.divergence(one, other).item() == pytest.approx(-(2**0.5))
    assert losses.adjacency(one, one / 5).item() == pytest.approx(0.0, abs=2e-6)


@pytest.mark.parametrize(("frames", "stride"), [(8, 1), (8, 2), (7, 2), (9, 4), (1, 4)])
def test_stretching_is_that_of_gradcam_maps(frames, stride):
    lengths = torch.tensor([frames, max(1, frames - 3)])
    q = draw(2, -(-frames // stride), 3)
    for n, length in enumerate(lengths.tolist()):
        q[n, -(-length // stride) :] = 0
    expected = gradcam.upsample_time(q[:, None].numpy(), stride, lengths.numpy())[:, 0]
    np.testing.assert_allclose(losses.resized(q, lengths, frames, stride).numpy(), expected, atol=1e-6)


@given(seed=st.integers(0, 2**16), frames=st.integers(1, 30), stride=st.sampled_from([1, 2, 4]))
def test_scaling_and_stretching_stay_between_zero_and_one(seed, frames, stride):
    q = losses.scaled(draw(2, -(-frames // stride), 3, seed=seed))
    assert q.amax(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0])
    stretched = losses.resized(q, torch.tensor([frames, frames]), frames, stride)
    assert stretched.shape == (2, frames, 3)
    assert stretched.min() >= 0
    assert stretched.max() <= 1 + 1e-12


def test_a_focus_of_zeros_gives_numbers():
    zero = torch.zeros(2, 3, 4, dtype=torch.float64, requires_grad=True)
    for term in (losses.consistency(zero, zero), losses.divergence(zero, zero), losses.adjacency(zero, zero)):
        assert torch.isfinite(term)
        assert torch.isfinite(torch.autograd.grad(term, zero)[0]).all()


# --- slopes --------------------------------------------------------------------------------------------------------


def test_slopes_of_every_term():
    q, r, x = draw(2, 4, 3), draw(2, 4, 3, seed=1), draw(2, 3, 4, 3, seed=2)
    lengths = torch.tensor([8, 5])
    logits = draw(3, 5, seed=3)
    check = torch.autograd.gradcheck
    assert check(losses.consistency, grad_inputs(q, r))
    assert check(losses.divergence, grad_inputs(q, draw(2, 4, 3, seed=4)))
    assert check(losses.adjacency, grad_inputs(q, draw(2, 4, 3, seed=5)))
    assert check(lambda a: losses.resized(a, lengths, 8, 2), grad_inputs(q))
    assert check(lambda a, b: losses.masked_input(a, b, a[..., :1]), grad_inputs(x, q))
    for score in ("probability", "logit"):
        assert check(lambda z, s=score: losses.exploration(z, torch.tensor([0, 4, 2]), score=s), grad_inputs(logits))


# --- weights -------------------------------------------------------------------------------------------------------


def test_weights_bring_terms_to_one_order_of_magnitude():
    found = losses.balanced_weights({"small": 0.004, "large": -500.0, "even": 2.0, "none": 0.0}, to=3.0)
    assert found == {"small": 1000.0, "large": 0.01, "even": 1.0, "none": 1.0}
    with pytest.raises(ValueError, match="needed a positive loss"):
        losses.balanced_weights({}, to=0.0)
