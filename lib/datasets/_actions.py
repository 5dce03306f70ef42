"""The twenty actions of the synthetic set.

An action is written once, for the right side and one direction of time; its mirror and its reversal are the same
function with the other side or a clock that runs backwards. An action moves a `Performer` only through methods that
also mark the joints and frames moved, so the truth cannot disagree with the motion.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lib.datasets._body import JOINT, SIDES, STANDING
from lib.datasets._performer import Performer, ease

FAST, SLOW = (2.0, 2.8), (0.7, 1.0)  # hertz; apart, whatever the tempo


def _wave(p: Performer, side: str, rhythm: tuple[float, float]) -> None:
    swings = p.clock.beat(p.dial(0, *rhythm), p.dial(2, 0, 1))
    reach = p.dial(1, 0.2, 0.36)
    p.arm(
        side,
        p.clock.between(0, 1),
        -p.dial(3, 0.25, 0.5) + reach * swings,
        p.dial(4, 0.2, 0.45) - 0.25 * reach * swings**2,
        p.dial(5, 0.3, 0.5),
        swing=p.dial(3, 0.6, 1.1),
        bend=0.2,
    )


def _clap(p: Performer, rhythm: tuple[float, float]) -> None:
    swings = p.clock.beat(p.dial(0, *rhythm), p.dial(2, 0, 1))
    shoulder = abs(p.body.offsets[JOINT["left_shoulder"], 0]) / p.body.arm  # arm lengths from the middle of the body
    apart = 0.06 + p.dial(1, 0.16, 0.3) * (1 + swings)
    for side in SIDES:
        p.arm(side, p.clock.between(0, 1), shoulder - apart, -p.dial(4, 0.1, 0.4), p.dial(5, 0.5, 0.65), swing=0.9)


def _to_head(p: Performer, side: str, inward: float, up: float, forward: float, bend: float, swing: float) -> None:
    sips = 0.03 * p.clock.beat(p.dial(0, 0.5, 1.2), p.dial(2, 0, 1))
    p.arm(
        side,
        p.clock.between(0, 1, 0.3),
        inward + p.dial(3, -0.05, 0.05),
        up + sips + p.dial(4, -0.04, 0.04),
        forward + p.dial(5, -0.04, 0.04),
        swing=swing + p.dial(1, -0.2, 0.2),
        bend=bend,
    )


def _drink(p: Performer, side: str) -> None:
    _to_head(p, side, 0.2, 0.19, 0.42, 0.4, 0.5)


def _phone(p: Performer, side: str) -> None:
    _to_head(p, side, -0.02, 0.23, 0.21, 0.2, 0.9)


def _swipe(p: Performer, side: str) -> None:
    across = p.clock.done(0.25, 0.75)
    reach = p.dial(1, 0.75, 1.0)
    p.arm(
        side,
        p.clock.between(0, 1),
        reach * (-0.72 + 1.2 * across),
        p.dial(4, -0.15, 0.15),
        p.dial(5, 0.55, 0.7) + 0.15 * np.sin(np.pi * across),
        swing=0.9,
    )


def _kick(p: Performer, side: str) -> None:
    u = p.clock.u
    strike = ease((u - 0.3) / 0.25) * ease((1 - u) / 0.35)
    windup = p.clock.between(0, 0.5)
    height = p.dial(1, 0.28, 0.6)
    p.kick(
        side,
        height * strike + 0.14 * windup,
        p.dial(3, 0.68, 0.85) * strike - 0.18 * windup,
        0.9 * strike - 0.6 * windup,
    )


def _sit(p: Performer) -> None:
    down = p.clock.done(0, 1)
    seat = p.body.shank * p.dial(3, 0.95, 1.15)  # hip joint above the ankle
    p.sink(down, STANDING * p.body.leg - seat, p.body.thigh * p.dial(5, 0.75, 0.9))
    p.lean(p.clock.between(0, 1, 0.5), p.dial(1, 0.45, 0.75))


def _pick(p: Performer) -> None:
    stoop = p.clock.between(0, 1, 0.45)
    carry = p.clock.done(0.55, 0.95)
    p.sink(stoop, p.body.leg * p.dial(3, 0.18, 0.4), p.body.leg * 0.25)
    p.lean(stoop, p.dial(4, 1.1, 1.45))
    p.arm("right", carry, 0.15, -0.5, p.dial(5, 0.5, 0.65), swing=0.4)
    point = p.floor + p.ahead(-0.5 * p.body.arm * p.dial(2, 0, 0.6), p.body.arm * p.dial(1, 0.5, 0.8))
    point[:, 1] = p.dial(5, 0.12, 0.3)
    p.touch("right", stoop, point)


def _meeting(p: Performer, q: Performer) -> np.ndarray:
    """(T, 3) point half way between two people, at the height of a hand given."""
    point = (p.floor + q.floor) / 2
    point[:, 1] = 0.29 * (p.body.stature + q.body.stature) + p.dial(4, -0.06, 0.08)
    return point


def _short_of(p: Performer, point: np.ndarray) -> np.ndarray:
    """`point` drawn towards a person by the hand, so that hands meet there and not wrists."""
    way = p.floor - point
    way[:, 1] = 0
    return point + 0.08 * way / np.sqrt((way**2).sum(axis=1, keepdims=True))


def _handshake(p: Performer, q: Performer) -> None:
    point = _meeting(p, q)
    point[:, 1] += p.dial(1, 0.045, 0.09) * p.clock.beat(p.dial(0, *FAST), p.dial(2, 0, 1))
    for one in (p, q):
        one.touch("right", p.clock.between(0, 1, 0.28), _short_of(one, point))


def _hand_over(p: Performer, q: Performer) -> None:
    point = _meeting(p, q)
    p.touch("right", p.clock.between(0, 0.72, 0.24), _short_of(p, point))
    q.touch("right", p.clock.between(0.22, 1, 0.24), _short_of(q, point))


def _recoil(p: Performer, q: Performer) -> None:
    q.lean(p.clock.between(0.42, 0.97, 0.2), -p.dial(3, 0.25, 0.45))


def _punch(p: Performer, q: Performer) -> None:
    strike = p.clock.between(0.28, 0.68, 0.17)
    p.arm("right", p.clock.between(0, 1), 0.1 + 0.15 * strike, -0.25 + 0.35 * strike, 0.35 + 0.6 * strike, swing=0.7)
    _recoil(p, q)


def _push(p: Performer, q: Performer) -> None:
    strike = p.clock.between(0.28, 0.68, 0.17)
    for side in SIDES:
        p.arm(side, p.clock.between(0, 1), 0.05, -0.25 + 0.1 * strike, 0.35 + 0.55 * strike, swing=0.7, bend=-0.8)
    _recoil(p, q)


@dataclass(frozen=True)
class Action:
    """What a class does: `play` takes one performer, or the actor and the partner when there are two persons."""

    play: Callable[..., None]
    options: tuple = ()
    persons: int = 1
    backwards: bool = False

    def perform(self, performers: list[Performer]) -> None:
        """Move the performers, the actor first, and mark what moved."""
        if self.backwards:
            performers = [replace(p, clock=p.clock.reversed()) for p in performers]
        self.play(*performers, *self.options)


ACTIONS: dict[str, Action] = {
    "wave_right": Action(_wave, ("right", FAST)),
    "wave_left": Action(_wave, ("left", FAST)),
    "wave_slowly_right": Action(_wave, ("right", SLOW)),
    "clap": Action(_clap, (FAST,)),
    "clap_slowly": Action(_clap, (SLOW,)),
    "drink_right": Action(_drink, ("right",)),
    "drink_left": Action(_drink, ("left",)),
    "phone_right": Action(_phone, ("right",)),
    "swipe_inward_right": Action(_swipe, ("right",)),
    "swipe_outward_right": Action(_swipe, ("right",), backwards=True),
    "kick_right": Action(_kick, ("right",)),
    "kick_left": Action(_kick, ("left",)),
    "sit_down": Action(_sit),
    "stand_up": Action(_sit, backwards=True),
    "pick_up": Action(_pick),
    "put_down": Action(_pick, backwards=True),
    "handshake": Action(_handshake, persons=2),
    "hand_over": Action(_hand_over, persons=2),
    "punch": Action(_punch, persons=2),
    "push": Action(_push, persons=2),
}

FAMILIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "same joints, another rhythm": (("wave_right", "wave_slowly_right"), ("clap", "clap_slowly")),
    "same joints, another place": (("wave_right", "drink_right", "phone_right"), ("handshake", "hand_over")),
    "same rhythm, other joints": (("wave_right", "wave_left", "clap"), ("punch", "push")),
    "mirrored": (("wave_left", "wave_right"), ("drink_left", "drink_right"), ("kick_left", "kick_right")),
    "reversed": (("sit_down", "stand_up"), ("pick_up", "put_down"), ("swipe_inward_right", "swipe_outward_right")),
    "two persons": (("handshake", "hand_over", "punch", "push"),),
}
