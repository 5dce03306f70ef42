"""What spoiled input does to a network: to its answers, to the neighbours of clips at every layer, and to its maps."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import nn

from lib import faithfulness, features, geometry, gradcam, smoothness
from lib.clips import Batch, ClipSet
from lib.graphs import NeighborGraph

MEASURES = (
    "cross_class_mass",
    "interpolation_error",
    "overlap",
    "untrained_cross_class_mass",
    "untrained_interpolation_error",
    "untrained_overlap",
    "map_agreement",
    "map_zero",
)
"""Columns of `by_layer`."""


class View(NamedTuple):
    """How one network sees a set of clips."""

    graphs: dict[str, NeighborGraph]  # by layer, over the clips
    maps: dict[str, Float[np.ndarray, "N M T_l V"]]  # GradCAM by layer; empty where no class was to be explained


def view(
    model: nn.Module,
    clips: ClipSet,
    target: Int[np.ndarray, " N"] | None = None,
    *,
    layers: Sequence[str] | None = None,
    setting: geometry.Setting | None = None,
) -> View:
    """Graph and maps of every layer.

    Parameters
    ----------
    target
        Class of each clip that the maps explain; None: no maps. Give all views of a comparison the same: otherwise a
        map also moves because the answer has changed.
    layers
        Names from ``model.layer_names``; all by default.
    setting
        How graphs are made; by default as on the page about layer geometry.
    """
    layers = list(model.layer_names if layers is None else layers)
    sequences = features.extract(model, clips, layers)
    linked = geometry.neighbors(sequences, model.layer_strides, setting or geometry.Setting())
    maps = {} if target is None else gradcam.gradcam(model, clips.batch(np.arange(len(clips))), layers, target)
    return View(linked, maps)


def by_layer(
    clean: View, spoiled: View, clips: ClipSet, layer_strides: Mapping[str, int], untrained: tuple[View, View]
) -> pd.DataFrame:
    """Compare two views of the same clips, beside those of an untrained network; one row per layer.

    Parameters
    ----------
    clean, spoiled
        Views of clips as they are, and spoiled; equal ones give what a clean row holds.
    layer_strides
        The network's attribute of that name.
    untrained
        The same two views by a network that has learned nothing.

    Returns
    -------
    ``layer, depth``; ``cross_class_mass, interpolation_error`` of the spoiled clips' graph; ``overlap``, the mean
    Jaccard index of a clip's neighbours in both graphs; all three also with the prefix ``untrained_``; and
    ``map_agreement``, the mean rank correlation of a clip's two maps, with ``map_zero``, that of the clean map with the
    untrained network's map of the same clean clip (NaN where that view has no maps).
    """
    batch = clips.batch(np.arange(len(clips)))
    rows = []
    for depth, layer in enumerate(spoiled.graphs):
        ends = _at_layer(batch, layer_strides[layer])
        row = {"layer": layer, "depth": depth}
        for prefix, before, after in (("", clean, spoiled), ("untrained_", *untrained)):
            smooth = smoothness.label_smoothness(after.graphs[layer], clips.labels)
            row[f"{prefix}cross_class_mass"] = smooth.cross_class_mass
            row[f"{prefix}interpolation_error"] = smooth.interpolation_error
            row[f"{prefix}overlap"] = geometry.jaccard(before.graphs[layer], after.graphs[layer]).mean()
        for name, other in (("map_agreement", spoiled), ("map_zero", untrained[0])):
            maps = other.maps.get(layer)
            row[name] = np.nan
            if maps is not None:
                row[name] = faithfulness.rank_correlation(clean.maps[layer], maps, ends).mean()
        rows.append(row)
    return pd.DataFrame(rows)


def _at_layer(batch: Batch, stride: int) -> Batch:
    return batch._replace(lengths=-(-batch.lengths // stride))


def answers(
    clean: Float[np.ndarray, "N classes"],
    spoiled: Float[np.ndarray, "N classes"],
    labels: Int[np.ndarray, " N"],
    splits: Mapping[str, Bool[np.ndarray, " N"]],
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Accuracy of logits for spoiled clips, and how far it changed, for every split.

    Parameters
    ----------
    clean, spoiled
        Logits of the same clips as they are, and spoiled.
    splits
        The clips that belong to each split.
    seed
        Of the resampling.

    Returns
    -------
    ``<split>`` the accuracy, ``<split>_change`` its difference to that of the clean clips, ``<split>_low`` and
    ``<split>_high`` the ends of the difference's 95 % interval, paired over clips.
    """
    before, after = ((part.argmax(axis=1) == labels).astype(float) for part in (clean, spoiled))
    found = {}
    for split, own in splits.items():
        change = smoothness.paired_difference(after[own], before[own], rng=np.random.default_rng(seed))
        found[split] = float(after[own].mean())
        found |= {f"{split}_change": change.value, f"{split}_low": change.low, f"{split}_high": change.high}
    return found


def spread(seen: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row per condition, `by`, with a column ``"<measure> <layer>"`` for each of `MEASURES`; what studies keep."""
    wide = seen.pivot(index=list(by), columns="layer", values=list(MEASURES))
    layers = dict.fromkeys(seen["layer"])
    wide.columns = [f"{measure} {layer}" for measure, layer in wide.columns]
    return wide[[f"{measure} {layer}" for layer in layers for measure in MEASURES]].reset_index()


def gather(rows: pd.DataFrame) -> pd.DataFrame:
    """Undo `spread`: one row per layer of each row, with ``layer, depth``, `MEASURES` and all other columns."""
    layers = [name.partition(" ")[2] for name in rows.columns if name.startswith(f"{MEASURES[0]} ")]
    if not layers:
        raise ValueError(f"rows have no column '{MEASURES[0]} <layer>'; needed what robustness.spread makes")
    rest = rows[[name for name in rows.columns if name.partition(" ")[0] not in MEASURES]]
    parts = []
    for depth, layer in enumerate(layers):
        own = rows[[f"{measure} {layer}" for measure in MEASURES]].set_axis(MEASURES, axis=1)
        parts.append(pd.concat([own, rest], axis=1).assign(layer=layer, depth=depth))
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
