"""What an action is given: a clock, and a performer whose body it moves only through methods that mark the truth."""

from dataclasses import dataclass

import numpy as np

from lib.datasets._body import JOINT, SIDES, Body, Pose, beyond

_ARM = {side: beyond(f"{side}_elbow") for side in SIDES}
_LEG = {side: beyond(f"{side}_knee") for side in SIDES}
_TRUNK = beyond("spine_mid")
_PLANTED = np.isin(np.arange(len(_TRUNK)), [JOINT[f"{side}_{name}"] for side in SIDES for name in ("ankle", "foot")])


def ease(x: np.ndarray) -> np.ndarray:
    """Rise smoothly from 0 at x <= 0 to 1 at x >= 1, with no speed at either end."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


@dataclass(frozen=True)
class Clock:
    """Time as an action sees it.

    Attributes
    ----------
    u
        (T,) share of the action phase that has passed: 0 before it, 1 after it.
    seconds
        Duration of the phase.
    """

    u: np.ndarray
    seconds: float

    def reversed(self) -> "Clock":
        """Clock of the same phase run backwards."""
        return Clock(1.0 - self.u, self.seconds)

    def between(self, start: float, end: float, ramp: float = 0.22) -> np.ndarray:
        """Weight above 0 inside (start, end) only, rising and falling over `ramp`; all in shares of the phase."""
        return ease((self.u - start) / ramp) * ease((end - self.u) / ramp)

    def done(self, start: float, end: float) -> np.ndarray:
        """Progress from 0 up to `start` to 1 from `end` on; it stays there when the phase is over."""
        return ease((self.u - start) / (end - start))

    def beat(self, hertz: float, phase: float) -> np.ndarray:
        """Oscillation between -1 and 1; `phase` in turns."""
        return np.sin(2 * np.pi * (hertz * self.seconds * (self.u - 0.5) + phase))


@dataclass(frozen=True)
class Performer:
    """One person in a clip: pose to be moved, truth to be marked.

    Attributes
    ----------
    pose, truth
        (T, ...) arrays; truth is (T, V).
    body, clock
        Bones and time.
    dials
        Numbers in [0, 1] that vary a performance; every action reads the same ones, so that they tell no class.
    """

    pose: Pose
    truth: np.ndarray
    body: Body
    clock: Clock
    dials: np.ndarray

    def dial(self, index: int, low: float, high: float) -> float:
        """Dial 0 is tempo, 1 amplitude, 2 phase, 3 and up whatever an action varies."""
        return low + (high - low) * float(self.dials[index])

    def _mark(self, weight: np.ndarray, joints: np.ndarray) -> None:
        self.truth[:] |= (weight != 0)[:, None] & joints

    def arm(
        self,
        side: str,
        weight: np.ndarray,
        inward: np.ndarray | float,
        up: np.ndarray | float,
        forward: np.ndarray | float,
        *,
        swing: float = 0.6,
        bend: np.ndarray | float = 0.0,
    ) -> None:
        """Draw the wrist to a point in arm lengths from the shoulder, elbow swung outwards, hand bent (radians)."""
        s = SIDES.index(side)
        goal = np.stack(np.broadcast_arrays(inward, up, forward, weight)[:3], axis=-1)
        self.pose.wrist[:, s] += weight[:, None] * (goal - self.pose.wrist[:, s])
        goal = np.stack(np.broadcast_arrays(swing, bend, weight)[:2], axis=-1)
        self.pose.elbow[:, s] += weight[:, None] * (goal - self.pose.elbow[:, s])
        self._mark(weight, _ARM[side])

    def touch(self, side: str, weight: np.ndarray, point: np.ndarray) -> None:
        """Draw the wrist to a (T, 3) point of the world in metres."""
        s = SIDES.index(side)
        self.pose.contact[:, s] = np.concatenate([point, weight[:, None]], axis=1)
        self._mark(weight, _ARM[side])

    def lean(self, weight: np.ndarray, pitch: float) -> None:
        """Bend the trunk forward by `pitch` radians on top of the posture."""
        self.pose.trunk[:, 0] += weight * pitch
        self._mark(weight, _TRUNK)

    def sink(self, weight: np.ndarray, down: float, back: float) -> None:
        """Lower the pelvis and move it back, in metres; the feet stay planted and the knees give way."""
        self.pose.sink[:] += weight[:, None] * np.array([down, back])
        self._mark(weight, ~_PLANTED)

    def kick(self, side: str, up: np.ndarray, forward: np.ndarray, toes: np.ndarray) -> None:
        """Move a foot from where it stands, in leg lengths; toes' pitch in radians."""
        s = SIDES.index(side)
        move = np.stack([np.zeros_like(up), self.body.leg * up, self.body.leg * forward, toes], axis=1)
        self.pose.kick[:, s] = move
        self._mark(np.abs(move).max(axis=1), _LEG[side])

    @property
    def floor(self) -> np.ndarray:
        """(T, 3) point of the floor under the stance."""
        x, z, _ = self.pose.ground.T
        return np.stack([x, np.zeros_like(x), z], axis=1)

    def ahead(self, left: float, forward: float) -> np.ndarray:
        """(T, 3) metres in the world for a step to the body's left and forward."""
        heading = self.pose.ground[:, 2]
        sine, cosine = np.sin(heading), np.cos(heading)
        return np.stack([left * cosine + forward * sine, np.zeros_like(sine), forward * cosine - left * sine], axis=1)
