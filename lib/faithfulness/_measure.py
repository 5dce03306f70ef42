"""Every measure of every method on every clip, as one table."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import nn
from tqdm.auto import tqdm

from lib.clips import Batch, ClipSet
from lib.faithfulness._curves import UNITS, curve
from lib.faithfulness._moves import prediction_gap
from lib.faithfulness._truth import planted_truth
from lib.models.layers import evaluation_mode


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
