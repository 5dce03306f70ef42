"""A layer as it ran on one clip: its kernels, what they met, and where its input channels come from."""

from dataclasses import dataclass, field

import torch

Share = dict[tuple[int, int], float]  # {(layer, kernel): share}


@dataclass(frozen=True)
class Layer:
    """A convolution or matrix of weights, as it ran on one clip.

    Attributes
    ----------
    name
        Of the module that ran it, in ``model.named_modules()``; a second one in the same module gets ``:2`` and so on.
        In networks on skeletons, of the module that has the weights, and ``:0`` and so on for its partitions, scales or
        dilations.
    weight
        (C', C / groups, ...) kernels; of a transposed convolution (C, C' / groups, ...).
    groups, transposed
        As of a convolution; 1 and False for a matrix.
    sums
        (C, ...) mean over all places of the output of the input value that each tap of a kernel meets there, float64;
        in a graph convolution of what a joint gathers from its neighbours.
    means
        (C,) mean of the input's channels, float64.
    inputs
        For each input channel the kernels that it comes from: {(layer, kernel): share}, layers by their number.
    level
        Layers on the longest way from the clip to here.
    """

    name: str
    weight: torch.Tensor = field(repr=False)
    groups: int
    transposed: bool
    sums: torch.Tensor = field(repr=False)
    means: torch.Tensor = field(repr=False)
    inputs: tuple[Share, ...] = field(repr=False)
    level: int

    @property
    def num_kernels(self) -> int:
        """Kernels, which are output channels."""
        return self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0]

    def channels(self, kernel: int) -> range:
        """Input channels that a kernel sees: those of its group."""
        group = kernel // (self.num_kernels // self.groups)
        size = len(self.inputs) // self.groups
        return range(group * size, (group + 1) * size)

    def kernel(self, kernel: int) -> torch.Tensor:
        """(C / groups, ...) weights of a kernel, float64."""
        if self.transposed:
            channels, inside = self.channels(kernel), kernel % self.weight.shape[1]
            return self.weight[channels.start : channels.stop, inside].double()
        return self.weight[kernel].double()


@dataclass(frozen=True)
class Trace:
    """Layers in the order in which they ran, the logits (classes,), and for each logit the kernels behind it.

    `maps` holds what the kernels that were asked for give everywhere, (N, ...): before normalisation, with the bias; of
    a graph convolution in windows, where every frame of a window has its own, their mean. `given` holds ``input``,
    ``stride``, ``padding`` and ``dilation`` of the convolution that was asked for.
    """

    layers: tuple[Layer, ...]
    logits: torch.Tensor
    outputs: tuple[Share, ...]
    maps: dict[tuple[str, int], torch.Tensor] = field(default_factory=dict, repr=False)
    given: dict[str, object] = field(default_factory=dict, repr=False)


def meetings(given, axis: int, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """(taps, size) how often along an axis each tap of a kernel meets each input value."""
    stride, padding, dilation = (
        given[name][min(axis, len(given[name]) - 1)] for name in ("stride", "padding", "dilation")
    )
    taps = torch.arange(given["weight"].shape[axis + 2])[:, None]
    size, places = x.shape[axis + 2], out.shape[axis + 2]
    if given["transposed"]:
        reached = torch.arange(size) * stride + taps * dilation - padding
        return ((reached >= 0) & (reached < places)).double()
    met = torch.arange(places) * stride + taps * dilation - padding
    table = torch.zeros(len(taps), size, dtype=torch.float64)
    tap, place = ((met >= 0) & (met < size)).nonzero(as_tuple=True)
    table[tap, met[tap, place]] = 1.0
    return table
