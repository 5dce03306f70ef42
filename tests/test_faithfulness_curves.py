import numpy as np
import pytest
import torch
from faithfulness_cases import SKELETON, WRIST, Watcher, batch_of, only

from lib import attribution, faithfulness
from lib.clips import ClipSet
from lib.faithfulness import _curves


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
    joints, num_joints = _curves._places(batch, attribution.random(batch, rng), "joints")
    frames, num_frames = _curves._places(batch, attribution.random(batch, rng), "frames")
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
