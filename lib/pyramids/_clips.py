"""What a network is given: a clip of video, or a batch of one clip of skeletons."""

import torch
from torch import nn

from lib.clips import Batch
from lib.models.network import SkeletonNetwork


def prepared(model: nn.Module, clip: torch.Tensor | Batch) -> torch.Tensor | Batch:
    """Give the clip where the network is, in its precision, with an axis for clips; one it is not made for is refused.

    Raises
    ------
    ValueError
        The clip is of the other kind, not exactly one, or what the network sees of it is not finite.
    """
    name = type(model).__name__
    if isinstance(clip, Batch) != isinstance(model, SkeletonNetwork):
        given, needed = "video (a tensor)", "a batch of one clip, such as clips.batch([0])"
        if isinstance(clip, Batch):
            given, needed = "skeletons (a batch)", "a tensor (1, C, T, H, W)"
        raise ValueError(f"clip: {given}, needed {needed} for {name}")
    x = clip
    if isinstance(clip, Batch):
        if len(clip.x) != 1:
            raise ValueError(f"clip: a batch of {len(clip.x)} clips, needed one, such as clips.batch([0])")
        if not 1 <= int(clip.lengths[0]) <= clip.x.shape[2]:
            raise ValueError(f"clip: {int(clip.lengths[0])} true frames, needed 1..{clip.x.shape[2]}")
        x = seen(model, clip)
    elif clip.ndim not in (4, 5) or (clip.ndim == 5 and len(clip) != 1) or 0 in clip.shape:
        raise ValueError(f"clip has shape {tuple(clip.shape)}, needed one clip, (1, C, T, H, W) or (C, T, H, W)")
    if not x.is_floating_point() or not bool(torch.isfinite(x).all()):
        raise ValueError(f"clip: {x.dtype} values, needed finite floating point ones")
    weights = next(model.parameters(), None)
    if weights is not None:
        dtype = weights.dtype if weights.is_floating_point() else None
        if isinstance(clip, Batch):
            clip = clip.to(weights.device)
            return clip._replace(x=clip.x.to(dtype))
        clip = clip.to(weights.device, dtype)
    return clip[None] if clip.ndim == 4 else clip


def arguments(model: nn.Module, clip: torch.Tensor | Batch) -> tuple:
    """Give what the network is called with: of a clip of skeletons its true frames, and who is present."""
    if not isinstance(clip, Batch):
        return (clip.detach().clone(),)
    return clip.x[:, :, : num_frames(model, clip)].detach().clone(), clip.lengths, clip.present


def num_frames(model: SkeletonNetwork, batch: Batch) -> int:
    """Frames of a batch's only clip that count for a network."""
    return batch.x.shape[2] if model.pooling == "mean" else int(batch.lengths[0])


def persons(model: SkeletonNetwork, batch: Batch) -> torch.Tensor:
    """(M,) which persons of a batch's only clip count for a network."""
    return torch.ones_like(batch.present[0]) if model.pooling == "mean" else batch.present[0]


def seen(model: SkeletonNetwork, batch: Batch) -> torch.Tensor:
    """(C, T', V, M'): true frames and present persons, or all for a network that counts all."""
    return batch.x[0, :, : num_frames(model, batch)][..., persons(model, batch)]
