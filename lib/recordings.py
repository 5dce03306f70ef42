"""Long recordings with annotated segments: channels over time, the labels of people beside them, and networks' states.

Labels and transitions are for scoring and drawing; nothing here that cuts, scales or embeds reads them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from lib import transforms, windows
from lib.clips import Clip, ClipSet
from lib.models.layers import evaluation_mode
from lib.skeletons import Skeleton

STILL = 1e-4  # standard deviation below which a channel is constant, as released (degrees, or the channel's unit)
TOLERANCE = 0.5  # seconds that a person may be off a transition, in recordings that are made


@dataclass(frozen=True)
class Recording:
    """One performance of many movements.

    Attributes
    ----------
    frames
        (T, F) float32 channels: joint angles, or coordinates of joints.
    labels
        (T,) index into `class_names` of the movement at every frame.
    transitions
        (B, 3) frames: earliest, best and latest that an annotator accepts for every change of movement.
    poses
        (T, V, 3) joints to draw, or None.
    """

    name: str
    frames: np.ndarray
    fps: float
    labels: np.ndarray
    class_names: tuple[str, ...]
    transitions: np.ndarray
    poses: np.ndarray | None = None

    def thinned(self, every: int) -> "Recording":
        """Every n-th frame; transitions are rounded outwards, so that none is lost."""
        earliest, best, latest = self.transitions.T
        moved = np.stack([earliest // every, np.rint(best / every).astype(np.int64), -(-latest // every)], axis=1)
        return replace(
            self,
            frames=self.frames[::every],
            fps=self.fps / every,
            labels=self.labels[::every],
            transitions=moved,
            poses=None if self.poses is None else self.poses[::every],
        )


class Scaler(NamedTuple):
    """Channels that move, and their mean and standard deviation in the recordings it was made from."""

    moving: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, recordings: Sequence[Recording]) -> "Scaler":
        """Measure training recordings; channels with a standard deviation below `STILL` are left out."""
        frames = np.concatenate([one.frames for one in recordings]).astype(np.float64)
        std = frames.std(axis=0)
        moving = np.flatnonzero(std >= STILL)
        if len(moving) == 0:
            raise ValueError(f"recordings: all {frames.shape[1]} channels stand still; needed one that moves")
        return cls(moving, frames.mean(axis=0)[moving], std[moving])

    def __call__(self, frames: Float[np.ndarray, "T F"]) -> Float[np.ndarray, "T F2"]:
        """Scores of the moving channels."""
        return ((frames[:, self.moving] - self.mean) / self.std).astype(np.float32)


def as_clips(recordings: Sequence[Recording], scaler: Scaler) -> ClipSet:
    """One clip per recording, each moving channel a joint with one coordinate, for `windows.cut` and the networks.

    All labels are 0: what trains on these clips cannot know an annotation.
    """
    count = len(scaler.moving)
    channels = (
        Skeleton.from_edges([(v, v + 1) for v in range(count - 1)], name=f"channels{count}", center=0)
        if (count > 1)
        else Skeleton("channels1", ("joint_0",), (), 0)
    )
    return ClipSet.from_arrays(
        [scaler(one.frames)[:, :, None] for one in recordings],
        [0] * len(recordings),
        channels,
        names=[one.name for one in recordings],
        fps=recordings[0].fps,
        dataset="recordings",
    )


def decoder_states(model: nn.Module, cut: windows.Windows, *, batch_size: int = 128) -> list[np.ndarray]:
    """Per window the (L, D) states of a `Seq2Seq` that tell its last frames, which begin at ``source_frames``.

    Those of encoders come from `features.extract`.
    """
    return [states for states, _ in _predicted(model, cut, batch_size)]


def errors(model: nn.Module, cut: windows.Windows, *, batch_size: int = 128) -> Float[np.ndarray, " n"]:
    """Mean squared prediction error of every window, over its told frames and channels (`Seq2Seq`)."""
    return np.array([found.mean() for _, found in _predicted(model, cut, batch_size)])


def _predicted(model: nn.Module, cut: windows.Windows, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """States (L, D) and errors (L,) of every window's told frames."""
    device = next(model.parameters()).device
    with torch.inference_mode(), evaluation_mode(model):
        for batch in cut.clips.batches(batch_size):
            prediction = model.predict(batch.to(device))
            states, wrong = prediction.states.cpu().numpy(), prediction.errors.cpu().numpy()
            for n, length in enumerate((batch.lengths - model.source_frames).tolist()):
                yield states[n, :length], wrong[n, :length]


def joined(
    clips: ClipSet,
    num_recordings: int,
    num_segments: int,
    *,
    repeats: int = 3,
    blend: int = 8,
    seed: int = 0,
) -> list[Recording]:
    """Recordings out of clips: a movement is `repeats` clips of a class in a row, and another one follows.

    Clips are cut to the frames in which their planted truth moves, where they have one, and aligned (centred and facing
    the camera); over `blend` frames one pose goes over into the next. No clip comes twice while there
    are others of its class. Channels are coordinates of the first present person.
    """
    rng = np.random.default_rng(seed)
    if len(clips.class_names) < 2 or num_segments < 2 or repeats < 1 or blend < 0:
        raise ValueError(
            f"num_segments={num_segments}, repeats={repeats}, blend={blend}, {len(clips.class_names)} classes; "
            "needed two segments and classes, a repeat, and no negative blend"
        )
    ready = clips.map(transforms.align)
    spare = {label: list(rng.permutation(np.flatnonzero(clips.labels == label))) for label in np.unique(clips.labels)}
    return [_joined(ready, f"joined_{i}", num_segments, repeats, blend, spare, rng) for i in range(num_recordings)]


def _joined(clips, name, num_segments, repeats, blend, spare, rng) -> Recording:
    parts, labels, transitions, previous = [], [], [], -1
    half = round(TOLERANCE * clips.fps)
    for _ in range(num_segments):
        label = rng.choice([label for label in spare if label != previous])
        if previous >= 0:
            edge = sum(map(len, parts))
            transitions.append((edge - half, edge, edge + half))
        previous = label
        for _ in range(repeats):
            chosen = spare[label].pop(0)
            spare[label].append(chosen)  # it comes again when all others have been used
            body = _moving(clips[chosen])
            if parts and blend:
                share = (np.arange(1, blend + 1) / (blend + 1))[:, None, None]
                body = np.concatenate([parts[-1][-1] * (1 - share) + body[0] * share, body])
            parts.append(body)
            labels.append(np.full(len(body), label))
    poses = np.concatenate(parts).astype(np.float32)
    return Recording(
        name,
        poses.reshape(len(poses), -1),
        clips.fps,
        np.concatenate(labels),
        clips.class_names,
        np.array(transitions).reshape(-1, 3),
        poses,
    )


def _moving(clip: Clip) -> np.ndarray:
    """(T, V, C) of the first present person, in the frames that carry the class."""
    body = clip.x[: clip.length, int(np.argmax(clip.present))]
    if clip.truth is None:
        return body
    true = np.flatnonzero(clip.truth[: clip.length].any(axis=(1, 2)))
    return body[true[0] : true[-1] + 1] if len(true) else body
