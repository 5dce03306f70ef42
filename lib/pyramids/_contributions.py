"""How much each input channel gives to kernels of one group, by the two rules of `class_feature_pyramid`."""

from collections.abc import Sequence

import torch

from lib.pyramids._layers import Layer


def published(layer: Layer, kernels: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Products of mean weight and mean activation, and the same from 0 to 1: (kernels, channels of their group).

    Stergiou et al. (2019) as released: kernel and activations are averaged over time and space before they meet.
    """
    channels = layer.channels(kernels[0])
    products = _mean_weights(layer, kernels) * layer.means[channels.start : channels.stop]
    low, high = products.amin(dim=1, keepdim=True), products.amax(dim=1, keepdim=True)
    return products, _from_0_to_1(products, low, high)


def published_class(layer: Layer, kernels: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean weights of a classifier's classes, and the same from 0 to 1, over the weights of all classes."""
    weights = _mean_weights(layer, range(layer.num_kernels))
    return weights[list(kernels)], _from_0_to_1(weights, weights.min(), weights.max())[list(kernels)]


def signed(layer: Layer, kernels: Sequence[int]) -> torch.Tensor:
    """Mean over all places of what kernels give when they see one channel alone: (kernels, channels of their group).

    Signed, and exact: with the bias these numbers add up to the mean of the kernel's output.
    """
    channels = layer.channels(kernels[0])
    sums = layer.sums[channels.start : channels.stop].flatten()
    return (_flat(layer, kernels) * sums).unflatten(1, (len(channels), -1)).sum(dim=2)


def _mean_weights(layer: Layer, kernels: Sequence[int]) -> torch.Tensor:
    """(kernels, C / groups) mean of each kernel over its taps."""
    return _flat(layer, kernels).unflatten(1, (len(layer.channels(kernels[0])), -1)).mean(dim=2)


def _flat(layer: Layer, kernels: Sequence[int]) -> torch.Tensor:
    return torch.stack([layer.kernel(kernel).flatten() for kernel in kernels])


def _from_0_to_1(values: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Scale by minimum and maximum. Where all are equal nothing tells them apart: all 1, or all 0 if they are 0."""
    return torch.where(high > low, (values - low) / (high - low), (high != 0).to(values))
