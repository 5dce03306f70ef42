"""I3D (Carreira, Zisserman; CVPR 2017): Inception-v1 inflated to three dimensions."""

import re

import torch
from torch import nn
from torch.nn import functional as F

from lib.models.conv3d.network import Size, VideoNetwork, scaled

# (branch 0, branch 1 in, branch 1 out, branch 2 in, branch 2 out, branch 3), or the pooling between: kernel, stride
STAGES = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "maxPool3d_4a_3x3": ((3, 3, 3), (2, 2, 2)),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "maxPool3d_5a_2x2": ((2, 2, 2), (2, 2, 2)),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}


def pad_same(x: torch.Tensor, kernel: Size, stride: Size) -> torch.Tensor:
    """Pad (N, C, T, H, W) with zeros so that ceil(size / stride) positions fit, the odd one at the end (TensorFlow)."""
    pads = []
    for size, length, step in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + length - size, 0)
        pads.append((total // 2, total - total // 2))
    return F.pad(x, [side for pair in reversed(pads) for side in pair])


class Unit(nn.Module):
    """Convolution, normalisation and ReLU under "same" padding: (N, C, T, H, W) -> (N, C', T', H', W')."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1)):
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=False)
        self.batch3d = nn.BatchNorm3d(out_channels, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, C', T', H', W')."""
        return F.relu(self.batch3d(self.conv3d(pad_same(x, self.conv3d.kernel_size, self.conv3d.stride))))


class SamePool(nn.Module):
    """Max pooling under "same" padding; zeros may pad, because what comes in is never negative."""

    def __init__(self, kernel: Size, stride: Size):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, C, T', H', W')."""
        return F.max_pool3d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """Inception module: four branches beside each other, their channels one after the other."""

    def __init__(self, in_channels: int, plan: tuple[int, ...]):
        super().__init__()
        self.branch_0 = Unit(in_channels, plan[0])
        self.branch_1 = nn.Sequential(Unit(in_channels, plan[1]), Unit(plan[1], plan[2], (3, 3, 3)))
        self.branch_2 = nn.Sequential(Unit(in_channels, plan[3]), Unit(plan[3], plan[4], (3, 3, 3)))
        self.branch_3 = nn.Sequential(SamePool((3, 3, 3), (1, 1, 1)), Unit(in_channels, plan[5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, C', T, H, W)."""
        return torch.cat([self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)], dim=1)


class I3D(VideoNetwork):
    """Inception-v1 I3D, one stream.

    Parameters
    ----------
    num_classes
        Size of the output.
    in_channels
        C of the clips: 3 for colour, 2 for optical flow.
    width
        Multiplies the published numbers of channels.
    stem_stride, stem_pool
        Stride of the first convolution along T, H, W, and whether max poolings of stride (1, 2, 2) follow it and the
        third convolution. The published ones leave an eighth of the frames and a 32nd of the height and width.
    dropout
        Before the classifier, which is a 1x1x1 convolution.

    Notes
    -----
    Names of weights are those of Hasson's translation of the authors' release; those of Piergiovanni's are mapped by
    `from_reference`. Logits are means over windows of two frames of the last map, then over time, as published.
    Departure: these windows cover whatever height and width is left, theirs 7x7 (the same for 224 pixels). Kernels are
    first drawn as those of the ResNets.
    """

    layer_names = ("conv3d_1a_7x7", "conv3d_2b_1x1", "conv3d_2c_3x3", *(name for name in STAGES if "mixed" in name))

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: Size = (2, 2, 2),
        stem_pool: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__(num_classes, in_channels=in_channels, width=width, dropout=dropout)
        first, channels = scaled(64, width), scaled(192, width)

        def pool() -> nn.Module:
            return SamePool((1, 3, 3), (1, 2, 2)) if stem_pool else nn.Identity()

        self.conv3d_1a_7x7 = Unit(in_channels, first, (7, 7, 7), stem_stride)
        self.maxPool3d_2a_3x3 = pool()
        self.conv3d_2b_1x1 = Unit(first, first)
        self.conv3d_2c_3x3 = Unit(first, channels, (3, 3, 3))
        self.maxPool3d_3a_3x3 = pool()
        for name, plan in STAGES.items():
            if name.startswith("maxPool"):
                self.add_module(name, SamePool(*plan))
                continue
            sizes = tuple(scaled(size, width) for size in plan)
            self.add_module(name, Mixed(channels, sizes))
            channels = sizes[0] + sizes[2] + sizes[4] + sizes[5]
        self.dropout = nn.Dropout(dropout)
        self.conv3d_0c_1x1 = nn.Module()  # a level of names, as published
        self.conv3d_0c_1x1.conv3d = nn.Conv3d(channels, num_classes, 1)
        self._initialise()

    def _logits(self, clip: torch.Tensor) -> torch.Tensor:
        x = self.maxPool3d_2a_3x3(self.conv3d_1a_7x7(clip))
        x = self.maxPool3d_3a_3x3(self.conv3d_2c_3x3(self.conv3d_2b_1x1(x)))
        for name in STAGES:
            x = self.get_submodule(name)(x)
        x = F.avg_pool3d(x, (min(2, x.shape[2]), *x.shape[3:]), stride=1)
        return self.conv3d_0c_1x1.conv3d(self.dropout(x)).mean(dim=(2, 3, 4))


BRANCHES = {"b0": "branch_0", "b1a": "branch_1.0", "b1b": "branch_1.1", "b2a": "branch_2.0", "b2b": "branch_2.1"}
BRANCHES["b3b"] = "branch_3.1"


def from_reference(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the weights of either translation of I3D to ours; unknown names pass through unchanged."""
    renamed = {}
    for name, value in state.items():
        if name.startswith("logits."):
            name = name.replace("logits.", "conv3d_0c_1x1.", 1)
        elif found := re.fullmatch(r"(Conv3d_\w+|Mixed_\w+)\.(?:(b\d\w?)\.)?(conv3d|bn)\.(\w+)", name):
            layer, branch, kind, rest = found.groups()
            place = [
                layer[0].lower() + layer[1:],
                BRANCHES.get(branch, branch),
                {"bn": "batch3d"}.get(kind, kind),
                rest,
            ]
            name = ".".join(part for part in place if part)
        renamed[name] = value
    return renamed
