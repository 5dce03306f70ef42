"""What all networks on skeletons share: the way from clips to persons, through masked layers, and back to clips."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lib.models import layers
from lib.skeletons import Skeleton


class People(NamedTuple):
    """Present persons over all clips of a batch: x (P, C, T, V), true lengths (P,), the clip of each (P,)."""

    x: torch.Tensor
    lengths: torch.Tensor
    clip_of: torch.Tensor


class SkeletonNetwork(nn.Module, ABC):
    """Base of the networks: any skeleton, number of frames and persons.

    A subclass makes its input normalisation, calls `_stack` with its blocks, sets `classifier`, and says in
    `_normalised` how persons enter. Blocks take (x, mask, mask_out), see `STGCNBlock`. One that learns without labels
    also has `players` and `turns`, see `objectives`.
    """

    layer_names: tuple[str, ...]
    layer_strides: dict[str, int]

    def __init__(
        self,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int,
        width: float,
        dropout: float,
        pooling: str,
        stream: str,
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
        self.in_channels, self.num_joints = in_channels, len(skeleton)
        self.register_buffer("parents", torch.as_tensor(np.array(skeleton.parents)), persistent=False)

    def _stack(self, blocks: list[nn.Module], strides: tuple[int, ...]) -> None:
        """Make `blocks` the layers, each with its stride in time."""
        self.layers = nn.ModuleList(blocks)
        self.layer_names = tuple(f"layers.{index}" for index in range(len(blocks)))
        self.layer_strides = dict(zip(self.layer_names, np.cumprod(strides).tolist(), strict=True))

    def extra_repr(self) -> str:
        """Name what the weights do not tell; checkpoints compare it."""
        return f"pooling={self.pooling!r}" + (f", stream={self.stream!r}" if self.stream != "joint" else "")

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N, classes) from x (N, C, T, V, M), true lengths (N,) and present persons (N, M)."""
        return self._classified(self.embed(x, lengths, present))

    def embed(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(N, D), what the classifier sees of each clip: its last layer, pooled, mean over present persons."""
        people = self._people(x, lengths, present)
        return layers.average_persons(self._pooled(*self._features(people)), people.clip_of, len(x))

    def _people(self, x: torch.Tensor, lengths: torch.Tensor | None, present: torch.Tensor | None) -> "People":
        """Present persons of a batch, one after the other, as they enter the first layer."""
        if x.ndim != 5 or x.shape[1] != self.in_channels or x.shape[3] != self.num_joints or 0 in x.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, needed (N, C={self.in_channels}, T >= 1, V={self.num_joints}, M >= 1)"
            )
        N, _, T, _, M = x.shape
        x = layers.as_stream(x, self.stream, self.parents, lengths)
        if present is None or self.pooling == "mean":
            present = x.new_ones(N, M, dtype=torch.bool)
        if lengths is None or self.pooling == "mean":
            lengths = torch.full((N,), T, device=x.device)
        if not bool(present.any(dim=1).all()):
            empty = (~present.any(dim=1)).nonzero().flatten().tolist()
            raise ValueError(f"clips {empty} of the batch have no present person; leave them out")
        x = x.permute(0, 4, 1, 2, 3)[present]  # (P, C, T, V)
        clip_of, slot_of = present.nonzero().unbind(1)
        return People(self._normalised(x, slot_of, layers.frame_mask(lengths[clip_of], T)), lengths[clip_of], clip_of)

    def _features(self, people: "People") -> tuple[torch.Tensor, torch.Tensor | None]:
        """(P, C', T_l, V) of the last layer and the mask of its true frames."""
        x, lengths, T = people.x, people.lengths, people.x.shape[2]
        mask = layers.frame_mask(lengths, T)
        for block, stride in zip(self.layers, self.layer_strides.values(), strict=True):
            frames_out = -(-T // stride)
            mask_out = None if mask is None else layers.frame_mask(layers.strided_lengths(lengths, stride), frames_out)
            x = block(x, mask, mask_out)
            mask = mask_out
        return x, mask

    def _pooled(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return layers.pool(x, mask)

    @abstractmethod
    def _normalised(self, x: torch.Tensor, slot_of: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Persons (P, C, T, V), who stand in slots `slot_of` (P,), as they enter the first layer."""

    def _classified(self, pooled: torch.Tensor) -> torch.Tensor:
        return self.classifier(pooled)
