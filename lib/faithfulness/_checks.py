"""Whether an explanation holds still where it should, and changes where it should."""

import copy
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import nn

from lib.clips import Batch
from lib.faithfulness._moves import turned
from lib.faithfulness._truth import own_cells
from lib.features import capture, present_rows
from lib.models.layers import evaluation_mode
from lib.skeletons import Skeleton


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
    for n, cells in enumerate(own_cells(batch, first.shape[2])):
        a, b = rankdata(first[n][cells]), rankdata(second[n][cells])
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            out[n] = np.corrcoef(a, b)[0, 1]
    return out
