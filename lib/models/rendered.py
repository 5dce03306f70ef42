"""3D convolutional networks that see skeleton clips as small videos."""

import torch
from torch import nn

from lib.models import conv3d
from lib.models.conv3d.network import Size
from lib.models.figures import StickFigures
from lib.skeletons import Skeleton

GROUPS = {"mfnet": 16, "resnext101": 32}  # as published


class RenderedNetwork(nn.Module):
    """Network on video that sees skeleton clips as stick figures: `draw`, then `network`.

    Parameters
    ----------
    network
        One of `conv3d.NETWORKS`.
    num_classes, skeleton
        Output size, and the joints with their bones.
    in_channels, num_frames, size
        As in `StickFigures`.
    stem_stride, stem_pool, width, dropout
        As in the network's class. Where that has groups, `width` multiplies their number, so that one stays as wide as
        published.
    stream
        Figures are drawn from joints; the others are refused.

    Notes
    -----
    Weights and videos lie with channels last in memory: steps of small networks are up to 1.6 times as fast on a CPU.

    On a CPU the network computes in float32, whatever precision training asks for: in PyTorch 2.13 slopes of 3D kernels
    in bfloat16 are wrong, not finite, or end the process, when a map has as few frames as these videos leave.
    """

    def __init__(
        self,
        network: str,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int = 3,
        num_frames: int = 16,
        size: int = 64,
        stem_stride: Size = (2, 2, 2),
        stem_pool: bool = True,
        width: float = 0.25,
        dropout: float = 0.0,
        stream: str = "joint",
    ):
        super().__init__()
        if stream != "joint":
            raise ValueError(f"stream={stream!r}; figures are drawn from joints: needed 'joint'")
        self.draw = StickFigures(skeleton, in_channels=in_channels, num_frames=num_frames, size=size)
        options = {"groups": max(1, round(width * GROUPS[network]))} if network in GROUPS else {}
        self.network = conv3d.build(
            network,
            num_classes=num_classes,
            width=width,
            dropout=dropout,
            stem_stride=stem_stride,
            stem_pool=stem_pool,
            **options,
        ).to(memory_format=torch.channels_last_3d)
        self.layer_names = tuple(f"network.{name}" for name in self.network.layer_names)

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N, classes) from x (N, C, T, V, M), true lengths (N,) and present persons (N, M)."""
        video = self.draw(x, lengths, present).contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", enabled=False):
            return self.network(video)
