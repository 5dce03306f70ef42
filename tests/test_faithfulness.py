import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lib import attribution, faithfulness, models, skeletons
from lib.clips import ClipSet

SKELETON = skeletons.get("kinect20")
WRIST = SKELETON.joints.index("right_wrist")


def batch_of(rng, shapes=((12, 1), (7, 2), (9, -2))):
    """Random walks of (frames, persons); a second person with a negative count is absent."""
    arrays = []
    for frames, persons in shapes:
        x = rng.normal(size=(frames, abs(persons), 20, 3)).cumsum(axis=0)
        if persons < 0:
            x[:, -1] = 0
        arrays.append(x)
    clips = ClipSet.from_arrays(arrays, [0] * len(arrays), SKELETON, class_names=["still", "moving"])
    return clips.batch(np.arange(len(clips)))


class Watcher(nn.Module):
    """Sees how far one bone of the first person points from its mean direction, and nothing else."""

    layer_names, layer_strides = ("see",), {"see": 1}

    def __init__(self, joint=WRIST):
        super().__init__()
        self.joint, self.parent = joint, int(SKELETON.parents[joint])
        self.see = nn.Identity()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, lengths, present):
        bone = x[..., self.joint, 0] - x[..., self.parent, 0]  # (N, C, T)
        true = torch.arange(x.shape[2]) < lengths[:, None]
        mean = (bone * true[:, None]).sum(dim=2, keepdim=True) / lengths[:, None, None]
        moved = ((bone - mean) * true[:, None]).square().sum(dim=(1, 2))
        self.see(moved[:, None, None, None].expand(-1, 2, 1, 1))
        return torch.stack([torch.zeros_like(moved), self.weight * (moved - 50) * 0.02], dim=1)


def only(batch, joint):
    """Importance that is one at a joint of the first person and small noise elsewhere."""
    N, _, T, V, M = batch.x.shape
    importance = 1e-3 * np.random.default_rng(5).uniform(size=(N, M, T, V))
    importance[:, 0, :, joint] = 1.0
    return importance


# --- what a clip is compared with, and baselines --------------------------------------------------------------------


def test_a_still_body_keeps_every_joints_mean_and_padding(rng):
    batch = batch_of(rng)
    calm = attribution.still(batch)
    for n, length in enumerate(batch.lengths):
        true = calm[n, :, :length]
        torch.testing.assert_close(true, true[:, :1].expand_as(true))
        torch.testing.assert_close(true[:, 0], batch.x[n, :, :length].mean(dim=1))
        assert not calm[n, :, length:].any()


def test_motion_energy_is_squared_speed(rng):
    batch = batch_of(rng)
    energy = attribution.motion_energy(batch)
    step = batch.x[1, :, 3, 4, 1] - batch.x[1, :, 2, 4, 1]
    assert energy[1, 1, 3, 4] == pytest.approx(float(step.square().sum()), rel=1e-5)
    assert not energy[:, :, 0].any()
    assert not energy[1, :, 7:].any()
    assert not energy[2, 1].any()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_methods_of_captum_find_the_only_joint_that_matters(rng, method):
    batch = batch_of(rng)
    found = getattr(attribution, method)(Watcher(), batch, torch.ones(3, dtype=torch.long))
    assert found.shape == (3, 2, 12, 20)
    strength = np.abs(found).sum(axis=2)
    top = strength[:, 0].argsort(axis=1)[:, -2:]
    assert (np.sort(top, axis=1) == sorted([WRIST, int(SKELETON.parents[WRIST])])).all()
    assert not strength[:, 1].any()
    assert not found[1, :, 7:].any()


def test_methods_of_captum_on_a_network_leave_its_mode(rng):
    net = models.build("stgcn", num_classes=2, skeleton=SKELETON, in_channels=3, width=0.125)
    batch = batch_of(rng)
    for method in (attribution.integrated_gradients, attribution.occlusion):
        assert np.isfinite(method(net, batch, torch.zeros(3, dtype=torch.long))).all()
    assert net.training


