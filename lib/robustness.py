"""What spoiled input does to a network: to its answers, to the neighbours of clips at every layer, and to its maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import nn

from lib import dtw, faithfulness, features, geometry, gradcam, graphs, scores, smoothness, trust
from lib.clips import Batch, ClipSet
from lib.graphs import NeighborGraph

CHOICES = ("holds", "does not hold", "not decided")


@dataclass(frozen=True)
class GraphConfig:
    """How the graph of a layer is made, as on the page about layer geometry."""

    window_size: int = 4  # frames of the input per DTW window
    stride: int = 4  # input frames between windows
    radius: float = 0.2  # DTW band as a share of a sequence's windows
    num_neighbors: int = 10  # candidates per clip
    sigma_scale: float = 1 / 3  # kernel width as a share of the mean distance to the last candidate


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
    config: GraphConfig | None = None,
) -> View:
    """Graph and maps of every layer.

    Parameters
    ----------
    target
        Class of each clip that the maps explain; None: no maps. Give all views of a comparison the same: otherwise a
        map also moves because the answer has changed.
    layers
        Names from ``model.layer_names``; all by default.
    """
    config = config or GraphConfig()
    layers = list(model.layer_names if layers is None else layers)
    found = dtw.by_layer(
        features.extract(model, clips, layers),
        model.layer_strides,
        window_size=config.window_size,
        stride=config.stride,
        radius=config.radius,
        normalize="path",
    )
    k = config.num_neighbors
    linked = {
        name: graphs.nnk(part, k, sigma=graphs.bandwidth(part, k, scale=config.sigma_scale))
        for name, part in found.items()
    }
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


def chance_mass(labels: Int[np.ndarray, " N"]) -> float:
    """Cross-class mass to expect of neighbours drawn at random: the share of pairs of clips that differ in class."""
    count = np.bincount(labels)
    return float(1 - (count * (count - 1)).sum() / (len(labels) * (len(labels) - 1)))


def damage(clean: pd.Series | float, spoiled: pd.Series | float, chance: pd.Series | float) -> pd.Series | float:
    """Share of the way from the clean value to chance: 0 unharmed, 1 nothing left; one scale for any measure.

    Negative where the spoiled value is the better one.
    """
    return (spoiled - clean) / (chance - clean)


def damages(answered: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Damage of every run to accuracy and to the smoothness of each layer, one long table.

    Parameters
    ----------
    answered
        One row per run and condition: ``dataset, seed, corruption, step, level, unit, num_classes`` and the accuracy,
        ``test_clean`` where a dataset has it, else ``test``. A run's row of step 0 holds the clean clips;
        runs of other corruptions may repeat it.
    seen
        One row per run, condition and layer: what :func:`by_layer` returns, ``dataset, seed, corruption, step, level,
        unit`` and ``chance_mass``; step 0 as above.

    Returns
    -------
    ``dataset, seed, corruption, step, level, unit, series, layer, value``; series are ``accuracy`` (layer is NaN),
    ``smoothness`` and ``smoothness, untrained``.
    """
    ids = ["dataset", "seed", "corruption", "step", "level", "unit"]
    answered = answered.assign(now=scores.honest(answered), chance=1 / answered["num_classes"], layer=np.nan)
    parts = [_damage(answered, ["dataset", "seed"]).assign(series="accuracy")]
    for series, column in (("smoothness", "cross_class_mass"), ("smoothness, untrained", "untrained_cross_class_mass")):
        part = seen.assign(now=seen[column], chance=seen["chance_mass"])
        parts.append(_damage(part, ["dataset", "seed", "layer"]).assign(series=series))
    return pd.concat(parts, ignore_index=True)[[*ids, "series", "layer", "value"]]


def _damage(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    clean = rows[rows["step"] == 0].drop_duplicates(by).set_index(by)["now"].rename("clean")  # one per sweep
    rows = rows[rows["step"] > 0].join(clean, on=by)
    return rows.assign(value=damage(rows["clean"], rows["now"], rows["chance"]))


LIMIT = 0.1  # share of the way to chance up to which we call an effect limited
CLAIMS = {
    "smoothness suffers": "any",
    "by less than a tenth": "limit",
    "accuracy suffers more": "accuracy",
    "untrained, smoothness suffers more": "untrained",
    "in the first layer, smoothness suffers more": "first",
}
"""What is asked about a corruption; each is a damage, or a difference from one, that should lie above 0."""


def claims(found: pd.DataFrame, layer: str) -> pd.DataFrame:
    """Put the five `CLAIMS` about one layer to the runs; one row per dataset, corruption, level and claim.

    Parameters
    ----------
    found
        As from :func:`damages`; its first layer is the one that stands first.

    Returns
    -------
    Indexed by ``dataset, corruption, step, level, claim``: ``mean, low, high`` over seeds (95 %, Student's) of the
    layer's damage, of what is left of `LIMIT` below it, or of the other damage less this one, in the same seed;
    ``seeds``, and the ``verdict`` whether that is above 0.
    """
    keys = ["dataset", "corruption", "step", "level", "seed"]
    part = found[found["layer"].isna() | (found["layer"] == layer)]
    wide = part.pivot(index=keys, columns="series", values="value")
    smooth = wide["smoothness"]
    trained = found[found["series"] == "smoothness"]
    first = trained[trained["layer"] == trained["layer"].iloc[0]].set_index(keys)["value"]
    put = {
        "any": smooth,
        "limit": LIMIT - smooth,
        "accuracy": wide["accuracy"] - smooth,
        "untrained": wide["smoothness, untrained"] - smooth,
        "first": first - smooth,
    }
    rows = pd.concat(
        {claim: put[kind].rename("value").reset_index() for claim, kind in CLAIMS.items()}, names=["claim"]
    )
    table = trust.over_seeds(rows.reset_index("claim"), [*keys[:-1], "claim"])
    verdicts = [verdict(low, high) for low, high in zip(table["low"], table["high"], strict=True)]
    return table.assign(verdict=verdicts)


def verdict(low: float, high: float) -> str:
    """Is a value above 0? ``"holds"``, ``"does not hold"`` or ``"not decided"``, by the ends of its interval."""
    if low > 0:
        return CHOICES[0]
    return CHOICES[1] if high < 0 else CHOICES[2]
