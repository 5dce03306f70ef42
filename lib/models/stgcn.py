"""ST-GCN (Yan, Xiong, Lin; AAAI 2018): ten spatio-temporal graph convolution layers."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lib.models import layers
from lib.skeletons import Skeleton

PLAN = ((64, 1), (64, 1), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1))
TEMPORAL_KERNEL = 9


class STGCNBlock(nn.Module):
    """Graph convolution, then temporal convolution, around a residual; returns features only, so hooks get tensors."""

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: torch.Tensor, stride: int, dropout: float, residual: bool
    ):
        super().__init__()
        self.gcn = layers.GraphConv(in_channels, out_channels, adjacency)
        self.gcn_norm = layers.MaskedBatchNorm(out_channels)
        padding = ((TEMPORAL_KERNEL - 1) // 2, 0)
        self.tcn = nn.Conv2d(out_channels, out_channels, (TEMPORAL_KERNEL, 1), (stride, 1), padding)
        self.tcn_norm = layers.MaskedBatchNorm(out_channels)
        self.dropout = layers.Dropout(dropout)
        self.residual = self.residual_norm = None
        if residual and (in_channels != out_channels or stride != 1):
            self.residual = nn.Conv2d(in_channels, out_channels, 1, (stride, 1))
            self.residual_norm = layers.MaskedBatchNorm(out_channels)
        self.identity = residual and self.residual is None
        for conv in (self.tcn, self.residual):
            if conv is not None:
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(conv.bias)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, mask_out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(P, C, T, V) -> (P, C', ceil(T / stride), V); masks mark the true frames before and after the stride."""
        y = F.relu(self.gcn_norm(self.gcn(x), mask))
        if mask is not None:
            y = y * mask  # the temporal kernel must see nothing beyond the last true frame
        # Contiguous: the backward pass of PyTorch 2.13's CPU convolution corrupts memory on channels-last input of few
        # channels with two threads.
        y = self.dropout(self.tcn_norm(self.tcn(y.contiguous()), mask_out))
        if self.identity:
            y = y + x
        elif self.residual is not None:
            y = y + self.residual_norm(self.residual(x.contiguous()), mask_out)
        return F.relu(y)


