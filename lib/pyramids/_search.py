"""Class feature pyramids (Stergiou et al. 2019): from a class back to the kernels that it draws on, layer by layer."""

import operator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lib.clips import Batch
from lib.pyramids._children import Key, children
from lib.pyramids._clips import prepared
from lib.pyramids._layers import Trace
from lib.pyramids._pyramid import Edge, Node, Pyramid
from lib.pyramids._trace import trace

RULES = ("published", "signed")


def class_feature_pyramid(
    model: nn.Module,
    clip: torch.Tensor | Batch,
    class_index: int,
    depth: int = 3,
    *,
    threshold: float = 0.6,
    rule: str = "published",
    shortcuts: bool = True,
    top: int | None = None,
) -> Pyramid:
    """Find the kernels that matter to a class on one clip, `depth` layers back from the classifier.

    Parameters
    ----------
    model
        Any module with 3D convolutions that gives logits (1, classes), or a network on skeletons (`models.build`); its
        layers are found by `trace`. Used where it is, in evaluation mode; modes and weights are afterwards what they
        were.
    clip
        (1, C, T, H, W) or (C, T, H, W), finite; for a network on skeletons a batch of one clip, ``clips.batch([0])``.
    class_index
        The class that is explained.
    depth
        Layers to step back over, the classifier being the first, as in the release.
    threshold
        From 0 to 1. A kernel's children are the channels whose score is at least that much.
    rule
        ``"published"``: the score of an input channel is the product of the kernel's mean weight and the channel's mean
        activation, scaled to 0..1 between the least and the greatest of them; at the classifier it is the weight alone,
        scaled over all classes. Of a channel that is a sum the strongest side has that score, the others less, in
        proportion to their shares. ``"signed"``: the score is the mean over all places of what the kernel gives when it
        sees that channel alone, divided by the greatest; only kernels that speak for their parent are kept, so there
        may be none.
    shortcuts
        Whether all sides of a sum may be followed. False: of the kernels behind one channel only those with the longest
        way from the clip, as the release has it, which leaves shortcuts out.
    top
        At most so many children of each kernel, the strongest; None for no limit.

    Returns
    -------
    A graph in which each kernel stands once and is explored once, however many draw on it.

    Raises
    ------
    ValueError
        Another value than said above, a model without 3D convolutions, or one that cannot take the clip.

    Notes
    -----
    A channel's children are the kernels that it comes from, in whatever layers: those of all branches of a
    concatenation at their own place, the kernels of the same group only, both sides of a sum or product. Departures
    from the authors' release: they repeat a grouped kernel's weights over all groups, where ours sees its own group;
    products are not divided by their sum before they are scaled, which would turn their order round where it is
    negative; sums are followed on all sides that count, see `shortcuts`; a kernel whose input channels are all 0 has
    no children. A channel's mean activation is that of what the convolution is given: padding that is an operator of
    its own, as reflection is, counts. Under ``"signed"`` what a sum gives is split among the kernels behind it in the
    shares that `trace` measures.
    """
    class_index, depth, threshold = operator.index(class_index), operator.index(depth), float(threshold)
    check(class_index, depth)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold}; needed from 0 to 1")
    if rule not in RULES:
        raise ValueError(f"rule={rule!r}; choose one of {list(RULES)}")
    if top is not None and top < 1:
        raise ValueError(f"top={top}; needed None or at least 1")
    found = traced(model, clip, class_index)
    ways = explored(found, class_index, depth, rule=rule, threshold=threshold, shortcuts=shortcuts, top=top)
    later_first = sorted({layer for layer, _ in ways.keys}, reverse=True)
    columns = (ways.parents, ways.children, ways.contributions, ways.scores)
    return Pyramid(
        class_index=class_index,
        logit=float(found.logits[class_index]),
        depth=depth,
        threshold=threshold,
        rule=rule,
        shortcuts=shortcuts,
        top=top,
        layer_sizes={found.layers[layer].name: found.layers[layer].num_kernels for layer in later_first},
        nodes=tuple(
            Node(found.layers[layer].name, kernel, level)
            for (layer, kernel), level in zip(ways.keys, ways.levels.tolist(), strict=True)
        ),
        edges=tuple(map(Edge, *(column.tolist() for column in columns))),
    )


class Ways(NamedTuple):
    """Kernels from a class down, and what leads from one to the other, in columns: there may be millions."""

    keys: list[Key]
    levels: np.ndarray  # (kernels,)
    parents: np.ndarray  # (edges,), as are the next three
    children: np.ndarray
    contributions: np.ndarray
    scores: np.ndarray


def explored(found: Trace, class_index: int, depth: int, **options) -> Ways:
    """Step back from a class, breadth first: the first way to a kernel is the shortest. Options as of `children`."""
    order = sorted(found.outputs[class_index])
    place, ends = {key: index for index, key in enumerate(order)}, [0, len(order)]
    edges: list[tuple[np.ndarray, ...]] = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0))]
    for step in range(depth):
        parents = range(*ends[-2:])
        if not parents:
            break
        by_layer: dict[int, list[int]] = {}
        for layer, kernel in order[parents.start : parents.stop]:
            by_layer.setdefault(layer, []).append(kernel)
        below = {layer: children(found, layer, own, of_class=step == 0, **options) for layer, own in by_layer.items()}
        for parent in parents:
            layer, kernel = order[parent]
            own = below[layer][kernel]
            for child in own.keys:
                if child not in place:
                    place[child] = len(order)
                    order.append(child)
            reached = np.array([place[child] for child in own.keys], dtype=int)
            edges.append((np.full(len(reached), parent), reached, own.contributions, own.scores))
        ends.append(len(order))
    levels = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    return Ways(order, levels, *map(np.concatenate, zip(*edges, strict=True)))


def traced(model: nn.Module, clip: torch.Tensor | Batch, class_index: int) -> Trace:
    """Trace a clip; a network without such a class, for other clips, or on video without 3D convolutions is refused."""
    clip = prepared(model, clip)
    found = trace(model, clip) if isinstance(clip, Batch) else _traced_video(model, clip)
    if class_index >= len(found.logits):
        raise ValueError(f"class_index={class_index}, needed 0..{len(found.logits) - 1}: so many classes has the model")
    return found


def _traced_video(model: nn.Module, clip: torch.Tensor) -> Trace:
    try:
        found = trace(model, clip)
    except (RuntimeError, IndexError, TypeError) as error:
        raise ValueError(
            f"{type(model).__name__} cannot take a clip of shape {tuple(clip.shape)}, (1, C, T, H, W): {error}"
        ) from error
    if not any(layer.weight.ndim == 5 for layer in found.layers):
        raise ValueError(
            f"{type(model).__name__} ran no 3D convolution on the clip; its layers: "
            f"{[layer.name for layer in found.layers]}"
        )
    return found


def check(class_index: int, depth: int) -> None:
    """Refuse a class or a depth that no network can have."""
    if class_index < 0:
        raise ValueError(f"class_index={class_index}; needed at least 0")
    if depth < 1:
        raise ValueError(f"depth={depth}; needed at least 1, which steps over the classifier")
