"""Multi-Fiber Net 3D (Chen, Kalantidis, Li, Yan, Feng; ECCV 2018): groups that exchange through multiplexers."""

import torch
from torch import nn

from lib.models.conv3d.network import Size, VideoNetwork, scaled

STEM_CHANNELS = 16
CHANNELS = (96, 192, 384, 768)  # of conv2 to conv5, inside their units and after them
STRIDES = ((2, 1, 1), (1, 2, 2), (1, 2, 2), (1, 2, 2))  # of each stage's first unit
UNITS = (3, 4, 6, 3)  # of the four stages


class PreActivated(nn.Module):
    """Normalisation, ReLU, convolution: (N, C, T, H, W) -> (N, C', T', H', W')."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1), groups=1
    ):
        super().__init__()
        self.bn = nn.BatchNorm3d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        padding = tuple(size // 2 for size in kernel)
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, C', T', H', W')."""
        return self.conv(self.relu(self.bn(x)))


class MultiFiberUnit(nn.Module):
    """Two convolutions in fibres behind a multiplexer, beside a shortcut.

    The multiplexer, two 1x1x1 convolutions through a quarter of the unit's channels, adds to every fibre what the
    others hold (`conv_i1`, `conv_i2`); the fibres are `conv_m1` and `conv_m2`. A stage's first unit mixes all fibres in
    its last convolution and brings the shortcut to the new shape (`conv_w1`).
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int, stride: Size, *, first: bool):
        super().__init__()
        self.conv_i1 = PreActivated(in_channels, max(1, out_channels // 4))
        self.conv_i2 = PreActivated(max(1, out_channels // 4), in_channels)
        self.conv_m1 = PreActivated(in_channels, out_channels, (3, 3, 3), stride, groups)
        if first:
            self.conv_m2 = PreActivated(out_channels, out_channels)
            self.conv_w1 = PreActivated(in_channels, out_channels, stride=stride)
        else:
            self.conv_m2 = PreActivated(out_channels, out_channels, (1, 3, 3), groups=groups)
            self.conv_w1 = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, C', T', H', W')."""
        fibers = x + self.conv_i2(self.conv_i1(x))
        return self.conv_m2(self.conv_m1(fibers)) + self.conv_w1(x)


class MultiFiberNet3D(VideoNetwork):
    """Multi-Fiber Net for clips.

    Parameters
    ----------
    num_classes
        Size of the output.
    groups
        Fibres, 16 as published; channels are multiples of it.
    in_channels
        C of the clips.
    width
        Multiplies the published numbers of channels.
    stem_stride, stem_pool
        Stride of the first convolution along T, H, W, and whether a max pooling of stride (1, 2, 2) follows. The
        published ones leave half of the frames and a 32nd of the height and width.
    dropout
        Before the classifier; published for fine-tuning (0.5).

    Notes
    -----
    Names of weights are those of the authors' release, so that its checkpoints load as they are. Departures: the last
    pooling is the mean over all that is left, theirs 8x7x7 (the same for 16 frames of 224 pixels); kernels are first
    drawn as those of the ResNets, theirs by Xavier's rule.
    """

    layer_names = ("conv1", "conv2", "conv3", "conv4", "conv5")

    def __init__(
        self,
        num_classes: int,
        *,
        groups: int = 16,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: Size = (1, 2, 2),
        stem_pool: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__(num_classes, in_channels=in_channels, width=width, dropout=dropout)
        if groups < 1:
            raise ValueError(f"groups={groups}; needed at least 1")
        channels = scaled(STEM_CHANNELS, width, groups)
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv", nn.Conv3d(in_channels, channels, (3, 5, 5), stem_stride, (1, 2, 2), bias=False))
        self.conv1.add_module("bn", nn.BatchNorm3d(channels))
        self.conv1.add_module("relu", nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)) if stem_pool else nn.Identity()
        for stage, (planned, units, stride) in enumerate(zip(CHANNELS, UNITS, STRIDES, strict=True), start=2):
            out_channels = scaled(planned, width, groups)
            stack = nn.Sequential()
            for unit in range(1, units + 1):
                first = unit == 1
                made = MultiFiberUnit(channels, out_channels, groups, stride if first else (1, 1, 1), first=first)
                stack.add_module(f"B{unit:02d}", made)
                channels = out_channels
            self.add_module(f"conv{stage}", stack)
        self.tail = nn.Sequential()
        self.tail.add_module("bn", nn.BatchNorm3d(channels))
        self.tail.add_module("relu", nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)
        self._initialise()

    def _logits(self, clip: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.conv1(clip))
        x = self.tail(self.conv5(self.conv4(self.conv3(self.conv2(x)))))
        return self.classifier(self.dropout(x.mean(dim=(2, 3, 4))))
