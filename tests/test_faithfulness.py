import numpy as np
import torch
from faithfulness_cases import SKELETON, WRIST, batch_of, only
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lib import attribution, faithfulness, models
from lib.faithfulness import _moves

# --- moves that keep bones ------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99), degrees=st.sampled_from([0.0, 2.0, 90.0]), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_turning_bones_keeps_their_lengths_and_what_hangs_on_none_of_them(seed, degrees, share):
    rng = np.random.default_rng(seed)
    batch = batch_of(rng)
    moved = rng.uniform(size=(3, 2, 20)) < share
    found = faithfulness.turned(batch, SKELETON, moved, rng, degrees)
    parents = SKELETON.parents.tolist()
    for before, after in [(batch.x, found.x)]:
        lengths = [(x - x[:, :, :, parents]).norm(dim=1) for x in (before, after)]
        torch.testing.assert_close(*lengths, atol=1e-4, rtol=1e-4)
    chain = np.zeros((20, 20), bool)  # joint v hangs on bone b
    for v in range(20):
        at = v
        while parents[at] != at:
            chain[v, at] = True
            at = parents[at]
    free = ~np.einsum("vb,nmb->nmv", chain, moved).astype(bool)
    same = (batch.x - found.x).abs().amax(dim=(1, 2)).permute(0, 2, 1).numpy() < 1e-5
    assert same[free].all()
    if degrees == 90 and share == 1:
        assert not same[0, 0, [v for v in range(20) if parents[v] != v]].any()


def test_turned_angles_are_what_was_asked(rng):
    axes = rng.normal(size=(5, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    turns = _moves._rotations(axes, np.full(5, 0.3))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1.0)
    np.testing.assert_allclose((np.trace(turns, axis1=1, axis2=2) - 1) / 2, np.cos(0.3))
    np.testing.assert_allclose(np.einsum("nij,nj->ni", turns, axes), axes, atol=1e-12)


class Direction(nn.Module):
    """Sees where the first person's forearm points in the first frame."""

    def forward(self, x, lengths, present):
        bone = x[:, 0, 0, WRIST, 0] - x[:, 0, 0, int(SKELETON.parents[WRIST]), 0]
        return torch.stack([bone, -bone], dim=1)


def test_the_gap_is_wide_where_the_network_looks_and_nil_elsewhere(rng):
    batch, target = batch_of(rng), torch.zeros(3, dtype=torch.long)
    right = faithfulness.prediction_gap(Direction(), batch, only(batch, WRIST), target, SKELETON, rng, counts=(1,))
    assert (right.pgi > 0).all()
    np.testing.assert_allclose(right.pgu, 0, atol=1e-6)
    wrong = faithfulness.prediction_gap(Direction(), batch, -only(batch, WRIST), target, SKELETON, rng, counts=(1,))
    np.testing.assert_allclose(wrong.pgi, 0, atol=1e-6)
    assert (wrong.pgu > 0).all()


# --- stability, randomisation, agreement ----------------------------------------------------------------------------


def test_an_explanation_that_never_changes_is_perfectly_steady(rng):
    net = models.build("stgcn", num_classes=2, skeleton=SKELETON, in_channels=3, width=0.125)
    batch = batch_of(rng)
    steady = faithfulness.stability(net, lambda part, target: only(part, 3), batch, SKELETON, rng, num_draws=2)
    assert not steady.to_numpy().any()
    moving = faithfulness.stability(
        net, lambda part, target: attribution.motion_energy(part), batch, SKELETON, rng, num_draws=2
    )
    assert list(moving) == ["ris", "ros", "rrs"]
    assert (moving > 0).all(axis=None)


def test_steadiness_is_of_one_class_whatever_is_predicted_afterwards(rng):
    net = models.build("stgcn", num_classes=2, skeleton=SKELETON, in_channels=3, width=0.125, pooling="mean")
    batch, asked = batch_of(rng), []

    def explain(part, target):
        asked.append(target.tolist())
        return attribution.motion_energy(part)

    faithfulness.stability(net, explain, batch, SKELETON, rng, degrees=60.0, num_draws=3)  # pooling: empty slots too
    with torch.no_grad():
        assert asked == [net.eval()(*batch[:3]).argmax(dim=1).tolist()] * 4


def test_randomised_takes_layers_from_the_head_down():
    build = {"num_classes": 2, "skeleton": SKELETON, "in_channels": 3, "width": 0.125}
    trained, fresh = (models.build("stgcn", **build, seed=seed) for seed in (0, 1))
    for count in (0, 3, 10):
        mixed = faithfulness.randomised(trained, fresh, count)
        assert torch.equal(mixed.classifier.weight, fresh.classifier.weight)
        for index, layer in enumerate(mixed.layers):
            source = fresh if index >= 10 - count else trained
            assert torch.equal(layer.gcn.weight, source.layers[index].gcn.weight)
    whole = faithfulness.randomised(trained, fresh, 11)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), fresh.parameters(), strict=True))


