"""What sensors, trackers and cameras do to clips: seeded functions clip -> clip, each at five levels of one unit.

They act on clips as loaded, in camera coordinates and metres, before a recipe prepares them: that is where a sensor
errs. Padded frames and absent persons stay exactly zero. At level 0 every function returns the clip as it was, and
for the same state of the generator a higher level spoils all that a lower one does, and more.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from lib import transforms
from lib.clips import Clip, ClipSet
from lib.skeletons import Skeleton


def joint_noise(clip: Clip, rng: np.random.Generator, sigma: float) -> Clip:
    """Add independent Gaussian noise of standard deviation `sigma` (metres) to each coordinate of every joint."""
    if not sigma >= 0:
        raise ValueError(f"clip {clip.name!r}: sigma={sigma}; needed metres, at least 0")
    return transforms.random_noise(clip, rng, sigma)


def joint_dropout(clip: Clip, rng: np.random.Generator, share: float) -> Clip:
    """Lose every joint but the centre, in every frame for itself, with probability `share`.

    A lost joint is reported at its person's centre joint, which is where a 0 lies once clips are centred.
    """
    _check_share(clip, share)
    lost = rng.random(clip.x.shape[:3]) < share  # (T, M, V); time first, so that padding changes no draw
    lost[:, :, clip.skeleton.center] = False
    return _moved_onto(clip, lost, np.full(len(clip.skeleton), clip.skeleton.center))


def frame_dropout(clip: Clip, rng: np.random.Generator, share: float) -> Clip:
    """Lose every frame but the first with probability `share`; a lost one repeats the last that was seen."""
    _check_share(clip, share)
    lost = rng.random(clip.length) < share
    lost[0] = False
    source = np.arange(len(clip.x))
    source[: clip.length] = np.maximum.accumulate(np.where(lost, 0, np.arange(clip.length)))
    return replace(clip, x=clip.x[source], truth=None if clip.truth is None else clip.truth[source])


def limb_occlusion(clip: Clip, rng: np.random.Generator, share: float) -> Clip:
    """Hide one arm or leg of each person, the same for all, during one run of a `share` of the frames.

    Limb and place of the run are drawn; its joints are reported at the shoulder or hip that they hang from.
    """
    _check_share(clip, share)
    every = limbs(clip.skeleton)
    root, hidden = every[int(rng.integers(len(every)))]
    num_frames = round(share * clip.length)
    start = int(rng.random() * (clip.length - num_frames + 1))
    lost = np.zeros(clip.x.shape[:3], bool)
    lost[start : start + num_frames, :, list(hidden)] = True
    return _moved_onto(clip, lost, np.full(len(clip.skeleton), root))


def view_turn(clip: Clip, rng: np.random.Generator, degrees: float) -> Clip:
    """Turn the scene about the vertical by `degrees`, to a side that is drawn: another place of the camera."""
    return transforms.rotate(clip, degrees if rng.random() < 0.5 else -degrees)


class Corruption(NamedTuple):
    """A way to spoil clips: ``apply(clip, rng, level)``, and five levels in `unit`, mild to severe."""

    apply: Callable[[Clip, np.random.Generator, float], Clip]
    levels: tuple[float, ...]
    unit: str


CORRUPTIONS: Mapping[str, Corruption] = {
    "joint_noise": Corruption(joint_noise, (0.01, 0.02, 0.04, 0.08, 0.16), "m, standard deviation"),
    "joint_dropout": Corruption(joint_dropout, (0.05, 0.1, 0.2, 0.4, 0.6), "share of joints"),
    "frame_dropout": Corruption(frame_dropout, (0.1, 0.3, 0.5, 0.7, 0.9), "share of frames"),
    "limb_occlusion": Corruption(limb_occlusion, (0.2, 0.4, 0.6, 0.8, 1.0), "share of frames"),
    "view_turn": Corruption(view_turn, (15.0, 30.0, 45.0, 60.0, 90.0), "degrees"),
}
"""Levels are a choice of ours; those of Das et al. (2023) are not known."""


class Condition(NamedTuple):
    """One corruption at one of its levels; `step` counts levels from 1."""

    corruption: str
    step: int
    level: float
    unit: str


def conditions(names: str, steps: str) -> list[Condition]:
    """Corruptions and steps from text like ``"joint_noise view_turn"`` and ``"1 3 5"``, each once."""
    chosen = names.replace(",", " ").split()
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(CORRUPTIONS):
        raise ValueError(f"corruptions={names!r}; needed names from {list(CORRUPTIONS)}, each once")
    numbers = steps.replace(",", " ").split()
    if not numbers or len(set(numbers)) < len(numbers) or not set(numbers) <= set("12345"):
        raise ValueError(f"levels={steps!r}; needed numbers from 1 (mild) to 5 (severe), each once, as in '1 3 5'")
    return [
        Condition(name, step, CORRUPTIONS[name].levels[step - 1], CORRUPTIONS[name].unit)
        for name in chosen
        for step in sorted(map(int, numbers))
    ]


def corrupt(clips: ClipSet, name: str, level: float, *, seed: int = 0) -> ClipSet:
    """Spoil every clip of a set.

    Each clip has a generator of its own, from the seed, the corruption and the clip's name: what happens to it does not
    depend on the clips beside it, and the draws are the same at every level.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"no corruption {name!r}; choose one of {list(CORRUPTIONS)}")
    if not np.isfinite(level):
        raise ValueError(f"{name}: level={level}; needed a finite number, in {CORRUPTIONS[name].unit}")
    return clips.map(partial(_spoil, name=name, level=level, seed=seed))


def limbs(skeleton: Skeleton) -> list[tuple[int, tuple[int, ...]]]:
    """Hips and shoulders, and the joints that hang from each, away from the centre and up to the next hip or shoulder.

    Raises
    ------
    ValueError
        The skeleton has no torso joints, or nothing hangs from them.
    """
    found = []
    for root in skeleton.torso or ():
        hidden: set[int] = set()
        while grown := {v for v, p in enumerate(skeleton.parents) if p in hidden | {root}} - hidden - {*skeleton.torso}:
            hidden |= grown
        if hidden:
            found.append((root, tuple(sorted(hidden))))
    if not found:
        raise ValueError(f"skeleton {skeleton.name!r} has no limbs; give torso= joints from which others hang")
    return found


def _spoil(clip: Clip, name: str, level: float, seed: int) -> Clip:
    rng = np.random.default_rng([seed, zlib.crc32(f"{name} {clip.name}".encode())])
    return CORRUPTIONS[name].apply(clip, rng, level)


def _moved_onto(clip: Clip, lost: np.ndarray, targets: np.ndarray) -> Clip:
    """Report joints that are `lost` (T, M, V) at those that `targets` (V,) names; what is lost carries no class."""
    x = np.where(lost[..., None], clip.x[:, :, targets], clip.x)
    return replace(clip, x=x, truth=None if clip.truth is None else clip.truth & ~lost)


def _check_share(clip: Clip, share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"clip {clip.name!r}: share={share}; needed between 0 and 1")
