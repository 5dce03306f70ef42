"""Plain forms of the modules of `lib.models` that compute several layers in one product.

While such a module runs the tracer looks away; its plain form, run beside it, says which layers it is made of and where
its output comes from. The values that go on are the module's own. Feature maps are (P, T, V, C) unless said otherwise.
"""

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as F

from lib.models.multiscale import DILATIONS, G3D, ScaleConv, TemporalConv
from lib.models.stf import FocusAdjacency
from lib.models.stgcn import GraphConv, STGCNBlock
from lib.pyramids._sources import merged


def graph_conv(tracer, name: str, module: GraphConv, x: torch.Tensor) -> torch.Tensor:
    """One layer for each partition of the neighbourhood."""
    A = module.A * module.importance
    gathered = (torch.einsum("vw,ptvc->ptwc", of_one, x)[:, :, :, None] for of_one in A)
    offsets = (of_one.T.sum(dim=1)[:, None, None] * bias for of_one, bias in zip(A, module.bias, strict=True))
    return _partitions(tracer, name, x, gathered, module.weight, offsets).squeeze(3)


def scale_conv(
    tracer, name: str, module: ScaleConv, x: torch.Tensor, graph: torch.Tensor | None = None
) -> torch.Tensor:
    """One layer for each scale; their common bias belongs to none, as a constant that is added."""
    K, w, V = module.num_scales, module.window_size, x.shape[2]
    A = (module.A + module.A_res).view(K, w, V, w, V)  # (scale, target frame and joint, source frame and joint)
    windows = F.pad(x, (0, 0, 0, 0, w // 2, w // 2)).unfold(1, w, module.stride)  # (P, T', V, C, w)

    def gathered() -> Iterator[torch.Tensor]:
        for k in range(K):
            seen = torch.einsum("iujv,ptvcj->ptuic", A[k], windows)
            if graph is not None:
                seen = seen + torch.einsum("puv,ptvc->ptuc", graph[:, k], windows.sum(dim=4))[:, :, :, None]
            yield seen

    weights = module.mix.weight.unflatten(1, (K, -1)).transpose(0, 1)  # (K, C', C)
    return _partitions(tracer, name, x, gathered(), weights, [None] * K).flatten(2, 3)


def _partitions(tracer, name, x, gathered, weights, offsets) -> torch.Tensor:
    """Sum of partitions, each a layer: what it gathers from neighbours (P, T', V, w, C) times its weights (C', C).

    A partition's share of a channel is sum(y z) / sum(z z) over persons, frames and joints, with its own output y and
    the sum z of all, as for any sum.
    """
    labels = merged(tracer.labels_of(x), [0, 1, 2], tracer.sources).reshape(-1).expand(x.shape[3])
    means = x.mean(dim=(0, 1, 2), dtype=torch.float64)
    made, outputs = [], []
    with tracer.paused():
        for k, (seen, weight, offset) in enumerate(zip(gathered, weights, offsets, strict=True)):
            y = F.linear(seen, weight)
            if offset is not None:
                y = y + offset
            sums = seen.mean(dim=(0, 1, 2, 3), dtype=torch.float64)
            with tracer.inside(f"{name}:{k}"):
                made.append(tracer.record(weight, sums, means, labels, y.mean(dim=3).permute(0, 3, 1, 2)))
            outputs.append(y)
        total = torch.stack(outputs).sum(dim=0)
        exact = total.double()
        whole = exact.square().sum(dim=(0, 1, 2, 3))
        parts = torch.stack([(y * exact).sum(dim=(0, 1, 2, 3)) for y in outputs])  # (K, C')
        # where nothing is left of the sum all partitions count alike
        shares = torch.where(whole > 0, parts / whole, 1 / len(outputs)).T.tolist()
    sides = torch.stack(made, dim=1).tolist()
    blends = [tracer.sources.blend(zip(own, share, strict=True)) for own, share in zip(sides, shares, strict=True)]
    tracer.labels[total] = torch.tensor(blends).expand(total.shape)
    return total


def window_path(
    tracer, name: str, module: G3D, x: torch.Tensor, graph: torch.Tensor | None = None, mask_out=None
) -> torch.Tensor:
    """Graph convolution in windows; then frames of a window are taps of the kernels that collapse it."""
    y = F.relu(module.norm(module.conv(x, graph)))
    y = y.unflatten(2, (x.shape[2], -1)).permute(0, 4, 3, 1, 2)  # (P, hidden, w, T', V)
    weight = module.collapse.weight.unflatten(1, (y.shape[2], -1)).transpose(1, 2)  # (C', hidden, w)
    with tracer.inside(f"{name}.collapse"):
        y = F.conv3d(y, weight[..., None, None], module.collapse.bias)
    return y.squeeze(2).permute(0, 2, 3, 1)


def temporal_conv(tracer, name: str, module: TemporalConv, x: torch.Tensor, mask=None, mask_out=None) -> torch.Tensor:
    """One layer for each branch with a kernel, one for the matrix that leads into these, one for a residual."""
    stride = module.stride

    def conv(layer, x, weight, bias, stride=1, dilation=1):
        reach = dilation * (weight.shape[2] // 2)
        with tracer.inside(layer):
            return F.conv2d(x, weight[..., None], bias, (stride, 1), (reach, 0), (dilation, 1))

    def linear(part, x, stride=1):
        layer = module.get_submodule(part)
        return conv(f"{name}.{part}", x, layer.weight[..., None], layer.bias, stride)

    x = x.permute(0, 3, 1, 2)  # (P, C, T, V)
    branches = F.relu(_normalised(module.enter_norm, linear("enter", x))).split(module.taps.shape[2], dim=1)
    parts = [
        conv(f"{name}:{d}", branches[d], taps.unflatten(0, (3, -1)).permute(2, 1, 0), bias, stride, dilation)
        for d, (dilation, taps, bias) in enumerate(zip(DILATIONS, module.taps, module.taps_bias, strict=True))
    ]
    parts.append(F.max_pool2d(branches[-1], (3, 1), (stride, 1), (1, 0)))
    parts.append(linear("point", x, stride))
    y = _normalised(module.out_norm, torch.cat(parts, dim=1))
    if module.residual is not None:
        x = _normalised(module.residual_norm, linear("residual", x, stride))
    return (y + x).permute(0, 2, 3, 1)


def stgcn_block(tracer, name: str, module: STGCNBlock, x: torch.Tensor, mask=None, mask_out=None) -> torch.Tensor:
    """Graph convolution, temporal convolution, and the shortcut as one with a stride; (P, C, T, V)."""
    y = module.gcn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    y = _normalised(module.tcn_norm, module.tcn(F.relu(_normalised(module.gcn_norm, y))))
    if module.identity:
        return y + x
    return y if module.residual is None else y + _normalised(module.residual_norm, module.residual(x))


def _normalised(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """(P, C, T, V) by a normalisation of (P, T, V, C)."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


# Of a clip's own graph the features behind it count as given, as the fixed graph does: it has no plain form.
FORMS: dict[type[nn.Module], Callable | None] = {
    STGCNBlock: stgcn_block,
    GraphConv: graph_conv,
    ScaleConv: scale_conv,
    G3D: window_path,
    TemporalConv: temporal_conv,
    FocusAdjacency: None,
}
