"""What every network keeps to, whatever its layers."""

import pytest
import torch
from conv3d_cases import SMALL
from model_cases import clip, disturbed

from lib import models

SIZES = {"stgcn": {"width": 0.25}, "msg3d": {"width": 0.0625}, "stf": {"width": 0.0625}}
SIZES |= {name: {"width": 0.03} for name in ("seq2seq", "adversarial_seq2seq", "predict_cluster")}
SIZES |= {f"video_{name}": {"width": 0.0625, "num_frames": 4, "size": 16} for name in SMALL}


@pytest.fixture(scope="module", params=sorted(SIZES))
def small(request):
    network = models.build(request.param, num_classes=5, skeleton="kinect20", seed=0, **SIZES[request.param])
    return disturbed(network, scale=0.1 if request.param == "stgcn" else 0.03)


def test_every_network_is_tested():
    assert set(SIZES) == set(models.MODELS)


@pytest.mark.parametrize("T", [1, 2, 7, 64, 300])
@pytest.mark.parametrize("M", [1, 2, 3])
def test_any_length_and_number_of_persons(small, T, M):
    with torch.no_grad():
        logits = small(clip(T, M))
    assert logits.shape == (1, 5)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("T", "padded"), [(1, 2), (1, 40), (7, 8), (13, 40), (32, 33)])
def test_padding_never_counts(small, T, padded):
    x = clip(T, 1)
    longer = torch.randn(1, 3, padded, 20, 1)  # what stands in padded frames must not matter
    longer[:, :, :T] = x
    with torch.no_grad():
        torch.testing.assert_close(small(longer, torch.tensor([T])), small(x), rtol=1e-4, atol=1e-5)


def test_absent_persons_never_count(small):
    x = clip(9, 3)
    present = torch.tensor([[True, False, True]])
    with torch.no_grad():
        torch.testing.assert_close(small(x, None, present), small(x[..., [0, 2]]), rtol=1e-4, atol=1e-5)


def test_persons_may_trade_places(small):
    x = clip(9, 3)
    with torch.no_grad():
        torch.testing.assert_close(small(x), small(x.flip(4)), rtol=1e-4, atol=1e-5)


def test_clips_of_a_batch_do_not_see_each_other(small):
    x = torch.cat([clip(16, 2, seed) for seed in range(3)])
    lengths, present = torch.tensor([16, 5, 9]), torch.tensor([[1, 1], [1, 0], [0, 1]], dtype=torch.bool)
    with torch.no_grad():
        together = small(x, lengths, present)
        for n in range(3):
            alone = small(x[n : n + 1, :, : lengths[n]][..., present[n]])
            torch.testing.assert_close(together[n : n + 1], alone, rtol=1e-4, atol=1e-5)