# --- deletion and insertion -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["joints", "frames"])
@pytest.mark.parametrize("insert", [False, True])
def test_curves_run_from_the_clip_to_the_still_body_or_back(rng, by, insert):
    batch, net, target = batch_of(rng), Watcher(), torch.ones(3, dtype=torch.long)
    importance = attribution.random(batch, rng)
    found = faithfulness.curve(net, batch, importance, target, by=by, insert=insert, num_steps=4)
    whole = net(*batch[:3]).softmax(dim=1)[:, 1].detach().numpy()
    calm = net(attribution.still(batch), batch.lengths, batch.present).softmax(dim=1)[:, 1].detach().numpy()
    first, last = (calm, whole) if insert else (whole, calm)
    np.testing.assert_allclose(found.score[:, 0], first, rtol=1e-5)
    np.testing.assert_allclose(found.score[:, -1], last, rtol=1e-5)
    assert found.score.shape == (3, 5)
    assert found.area == pytest.approx(np.trapezoid(found.score, dx=0.25, axis=1))


def test_deleting_the_joint_that_matters_first_is_deadly_and_last_is_not(rng):
    batch, target = batch_of(rng), torch.ones(3, dtype=torch.long)
    importance = only(batch, WRIST) + only(batch, int(SKELETON.parents[WRIST]))
    areas = {
        sign: faithfulness.curve(Watcher(), batch, sign * importance, target, num_steps=20).area for sign in (1, -1)
    }
    moving = Watcher()(*batch[:3]).softmax(dim=1)[:, 1].detach().numpy() > 0.6
    assert moving.any()
    assert (areas[1] < areas[-1])[moving].all()


def test_units_are_true_frames_and_present_persons(rng):
    batch = batch_of(rng)
    joints, num_joints = faithfulness._places(batch, attribution.random(batch, rng), "joints")
    frames, num_frames = faithfulness._places(batch, attribution.random(batch, rng), "frames")
    assert num_joints.tolist() == [int(count) * 20 for count in batch.present.sum(dim=1)]
    assert num_frames.tolist() == batch.lengths.tolist()
    assert sorted(set(joints[1, :7].ravel())) == list(range(40))
    assert sorted(set(joints[2, :9, :, 0].ravel())) == list(range(20))
    assert sorted(set(frames[1, :7].ravel())) == list(range(7))
    assert (joints[2, :, :, 1] >= 40).all()
    assert (frames[1, 7:] >= 7).all()


@pytest.mark.parametrize("num_steps", [5, 10])
def test_a_step_deletes_exactly_its_share_of_the_units(rng, num_steps):
    class Counter(torch.nn.Module):
        """Probability rises with the number of joints that still move."""

        def __init__(self):
            super().__init__()
            self.weight, self.seen = torch.nn.Parameter(torch.zeros(1)), []

        def forward(self, x, lengths, present):
            self.seen.append(int((x[0].std(dim=1).sum(dim=0) > 1e-4).sum()))
            return torch.zeros(len(x), 2)

    batch = ClipSet.from_arrays([rng.normal(size=(9, 25, 3))], [0], "ntu25", class_names=["a"]).batch([0])
    net = Counter()
    faithfulness.curve(
        net, batch, attribution.random(batch, rng), torch.zeros(1, dtype=torch.long), num_steps=num_steps
    )
    assert net.seen == [25 - round(25 * k / num_steps) for k in range(num_steps + 1)]


def test_a_method_without_an_order_has_no_curve(rng):
    batch, target = batch_of(rng), torch.ones(3, dtype=torch.long)
    importance = np.zeros((3, 2, 12, 20))
    importance[..., WRIST] = 1.0  # in every frame
    assert np.isnan(faithfulness.curve(Watcher(), batch, importance, target, by="frames").area).all()
    assert np.isfinite(faithfulness.curve(Watcher(), batch, importance, target, by="joints").area).all()


def test_curve_errors(rng):
    batch, target = batch_of(rng), torch.ones(3, dtype=torch.long)
    with pytest.raises(ValueError, match="by='bones'"):
        faithfulness.curve(Watcher(), batch, only(batch, 0), target, by="bones")
    with pytest.raises(ValueError, match=r"shape \(3, 2, 5, 20\); needed .*\(3, 2, 12, 20\)"):
        faithfulness.curve(Watcher(), batch, only(batch, 0)[:, :, :5], target)
    with pytest.raises(ValueError, match="num_steps=1; needed at least 2"):
        faithfulness.curve(Watcher(), batch, only(batch, 0), target, num_steps=1)


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
    turns = faithfulness._rotations(axes, np.full(5, 0.3))
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
