"""What the networks that learn without labels share: GRU layers over true frames, and how persons enter them.

They have ``players``, groups of weights that learn by losses of their own, and ``turns``, which makes these losses from
a batch; `objectives` asks for both. Their classifier learns nothing there: it is for a probe on the frozen embedding.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lib.clips import Batch
from lib.models.network import SkeletonNetwork
from lib.skeletons import Skeleton

UNITS = 1024  # of a published layer


class Turn(NamedTuple):
    """One step of one player: the loss that its weights go down, and what is written down of it (means over clips)."""

    player: str
    loss: torch.Tensor
    terms: Mapping[str, torch.Tensor]


class StateLayer(nn.Module):
    """A GRU's states at true frames, zero at padded ones: (P, C, T, 1) -> (P, C', T, 1)."""

    def __init__(self, in_channels: int, out_channels: int, *, bidirectional: bool = False):
        super().__init__()
        units = out_channels // 2 if bidirectional else out_channels
        self.gru = nn.GRU(in_channels, units, batch_first=True, bidirectional=bidirectional)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, mask_out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States; the backward direction starts at a clip's last true frame."""
        frames = x[..., 0].transpose(1, 2)  # (P, T, C)
        if mask is None:
            states = self.gru(frames)[0]
        else:
            lengths = mask.sum(dim=(1, 2, 3)).long().cpu()
            packed = pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False)
            states = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[2])[0]
        return states.transpose(1, 2)[..., None]


class SequenceNetwork(SkeletonNetwork):
    """Base: a pose is one vector of V C numbers, layers are GRUs, a clip is what its last true frame left behind."""

    def __init__(
        self,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int,
        width: float,
        dropout: float,
        stream: str,
    ):
        super().__init__(
            num_classes,
            skeleton,
            in_channels=in_channels,
            width=width,
            dropout=dropout,
            pooling="masked",
            stream=stream,
        )
        self.num_features = self.num_joints * in_channels
        self.units = max(8, round(UNITS * width / 8) * 8)

    def _normalised(self, x: torch.Tensor, slot_of: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(P, V C, T, 1) poses."""
        x = x.permute(0, 3, 1, 2).flatten(1, 2)[..., None]
        return x if mask is None else x * mask

    @abstractmethod
    def turns(self, batch: Batch) -> Iterator[Turn]:
        """Losses of a training step, in order; each is made after the weights of the one before have moved."""

    @abstractmethod
    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        """Weights by player; the classifier belongs to none."""

    def _all_but(self, *parts: nn.Module) -> list[nn.Parameter]:
        apart = {id(weight) for part in parts for weight in part.parameters()}
        return [weight for weight in self.parameters() if id(weight) not in apart]


def last_true(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """(P, C, T, 1) -> (P, C) at the last true frame."""
    if mask is None:
        return x[:, :, -1, 0]
    last = mask.sum(dim=(1, 2, 3)).long() - 1
    return x[torch.arange(len(x), device=x.device), :, last, 0]


def mean_over(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean of (P, T) over true frames of each person, then over persons: each person counts alike."""
    if mask is None:
        return values.mean()
    true = mask[:, 0, :, 0]
    return ((values * true).sum(dim=1) / true.sum(dim=1)).mean()
