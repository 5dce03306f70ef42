"""One clip, and the padded batches that networks read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lib.skeletons import Skeleton


@dataclass(frozen=True)
class Clip:
    """One performance.

    Attributes
    ----------
    x
        (T, M, V, C) float32 joint coordinates; metres with y up unless a transform says otherwise.
    length
        True frames; frames from here to T are padding.
    present
        (M,) bool; False where a person's slot is empty.
    truth
        (T, M, V) bool, the joints and frames planted as carrying the class, or None.
    """

    x: np.ndarray
    length: int
    present: np.ndarray
    skeleton: Skeleton
    fps: float
    label: int
    name: str
    truth: np.ndarray | None = None


class Batch(NamedTuple):
    """Clips padded with zeros to one shape: x (N, C, T, V, M), lengths (N,), present (N, M), labels (N,)."""

    x: torch.Tensor
    lengths: torch.Tensor
    present: torch.Tensor
    labels: torch.Tensor

    def to(self, device: str | torch.device) -> "Batch":
        """Return the same batch on another device."""
        return Batch(*(part.to(device) for part in self))


def collate(clips: Sequence[Clip]) -> Batch:
    """Pad clips with zeros to the longest and the most crowded of them."""
    num_frames = max(len(clip.x) for clip in clips)
    num_persons = max(clip.x.shape[1] for clip in clips)
    num_joints, num_channels = clips[0].x.shape[2:]
    x = np.zeros((len(clips), num_frames, num_persons, num_joints, num_channels), dtype=np.float32)
    present = np.zeros((len(clips), num_persons), dtype=bool)
    for n, clip in enumerate(clips):
        persons = clip.x.shape[1]
        x[n, : clip.length, :persons] = clip.x[: clip.length] * clip.present[:, None, None]
        present[n, :persons] = clip.present
    return Batch(
        torch.from_numpy(np.ascontiguousarray(x.transpose(0, 4, 1, 3, 2))),  # (N, C, T, V, M)
        torch.tensor([clip.length for clip in clips]),
        torch.from_numpy(present),
        torch.tensor([clip.label for clip in clips]),
    )
