"""What the 3D convolutional networks share: a clip goes in, logits come out."""

from abc import ABC, abstractmethod

import torch
from torch import nn

Size = tuple[int, int, int]  # along T, H, W


class VideoNetwork(nn.Module, ABC):
    """Base of the networks on video. A subclass makes its layers and says in `_logits` how they follow each other.

    `layer_names` are its stages, from the first to the last one before pooling; their outputs are (N, C, T', H', W').
    """

    layer_names: tuple[str, ...]

    def __init__(self, num_classes: int, *, in_channels: int, width: float, dropout: float):
        super().__init__()
        if num_classes < 1 or in_channels < 1 or width <= 0:
            raise ValueError(
                f"num_classes={num_classes}, in_channels={in_channels}, width={width}; needed positive ones"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}, needed in [0, 1)")
        self.in_channels = in_channels

    def _initialise(self) -> None:
        """Draw kernels as the release of the 3D ResNets does; the rest stays as PyTorch draws it."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) from clips (N, C, T, H, W) of any size."""
        if clip.ndim != 5 or clip.shape[1] != self.in_channels or 0 in clip.shape:
            raise ValueError(
                f"clip has shape {tuple(clip.shape)}, needed (N, C={self.in_channels}, T >= 1, H >= 1, W >= 1)"
            )
        return self._logits(clip)

    @abstractmethod
    def _logits(self, clip: torch.Tensor) -> torch.Tensor:
        """Logits of clips whose shape has been checked."""


def scaled(channels: int, width: float, multiple: int = 1) -> int:
    """`channels` times `width`, rounded to a positive multiple."""
    return multiple * max(1, round(channels * width / multiple))
