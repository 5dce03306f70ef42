"""Where every value of a network comes from: labels in the shape of its tensors, and what each label stands for.

A label is a number; `Sources` knows the kernels behind it. Labels of a tensor are an int64 tensor of its shape,
expanded over whatever they do not depend on, so that a map of a million values holds one label per channel in memory.
"""

import math
from collections.abc import Iterable, Sequence

import torch

NONE = 0  # the label of values that come from no kernel: the clip, constants, padding


class Sources:
    """What labels stand for: {(layer, kernel): share}, layers counted as they ran.

    The shares of a sum's two sides add up to 1 (`blend`); whatever else joins values keeps the shares they had.
    """

    def __init__(self):
        self._shares: list[dict[tuple[int, int], float]] = [{}]
        self._unions: dict[frozenset[int], int] = {frozenset(): NONE}

    def __getitem__(self, label: int) -> dict[tuple[int, int], float]:
        return self._shares[label]

    def of_layer(self, layer: int, num_kernels: int) -> torch.Tensor:
        """Give each kernel of a layer a label of its own: (num_kernels,)."""
        first = len(self._shares)
        self._shares += [{(layer, kernel): 1.0} for kernel in range(num_kernels)]
        return torch.arange(first, first + num_kernels)

    def union(self, labels: Iterable[int]) -> int:
        """Label of all that several labels stand for; of unequal shares the largest in size counts."""
        wanted = frozenset(labels) - {NONE}
        if len(wanted) == 1:
            return next(iter(wanted))
        if wanted not in self._unions:
            joined: dict[tuple[int, int], float] = {}
            for label in sorted(wanted):
                for source, share in self._shares[label].items():
                    if source not in joined or abs(share) > abs(joined[source]):
                        joined[source] = share
            self._unions[wanted] = len(self._shares)
            self._shares.append(joined)
        return self._unions[wanted]

    def blend(self, parts: Iterable[tuple[int, float]]) -> int:
        """Label of a sum: what each part stands for, times the part's share of the sum."""
        joined: dict[tuple[int, int], float] = {}
        for label, weight in parts:
            for source, share in self._shares[label].items():
                joined[source] = joined.get(source, 0.0) + weight * share
        self._shares.append(joined)
        return len(self._shares) - 1


def compact(labels: torch.Tensor) -> torch.Tensor:
    """Labels with size 1 along every axis that they do not depend on."""
    for axis in sorted(range(labels.ndim), key=lambda axis: labels.stride(axis) != 0):
        first = labels.narrow(axis, 0, min(1, labels.shape[axis]))
        if labels.shape[axis] > 1 and (labels.stride(axis) == 0 or torch.equal(first.expand_as(labels), labels)):
            labels = first
    return labels


def merged(labels: torch.Tensor, axes: Sequence[int], sources: Sources) -> torch.Tensor:
    """Union of labels along axes, which stay with size 1."""
    labels = compact(labels)
    axes = [axis for axis in axes if labels.shape[axis] > 1]
    if not axes:
        return labels
    kept = [axis for axis in range(labels.ndim) if axis not in axes]
    rows = labels.permute(*kept, *axes).reshape(math.prod(labels.shape[axis] for axis in kept), -1)
    unions = [sources.union(row.unique().tolist()) for row in rows]
    return torch.tensor(unions).reshape([1 if axis in axes else labels.shape[axis] for axis in range(labels.ndim)])


def paired(labels: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Find combinations (U, parts) of labels that stand in the same place, and which of them stands where."""
    places = torch.broadcast_tensors(*(compact(part) for part in labels))
    rows, which = torch.stack([part.flatten() for part in places], dim=1).unique(dim=0, return_inverse=True)
    return rows, which.reshape(places[0].shape)


def joined(labels: Sequence[torch.Tensor], shape: Sequence[int], sources: Sources) -> torch.Tensor:
    """Labels of values that are made, place by place, of several broadcast ones."""
    rows, which = paired(labels)
    return torch.tensor([sources.union(row) for row in rows.tolist()])[which].expand(shape)
