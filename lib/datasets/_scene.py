"""One synthetic clip before and behind the sensor: who performs, what happens besides the action, what is measured.

Nothing here knows the class: a scene draws everything from streams that belong to the clip's position, then lets the
action move the performers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lib.datasets._actions import Action
from lib.datasets._body import JOINT, SIDES, SKELETON, Body, Pose, build_body, turn
from lib.datasets._performer import Clock, Performer, ease

FPS = 30.0
VIEWS = np.deg2rad([0.0, 45.0, -45.0])  # camera azimuth

# Amplitudes of idle swaying: stance x, z (metres); trunk and head pitch, twist, roll (radians); wrists (arm lengths).
_SWAY = np.array([0.008, 0.008, 0.012, 0.02, 0.008, 0.03, 0.05, 0.02, *([0.025, 0.01, 0.04] * 2)])
_HANGING = np.array([-0.12, -0.972, 0.08])  # wrist at rest, arm lengths inward, up, forward of the shoulder
_GESTURES = np.array([[-0.55, -0.8, 0.1], [0.5, 0.0, 0.75]])  # where distracting hands go: below the shoulders
_TRUNK_LIMIT = np.array([0.12, 0.3, 0.07])  # radians
_HEAD_LIMIT = np.array([0.3, 0.7, 0.15])
_STEP_LIMIT = np.array([0.2, 0.2, np.deg2rad(35)])  # metres, metres, radians
_FAR = np.isin(
    np.arange(len(SKELETON)),
    [JOINT[f"{side}_{name}"] for side in SIDES for name in ("wrist", "hand", "hand_tip", "thumb", "ankle", "foot")],
)


@dataclass(frozen=True)
class SyntheticConfig:
    """How much stands between an action and its recognition.

    Attributes
    ----------
    noise
        Metres, standard deviation of a trunk joint per axis; hands and feet have 1.6 times as much.
    dropouts
        Expected failures per person and clip: a joint freezes, or jumps, for 4 to 20 frames.
    distractors
        Scale of arm gestures, steps, turns, leaning and head movements that carry no class; 1 is the default set.
    sway
        Scale of idle swaying and breathing.
    heading, jitter, tilt
        Degrees: largest turn of a person from facing the camera (of a pair from standing side by side in its view), of
        the camera from its view's azimuth, and of the camera up or down.
    action_frames, idle_frames
        Shortest and longest action phase, and idle lead-in or lead-out, in frames at 30 fps.
    """

    noise: float = 0.01
    dropouts: float = 1.0
    distractors: float = 1.0
    sway: float = 1.0
    heading: float = 30.0
    jitter: float = 8.0
    tilt: float = 6.0
    action_frames: tuple[int, int] = (24, 60)
    idle_frames: tuple[int, int] = (3, 30)

    def __post_init__(self):
        for field in ("noise", "dropouts", "distractors", "sway", "heading", "jitter", "tilt"):
            value = getattr(self, field)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{field}={value}, needed a number of at least 0")
        if self.distractors > 2 or self.sway > 3:  # beyond, the legs no longer reach the floor
            raise ValueError(f"distractors={self.distractors}, sway={self.sway}; needed at most 2 and 3")
        for field, least in (("action_frames", 12), ("idle_frames", 1)):
            low, high = getattr(self, field)
            if not least <= low <= high:
                raise ValueError(
                    f"{field}={(low, high)}, needed (shortest, longest) with {least} <= shortest <= longest"
                )


class Subject(NamedTuple):
    """A person: bones, habits (tempo and amplitude in [0, 1]), posture (radians: stoop, head, elbows outwards)."""

    body: Body
    habits: np.ndarray
    posture: np.ndarray


class Sensed(NamedTuple):
    """What the sensor reports of one person: (T, V, 3) metres and (T, V) truth."""

    x: Float[np.ndarray, "T V 3"]
    truth: Bool[np.ndarray, "T V"]


def stream(seed: int, *key: int) -> np.random.Generator:
    """Random numbers of their own for every purpose, clip and person."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def build_subject(rng: np.random.Generator) -> Subject:
    """Draw a person."""
    return Subject(build_body(rng), rng.random(2), rng.uniform([-0.05, -0.1, 0.2], [0.12, 0.15, 0.6]))