def test_rank_correlation_of_a_clips_own_cells(rng):
    batch = batch_of(rng)
    first = rng.normal(size=(3, 2, 12, 20))
    twisted = np.exp(first)
    twisted[1, :, 7:] = -9  # padding
    np.testing.assert_allclose(faithfulness.rank_correlation(first, twisted, batch), 1.0)
    np.testing.assert_allclose(faithfulness.rank_correlation(first, -first, batch), -1.0)
    assert (faithfulness.rank_correlation(first, np.ones_like(first), batch) == 0).all()


# --- planted truth --------------------------------------------------------------------------------------------------


def test_truth_itself_scores_one_and_its_opposite_less_than_chance(rng):
    batch = batch_of(rng)
    truth = np.zeros((3, 2, 12, 20), bool)
    truth[:, 0, 2:5, 3:8] = True
    right = faithfulness.planted_truth(truth.astype(float), truth, batch)
    assert (right[["joints", "frames", "pointing"]] == 1).all(axis=None)
    wrong = faithfulness.planted_truth(-truth.astype(float), truth, batch)
    assert (wrong["joints"] <= wrong["joints_chance"]).all()
    assert (wrong["pointing"] == 0).all()
    np.testing.assert_allclose(right["joints_chance"], [5 / 20, 5 / 40, 5 / 20])
    np.testing.assert_allclose(right["frames_chance"], [3 / 12, 3 / 7, 3 / 9])
    np.testing.assert_allclose(right["pointing_chance"], [15 / 240, 15 / 280, 15 / 180])


def test_where_everything_decides_nothing_can_be_scored(rng):
    batch = batch_of(rng)
    truth = np.zeros((3, 2, 12, 20), bool)
    truth[0] = True
    truth[1, :, :7, 2] = True
    found = faithfulness.planted_truth(rng.normal(size=truth.shape), truth, batch)
    assert found.isna()["joints"].tolist() == [True, False, True]
    assert found.isna()["frames"].tolist() == [True, True, True]
    assert found.isna()["pointing"].tolist() == [False, False, True]


# --- everything at once ---------------------------------------------------------------------------------------------


def test_every_method_is_measured_on_every_clip(rng):
    from functools import partial

    from lib import datasets

    clips = datasets.load("synthetic", split="test", limit=5, seed=3)
    net = models.build("stgcn", num_classes=len(clips.class_names), skeleton=clips.skeleton, in_channels=3, width=0.125)
    explain = partial(attribution.every, net, rng=rng)
    table = faithfulness.measure(net, clips, explain, rng=rng, num_steps=2, num_draws=1, batch_size=2)
    methods = [*net.layer_names, "integrated gradients", "occlusion", "motion energy", "random"]
    measures = [f"{name} by {by}" for by in ("joints", "frames") for name in ("deletion", "insertion")]
    measures += ["pgi", "pgu", "truth joints", "truth frames", "truth pointing", "truth joints_chance"]
    assert set(table["method"]) == set(methods)
    assert set(measures) <= set(table["measure"])
    assert all(sorted(part) == [0, 1, 2, 3, 4] for _, part in table.groupby(["method", "measure"])["clip"])
    nothing = table[~table["measure"].str.startswith("truth") & table["value"].isna()]
    assert set(nothing["method"]) == {"occlusion"}, "it has one number for all frames"
    assert set(nothing["measure"]) == {"deletion by frames", "insertion by frames"}
    assert net.training
