"""Which clips and classes a study trains on, the same for every network of a seed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from lib import datasets, transforms
from lib.clips import ClipSet


class Transfer(NamedTuple):
    """Clips to learn from before, and those of the target by split (``train``, ``test``, NW-UCLA's ``test_clean``)."""

    old: ClipSet
    new: dict[str, ClipSet]


def scarce(clips: ClipSet, share: float, seed: int) -> np.ndarray:
    """Positions of a stratified part of `clips`, in order; a smaller share of the same seed lies within a larger one.

    Every class gives ``share`` of its clips, rounded to whole ones, but at least one.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}; needed in (0, 1]")
    return _from_each_class(clips, seed, lambda size: max(1, round(share * size)))


def budget(clips: ClipSet, per_class: int, seed: int) -> np.ndarray:
    """Positions of `per_class` clips of every class, in order; a smaller budget of the same seed lies within a larger.

    A class with fewer clips gives all it has.
    """
    if per_class < 1:
        raise ValueError(f"per_class={per_class}; needed at least 1")
    return _from_each_class(clips, seed, lambda size: per_class)


def round_robin(labels: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Positions of all clips, classes in turn, so that the beginning holds as many classes as it can.

    Clips for which `first` (N,) holds, such as those that a network gets right, come before all others.
    """
    labels, late = np.asarray(labels), ~np.asarray(first, dtype=bool)
    turn = np.zeros(len(labels), dtype=np.int64)
    for group in np.unique(2 * labels + late):
        own = 2 * labels + late == group
        turn[own] = np.arange(own.sum())
    return np.lexsort((labels, turn, late))


def class_halves(clips: ClipSet, seed: int) -> tuple[list[int], list[int]]:
    """Classes to learn from and classes to transfer to: a random half each, the odd one with the first."""
    num_classes = len(clips.class_names)
    if num_classes < 4:
        raise ValueError(f"{clips.dataset} has {num_classes} classes; two halves to tell apart need at least 4")
    order = np.random.default_rng([seed, 1]).permutation(num_classes)
    middle = (num_classes + 1) // 2
    return sorted(order[:middle].tolist()), sorted(order[middle:].tolist())


def of_classes(clips: ClipSet, classes: Sequence[int]) -> ClipSet:
    """Clips of `classes` only, labels counted anew in the order given."""
    classes = list(classes)
    if len(set(classes)) < len(classes) or not all(0 <= index < len(clips.class_names) for index in classes):
        raise ValueError(f"classes={classes}; needed numbers in 0..{len(clips.class_names) - 1}, each once")
    places = np.flatnonzero(np.isin(clips.labels, classes))
    if not len(places):
        raise ValueError(f"{clips.dataset} has no clips of classes {[clips.class_names[index] for index in classes]}")
    fresh = np.full(len(clips.class_names), -1)
    fresh[classes] = np.arange(len(classes))
    part = clips.subset(places)
    return replace(part, labels=fresh[part.labels], class_names=tuple(clips.class_names[index] for index in classes))


def transfer(source: str, target: str, *, seed: int, limit: int | None = None, progress: bool = True) -> Transfer:
    """Load what a network knows and what it is to learn, as clips that nobody has prepared yet.

    Parameters
    ----------
    source, target
        Datasets by name. Two names: all classes of each, the source's joints moved onto the target's skeleton. One
        name: a random half of its classes is old, the other half new (`class_halves`).
    seed
        Decides the halves.
    limit
        Clips of each split of a synthetic dataset; real ones are used whole.

    Raises
    ------
    ValueError
        The source's skeleton lacks joints of the target's.
    """

    def load(name, split):
        return datasets.load(name, split=split, limit=limit if name == "synthetic" else None, progress=progress)

    splits = ["train", "test", "test_clean"] if target == "nw_ucla" else ["train", "test"]
    old, new = load(source, "train"), {split: load(target, split) for split in splits}
    if source == target:
        known, unknown = class_halves(old, seed)
        return Transfer(of_classes(old, known), {split: of_classes(part, unknown) for split, part in new.items()})
    return Transfer(old.map(partial(transforms.onto, skeleton=new["train"].skeleton)), new)


def _from_each_class(clips, seed, number):
    rng = np.random.default_rng([seed, 0])
    order = rng.permutation(len(clips))
    labels = clips.labels[order]
    parts = [order[labels == label] for label in np.unique(labels)]
    return np.sort(np.concatenate([part[: number(len(part))] for part in parts]))
