"""Does an explanation tell the truth about the network? Measures that take any importance (N, M, T, V).

Deletion and insertion ask whether the score follows what is called important, PGI and PGU whether it reacts to small
moves there, stability whether the explanation reacts out of proportion, randomisation whether it depends on the
weights at all, and planted truth whether it finds what is known to decide.
"""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score
from torch import nn
from tqdm.auto import tqdm

from lib.attribution import still
from lib.clips import Batch, ClipSet
from lib.features import capture, present_rows
from lib.models.layers import evaluation_mode
from lib.skeletons import Skeleton

UNITS = ("joints", "frames")


def measure(
    model: nn.Module,
    clips: ClipSet,
    explain: Callable[[Batch, torch.Tensor], dict[str, Float[np.ndarray, "N M T V"]]],
    *,
    rng: np.random.Generator,
    num_steps: int = 10,
    num_draws: int = 2,
    batch_size: int = 64,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure every method that `explain` returns on every clip, for the class that the network predicts.

    Returns
    -------
    Rows of ``clip`` (position), ``method``, ``measure`` and ``value``. Measures: areas of deletion and insertion by
    joints and by frames, ``pgi``, ``pgu``, and, where the clips know their decisive joints, those of `planted_truth`.
    All methods of a clip are measured on the same clip, so that differences are paired. With ``num_draws=0`` the gaps,
    which take most of the time, are left out.
    """
    if len(clips) == 0:
        raise ValueError("clips: there are none; needed at least one to explain")
    device = next(model.parameters()).device
    rows, starts = [], range(0, len(clips), batch_size)
    with tqdm(desc="faithfulness", unit="map", disable=not progress) as bar:
        for start in starts:
            places = np.arange(start, min(start + batch_size, len(clips)))
            batch = clips.batch(places).to(device)
            with torch.no_grad(), evaluation_mode(model):
                target = model(batch.x, batch.lengths, batch.present).argmax(dim=1)
            maps = explain(batch, target)
            bar.total = len(starts) * len(maps)
            for method, importance in maps.items():
                bar.set_postfix_str(method, refresh=False)
                found = {}
                for by in UNITS:
                    for name, insert in (("deletion", False), ("insertion", True)):
                        steps = {"by": by, "insert": insert, "num_steps": num_steps}
                        found[f"{name} by {by}"] = curve(model, batch, importance, target, **steps).area
                if num_draws:
                    gap = prediction_gap(model, batch, importance, target, clips.skeleton, rng, num_draws=num_draws)
                    found |= gap._asdict()
                if clips.truth is not None:
                    truth = np.zeros(importance.shape, bool)
                    for n, place in enumerate(places):
                        own = clips[place].truth.transpose(1, 0, 2)  # (M, T, V)
                        truth[n, : own.shape[0], : own.shape[1]] = own
                    found |= planted_truth(importance, truth, batch).add_prefix("truth ").to_dict("series")
                for name, values in found.items():
                    rows.append(
                        pd.DataFrame({"clip": places, "method": method, "measure": name, "value": np.asarray(values)})
                    )
                bar.update()
    return pd.concat(rows, ignore_index=True)


class Curve(NamedTuple):
    """Score of the target class while more and more of a clip is deleted, or inserted.

    Attributes
    ----------
    share
        (S + 1,) share of the units that were touched, 0 to 1.
    score
        (N, S + 1) probability of the class.
    """

    share: np.ndarray
    score: np.ndarray

    @property
    def area(self) -> np.ndarray:
        """(N,) mean height of each curve: low is good for deletion, high for insertion."""
        return np.trapezoid(self.score, self.share, axis=1)


def curve(
    model: nn.Module,
    batch: Batch,
    importance: Float[np.ndarray, "N M T V"],
    target: torch.Tensor,
    *,
    by: str = "joints",
    insert: bool = False,
    num_steps: int = 10,
) -> Curve:
    """Delete the most important joints (or frames) first, or insert them first into a body that holds still.

    A deleted joint of a person, or a deleted frame, is where it is on average over the clip (`attribution.still`):
    the pose stays a body's, its movement goes. Only true frames and present persons count as units. Scores are NaN for
    clips whose units all are equally important: there is no order to follow.
    """
    if num_steps < 2:
        raise ValueError(f"num_steps={num_steps}; needed at least 2: all methods share the two ends of a curve")
    place, sizes = _places(batch, importance, by)
    share = np.linspace(0, 1, num_steps + 1)
    calm, scores = still(batch), []
    for part in share:
        first = place < np.rint(part * sizes)[:, None, None, None]
        first = torch.as_tensor(first, device=batch.x.device)[:, None]  # (N, 1, T, V, M)
        x = torch.where(first != insert, calm, batch.x)
        scores.append(_probability(model, batch._replace(x=x), target))
    return Curve(share, np.where(sizes > 0, np.stack(scores), np.nan).T)


def _places(batch: Batch, importance: np.ndarray, by: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, T, V, M) place of each cell's unit, 0 for the most important, and (N,) units of each clip.

    A clip without an order among its units has 0 of them; cells that are no unit come last.
    """
    if by not in UNITS:
        raise ValueError(f"by={by!r}; choose one of {list(UNITS)}")
    N, _, T, V, M = batch.x.shape
    if importance.shape != (N, M, T, V):
        raise ValueError(f"importance: shape {importance.shape}; needed (N, M, T, V) = {(N, M, T, V)}")
    out, sizes = np.full((N, T, V, M), T * V * M), np.zeros(N, int)
    for n in range(N):
        length, present = int(batch.lengths[n]), batch.present[n].cpu().numpy()
        own = importance[n][present][:, :length]  # (persons, frames, V)
        values = own.sum(axis=1) if by == "joints" else own.sum(axis=(0, 2))
        if np.ptp(values) == 0:
            continue
        sizes[n] = values.size
        place = rankdata(-values, method="ordinal").reshape(values.shape) - 1
        if by == "joints":
            out[n, :length, :, present] = place[:, None]
        else:
            out[n, :length] = place[:, None, None]
    return out, sizes


class Gap(NamedTuple):
    """Mean change of the class probability (N,) when important joints move (`pgi`) and when the others do (`pgu`)."""

    pgi: np.ndarray
    pgu: np.ndarray


def prediction_gap(
    model: nn.Module,
    batch: Batch,
    importance: Float[np.ndarray, "N M T V"],
    target: torch.Tensor,
    skeleton: Skeleton,
    rng: np.random.Generator,
    *,
    degrees: float = 10.0,
    counts: tuple[int, ...] = (1, 2, 4, 8, 16),
    num_draws: int = 8,
) -> Gap:
    """Turn the bones that end in the k most important joints, or those that end in the others, and watch the score.

    PGI and PGU of Pellano et al. (2025), averaged over k with equal weight, with two of its defects mended: every draw
    is a new one, and bones keep their lengths (the joints beyond a turned bone are carried along). One turn of
    `degrees` about a random axis per bone and clip, the same in all frames, so that speeds hardly change.
    """
    rank = rankdata(-importance.sum(axis=2), axis=2, method="ordinal") - 1  # (N, M, V)
    before = _probability(model, batch, target)
    gaps = np.zeros((2, len(before)))
    for count in counts:
        for _ in range(num_draws):
            for side, moved in enumerate((rank < count, rank >= count)):
                after = _probability(model, turned(batch, skeleton, moved, rng, degrees), target)
                gaps[side] += np.abs(after - before)
    return Gap(*(gaps / (len(counts) * num_draws)))


def turned(
    batch: Batch, skeleton: Skeleton, joints: Bool[np.ndarray, "N M V"], rng: np.random.Generator, degrees: float
) -> Batch:
    """Turn the bones that end in `joints` by `degrees` about random axes; every bone keeps its length."""
    N, _, _, V, M = batch.x.shape
    axes = rng.normal(size=(N, M, V, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    turn = _rotations(axes, np.where(joints, np.radians(degrees), 0.0))  # (N, M, V, 3, 3)
    matrices = torch.as_tensor(turn, dtype=batch.x.dtype, device=batch.x.device)
    parents = skeleton.parents.tolist()
    bones = batch.x - batch.x[:, :, :, parents]  # (N, 3, T, V, M)
    bones = torch.einsum("nmvij,njtvm->nitvm", matrices, bones)
    x = batch.x.clone()
    for joint in _outwards(parents):
        x[:, :, :, joint] = x[:, :, :, parents[joint]] + bones[:, :, :, joint]
    return batch._replace(x=x)


def _rotations(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rodrigues' formula, (..., 3) unit axes and (...) radians to (..., 3, 3)."""
    cross = np.zeros((*axes.shape, 3))
    cross[..., [2, 0, 1], [1, 2, 0]] = axes
    cross[..., [1, 2, 0], [2, 0, 1]] = -axes
    sine, cosine = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def _outwards(parents: list[int]) -> list[int]:
    """Joints with a parent of their own, each after its parent."""
    order = [joint for joint, parent in enumerate(parents) if joint == parent]
    for joint in order:  # grows while it is read
        order += [child for child, parent in enumerate(parents) if parent == joint and child != joint]
    return [joint for joint in order if parents[joint] != joint]


def _probability(model: nn.Module, batch: Batch, target: torch.Tensor) -> np.ndarray:
    with torch.inference_mode(), evaluation_mode(model):
        scores = model(batch.x, batch.lengths, batch.present).float().softmax(dim=1)
    return scores.gather(1, target[:, None])[:, 0].cpu().numpy()


def stability(
    model: nn.Module,
    explain: Callable[[Batch, torch.Tensor], Float[np.ndarray, "N M T V"]],
    batch: Batch,
    skeleton: Skeleton,
    rng: np.random.Generator,
    *,
    degrees: float = 2.0,
    num_draws: int = 5,
) -> pd.DataFrame:
    """Worst relative change of an explanation beside that of input, output and representation (lower: steadier).

    Columns ``ris``, ``ros`` and ``rrs`` (Agarwal et al. 2022), a row per clip: the largest over draws of
    |e - e'| / |e| divided by |z - z'| / |z|, with z the coordinates, the class probabilities, and the last layer's
    features. All bones are turned by `degrees`. Both maps are of the class predicted before; where the prediction
    changes, Agarwal et al. leave the draw out, which rewards networks that change their mind.
    """

    def look(part):
        with torch.inference_mode(), evaluation_mode(model), capture(model, model.layer_names[-1:]) as outputs:
            scores = model(part.x, part.lengths, part.present).float().softmax(dim=1)
            rows = present_rows(outputs[model.layer_names[-1]], part.present).float()
        last = rows.new_zeros(len(part.labels), *rows.shape[1:]).index_add(0, part.present.nonzero()[:, 0], rows)
        return [values.flatten(1).cpu().numpy() for values in (part.x, scores, last)]

    batch = batch.to(next(model.parameters()).device)
    states = look(batch)
    target = torch.as_tensor(states[1].argmax(axis=1), device=batch.x.device)
    before = explain(batch, target).reshape(len(batch.labels), -1)
    worst = np.zeros((3, len(before)))
    everything = np.ones((*batch.present.shape, batch.x.shape[3]), bool)
    for _ in range(num_draws):
        moved = turned(batch, skeleton, everything, rng, degrees)
        change = _relative(before, explain(moved, target).reshape(before.shape))
        for k, (old, new) in enumerate(zip(states, look(moved), strict=True)):
            worst[k] = np.maximum(worst[k], change / np.maximum(_relative(old, new), 1e-6))
    return pd.DataFrame(dict(zip(("ris", "ros", "rrs"), worst, strict=True)))


def _relative(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.linalg.norm(new - old, axis=1) / np.maximum(np.linalg.norm(old, axis=1), 1e-12)


def randomised(model: nn.Module, fresh: nn.Module, num_layers: int) -> nn.Module:
    """Copy of `model` whose head and last `num_layers` layers are those of `fresh` (Adebayo et al. 2018, cascading).

    With more layers than there are, everything is `fresh`. `fresh` is an untrained network of the same structure.
    """
    if num_layers > len(model.layer_names):
        return copy.deepcopy(fresh)
    mixed = copy.deepcopy(model)
    if not isinstance(getattr(model, "classifier", None), nn.Module):
        raise ValueError(f"{type(model).__name__} has no classifier to begin with; randomise its networks one by one")
    trained = () if num_layers == 0 else model.layer_names[-num_layers:]
    for name in ("classifier", *trained):
        mixed.get_submodule(name).load_state_dict(fresh.get_submodule(name).state_dict())
    return mixed


def rank_correlation(
    first: Float[np.ndarray, "N M T V"], second: Float[np.ndarray, "N M T V"], batch: Batch
) -> Float[np.ndarray, " N"]:
    """Spearman's correlation of two importances of every clip, over its own cells; 0 where one is constant."""
    out = np.zeros(len(first))
    for n, cells in enumerate(_cells(batch, first.shape[2])):
        a, b = rankdata(first[n][cells]), rankdata(second[n][cells])
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            out[n] = np.corrcoef(a, b)[0, 1]
    return out


def _cells(batch: Batch, num_frames: int) -> Bool[np.ndarray, "N M T"]:
    frames = np.arange(num_frames) < batch.lengths.cpu().numpy()[:, None]
    return batch.present.cpu().numpy()[:, :, None] & frames[:, None]


def planted_truth(
    importance: Float[np.ndarray, "N M T V"], truth: Bool[np.ndarray, "N M T V"], batch: Batch
) -> pd.DataFrame:
    """Compare importance with the joints and frames that are known to decide; a row per clip.

    Columns ``joints`` and ``frames``: average precision of joints of persons, importance and truth added up over time,
    and of frames, added up over bodies; ``pointing``: 1 where the most important cell is decisive (of several that are
    equally important, the share that is); ``joints_chance``, ``frames_chance`` and ``pointing_chance``: shares of
    decisive units, which a random order gets. NaN where all units or none are decisive. Negative importance counts as
    such: it speaks against.
    """
    rows = []
    for n, cells in enumerate(_cells(batch, importance.shape[2])):
        length, present = int(batch.lengths[n]), batch.present[n].cpu().numpy()
        value, wanted = (side[n][present][:, :length] for side in (importance, truth))
        row = {}
        for name, axes in (("joints", 1), ("frames", (0, 2))):
            decisive = wanted.any(axis=axes).ravel()
            clear = decisive.any() and not decisive.all()
            summed = value.sum(axis=axes).ravel()
            row[name] = average_precision_score(decisive, summed) if clear else np.nan
            row[f"{name}_chance"] = decisive.mean() if clear else np.nan
        top = importance[n][cells] == importance[n][cells].max()
        row["pointing"] = truth[n][cells][top].mean() if wanted.any() else np.nan
        row["pointing_chance"] = wanted.mean() if wanted.any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)
