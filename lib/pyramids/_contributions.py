"""How much each input channel gives to a kernel, by the two rules of `class_feature_pyramid`."""

import torch

from lib.pyramids._layers import Layer


def published(layer: Layer, kernel: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Products of mean weight and mean activation, and the same from 0 to 1: two vectors over `layer.channels(kernel)`.

    Stergiou et al. (2019) as released: kernel and activations are averaged over time and space before they meet.
    """
    channels = layer.channels(kernel)
    products = _mean_weights(layer, kernel) * layer.means[channels.start : channels.stop]
    return products, _from_0_to_1(products)


def published_class(layer: Layer, kernel: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean weights of a classifier's class, and the same from 0 to 1, over the weights of all classes."""
    weights = torch.stack([_mean_weights(layer, index) for index in range(layer.num_kernels)])
    return weights[kernel], _from_0_to_1(weights)[kernel]


def signed(layer: Layer, kernel: int) -> torch.Tensor:
    """Mean over all places of what a kernel gives when it sees one channel alone: a vector over its channels.

    Signed, and exact: with the bias these numbers add up to the mean of the kernel's output.
    """
    channels = layer.channels(kernel)
    products = layer.kernel(kernel) * layer.sums[channels.start : channels.stop]
    return products.reshape(len(channels), -1).sum(dim=1)


def _mean_weights(layer: Layer, kernel: int) -> torch.Tensor:
    """(C / groups,) mean of a kernel over its taps."""
    return layer.kernel(kernel).reshape(len(layer.channels(kernel)), -1).mean(dim=1)


def _from_0_to_1(values: torch.Tensor) -> torch.Tensor:
    """Scale by minimum and maximum. Where all are equal nothing tells them apart: all 1, or all 0 if they are 0."""
    low, high = values.min(), values.max()
    if low == high:
        return torch.full_like(values, float(high != 0))
    return (values - low) / (high - low)
