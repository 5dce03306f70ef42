"""Several networks as one, each with its own stream of the same joints."""

import math
from collections.abc import Mapping

import torch
from torch import nn


class Fusion(nn.Module):
    """Weighted mean of the log-probabilities of networks with the same classes (late fusion of streams).

    Parameters
    ----------
    networks
        By name, usually the stream's.
    weights
        One per network, positive; equal by default. Choose them on training subjects, never on test clips.

    Notes
    -----
    Published scores add up raw logits or probabilities; log-probabilities do not hang on how large each network's
    logits are. Layers are those of all networks, ``networks.<name>.<layer>``.
    """

    def __init__(self, networks: Mapping[str, nn.Module], weights: Mapping[str, float] | None = None):
        super().__init__()
        weights = dict.fromkeys(networks, 1.0) if weights is None else dict(weights)
        if not networks or weights.keys() != networks.keys() or not all(0 < w < math.inf for w in weights.values()):
            raise ValueError(f"networks {list(networks)}, weights {weights}; needed a positive weight for each network")
        self.networks = nn.ModuleDict(networks)
        total = sum(weights.values())
        self.weights = {name: weights[name] / total for name in networks}
        self.layer_strides = {
            f"networks.{name}.{layer}": stride
            for name, network in networks.items()
            for layer, stride in network.layer_strides.items()
        }
        self.layer_names = tuple(self.layer_strides)

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N, classes); input as each network takes it."""
        return sum(
            weight * self.networks[name](x, lengths, present).float().log_softmax(dim=1)
            for name, weight in self.weights.items()
        )
