"""Whether a class needs the kernels that its pyramid names: silence them, and as many others, and see what it loses."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.clips import Batch
from lib.models.layers import evaluation_mode
from lib.pyramids._clips import arguments, prepared
from lib.pyramids._layers import Trace
from lib.pyramids._pyramid import strengths
from lib.pyramids._search import RULES, Ways, check, explored, traced
from lib.pyramids._trace import trace
from lib.pyramids._weights import stacked

METHODS = (*RULES, "magnitude", "random")


@contextmanager
def silenced(model: nn.Module, kernels: Mapping[str, Collection[int]]) -> Iterator[None]:
    """Make kernels give 0 everywhere, {layer: kernels}, as if they had been cut out; afterwards they are as before.

    Raises
    ------
    ValueError
        A layer or kernel that the network does not have.
    """
    before = []
    for layer, chosen in kernels.items():
        for own in stacked(model, layer):
            size = own.shape[0] * own.shape[1]
            if wrong := [kernel for kernel in chosen if not 0 <= kernel < size]:
                raise ValueError(f"kernels {wrong} of layer {layer!r}, needed 0..{size - 1}")
            index = torch.tensor(list(chosen), dtype=torch.long, device=own.device)
            place = index // own.shape[1], index % own.shape[1]
            before.append((own, place, own[place]))
    try:
        for own, place, _ in before:
            own[place] = 0
        yield
    finally:
        for own, place, values in before:
            own[place] = values


def ablation(
    model: nn.Module,
    clip: torch.Tensor | Batch,
    class_index: int,
    depth: int = 3,
    *,
    shares: Sequence[float] = (0.05, 0.1, 0.2, 0.4),
    num_draws: int = 5,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Silence kernels step by step back from a class, by four orders, and measure what the class loses on one clip.

    Parameters
    ----------
    model, clip, class_index, depth
        As for `class_feature_pyramid`; shortcuts are followed.
    shares
        Of the kernels of every layer that is that many steps back, each in (0, 1]; at least one kernel is silenced.
    num_draws
        Random orders, whose mean counts.
    rng
        Draws them, and the order of kernels that a pyramid leaves out.

    Returns
    -------
    Rows of ``level`` (steps back), ``share``, ``method``, ``num_kernels``, ``logit_drop`` and ``probability_drop``.
    Methods are the strongest kernels of a pyramid with threshold 0 (``"published"``, ``"signed"``), those with the
    largest weights (``"magnitude"``, Euclidean) and ``"random"`` ones: every time equally many of each layer. The logit
    is counted from the mean over classes, so that what all classes lose is no drop.

    Raises
    ------
    ValueError
        Another value than said above, a clip or network that `class_feature_pyramid` refuses, or a layer that does not
        run with the weights that its module holds (a parametrization, several operators in one module).

    Notes
    -----
    The original work shows no such test. A silent kernel gives 0 before its normalisation, so what follows sees a
    constant in its place, not 0.
    """
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong or len(shares) == 0 or num_draws < 1:
        raise ValueError(f"shares={list(shares)}, num_draws={num_draws}; needed shares in (0, 1] and at least one draw")
    check(class_index, depth)
    seen = traced(model, clip, class_index)
    options = {"threshold": 0.0, "shortcuts": True, "top": None}
    of_rule = {rule: explored(seen, class_index, depth, rule=rule, **options) for rule in RULES}
    strength = {rule: _strengths(seen, ways) for rule, ways in of_rule.items()}
    clip = prepared(model, clip)
    _check_silence(model, clip, {layer: int(own.argmax()) for layer, own in strength["published"].items() if own.any()})
    whole = _scores(model, clip, class_index)
    rows = []
    for level, layers in _layers_by_level(seen, of_rule["published"]).items():
        orders = {
            **{rule: [_by_strength(own, layers, rng)] for rule, own in strength.items()},
            "magnitude": [{layer: _by_magnitude(model, layer) for layer in layers}],
            "random": [
                {layer: rng.permutation(size).tolist() for layer, size in layers.items()} for _ in range(num_draws)
            ],
        }
        for share in shares:
            counts = {layer: max(1, round(share * size)) for layer, size in layers.items()}
            for method, drawn in orders.items():
                found = []
                for order in drawn:
                    with silenced(model, {layer: order[layer][:count] for layer, count in counts.items()}):
                        found.append(whole - _scores(model, clip, class_index))
                logit, probability = np.mean(found, axis=0).tolist()
                drops = {"logit_drop": logit, "probability_drop": probability}
                rows.append(
                    {"level": level, "share": share, "method": method, "num_kernels": sum(counts.values()), **drops}
                )
    return pd.DataFrame(rows)


def _check_silence(model: nn.Module, clip: torch.Tensor | Batch, kernels: Mapping[str, int]) -> None:
    """Refuse a network in which one kernel of a layer, {layer: kernel}, still gives something when it is silenced."""
    with silenced(model, {layer: [kernel] for layer, kernel in kernels.items()}):
        maps = trace(model, clip, kept=kernels.items()).maps
    if loud := [layer for layer, kernel in kernels.items() if bool(maps[layer, kernel].any())]:
        raise ValueError(
            f"layers {loud[:5]} do not run with the weights that their modules hold, and cannot be silenced; remove "
            "parametrizations, and give each operator a module of its own"
        )


def _layers_by_level(seen: Trace, ways: Ways) -> dict[int, dict[str, int]]:
    """Find {steps back: {layer: number of its kernels}}, each layer where most of its kernels are."""
    of_layer = np.array([layer for layer, _ in ways.keys])
    levels: dict[int, dict[str, int]] = {}
    for layer in np.unique(of_layer)[::-1].tolist():
        level = int(np.bincount(ways.levels[of_layer == layer]).argmax())
        if level > 0:
            levels.setdefault(level, {})[seen.layers[layer].name] = seen.layers[layer].num_kernels
    return dict(sorted(levels.items()))


def _strengths(seen: Trace, ways: Ways) -> dict[str, np.ndarray]:
    """{layer: (kernels,) their strengths}, 0 for kernels that are not on the way."""
    found = {layer.name: np.zeros(layer.num_kernels) for layer in seen.layers}
    later_first = np.array([-layer for layer, _ in ways.keys])
    own = strengths(ways.levels, later_first, ways.parents, ways.children, ways.scores)
    for (layer, kernel), strength in zip(ways.keys, own.tolist(), strict=True):
        found[seen.layers[layer].name][kernel] = strength
    return found


def _by_strength(
    strengths: Mapping[str, np.ndarray], layers: Mapping[str, int], rng: np.random.Generator
) -> dict[str, list[int]]:
    """Kernels of each layer, the strongest first; those of none come last, in random order."""
    return {layer: np.lexsort((rng.random(size), -strengths[layer])).tolist() for layer, size in layers.items()}


def _by_magnitude(model: nn.Module, layer: str) -> list[int]:
    weight = stacked(model, layer)[0].flatten(0, 1).flatten(1).double()
    return weight.norm(dim=1).argsort(descending=True, stable=True).tolist()


def _scores(model: nn.Module, clip: torch.Tensor | Batch, class_index: int) -> np.ndarray:
    """Logit of the class above the mean of all, and its probability."""
    with torch.no_grad(), evaluation_mode(model):
        logits = model(*arguments(model, clip))[0].double()
    return np.array([logits[class_index] - logits.mean(), logits.softmax(0)[class_index]])