class STGCN(nn.Module):
    """ST-GCN for any skeleton, any number of frames and persons.

    Parameters
    ----------
    num_classes
        Size of the output.
    skeleton
        Gives V and the partitioned adjacency.
    in_channels
        C of the clips.
    width
        Multiplies the published 64, 128 and 256 channels (rounded to multiples of 8).
    dropout
        After every temporal convolution but the first layer's; 0.5 as published.
    strategy, max_hop
        Partition of the neighbourhood (`Skeleton.adjacency`).
    pooling
        ``"masked"``: means over true frames and present persons, so that padding and empty person slots change
        nothing. ``"mean"``: the published plain mean over all frames and slots.
    stream
        What the network makes of the joints that it is given: ``"joint"``, ``"bone"``, ``"joint_motion"`` or
        ``"bone_motion"`` (`layers.as_stream`).

    Notes
    -----
    Departure from the released code: weights start from He initialisation instead of N(0, 0.02).
    """

    def __init__(
        self,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.5,
        strategy: str = "spatial",
        max_hop: int = 1,
        pooling: str = "masked",
        stream: str = "joint",
    ):
        super().__init__()
        if pooling not in ("masked", "mean"):
            raise ValueError(f"pooling={pooling!r}; choose 'masked' or 'mean'")
        if num_classes < 1 or in_channels < 1 or width <= 0:
            raise ValueError(
                f"num_classes={num_classes}, in_channels={in_channels}, width={width}; needed positive ones"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}, needed in [0, 1)")
        if stream not in layers.STREAMS:
            raise ValueError(f"stream={stream!r}; choose one of {list(layers.STREAMS)}")
        self.pooling, self.stream = pooling, stream
        self.register_buffer("parents", torch.as_tensor(np.array(skeleton.parents)), persistent=False)
        self.in_channels = in_channels
        self.num_joints = len(skeleton)
        adjacency = torch.tensor(skeleton.adjacency(strategy, max_hop=max_hop), dtype=torch.float32)
        self.input_norm = layers.MaskedBatchNorm(self.num_joints * in_channels)
        blocks, channels = [], in_channels
        for index, (published, stride) in enumerate(PLAN):
            out_channels = max(8, round(published * width / 8) * 8)
            rate = 0.0 if index == 0 else dropout
            blocks.append(STGCNBlock(channels, out_channels, adjacency, stride, rate, residual=index > 0))
            channels = out_channels
        self.layers = nn.ModuleList(blocks)
        self.classifier = nn.Linear(channels, num_classes)
        self.layer_names = tuple(f"layers.{index}" for index in range(len(PLAN)))
        strides = torch.tensor([stride for _, stride in PLAN]).cumprod(0).tolist()
        self.layer_strides = dict(zip(self.layer_names, strides, strict=True))

    def extra_repr(self) -> str:
        """Name what the weights do not tell; checkpoints compare it."""
        return f"pooling={self.pooling!r}" + (f", stream={self.stream!r}" if self.stream != "joint" else "")

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N, classes) from x (N, C, T, V, M), true lengths (N,) and present persons (N, M)."""
        if x.ndim != 5 or x.shape[1] != self.in_channels or x.shape[3] != self.num_joints or 0 in x.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, needed (N, C={self.in_channels}, T >= 1, V={self.num_joints}, M >= 1)"
            )
        N, C, T, V, M = x.shape
        x = layers.as_stream(x, self.stream, self.parents, lengths)
        x = x.permute(0, 4, 1, 2, 3)  # (N, M, C, T, V)
        if present is None or self.pooling == "mean":
            present = x.new_ones(N, M, dtype=torch.bool)
        if lengths is None or self.pooling == "mean":
            lengths = torch.full((N,), T, device=x.device)
        if not bool(present.any(dim=1).all()):
            empty = (~present.any(dim=1)).nonzero().flatten().tolist()
            raise ValueError(f"clips {empty} of the batch have no present person; leave them out")
        x = x[present]  # (P, C, T, V)
        clip_of = present.nonzero()[:, 0]
        person_lengths = lengths[clip_of]

        mask = layers.frame_mask(person_lengths, T)
        x = x.permute(0, 3, 1, 2).reshape(len(x), V * C, T, 1)  # (P, VC, T, 1)
        x = self.input_norm(x, mask).view(len(x), V, C, T).permute(0, 2, 3, 1)  # (P, C, T, V)
        for block, stride in zip(self.layers, self.layer_strides.values(), strict=True):
            frames_out = -(-T // stride)
            mask_out = (
                None if mask is None else layers.frame_mask(layers.strided_lengths(person_lengths, stride), frames_out)
            )
            x = block(x, mask, mask_out)
            mask = mask_out
        return self.classifier(layers.average_persons(layers.pool(x, mask), clip_of, N))


def from_reference(state: dict[str, torch.Tensor], num_partitions: int) -> dict[str, torch.Tensor]:
    """Rename the weights of the published code (``net/st_gcn.py``) to ours; unknown names pass through unchanged."""
    pieces = {
        "gcn.conv.weight": "gcn.weight",
        "gcn.conv.bias": "gcn.bias",
        "tcn.0": "gcn_norm",
        "tcn.2": "tcn",
        "tcn.3": "tcn_norm",
        "residual.0": "residual",
        "residual.1": "residual_norm",
    }
    renamed = {}
    for name, value in state.items():
        if name.startswith("st_gcn_networks."):
            _, index, rest = name.split(".", 2)
            piece = next((p for p in pieces if rest == p or rest.startswith(f"{p}.")), rest)
            name = f"layers.{index}.{pieces.get(piece, piece)}{rest[len(piece) :]}"
            if piece.startswith("gcn.conv"):
                value = value.reshape(num_partitions, -1, *value.shape[1:2])  # (KC', C, 1, 1) -> (K, C', C)
        elif name.startswith("edge_importance."):
            name = f"layers.{name.split('.')[1]}.gcn.importance"
        elif name.startswith("data_bn."):
            name = name.replace("data_bn", "input_norm")
        elif name.startswith("fcn."):
            name, value = name.replace("fcn", "classifier"), value.flatten(1) if value.ndim == 4 else value
        elif name == "A":
            renamed |= {f"layers.{index}.gcn.A": value for index in range(len(PLAN))}
            continue
        renamed[name] = value
    return renamed