class Scene:
    """A clip's people, camera and sensor.

    Parameters
    ----------
    seed, key
        Stream of the clip.
    action
        What happens; it decides the number of persons and nothing else that is drawn.
    subjects, pool
        Everybody, and those who may appear.
    views
        Indices into VIEWS to choose from.
    """

    def __init__(
        self,
        seed: int,
        key: tuple[int, ...],
        action: Action,
        subjects: Sequence[Subject],
        pool: Sequence[int],
        views: Sequence[int],
        config: SyntheticConfig,
    ):
        rng = stream(seed, 2, *key)
        self.config = config
        self.subject = int(pool[rng.integers(len(pool))])
        # Partners share the subject's parity, so that a split by `subjects` keeps everybody on one side.
        partners = [k for k in pool if k % 2 == self.subject % 2 and k != self.subject]
        cast = [subjects[self.subject], subjects[partners[rng.integers(len(partners))]]]
        self.view = int(views[rng.integers(len(views))])
        lead, out = (int(n) for n in rng.integers(config.idle_frames[0], config.idle_frames[1] + 1, size=2))
        frames = int(rng.integers(config.action_frames[0], config.action_frames[1] + 1))
        dials = rng.random(6)
        self.slots = rng.permutation(2)[: action.persons].argsort()  # the sensor lists the actor first or second
        signed = rng.uniform(-1, 1, size=4)
        azimuth, tilt = VIEWS[self.view] + np.deg2rad(config.jitter) * signed[0], np.deg2rad(config.tilt) * signed[1]
        self.camera = (turn(0, np.array([tilt])) @ turn(1, np.array([np.pi + azimuth])))[0]
        self.height = rng.uniform(0.9, 1.3)  # metres
        self.place = np.array([0.4 * signed[2], 0.0, rng.uniform(2.4, 3.6)])
        heading = np.deg2rad(config.heading) * signed[3]
        gap, side = rng.uniform(0.66, 0.85), rng.choice([-0.5, 0.5])

        clock = Clock(np.clip((np.arange(lead + frames + out) - lead + 0.5) / frames, 0.0, 1.0), frames / FPS)
        self.people: list[Performer] = []
        self._noise = []
        for m in range(action.persons):
            own = stream(seed, 3, *key, m)
            origin, roam = np.array([0.0, 0.0, heading]), 1.0
            if action.persons == 2:  # face to face, seen from the side, without room for large steps
                facing = heading + side * np.pi + m * np.pi
                origin, roam = np.array([-np.sin(facing) * gap / 2, -np.cos(facing) * gap / 2, facing]), 0.25
            pose = idle(own, cast[m], origin, phases=(lead, frames, out), roam=roam, config=config)
            truth = np.zeros((lead + frames + out, len(SKELETON)), dtype=bool)
            varied = np.concatenate([(dials[:2] + cast[m].habits) / 2, dials[2:]])
            self.people.append(Performer(pose, truth, cast[m].body, clock, varied))
            self._noise.append(own)
        action.perform(self.people)

    def sense(self, m: int, world: Float[np.ndarray, "T V 3"]) -> Sensed:
        """Person m in camera axes with noise and failures, rounded to 0.1 mm.

        Rounding hides the last bits, in which mathematical libraries differ. A frozen joint shows the frame at which it
        froze, so it also has that frame's truth.
        """
        rng, truth = self._noise[m], self.people[m].truth.copy()
        x = (world - np.array([0.0, self.height, 0.0])) @ self.camera.T + self.place
        x += self.config.noise * np.where(_FAR, 1.6, 1.0)[:, None] * rng.standard_normal(x.shape)
        for _ in range(rng.poisson(self.config.dropouts)):
            joint, start, freezes = rng.integers(len(SKELETON)), rng.integers(len(x)), rng.random() < 0.6
            span = slice(start, start + rng.integers(4, 21))
            jump = 0.15 * rng.standard_normal(3)  # metres
            if freezes:
                x[span, joint], truth[span, joint] = x[start, joint], truth[start, joint]
            else:
                x[span, joint] += jump
        return Sensed(np.round(x, 4), truth)


