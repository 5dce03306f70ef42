"""Saliency tubes: the places in a video at which the kernels of a layer find what a class draws on."""

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional as F

from lib.pyramids._clips import prepared
from lib.pyramids._layers import Layer
from lib.pyramids._pyramid import Pyramid
from lib.pyramids._trace import trace


def saliency_tube(
    model: nn.Module, clip: torch.Tensor, found: Pyramid, layer: str
) -> Float[np.ndarray, "frames height width"]:
    """Map, over a clip's frames and pixels, what the chosen kernels of a layer get from their chosen children.

    Parameters
    ----------
    model, clip
        As for `class_feature_pyramid`: a network on video and what it saw.
    found
        The pyramid of that clip.
    layer
        A layer of it, a 3D convolution, with kernels that have children.

    Returns
    -------
    (T, H, W), not negative, in the kernels' strengths (`Pyramid.strengths`) as weights. By rule ``"published"`` the sum
    of the activations of all input channels that children stand behind (Stergiou et al. 2019). By ``"signed"`` what
    these channels alone make the kernels give, where it is positive. Between the places of a layer values run linearly.

    Raises
    ------
    ValueError
        The layer is not in the pyramid, is no 3D convolution of this network, or its kernels have no children.

    Notes
    -----
    The release takes maps of one layer earlier than the channels that it sums, and hides what does not fit; here maps
    and channels are of one tensor.
    """
    clip = prepared(model, clip)
    ran = trace(model, clip, watched=layer)
    layers = ran.layers
    own = next((each for each in layers if each.name == layer), None)
    if layer not in found.layer_sizes or own is None:
        raise ValueError(f"no layer {layer!r} in this pyramid and network; the pyramid has {list(found.layer_sizes)}")
    if own.weight.ndim != 5 or own.transposed:
        raise ValueError(f"layer {layer!r} is no 3D convolution")
    weights = _weights_of_channels(own, found, [each.name for each in layers])
    if not weights:
        raise ValueError(f"kernels of {layer!r} have no children in this pyramid; make it deeper")
    x = ran.given["input"][0]
    if found.rule == "published":
        heat = torch.einsum("c,cthw->thw", sum(weights.values()).to(x), x)
    else:
        kernel = torch.zeros(1, *x.shape[:1], *own.weight.shape[2:], dtype=torch.float64)
        for index, of_channel in weights.items():
            channels = own.channels(index)
            seen = slice(channels.start, channels.stop)
            kernel[0, seen] += own.kernel(index) * of_channel[seen].reshape(-1, 1, 1, 1)
        places = (ran.given[name] for name in ("stride", "padding", "dilation"))
        heat = F.conv3d(x[None], kernel.to(x), None, *places)[0, 0]
    heat = F.interpolate(heat[None, None].float(), clip.shape[2:], mode="trilinear", align_corners=False)[0, 0]
    return heat.clamp(min=0).cpu().numpy()


def _weights_of_channels(own: Layer, found: Pyramid, names: list[str]) -> dict[int, torch.Tensor]:
    """{kernel: (C,) its strength at the input channels that its children stand behind, 0 elsewhere}."""
    strengths, weights = found.strengths(), {}
    below: dict[int, set[tuple[str, int]]] = {}
    for edge in found.edges:
        below.setdefault(edge.parent, set()).add(found.nodes[edge.child][:2])
    for index, node in enumerate(found.nodes):
        if node.layer == own.name and index in below:
            sides = [{(names[source], kernel) for source, kernel in own.inputs[c]} for c in own.channels(node.kernel)]
            weights[node.kernel] = torch.zeros(len(own.inputs), dtype=torch.float64)
            for channel, behind in zip(own.channels(node.kernel), sides, strict=True):
                if behind & below[index]:
                    weights[node.kernel][channel] = strengths[index]
    return weights
