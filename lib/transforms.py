"""Pure functions clip -> clip. Lengths, masks, planted truth and frame rate follow the frames.

Absent persons stay exactly zero. Coordinates are taken as y up where a vertical matters.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lib import skeletons
from lib.clips import Clip
from lib.skeletons import Skeleton

Transform = Callable[[Clip], Clip]


def compose(*transforms: Transform) -> Transform:
    """Chain transforms, first to last."""

    def composed(clip: Clip) -> Clip:
        for transform in transforms:
            clip = transform(clip)
        return clip

    return composed


def center(clip: Clip) -> Clip:
    """Move the first present person's centre joint in the first frame to the origin; all persons move with it."""
    person = int(np.argmax(clip.present))
    return _moved(clip, clip.x - clip.x[0, person, clip.skeleton.center])


def align(clip: Clip) -> Clip:
    """Centre, then turn about the vertical until the body faces the camera, whatever the view.

    The turn makes the axis from right to left hip and shoulder of the first present person, averaged over the frames,
    point along -x in the horizontal plane, as it does for a person who faces a Kinect. One turn serves the whole clip
    and all persons, so that turning around and facing each other remain visible.
    """
    if clip.skeleton.torso is None:
        raise ValueError(f"skeleton {clip.skeleton.name!r} has no torso joints; give torso= to align clips to the body")
    if clip.x.shape[-1] != 3:
        raise ValueError(f"clip {clip.name!r} has C={clip.x.shape[-1]} channels; aligning needs x, y, z")
    clip = center(clip)
    left_hip, right_hip, left_shoulder, right_shoulder = clip.skeleton.torso
    body = clip.x[: clip.length, int(np.argmax(clip.present))]
    across = (body[:, left_hip] - body[:, right_hip] + body[:, left_shoulder] - body[:, right_shoulder]).mean(axis=0)
    return rotate(clip, 180.0 - float(np.degrees(np.arctan2(-across[2], across[0]))))


def rotate(clip: Clip, degrees: float, axis: str = "y") -> Clip:
    """Turn all coordinates about an axis through the origin, counter-clockwise seen from the axis' tip."""
    return linear(clip, rotation(degrees, axis))


def rotation(degrees: float, axis: str = "y") -> Float[np.ndarray, "3 3"]:
    """Matrix R with ``x @ R.T`` the turned coordinates."""
    if axis not in ("x", "y", "z"):
        raise ValueError(f"axis={axis!r}; choose 'x', 'y' or 'z'")
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    return matrix


def scale(clip: Clip, factor: float) -> Clip:
    """Multiply coordinates by `factor`."""
    return _moved(clip, clip.x * np.float32(factor))


def linear(clip: Clip, matrix: np.ndarray) -> Clip:
    """Apply one (C, C) matrix to every joint."""
    num_channels = clip.x.shape[-1]
    if matrix.shape != (num_channels, num_channels):
        raise ValueError(f"clip {clip.name!r}: a {matrix.shape} matrix cannot act on C={num_channels} channels")
    return _moved(clip, clip.x @ matrix.T.astype(np.float32))


def mirror(clip: Clip) -> Clip:
    """Swap left and right: negate x and trade the joints of every left-right pair."""
    x = clip.x[:, :, clip.skeleton.mirror].copy()
    x[..., 0] *= -1
    truth = None if clip.truth is None else clip.truth[:, :, clip.skeleton.mirror]
    return replace(clip, x=x, truth=truth)


def onto(clip: Clip, skeleton: Skeleton) -> Clip:
    """Keep the joints that `skeleton` has, in its order (`skeletons.joint_map`)."""
    joints = skeletons.joint_map(clip.skeleton, skeleton)
    truth = None if clip.truth is None else clip.truth[:, :, joints]
    return replace(clip, x=clip.x[:, :, joints], truth=truth, skeleton=skeleton)


def bones(clip: Clip) -> Clip:
    """Replace each joint by its offset from its parent; the centre joint becomes zero (the bone stream)."""
    return replace(clip, x=clip.x - clip.x[:, :, clip.skeleton.parents])


def motion(clip: Clip) -> Clip:
    """Difference to the next frame; the last true frame, which has no next one, is zero (the motion stream)."""
    x = np.zeros_like(clip.x)
    x[: clip.length - 1] = np.diff(clip.x[: clip.length], axis=0)
    return replace(clip, x=x)