def idle(
    rng: np.random.Generator,
    person: Subject,
    origin: Float[np.ndarray, "3"],
    *,
    phases: tuple[int, int, int],
    roam: float,
    config: SyntheticConfig,
) -> Pose:
    """Standing, swaying, breathing, stepping, turning and gesturing, as if there were no action.

    Parameters
    ----------
    origin
        x, z in metres and heading of the first stance.
    phases
        Frames before, during and after the action; steps keep to the first and the last.
    roam
        Scale of steps and turns, besides `config.distractors`.
    """
    num_frames = sum(phases)
    t = np.arange(num_frames)
    pose = Pose.still(num_frames)

    hertz, phase = rng.uniform(0.1, 0.7, size=(14, 2)), rng.random((14, 2))
    drift = np.sin(2 * np.pi * (t[:, None, None] / FPS * hertz + phase)).sum(axis=2) * _SWAY * config.sway

    moves = rng.uniform(-1, 1, size=(2, 3)) * _STEP_LIMIT * config.distractors * roam
    happens, first = rng.random(2) < 0.7, rng.integers(2, size=2)
    pose.ground[:], here = origin, origin
    feet = np.tile(_stand(person.body, here), (num_frames, 1, 1))  # (T, 2, 3)
    for i, (start, span) in enumerate(((0, phases[0]), (phases[0] + phases[1], phases[2]))):
        if not happens[i] or span < 12:  # too short for two steps
            continue
        there = here + moves[i]
        share = (t - start + 0.5) / span
        one_then_other = ease(np.stack([2 * share, 2 * share - 1], axis=1))
        steps = one_then_other[:, [first[i], 1 - first[i]]]  # (T, 2)
        pose.ground[:] += ease(share)[:, None] * moves[i]
        feet += steps[:, :, None] * (_stand(person.body, there) - _stand(person.body, here))
        pose.feet[:, :, 1] += 0.2 * steps * (1 - steps) * min(1.0, config.distractors)  # lifted by 5 cm
        here = there
    pose.ground[:, :2] += drift[:, :2]
    pose.feet[:, :, [0, 2, 3]] = feet

    # Movements towards something and back at any time: two of trunk and head, three of each arm, some left out.
    center, half = rng.random(10) * num_frames, rng.uniform(8, 30, size=10)
    bumps = ease(1 - np.abs(t[:, None] - center) / half) * (rng.random(10) < 0.5)  # (T, 10)
    aims = rng.uniform(-1, 1, size=(10, 3))
    loud = config.distractors
    pose.trunk[:] = drift[:, 2:5] + loud * (bumps[:, 0:2] @ (aims[0:2] * _TRUNK_LIMIT))
    pose.trunk[:, 0] += person.posture[0]
    pose.head[:] = drift[:, 5:8] + loud * (bumps[:, 2:4] @ (aims[2:4] * _HEAD_LIMIT))
    pose.head[:, 0] += person.posture[1]
    pose.wrist[:] = _HANGING + drift[:, 8:].reshape(num_frames, 2, 3)
    pose.elbow[:] = np.array([person.posture[2], 0.1])
    for k in range(4, 10):
        s, goal = k % 2, _GESTURES[0] + (aims[k] + 1) / 2 * (_GESTURES[1] - _GESTURES[0])
        pose.wrist[:, s] += min(1.0, loud) * bumps[:, k, None] * (goal - pose.wrist[:, s])
    return pose


def _stand(body: Body, stance: Float[np.ndarray, "3"]) -> Float[np.ndarray, "2 3"]:
    """x, z and heading of both feet, a little wider than the hips and toes turned out."""
    outward = 1.25 * np.stack([body.offsets[JOINT[f"{side}_hip"], 0] for side in SIDES])
    x, z, heading = stance
    return np.stack(
        [x + outward * np.cos(heading), z - outward * np.sin(heading), heading + 0.15 * np.sign(outward)], axis=1
    )
