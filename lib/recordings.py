"""Recordings of many movements: read or put together, brought to a scale, and given to networks as clips.

Labels and transitions of a recording are for scoring and drawing; nothing here that scales reads them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from lib import skeletons, transforms
from lib.clips import Clip, ClipSet
from lib.datasets import cmu, synthetic
from lib.datasets.cmu_recordings import Recording, Segment
from lib.skeletons import Skeleton

RATE = 30.0  # frames per second
NAMES = ("synthetic", "cmu_subject86")
MOVES = (
    "kick_right",
    "wave_right",
    "clap_slowly",
    "sit_down",
    "pick_up",
    "swipe_outward_right",
    "drink_left",
    "wave_left",
)
OTHER_MOVES = ("kick_left", "clap", "put_down", "phone_right")
REPEATS = 3  # clips of a class in a row, in recordings that are joined
BLEND = 8  # frames in which one clip's pose goes over into the next one's
TOLERANCE = 0.5  # seconds by which a boundary may miss a transition in recordings that are joined
PLACE = ("root.tx", "root.tz", "root.x", "root.y", "root.z")  # where in the room, and turned where


def load(
    name: str, fold: int = 0, *, num_recordings: int = 4, num_segments: int = 8, seed: int = 0
) -> tuple[list[Recording], list[Recording]]:
    """Give recordings to train on, and others to cluster, at 30 frames per second.

    ``"synthetic"``: `joined` ones of `MOVES`, by other subjects in another view than those trained on; as many as
    asked, and half as many to cluster. ``"cmu_subject86"``: all trials, in two parts; `fold` says which is clustered,
    so that every trial is once, by a network that has not read it.
    """
    if name not in NAMES or fold not in (0, 1):
        raise ValueError(f"name={name!r}, fold={fold}; choose one of {list(NAMES)}, and fold 0 or 1")
    if num_recordings < 1:
        raise ValueError(f"num_recordings={num_recordings}, needed at least 1 to train on")
    if name == "synthetic":
        parts = []
        for number, split in enumerate(("train", "test")):
            clips = synthetic.make(20 * len(MOVES), seed=seed, split=split, actions=MOVES)
            count = max(1, num_recordings // (1 + number))
            parts.append(joined(clips, count, num_segments, seed=seed + 1000 * number))
        return tuple(parts)
    trials = cmu.recordings(name, fps=RATE)
    halves = trials[: len(trials) // 2], trials[len(trials) // 2 :]
    return halves[1 - fold], halves[fold]


def of_another_kind(name: str, found: Sequence[Recording], *, seed: int = 0) -> list[Recording]:
    """Give recordings that a network trained on `load`'s has no reason to predict well.

    ``"synthetic"``: movements that are not among `MOVES`. ``"cmu_subject86"``: the same trials at double speed.
    """
    if name == "synthetic":
        clips = synthetic.make(20 * len(OTHER_MOVES), seed=seed, split="test", actions=OTHER_MOVES)
        return joined(clips, len(found), 8, seed=seed)
    return [replace(one, channels=one.channels[::2], segments=()) for one in found]


def bodies(recording: Recording) -> tuple[Float[np.ndarray, "T V 3"], Skeleton]:
    """Joints to draw, in metres, the root in place and y up, and their skeleton; before `prepared`."""
    if recording.dataset == "cmu_subject86":
        joints, skeleton = cmu.joint_positions(recording), skeletons.get("cmu31")
    else:
        joints, skeleton = recording.channels.reshape(len(recording), -1, 3), synthetic.SKELETON
    return joints - joints[:, [skeleton.center]], skeleton


def prepared(found: Sequence[Recording], train: Sequence[Recording]) -> list[Recording]:
    """`found` as networks read them: without place and facing, scaled by what `train` knows."""
    return scaled(without_place(found), without_place(train))


def without_place(found: Sequence[Recording]) -> list[Recording]:
    """Leave out where the body is and where it faces, which tell of the room and not of the movement."""
    _check_any(found)
    keep = [i for i, name in enumerate(found[0].channel_names) if name not in PLACE]
    names = tuple(found[0].channel_names[i] for i in keep)
    return [replace(one, channels=one.channels[:, keep], channel_names=names) for one in found]


def scaled(found: Sequence[Recording], train: Sequence[Recording]) -> list[Recording]:
    """Channels that move in `train` (`cmu.drop_constant`), with its mean and standard deviation made 0 and 1."""
    moving, known = cmu.drop_constant(found, train), cmu.drop_constant(train, train)
    frames = np.concatenate([one.channels for one in known]).astype(np.float64)
    if frames.shape[1] == 0:
        raise ValueError("train: every channel stands still; needed one that moves")
    mean, std = frames.mean(axis=0), frames.std(axis=0)
    return [replace(one, channels=((one.channels - mean) / std).astype(np.float32)) for one in moving]


def as_clips(found: Sequence[Recording]) -> ClipSet:
    """One clip per recording, each channel a joint with one coordinate, for `windows.cut` and the networks.

    All labels are 0, so that nothing trained on these clips can know an annotation.
    """
    _check_any(found)
    names = found[0].channel_names
    edges = tuple((v, v + 1) for v in range(len(names) - 1))
    return ClipSet.from_arrays(
        [one.channels[:, :, None] for one in found],
        [0] * len(found),
        Skeleton(f"channels{len(names)}", names, edges, 0),
        names=[one.name for one in found],
        fps=found[0].fps,
        dataset=found[0].dataset,
    )


def _check_any(found: Sequence[Recording]) -> None:
    if not found:
        raise ValueError("no recordings; needed at least one")


def transitions(recording: Recording) -> Int[np.ndarray, "B 3"]:
    """Earliest, best and latest frame of every change of movement that the annotators would accept."""
    inner = recording.segments[:-1]
    return np.array([(one.earliest, one.stop, one.latest) for one in inner], dtype=np.int64).reshape(-1, 3)


def joined(clips: ClipSet, num_recordings: int, num_segments: int, *, seed: int = 0) -> list[Recording]:
    """Put recordings together from clips: a movement is `REPEATS` clips of a class in a row, then another one follows.

    Clips are cut to the frames in which their planted truth moves, where they have one, and aligned (centred, facing
    the camera); over `BLEND` frames one pose goes over into the next. No clip comes twice while there are others of its
    class. Channels are the first present person's coordinates in metres; a boundary may miss a transition by half a
    second.
    """
    if len(clips.class_names) < 2 or num_segments < 2 or num_recordings < 1:
        raise ValueError(
            f"num_recordings={num_recordings}, num_segments={num_segments}, {len(clips.class_names)} classes; needed a "
            "recording, two segments and two classes"
        )
    rng = np.random.default_rng(seed)
    ready = clips.map(transforms.align)
    spare = {label: list(rng.permutation(np.flatnonzero(clips.labels == label))) for label in np.unique(clips.labels)}
    return [_joined(ready, f"joined_{i}", num_segments, spare, rng) for i in range(num_recordings)]


def _joined(clips: ClipSet, name: str, num_segments: int, spare: dict, rng: np.random.Generator) -> Recording:
    parts, classes, stops = [], [], []
    for _ in range(num_segments):
        label = int(rng.choice([label for label in spare if [label] != classes[-1:]]))
        for _ in range(REPEATS):
            chosen = spare[label].pop(0)
            spare[label].append(chosen)  # it comes again when all others have been used
            body = _moving(clips[chosen])
            if parts:
                share = (np.arange(1, BLEND + 1) / (BLEND + 1))[:, None, None]
                body = np.concatenate([parts[-1][-1] * (1 - share) + body[0] * share, body])
            parts.append(body)
        classes.append(label)
        stops.append(sum(map(len, parts)))
    frames, slack = np.concatenate(parts).astype(np.float32), round(TOLERANCE * clips.fps)
    segments = [
        Segment(
            clips.class_names[label], start, stop, *((stop,) * 2 if stop == stops[-1] else (stop - slack, stop + slack))
        )
        for label, start, stop in zip(classes, [0, *stops], stops, strict=False)
    ]
    names = tuple(f"{joint}.{axis}" for joint in clips.skeleton.joints for axis in "xyzw"[: clips.num_channels])
    return Recording(clips.dataset, name, None, frames.reshape(len(frames), -1), names, clips.fps, tuple(segments))


def _moving(clip: Clip) -> np.ndarray:
    """(T, V, C) of the first present person, in the frames that carry the class."""
    body = clip.x[: clip.length, int(np.argmax(clip.present))]
    if clip.truth is None:
        return body
    true = np.flatnonzero(clip.truth[: clip.length].any(axis=(1, 2)))
    return body[true[0] : true[-1] + 1] if len(true) else body
