"""Which weights of a network are one kernel's own."""

import torch
from torch import nn

from lib.models.multiscale import ScaleConv, TemporalConv
from lib.models.stgcn import GraphConv

Weights = tuple[torch.Tensor, torch.Tensor | None]  # (kernels, ...) and their biases


def kernel_weights(model: nn.Module, layer: str) -> list[tuple[torch.Tensor, ...]]:
    """Find each kernel's own weights, then its bias if it has one, as views: with zeros there it gives 0 everywhere.

    Parameters
    ----------
    model
        Any network; nothing in it changes unless the caller writes to the views.
    layer
        A layer's name, as nodes of a pyramid have it.

    Raises
    ------
    ValueError
        No such layer, or a layer whose module does not hold its weights as PyTorch's own layers do.

    Notes
    -----
    The bias of MS-G3D's graph convolutions is common to all scales, and no kernel's own. A layer that runs twice
    (``:2``) has the same weights both times.
    """
    return [own for group in zip(*stacked(model, layer), strict=True) for own in zip(*group, strict=True)]


def stacked(model: nn.Module, layer: str) -> tuple[torch.Tensor, ...]:
    """Weights (groups, kernels of a group, ...) and, if there is one, bias (groups, kernels of a group), as views."""
    name, _, part = layer.partition(":")
    module = dict(model.named_modules()).get(name)
    if module is None:
        raise ValueError(f"no layer {layer!r} in {type(model).__name__}")
    if isinstance(module, GraphConv | ScaleConv | TemporalConv):
        parts = _parts(module)
        known = [f"{name}:{index}" for index in range(len(parts))]
        if layer not in known:
            raise ValueError(f"no layer {layer!r}; {type(module).__name__} has {known}")
        weight, bias = parts[int(part)]
    else:
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if not isinstance(weight, torch.Tensor) or weight.ndim < 2:
            raise ValueError(f"layer {layer!r}: {type(module).__name__} holds no weights of kernels")
    groups = getattr(module, "groups", 1)
    weight = weight.detach().unflatten(0, (groups, -1))
    if getattr(module, "transposed", False):  # (C, C' / groups, ...)
        weight = weight.transpose(1, 2)
    return (weight,) if bias is None else (weight, bias.detach().unflatten(0, (groups, -1)))


def _parts(module: nn.Module) -> list[Weights]:
    """Partitions, scales or dilations of a module that computes them in one product."""
    if isinstance(module, GraphConv):
        return list(zip(module.weight, module.bias, strict=True))
    if isinstance(module, TemporalConv):
        return list(zip(module.taps.transpose(1, 2), module.taps_bias, strict=True))
    scales = module.mix.weight.unflatten(1, (module.num_scales, -1)).transpose(0, 1)
    return [(weight, None) for weight in scales]
