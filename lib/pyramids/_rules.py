"""How labels pass through PyTorch's operators, by families: what moves, joins, pools, normalises or mixes values.

A rule takes the tracer, the operator's arguments by name and its (first) output, and returns that output's labels.
"""

import re
from collections.abc import Callable

import torch

from lib.pyramids._sources import NONE, compact, joined, merged, paired

Arguments = dict[str, object]

UNRELATED = {"zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones"}
UNRELATED |= {
    "new_empty",
    "new_full",
    "new_empty_strided",
    "fill",
    "zero",
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
}
RESHAPED = {"view", "_unsafe_view", "reshape", "_reshape_alias", "_reshape_copy", "unflatten"}
KEPT = {"clone", "_to_copy", "detach", "alias", "contiguous", "lift_fresh", "native_dropout"}
NORMALISED = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit"}
NORMALISED |= {"_native_batch_norm_legit_no_training", "_batch_norm_no_update", "batch_norm_with_update"}
NORMALISED |= {"native_group_norm", "native_layer_norm", "_softmax", "_log_softmax", "_fused_rms_norm"}
MOVED = {"permute", "transpose", "t", "squeeze", "unsqueeze", "expand", "slice", "select", "flip", "roll", "repeat"}
MOVED |= {"split", "split_with_sizes", "chunk", "unbind", "cat", "stack", "index", "index_select", "movedim", "unfold"}
MOVED |= {"pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "diagonal", "gather"}
REDUCED = {"mean", "sum", "amax", "amin", "max", "min", "var", "std", "logsumexp", "linalg_vector_norm", "var_mean"}
# place by place as well, but not marked so in PyTorch
PLACEWISE = {"hardswish", "hardsigmoid", "hardtanh", "_prelu_kernel", "log_sigmoid_forward", "rrelu_with_noise", "mish"}
PLACEWISE |= {"elu", "leaky_relu", "softplus", "threshold", "softshrink", "hardshrink", "silu", "gelu", "celu", "selu"}
SPATIAL = re.compile(r"(?:pool|upsample|_pad|grid_sampler|im2col|col2im)\w*?_?([123])d")


def rule_for(name: str, func) -> Callable | None:
    """Rule for an operator by its name without a trailing underscore; None if it is not known."""
    if name in ("add", "sub"):
        return added
    if name in RESHAPED:
        return lambda tracer, given, out: tracer.labels_of(first_tensor(given)).reshape(out.shape)
    if name in KEPT or name in NORMALISED:
        return lambda tracer, given, out: tracer.labels_of(first_tensor(given))
    if name == "copy":
        return lambda tracer, given, out: tracer.labels_of(given["src"]).expand(out.shape)
    if name == "constant_pad_nd":
        return padded
    if name in REDUCED:
        return reduced
    if name in ("mm", "bmm", "addmm", "baddbmm"):
        return multiplied
    if name in ("index_add", "index_copy"):
        return placed
    if SPATIAL.search(name):
        return pooled
    if name in PLACEWISE or torch.Tag.pointwise in func.tags:
        return pointwise
    return None


def tensors(given: Arguments) -> list[torch.Tensor]:
    """All tensors among an operator's arguments."""
    found = []
    for value in given.values():
        parts = value if isinstance(value, list | tuple) else [value]
        found += [part for part in parts if isinstance(part, torch.Tensor)]
    return found


def first_tensor(given: Arguments) -> torch.Tensor:
    """Return the tensor that an operator works on."""
    return tensors(given)[0]


def pointwise(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Each value comes from all that stand in its place; a product counts for both of its factors."""
    labels = [tracer.labels_of(tensor) for tensor in tensors(given) if tracer.knows(tensor)]
    if len(labels) == 1:
        return labels[0].expand(out.shape)
    return joined(labels, out.shape, tracer.sources)


def added(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Sum of two maps: z = a + b splits into shares sum(a z) / sum(z z) and sum(b z) / sum(z z), which add up to 1.

    Sums go over the places that both sides' labels do not tell apart: batch, time and space of one channel.
    """
    sides = [given["self"], given["other"]]
    if not all(isinstance(side, torch.Tensor) and tracer.knows(side) for side in sides):
        return pointwise(tracer, given, out)
    rows, which = paired([tracer.labels_of(side) for side in sides])
    places = which.flatten()
    total = out.double()
    second = total - tracer.before(sides[0]).double()

    def by_place(values: torch.Tensor) -> torch.Tensor:
        sums = values.sum_to_size(which.shape).flatten().cpu()
        return torch.zeros(len(rows), dtype=sums.dtype).index_add(0, places, sums)

    whole, part = by_place(total * total), by_place(second * total)
    # where nothing is left of the sum both sides count alike
    share = torch.where(whole > 0, part / whole, torch.full_like(whole, 0.5)).tolist()
    made = []
    for (a, b), of_b in zip(rows.tolist(), share, strict=True):
        if a == b or NONE in (a, b):
            made.append(max(a, b))
        else:
            made.append(tracer.sources.blend([(a, 1 - of_b), (b, of_b)]))
    return torch.tensor(made)[which].expand(out.shape)


def padded(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Constants around a map; along time and space they count as the map's own, along channels as from nowhere."""
    x, pads = given["self"], given["pad"]
    labels = compact(tracer.labels_of(x))
    truly = list(pads)
    for place in range(len(pads) // 2):
        axis = x.ndim - 1 - place
        if axis >= 2 and labels.shape[axis] == 1:
            truly[2 * place : 2 * place + 2] = [0, 0]
        else:
            labels = labels.expand([x.shape[axis] if i == axis else -1 for i in range(x.ndim)])
    return torch.nn.functional.pad(labels, truly, value=NONE).expand(out.shape)


def pooled(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Channel by channel over time and space."""
    axes = int(SPATIAL.search(given["name"])[1])
    labels = tracer.labels_of(first_tensor(given))
    return merged(labels, range(labels.ndim - axes, labels.ndim), tracer.sources).expand(out.shape)


def reduced(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Along some axes, or all."""
    x = first_tensor(given)
    if isinstance(given.get("other"), torch.Tensor):  # max and min of two tensors
        return pointwise(tracer, given, out)
    axes = given.get("dim")
    axes = range(x.ndim) if axes is None or axes == [] else [axes] if isinstance(axes, int) else axes
    axes = sorted({axis % max(x.ndim, 1) for axis in axes}, reverse=True)
    labels = merged(tracer.labels_of(x), axes, tracer.sources)
    if out.ndim < x.ndim:
        for axis in axes:
            labels = labels.select(axis, 0)
    return labels.expand(out.shape)


def placed(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Slices added or copied to those of another tensor; which of them goes where is not told apart."""
    source = merged(tracer.labels_of(given["source"]), [given["dim"]], tracer.sources)
    return joined([tracer.labels_of(given["self"]), source], out.shape, tracer.sources)


def multiplied(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Matrix product of two maps: each value comes from a row and a column. Products with weights are layers."""
    summand, left, right = factors(given)
    labels = [
        merged(tracer.labels_of(left), [left.ndim - 1], tracer.sources),
        merged(tracer.labels_of(right), [right.ndim - 2], tracer.sources),
    ]
    if summand is not None and tracer.knows(summand):
        labels.append(tracer.labels_of(summand))
    return joined(labels, out.shape, tracer.sources)


def factors(given: Arguments) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Summand, left and right side of a matrix product."""
    for left, right in (("mat1", "mat2"), ("batch1", "batch2")):
        if left in given:
            return given["self"], given[left], given[right]
    return None, given["self"], given["mat2"]


def mixed(tracer, given: Arguments, out: torch.Tensor) -> torch.Tensor:
    """Everything from everything: for operators that no rule knows."""
    labels = [tracer.labels_of(tensor) for tensor in tensors(given) if tracer.knows(tensor)]
    union = tracer.sources.union(value for part in labels for value in compact(part).unique().tolist())
    return torch.full([1] * out.ndim, union).expand(out.shape)
