"""Scores of logits."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lib import recipes, scores
from lib.models.fusion import Fusion


def test_scores_by_hand():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.9, 0.05, 0.05]], dtype=np.float32))
    result = scores.score(logits, np.array([0, 0, 1]))
    assert result.top1 == pytest.approx(1 / 3)
    assert result.top5 == 1.0
    np.testing.assert_array_equal(result.confusion, [[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(result.per_class, [0.5, 0.0, np.nan])
    assert result.calibration_error == pytest.approx((abs(0.7 - 1) + abs(0.5 - 0) + abs(0.9 - 0)) / 3, abs=1e-6)
    assert result.reliability["clips"].sum() == 3


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_scores_hang_together(num_clips, num_classes, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(num_clips, num_classes)), rng.integers(num_classes, size=num_clips)
    result = scores.score(logits, labels)
    assert result.confusion.sum() == num_clips
    assert result.top1 == pytest.approx(np.trace(result.confusion) / num_clips)
    assert result.top1 <= result.top5 <= 1
    assert 0 <= result.calibration_error <= 1
    shifted = scores.score(logits + 7.0, labels)
    np.testing.assert_array_equal(shifted.confusion, result.confusion)


def test_honest_accuracy_is_the_clean_one_where_there_is_one():
    rows = pd.DataFrame({"test": [0.9, 0.8], "test_clean": [0.7, np.nan]})
    assert list(scores.honest(rows)) == [0.7, 0.8]
    assert list(scores.honest(rows[["test"]])) == [0.9, 0.8]


def test_ties_count_as_the_winner_breaks_them():
    result = scores.score(np.zeros((4, 10)), np.array([0, 4, 5, 9]))
    assert (result.top1, result.top5) == (0.25, 0.5)
    with pytest.raises(ValueError, match="logits of clip 1 hold NaN"):
        scores.score(np.array([[0.0, 1.0], [np.nan, 0.0]]), np.array([0, 1]))


class Told(nn.Module):
    """A network that knows its answers."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.layer_strides = torch.as_tensor(logits), {}

    def forward(self, *_):
        return self.logits


def test_weightings_are_those_of_the_fused_network(rng):
    labels = rng.integers(3, size=30)
    logits = {name: rng.normal(size=(30, 3)) + np.eye(3)[labels] * far for name, far in (("joint", 2.0), ("bone", 0.5))}
    found = scores.weightings(logits, labels).set_index("streams")
    assert set(found.index) == {"joint", "bone", "joint + bone", "2*joint + bone", "joint + 2*bone"}

    networks = {name: Told(own) for name, own in logits.items()}
    for text in found.index:
        weights = recipes.parse_streams(text)
        fused = Fusion({name: networks[name] for name in weights}, weights)(torch.zeros(1))
        assert found.loc[text, "accuracy"] == scores.score(fused.numpy(), labels).top1
        own = fused.log_softmax(dim=1)[torch.arange(30), torch.as_tensor(labels)]
        assert found.loc[text, "loss"] == pytest.approx(-own.mean().item(), rel=1e-5)
    assert found["accuracy"].is_monotonic_decreasing


def test_weightings_that_are_right_as_often_are_ordered_by_loss():
    logits = {"joint": np.eye(3), "bone": 2 * np.eye(3)}  # both right, bones surer
    found = scores.weightings(logits, np.arange(3))
    assert found["accuracy"].eq(1).all()
    assert found["loss"].is_monotonic_increasing
    assert found["streams"].iloc[[0, -1]].tolist() == ["bone", "joint"]


@pytest.mark.parametrize("choices", [(0, 2), (3, 0), (0, 2, 4)])
def test_weightings_that_differ_by_a_factor_count_once(choices):
    found = scores.weightings({"joint": np.eye(3), "bone": np.eye(3)}, np.arange(3), choices)
    names = {"bone", "joint", "joint + bone"}
    assert set(found["streams"]) == (names | {"2*joint + bone", "joint + 2*bone"} if 4 in choices else names)


@pytest.mark.parametrize("choices", [(), (0,), (0.5, 1), (-1, 1), (float("nan"), 1), (float("inf"), 1)])
def test_weights_to_choose_from_are_whole_numbers(choices):
    with pytest.raises(ValueError, match="needed whole numbers of at least 0, one of them above"):
        scores.weightings({"joint": np.eye(3)}, np.arange(3), choices)