def resample(clip: Clip, num_frames: int) -> Clip:
    """Stretch the true frames linearly to `num_frames`, first and last frame kept; the frame rate follows.

    Truth takes the nearest frame. A single frame has no rate of its own: the clip's stays.
    """
    _check_frames(num_frames)
    if num_frames == clip.length == len(clip.x):
        return clip
    at = np.linspace(0.0, clip.length - 1.0, num_frames)
    before = np.minimum(at.astype(np.int64), max(clip.length - 2, 0))
    after = np.minimum(before + 1, clip.length - 1)
    weight = (at - before).astype(np.float32)[:, None, None, None]
    x = clip.x[before] * (1 - weight) + clip.x[after] * weight
    truth = None if clip.truth is None else clip.truth[np.rint(at).astype(np.int64)]
    steps = (num_frames - 1) / (clip.length - 1) if min(num_frames, clip.length) > 1 else 1.0
    return replace(clip, x=x, length=num_frames, truth=truth, fps=clip.fps * steps)


def crop(clip: Clip, start: int, num_frames: int) -> Clip:
    """Keep `num_frames` true frames from `start`."""
    _check_frames(num_frames)
    if not 0 <= start <= clip.length - num_frames:
        raise ValueError(
            f"clip {clip.name!r}: frames {start}..{start + num_frames} asked for, it has {clip.length}; "
            "crop inside the clip"
        )
    part = slice(start, start + num_frames)
    return replace(clip, x=clip.x[part], length=num_frames, truth=None if clip.truth is None else clip.truth[part])


def pad(clip: Clip, num_frames: int, mode: str = "zero") -> Clip:
    """Lengthen to `num_frames`.

    ``"zero"`` adds frames that do not count (`length` stays), as ST-GCN does; ``"loop"`` repeats the clip from its
    beginning, as MS-G3D does, and ``"edge"`` holds the last frame: those frames count.
    """
    _check_frames(num_frames)
    if num_frames < clip.length:
        raise ValueError(f"clip {clip.name!r} has {clip.length} frames, more than {num_frames}; crop or resample it")
    t = np.arange(num_frames)
    if mode == "zero":
        x = np.zeros((num_frames, *clip.x.shape[1:]), dtype=np.float32)
        x[: clip.length] = clip.x[: clip.length]
        truth = None if clip.truth is None else clip.truth[np.minimum(t, clip.length - 1)]
        if truth is not None:
            truth[clip.length :] = False
        return replace(clip, x=x, truth=truth)
    if mode not in ("loop", "edge"):
        raise ValueError(f"mode={mode!r}; choose 'zero', 'loop' or 'edge'")
    source = t % clip.length if mode == "loop" else np.minimum(t, clip.length - 1)
    truth = None if clip.truth is None else clip.truth[source]
    return replace(clip, x=clip.x[source], length=num_frames, truth=truth)


def random_crop(clip: Clip, rng: np.random.Generator, least: float) -> Clip:
    """Keep a random run of frames of a random share between `least` and 1 of the clip."""
    num_frames = max(1, round(clip.length * rng.uniform(least, 1.0)))
    return crop(clip, int(rng.integers(clip.length - num_frames + 1)), num_frames)


def random_view(clip: Clip, rng: np.random.Generator, turn: float, tilt: float) -> Clip:
    """Turn about the vertical by up to +-`turn` degrees, then about the camera's x axis by up to +-`tilt`."""
    if clip.x.shape[-1] != 3:
        raise ValueError(
            f"clip {clip.name!r} has C={clip.x.shape[-1]} channels; turning needs x, y, z; train with turn=0, tilt=0"
        )
    return linear(clip, rotation(rng.uniform(-tilt, tilt), "x") @ rotation(rng.uniform(-turn, turn), "y"))


def random_scale(clip: Clip, rng: np.random.Generator, spread: float) -> Clip:
    """Scale each axis by its own factor within 1 +- `spread`."""
    return linear(clip, np.diag(rng.uniform(1 - spread, 1 + spread, clip.x.shape[-1])))


def random_noise(clip: Clip, rng: np.random.Generator, sigma: float) -> Clip:
    """Add independent Gaussian noise of `sigma` (units of the coordinates) to every joint of present persons."""
    return _moved(clip, clip.x + sigma * rng.standard_normal(clip.x.shape, dtype=np.float32))


def _moved(clip: Clip, x: np.ndarray) -> Clip:
    """Return the clip with new coordinates, absent persons and padded frames back to zero."""
    x = x.astype(np.float32, copy=False) * clip.present[:, None, None]
    x[clip.length :] = 0
    return replace(clip, x=x)


def _check_frames(num_frames: int) -> None:
    if num_frames < 1:
        raise ValueError(f"num_frames={num_frames}, needed at least 1")
