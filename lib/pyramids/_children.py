"""What kernels of one layer draw on: many parents at once, by either rule of `class_feature_pyramid`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lib.pyramids import _contributions
from lib.pyramids._layers import Trace

Key = tuple[int, int]  # layer, kernel


class Children(NamedTuple):
    """Children of one kernel, the highest score first: who they are, what they give, and their scores from 0 to 1."""

    keys: list[Key]
    contributions: np.ndarray
    scores: np.ndarray


class _Behind(NamedTuple):
    """Kernels behind some input channels of a layer, one entry per side of a channel, in the order of the kernels."""

    keys: list[Key]  # each kernel once
    first: np.ndarray  # (keys,) where each one's entries begin
    channel: np.ndarray  # (entries,) position among the channels
    share: np.ndarray  # (entries,)
    of_strongest: np.ndarray  # (entries,) the share over the largest one in its channel, from 0 to 1


def children(
    found: Trace,
    layer: int,
    kernels: Sequence[int],
    *,
    rule: str,
    threshold: float,
    shortcuts: bool,
    top: int | None,
    of_class: bool,
) -> dict[int, Children]:
    """Find the children of `kernels` of one layer; arguments as of `class_feature_pyramid`."""
    own = found.layers[layer]
    groups: dict[range, list[int]] = {}
    for kernel in kernels:
        groups.setdefault(own.channels(kernel), []).append(kernel)
    chosen = {}
    for channels, parents in groups.items():
        behind = _behind(found, layer, channels, shortcuts)
        if not behind.keys:
            chosen |= dict.fromkeys(parents, Children([], np.zeros(0), np.zeros(0)))
        elif rule == "signed":
            values = _contributions.signed(own, parents).numpy()
            chosen |= dict(zip(parents, _by_sign(values, behind, threshold, top), strict=True))
        else:
            rate = _contributions.published_class if of_class else _contributions.published
            products, scores = (part.numpy() for part in rate(own, parents))
            sees = of_class | products.any(axis=1)
            chosen |= dict(zip(parents, _by_score(products, scores, sees, behind, threshold, top), strict=True))
    return chosen


def _by_sign(values: np.ndarray, behind: _Behind, threshold: float, top: int | None) -> list[Children]:
    given = np.add.reduceat(values[:, behind.channel] * behind.share, behind.first, axis=1)  # (parents, keys)
    greatest = given.max(axis=1, keepdims=True)
    kept = (given > 0) & (given >= threshold * greatest)
    return [
        _picked(behind, *row, top) for row in zip(kept, given, given / np.where(greatest > 0, greatest, 1), strict=True)
    ]


def _by_score(
    products: np.ndarray, scores: np.ndarray, sees: np.ndarray, behind: _Behind, threshold: float, top: int | None
) -> list[Children]:
    of_side = scores[:, behind.channel] * behind.of_strongest
    kept = (of_side >= threshold) & sees[:, None]
    given = np.add.reduceat(np.where(kept, products[:, behind.channel] * behind.share, 0.0), behind.first, axis=1)
    best = np.maximum.reduceat(np.where(kept, of_side, -1.0), behind.first, axis=1)
    return [_picked(behind, *row, top) for row in zip(best >= 0, given, best, strict=True)]


def _picked(behind: _Behind, kept: np.ndarray, given: np.ndarray, scores: np.ndarray, top: int | None) -> Children:
    places = np.flatnonzero(kept)
    places = places[np.argsort(-scores[places], kind="stable")][:top]
    return Children([behind.keys[place] for place in places], given[places], scores[places])


def _behind(found: Trace, layer: int, channels: range, shortcuts: bool) -> _Behind:
    """Find the kernels behind channels; without shortcuts, of each only those with the longest way from the clip."""
    entries = []
    for place, channel in enumerate(channels):
        sources = found.layers[layer].inputs[channel]
        if sources and not shortcuts:
            longest = max(found.layers[source].level for source, _ in sources)
            sources = {key: share for key, share in sources.items() if found.layers[key[0]].level == longest}
        greatest = max(sources.values(), default=0.0)
        entries += [
            (key, place, share, max(share, 0.0) / greatest if greatest > 0 else 1.0) for key, share in sources.items()
        ]
    entries.sort(key=lambda entry: entry[0])
    keys = [entry[0] for entry in entries]
    first = [place for place, key in enumerate(keys) if place == 0 or keys[place - 1] != key]
    _, channel, share, of_strongest = zip(*entries, strict=True) if entries else ((), (), (), ())
    return _Behind(
        [keys[place] for place in first],
        np.array(first, dtype=np.int64),
        np.array(channel, dtype=np.int64),
        np.array(share),
        np.array(of_strongest),
    )
