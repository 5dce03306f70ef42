"""Label smoothness of a batch's graph as a loss."""

import numpy as np
import oracles_losses as oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lib import graphs, losses, smoothness


def draw(n, d=3, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(n, d))), torch.tensor(rng.integers(classes, size=n))


batches = {"n": st.integers(2, 12), "d": st.integers(1, 4), "k": st.integers(1, 14), "seed": st.integers(0, 2**16)}


@given(**batches, scale=st.sampled_from([1 / 3, 1.0, 2.0]))
def test_the_loss_is_that_of_the_oracle(n, d, k, seed, scale):
    x, labels = draw(n, d, seed=seed)
    found = losses.smoothness(x, labels, num_neighbors=k, sigma_scale=scale)
    expected = oracles.batch_smoothness(x.tolist(), labels.tolist(), k, scale)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert 0 <= found.item() <= 2


def test_the_loss_is_what_the_book_measures_on_graphs():
    x, labels = draw(40, seed=3)
    distances = cdist(x, x)
    sigma = graphs.bandwidth(distances, 6, scale=1.0)
    graph = graphs.knn(distances, 6, kernel="gaussian", sigma=sigma)
    expected = smoothness.label_smoothness(graph, labels.numpy()).laplacian
    assert losses.smoothness(x, labels, num_neighbors=6).item() == pytest.approx(expected, rel=1e-9)


@given(**batches)
def test_neither_order_nor_place_nor_scale_of_features_counts(n, d, k, seed):
    x, labels = draw(n, d, seed=seed)
    order = torch.tensor(np.random.default_rng(seed).permutation(n))
    found = losses.smoothness(7.0 * x[order] + 2.0, labels[order], num_neighbors=k)
    torch.testing.assert_close(found, losses.smoothness(x, labels, num_neighbors=k), rtol=1e-8, atol=1e-10)


def test_one_class_costs_nothing_and_as_many_classes_as_clips_teach_nothing():
    x, _ = draw(6)
    x.requires_grad_()
    assert losses.smoothness(x, torch.zeros(6, dtype=torch.int64), num_neighbors=3).item() == 0
    worst = losses.smoothness(x, torch.arange(6), num_neighbors=3)
    assert worst.item() == pytest.approx(2.0)
    assert torch.autograd.grad(worst, x)[0].abs().max() < 1e-12


@pytest.mark.parametrize("k", [1, 3, 99])
def test_slopes_are_those_of_finite_differences(k):
    x, labels = draw(7, seed=5)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: losses.smoothness(z, labels, num_neighbors=k), x)


def test_going_down_brings_classes_together():
    x, labels = draw(24, seed=1)
    x.requires_grad_()
    before = losses.smoothness(x, labels, num_neighbors=6).item()
    optimizer = torch.optim.Adam([x], lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        losses.smoothness(x, labels, num_neighbors=6).backward()
        optimizer.step()
    assert losses.smoothness(x, labels, num_neighbors=6).item() < 0.5 * before


def test_clips_in_one_place_and_a_clip_alone_give_numbers():
    same = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    for x, labels in ((same, torch.tensor([0, 0, 1, 1])), (same[:1], torch.tensor([0]))):
        found = losses.smoothness(x, labels, num_neighbors=2)
        assert torch.isfinite(found)
        assert torch.isfinite(torch.autograd.grad(found, same)[0]).all()


@pytest.mark.parametrize("options", [{"num_neighbors": 0}, {"num_neighbors": 3, "sigma_scale": 0.0}])
def test_graphs_without_links_are_refused(options):
    with pytest.raises(ValueError, match=r"num_neighbors=\d, sigma_scale=.*; needed at least 1, and positive"):
        losses.smoothness(*draw(4), **options)
