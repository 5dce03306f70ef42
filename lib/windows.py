"""Sliding windows over clips and recordings, cut without a look at labels."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lib.clips import ClipSet


class Windows(NamedTuple):
    """Windows of clips: `clips` shares the frames of what was cut, `owner` (n,) and `start` (n,) say where each was."""

    clips: ClipSet
    owner: np.ndarray
    start: np.ndarray

    def of(self, index: int) -> np.ndarray:
        """Positions of the windows of clip `index`."""
        return np.flatnonzero(self.owner == index)


def cut(clips: ClipSet, size: int, stride: int) -> Windows:
    """Windows of `size` frames every `stride` frames, and one that ends with the clip: every frame is in one.

    A clip of at most `size` frames is one window. No frame is copied; label, subject and view are the clip's.
    """
    if size < 1 or stride < 1:
        raise ValueError(f"size={size}, stride={stride}; needed at least one frame each")
    owner, start = [], []
    for index, length in enumerate(clips.lengths):
        last = max(int(length) - size, 0)
        starts = np.unique(np.r_[np.arange(0, last + 1, stride), last])
        owner.append(np.full(len(starts), index))
        start.append(starts)
    owner, start = np.concatenate(owner), np.concatenate(start)
    windows = clips.subset(owner)
    windows = replace(
        windows,
        starts=windows.starts + start * windows.num_persons,
        lengths=np.minimum(windows.lengths - start, size),
        names=tuple(f"{name}@{first}" for name, first in zip(windows.names, start, strict=True)),
    )
    return Windows(windows, owner, start)
