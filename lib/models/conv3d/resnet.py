"""3D ResNet and ResNeXt with bottlenecks (Hara, Kataoka, Satoh; CVPR 2018, table 1)."""

import torch
from torch import nn

from lib.models.conv3d.network import Size, VideoNetwork, scaled

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # blocks of the four stages
PLANES = (64, 128, 256, 512)
STEM_CHANNELS = 64


class Bottleneck(nn.Module):
    """1x1x1, 3x3x3 (in groups) and 1x1x1 convolutions beside a shortcut: (N, C, T, H, W) -> (N, C', T', H', W').

    The shortcut is a strided 1x1x1 convolution where shapes change (type B), and the identity elsewhere.
    """

    def __init__(self, in_channels: int, middle: int, out_channels: int, groups: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(middle)
        self.conv2 = nn.Conv3d(middle, middle, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm3d(middle)
        self.conv3 = nn.Conv3d(middle, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm3d(out_channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, C', T', H', W')."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet3D(VideoNetwork):
    """3D ResNet of bottlenecks; with `groups` it is ResNeXt.

    Parameters
    ----------
    num_classes
        Size of the output.
    depth
        50, 101 or 152 layers.
    groups
        None for ResNet. A number (32 as published) for ResNeXt: the middle convolution of each block then has that many
        groups and twice ResNet's channels, and a block's output is twice instead of four times as wide as its plan.
    in_channels
        C of the clips.
    width
        Multiplies the published numbers of channels.
    stem_stride, stem_pool
        Stride of the first convolution along T, H, W, and whether a max pooling of stride 2 follows. The published ones
        leave a 16th of the frames and a 32nd of the height and width; for small clips choose (1, 1, 1) and False.
    dropout
        Before the classifier; the published networks have none.

    Notes
    -----
    Names of weights are those of the authors' release, so that its checkpoints load as they are. Shortcuts are of type
    B, as in the published checkpoints of these depths. Departure: the last pooling is the mean over all that is left,
    which for clips of the published size (16 frames of 112 pixels) is the same.
    """

    layer_names = ("conv1", "layer1", "layer2", "layer3", "layer4")

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 50,
        groups: int | None = None,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: Size = (1, 2, 2),
        stem_pool: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__(num_classes, in_channels=in_channels, width=width, dropout=dropout)
        if depth not in DEPTHS:
            raise ValueError(f"depth={depth}; choose one of {sorted(DEPTHS)}")
        if groups is not None and groups < 1:
            raise ValueError(f"groups={groups}; needed None or at least 1")
        channels = scaled(STEM_CHANNELS, width)
        self.conv1 = nn.Conv3d(in_channels, channels, 7, stem_stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1) if stem_pool else nn.Identity()
        for stage, (planes, blocks) in enumerate(zip(PLANES, DEPTHS[depth], strict=True), start=1):
            if groups is None:
                middle, out_channels = scaled(planes, width), 4 * scaled(planes, width)
            else:
                # twice the planes, a 32nd of them in each group whatever the number of groups
                middle, out_channels = groups * max(1, round(2 * planes * width / 32)), 2 * scaled(2 * planes, width)
            stack = []
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                stack.append(Bottleneck(channels, middle, out_channels, groups or 1, stride))
                channels = out_channels
            self.add_module(f"layer{stage}", nn.Sequential(*stack))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        self._initialise()

    def _logits(self, clip: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(clip))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.dropout(x.mean(dim=(2, 3, 4))))
