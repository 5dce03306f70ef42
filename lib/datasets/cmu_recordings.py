"""One motion capture of angles, with hand-made segments where it has some; another frame rate for both."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int


class Segment(NamedTuple):
    """One action of a recording, frames ``start`` up to but not including ``stop``.

    The annotators' best frame for the transition to the next segment is ``stop``, and any from ``earliest`` to
    ``latest`` is acceptable. For the last segment all three are the end of the recording.
    """

    name: str
    start: int
    stop: int
    earliest: int
    latest: int


@dataclass(frozen=True, eq=False)
class Recording:
    """One capture as position and exponential maps.

    Attributes
    ----------
    dataset
        ``"cmu_mocap"`` or ``"cmu_subject86"``.
    name
        Such as ``"walking_4"`` or ``"86_01"``; unique.
    action
        What is done in it; None for subject 86, who does several things: see `segments`.
    channels
        (T, F) float32: position of the root in units of 2.54 / 0.45 cm, then radians.
    channel_names
        F names such as ``"root.tx"``, ``"lfemur.x"``.
    fps
        Frames per second.
    segments
        Hand-made segments that cover the recording without gap; none for single actions.
    """

    dataset: str
    name: str
    action: str | None
    channels: np.ndarray
    channel_names: tuple[str, ...]
    fps: float
    segments: tuple[Segment, ...] = ()

    def __len__(self) -> int:
        """Return the number of frames T."""
        return len(self.channels)

    @property
    def segment_names(self) -> tuple[str, ...]:
        """Names of the segments, each once, in order of first appearance."""
        return tuple(dict.fromkeys(segment.name for segment in self.segments))

    def frame_labels(self) -> Int[np.ndarray, " T"]:
        """Index into `segment_names` of each frame."""
        if not self.segments:
            raise ValueError(f"{self.name}: has no segments; only those of cmu_subject86 have")
        names = self.segment_names
        lengths = [segment.stop - segment.start for segment in self.segments]
        return np.repeat([names.index(segment.name) for segment in self.segments], lengths)

    def resampled(self, fps: float) -> "Recording":
        """Fewer frames per second, by linear interpolation; a whole fraction of the rate takes every k-th frame.

        Segments keep their times, to the nearest new frame. Nothing smooths the channels first: what moves faster than
        half the new rate is aliased, as in the published halving of 120 Hz.
        """
        if fps == self.fps:
            return self
        if not 0 < fps <= self.fps:
            raise ValueError(f"fps={fps}, needed above 0 and at most {self.fps:g}")
        step = self.fps / fps
        at = step * np.arange(int((len(self) - 1) / step) + 1)  # new frames, counted in old ones
        below = np.minimum(at.astype(np.int64), len(self) - 2)
        share = (at - below)[:, None].astype(np.float32)
        channels = (1 - share) * self.channels[below] + share * self.channels[below + 1]
        segments, start = [], 0
        for segment in self.segments:
            last = segment.stop == len(self)
            stop, *around = (
                len(channels) if last else round(t / step) for t in (segment.stop, segment.earliest, segment.latest)
            )
            if stop <= start:
                raise ValueError(f"fps={fps} leaves no frame of segment {segment.name!r} of {self.name}; needed more")
            segments.append(Segment(segment.name, start, stop, *around))
            start = stop
        return replace(self, channels=channels, fps=float(fps), segments=tuple(segments))
