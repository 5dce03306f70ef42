"""ST-GCN (Yan, Xiong, Lin; AAAI 2018): ten spatio-temporal graph convolution layers."""

import torch
from torch import nn
from torch.nn import functional as F

from lib.models import layers
from lib.models.channels_last import MaskedBatchNorm, hide, pointwise
from lib.models.network import SkeletonNetwork
from lib.skeletons import Skeleton

PLAN = ((64, 1), (64, 1), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1))
TEMPORAL_KERNEL = 9


class GraphConv(nn.Module):
    """Partitioned graph convolution with a learnable importance of every edge.

    ``y[c, t, w] = sum_k sum_v A[k, v, w] importance[k, v, w] (weight[k] x)[c, t, v] + bias`` (Yan et al. 2018,
    equation 10, with the bias of the released code, which is added before joints are mixed).
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: torch.Tensor):
        super().__init__()
        num_partitions = len(adjacency)
        self.register_buffer("A", adjacency)
        self.importance = nn.Parameter(torch.ones_like(adjacency))
        self.weight = nn.Parameter(torch.empty(num_partitions, out_channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(num_partitions, out_channels))
        nn.init.normal_(self.weight, std=(2.0 / (num_partitions * out_channels)) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(P, T, V, C) -> (P, T, V, C'): joints first, then channels, both as matrix products."""
        P, T, V, C = x.shape
        A = self.A * self.importance
        K = len(A)
        spread = A.permute(2, 0, 1).reshape(V * K, V)  # row (w, k), column v
        x = torch.bmm(spread.expand(P * T, -1, -1), x.flatten(0, 1)).view(P, T, V, K * C)
        mixed = pointwise(x, self.weight.permute(1, 0, 2).reshape(-1, K * C))
        offset = torch.einsum("kvw,kc->wc", A, self.bias)
        return mixed + offset.to(mixed.dtype)


class STGCNBlock(nn.Module):
    """Graph convolution, then temporal convolution, around a residual; returns features only, so hooks get tensors."""

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: torch.Tensor, stride: int, dropout: float, residual: bool
    ):
        super().__init__()
        self.gcn = GraphConv(in_channels, out_channels, adjacency)
        self.gcn_norm = MaskedBatchNorm(out_channels)
        padding = ((TEMPORAL_KERNEL - 1) // 2, 0)
        self.tcn = nn.Conv2d(out_channels, out_channels, (TEMPORAL_KERNEL, 1), (stride, 1), padding)
        self.tcn_norm = MaskedBatchNorm(out_channels)
        self.dropout = layers.Dropout(dropout)
        self.residual = self.residual_norm = None
        if residual and (in_channels != out_channels or stride != 1):
            self.residual = nn.Conv2d(in_channels, out_channels, 1, (stride, 1))
            self.residual_norm = MaskedBatchNorm(out_channels)
        self.identity = residual and self.residual is None
        for conv in (self.tcn, self.residual):
            if conv is not None:
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(conv.bias)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, mask_out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(P, C, T, V) -> (P, C', ceil(T / stride), V); masks mark the true frames before and after the stride."""
        x = x.permute(0, 2, 3, 1)  # (P, T, V, C), as it lies in memory
        y = hide(F.relu_(self.gcn_norm(self.gcn(x), mask)), mask).permute(0, 3, 1, 2)
        y = self.tcn(y).permute(0, 2, 3, 1)
        y = self.dropout(self.tcn_norm(y, mask_out))
        if self.identity:
            y = y + x
        elif self.residual is not None:
            # Not a convolution with a stride: the backward pass of PyTorch 2.13's CPU 1x1 convolutions with a stride
            # corrupts memory on channels-last input of few channels with two threads.
            x = pointwise(x[:, :: self.tcn.stride[0]], self.residual.weight.flatten(1), self.residual.bias)
            y = y + self.residual_norm(x, mask_out)
        return F.relu_(y).permute(0, 3, 1, 2)


class STGCN(SkeletonNetwork):
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
        super().__init__(
            num_classes, skeleton, in_channels=in_channels, width=width, dropout=dropout, pooling=pooling, stream=stream
        )
        adjacency = torch.tensor(skeleton.adjacency(strategy, max_hop=max_hop), dtype=torch.float32)
        self.input_norm = MaskedBatchNorm(self.num_joints * in_channels)
        blocks, channels = [], in_channels
        for index, (published, stride) in enumerate(PLAN):
            out_channels = max(8, round(published * width / 8) * 8)
            rate = 0.0 if index == 0 else dropout
            blocks.append(STGCNBlock(channels, out_channels, adjacency, stride, rate, residual=index > 0))
            channels = out_channels
        self._stack(blocks, tuple(stride for _, stride in PLAN))
        self.classifier = nn.Linear(channels, num_classes)

    def _normalised(self, x: torch.Tensor, slot_of: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        P, C, T, V = x.shape
        x = x.permute(0, 2, 3, 1).reshape(P, T, 1, V * C)
        return self.input_norm(x, mask).view(P, T, V, C).permute(0, 3, 1, 2)


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
