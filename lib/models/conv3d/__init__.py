"""3D convolutional networks on video by name: the six that Stergiou et al. (2019) explain.

Every one: ``forward(clip) -> logits`` with clips (N, 3, T, H, W) of any size, and `.layer_names`.
"""

import inspect
from collections.abc import Mapping
from functools import partial

import torch

from lib.models.conv3d import inception
from lib.models.conv3d.inception import I3D
from lib.models.conv3d.multifiber import MultiFiberNet3D
from lib.models.conv3d.network import VideoNetwork
from lib.models.conv3d.resnet import ResNet3D

NETWORKS = {
    "i3d": I3D,
    "mfnet": MultiFiberNet3D,
    "resnet50": partial(ResNet3D, depth=50),
    "resnet101": partial(ResNet3D, depth=101),
    "resnet152": partial(ResNet3D, depth=152),
    "resnext101": partial(ResNet3D, depth=101, groups=32),
}

__all__ = ["I3D", "NETWORKS", "MultiFiberNet3D", "ResNet3D", "VideoNetwork", "build", "from_reference"]


def build(name: str, *, num_classes: int, seed: int | None = None, **options) -> VideoNetwork:
    """Network with fresh weights.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    num_classes
        Size of the output.
    seed
        Fixes the initial weights and leaves the global generator alone; None draws from the global generator.
    options
        Keyword arguments of the network's class, listed when one is misspelt. `width` below 1 with `stem_stride` and
        `stem_pool` make a network that a small CPU trains on small clips.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; choose one of {sorted(NETWORKS)}")
    known = [p.name for p in inspect.signature(NETWORKS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    known = [option for option in known if option != "depth"]  # the name says it
    if unknown := sorted(options.keys() - set(known)):
        raise ValueError(f"{name} has no option {unknown}; it has {known}")
    with torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return NETWORKS[name](num_classes, **options)


def from_reference(state: Mapping[str, torch.Tensor], model: VideoNetwork) -> dict[str, torch.Tensor]:
    """Rename published weights to the names of `model`; `models.load_reference` loads them and checks that they fit."""
    return inception.from_reference(dict(state)) if isinstance(model, I3D) else dict(state)
