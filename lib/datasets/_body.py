"""Kinematic body on the `ntu25` layout: limb lengths, forward kinematics, two-bone inverse kinematics.

World axes are right-handed, in metres: y up, a body of heading 0 faces +z and has its left at +x. A joint's rotation
turns the bone that *ends* in it, and with it everything beyond; bones are written in the rest pose (upright, limbs
hanging down, toes forward). Rows are frames of any clips and persons, one after another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lib import skeletons

SKELETON = skeletons.get("ntu25")
JOINT = {name: v for v, name in enumerate(SKELETON.joints)}
SIDES = ("left", "right")  # index 0 and 1 of every per-side axis
OUTWARD = np.array([1.0, -1.0])  # x of the body's outside, per side

_FROM_PELVIS = replace(SKELETON, center=JOINT["spine_base"])
PARENTS = _FROM_PELVIS.parents
ORDER = np.argsort(_FROM_PELVIS.hops[_FROM_PELVIS.center], kind="stable").tolist()  # parents first

STANDING = 0.993  # hip to ankle as a share of the stretched leg: locked knees look stiff and leave no room to sway


def beyond(*names: str) -> Bool[np.ndarray, " V"]:
    """Joints that move when the rotations of `names` change: themselves and all that hang on them."""
    moved = np.isin(np.arange(len(SKELETON)), [JOINT[name] for name in names])
    for v in ORDER:
        moved[v] |= moved[PARENTS[v]]
    return moved


class Body(NamedTuple):
    """One person's bones.

    Attributes
    ----------
    offsets
        (V, 3) metres, from each joint's parent to the joint in the rest pose; 0 for the pelvis.
    stature, arm, leg, thigh, shank, ankle
        Metres: height, shoulder to wrist, hip to ankle, hip to knee, knee to ankle, ankle above the floor.
    """

    offsets: np.ndarray
    stature: float
    arm: float
    leg: float
    thigh: float
    shank: float
    ankle: float


def build_body(rng: np.random.Generator) -> Body:
    """Body of random height and proportions, left and right alike."""
    stature = rng.uniform(1.5, 1.95)
    torso, shoulders, hips, upper_arm, forearm, hand, thigh, shank = stature * rng.uniform(0.93, 1.07, size=8)
    bones = {  # shares of the stature as in anthropometric tables, x outward
        "spine_mid": (0, 0.16 * torso, -0.005 * stature),
        "spine_shoulder": (0, 0.13 * torso, 0.005 * stature),
        "neck": (0, 0.045 * stature, 0),
        "head": (0, 0.085 * stature, 0.02 * stature),
        "shoulder": (0.105 * shoulders, -0.012 * stature, 0),
        "elbow": (0, -0.172 * upper_arm, 0),
        "wrist": (0, -0.15 * forearm, 0),
        "hand": (0, -0.045 * hand, 0),
        "thumb": (-0.012 * hand, -0.02 * hand, 0.022 * hand),
        "hand_tip": (0.012 * hand, -0.028 * hand, -0.022 * hand),  # straight on from the hand, by way of the thumb
        "hip": (0.05 * hips, -0.012 * stature, 0),
        "knee": (0, -0.243 * thigh, 0),
        "ankle": (0, -0.235 * shank, 0),
        "foot": (0, -0.035 * stature, 0.075 * stature),
    }
    offsets = np.zeros((len(SKELETON), 3))
    for name, bone in bones.items():
        if name in JOINT:
            offsets[JOINT[name]] = bone
        else:
            for side, outward in zip(SIDES, OUTWARD, strict=True):
                offsets[JOINT[f"{side}_{name}"]] = bone * np.array([outward, 1, 1])
    thigh, shank = 0.243 * thigh, 0.235 * shank
    arm = 0.172 * upper_arm + 0.15 * forearm
    return Body(offsets, stature, arm, thigh + shank, thigh, shank, 0.04 * stature)


class Pose(NamedTuple):
    """What the body does at each row; the axis of size 2 is (left, right). Angles in radians.

    Attributes
    ----------
    ground
        (rows, 3): x, z of the stance in metres and heading.
    sink
        (rows, 2) metres: pelvis down and backwards from standing in the stance.
    trunk, head
        (rows, 3): forward pitch, twist to the left, roll to the right.
    feet
        (rows, 2, 4): ankle x, height above standing, z in metres; heading of the toes.
    kick
        (rows, 2, 4) metres: inward, up, forward from where the foot stood; toes' pitch.
    wrist
        (rows, 2, 3) arm lengths: inward, up, forward from the shoulder, in axes that turn with heading and twist only.
    contact
        (rows, 2, 4): world point in metres for the wrist, and how much of it (0 to 1) replaces `wrist`.
    elbow
        (rows, 2, 2): swing of the elbow outwards, bend of the hand.
    """

    ground: np.ndarray
    sink: np.ndarray
    trunk: np.ndarray
    head: np.ndarray
    feet: np.ndarray
    kick: np.ndarray
    wrist: np.ndarray
    contact: np.ndarray
    elbow: np.ndarray

    @classmethod
    def still(cls, num_rows: int) -> "Pose":
        """Pose of zeros, to be filled."""
        return cls(*(np.zeros((num_rows, *shape)) for shape in _POSE_SHAPES))

    @classmethod
    def concatenate(cls, poses: Sequence["Pose"]) -> "Pose":
        """Rows of one pose after those of another."""
        return cls(*(np.concatenate(parts) for parts in zip(*poses, strict=True)))


_POSE_SHAPES = ((3,), (2,), (3,), (3,), (2, 4), (2, 4), (2, 3), (2, 4), (2, 2))


def turn(axis: int, angle: Float[np.ndarray, " rows"]) -> Float[np.ndarray, "rows 3 3"]:
    """Right-handed rotation matrices about x (0), y (1) or z (2)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, axis, axis] = 1.0
    matrix[:, i, i] = matrix[:, j, j] = np.cos(angle)
    matrix[:, j, i] = np.sin(angle)
    matrix[:, i, j] = -matrix[:, j, i]
    return matrix


def forward_kinematics(
    positions: Float[np.ndarray, "rows V 3"],
    frames: Float[np.ndarray, "rows V 3 3"],
    rotations: Mapping[int, Float[np.ndarray, "rows 3 3"]],
    offsets: Float[np.ndarray, "rows V 3"],
    joints: Sequence[int],
) -> None:
    """Place `joints` (parents first) in `positions` and `frames`, whose rows for their parents are already filled.

    ``frames[v] = frames[parent] rotations[v]``, with no rotation where `rotations` has none, and
    ``positions[v] = positions[parent] + frames[v] offsets[v]``.
    """
    for v in joints:
        parent = PARENTS[v]
        frames[:, v] = frames[:, parent] @ rotations[v] if v in rotations else frames[:, parent]
        positions[:, v] = positions[:, parent] + _apply(frames[:, v], offsets[:, v])


def _apply(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return np.einsum("rij,rj->ri", matrix, vector)


class Bend(NamedTuple):
    """Two-bone solution: (rows, 3, 3) world frame of the upper bone and (rows,) angle of the lower one about its x."""

    frame: np.ndarray
    angle: np.ndarray


def two_bone(
    reach: Float[np.ndarray, "rows 3"],
    pole: Float[np.ndarray, "rows 3"],
    upper: Float[np.ndarray, " rows"],
    lower: Float[np.ndarray, " rows"],
    *,
    sign: int,
) -> Bend:
    """Bend two bones, by the law of cosines, so that their far end lies at `reach` from their near end.

    Parameters
    ----------
    reach
        Wished end in metres; drawn in where the bones are too short, pushed out where the joint would fold above 150°.
    pole
        Direction towards which the middle joint points, any length, not parallel to `reach`.
    upper, lower
        Bone lengths in metres.
    sign
        +1 for a knee (its pole is forward), -1 for an elbow (its pole is backward).
    """
    distance = np.sqrt((reach**2).sum(axis=1))
    along = reach / distance[:, None]
    nearest = np.sqrt(upper**2 + lower**2 - 2 * upper * lower * np.cos(np.pi / 6))
    distance = np.clip(distance, nearest, 0.9999 * (upper + lower))
    side = pole - (pole * along).sum(axis=1, keepdims=True) * along
    side /= np.sqrt((side**2).sum(axis=1, keepdims=True))
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    sine = np.sqrt(1 - cosine**2)
    y = -(cosine[:, None] * along + sine[:, None] * side)  # the rest bone points down
    x = sign * np.cross(side, along)
    flexion = np.pi - np.arccos((upper**2 + lower**2 - distance**2) / (2 * upper * lower))
    return Bend(np.stack([x, y, np.cross(x, y)], axis=-1), sign * flexion)


_TRUNK = [v for v in ORDER[1:] if not beyond(*(f"{s}_{j}" for s in SIDES for j in ("elbow", "knee")))[v]]


def joints_of(pose: Pose, bodies: Sequence[Body], counts: Sequence[int]) -> Float[np.ndarray, "rows V 3"]:
    """World coordinates of all joints in metres, floor at y = 0.

    Parameters
    ----------
    pose
        Rows of all performances.
    bodies, counts
        The body of each performance and its number of rows.
    """
    num_rows = len(pose.ground)
    offsets = np.repeat(np.stack([body.offsets for body in bodies]), counts, axis=0)
    lengths = np.repeat([[b.arm, b.leg, b.thigh, b.shank, b.ankle] for b in bodies], counts, axis=0)
    arm, leg, thigh, shank, ankle = lengths.T
    positions = np.zeros((num_rows, len(SKELETON), 3))
    frames = np.zeros((num_rows, len(SKELETON), 3, 3))

    facing = turn(1, pose.ground[:, 2])
    frames[:, 0] = facing
    hips = [JOINT[f"{side}_hip"] for side in SIDES]
    stance = np.stack([pose.ground[:, 0], np.zeros(num_rows), pose.ground[:, 1]], axis=1)
    # The pelvis stands as high as the foot that is farther away allows. What an action adds (sink, kick) has no say.
    away = [_apply(facing, offsets[:, hips[s]]) + stance - pose.feet[:, s, :3] for s in (0, 1)]
    farthest = np.maximum(*((d[:, 0] ** 2 + d[:, 2] ** 2) for d in away))
    height = np.sqrt((STANDING * leg) ** 2 - farthest) + ankle - offsets[:, hips[0], 1]
    behind = _apply(facing, np.stack([np.zeros(num_rows), np.zeros(num_rows), pose.sink[:, 1]], axis=1))
    positions[:, 0] = stance - behind
    positions[:, 0, 1] = height - pose.sink[:, 0]

    half = pose.trunk / 2  # the back bends in two places
    vertebra = turn(1, half[:, 1]) @ turn(0, half[:, 0]) @ turn(2, -half[:, 2])
    head = turn(1, pose.head[:, 1]) @ turn(0, pose.head[:, 0]) @ turn(2, -pose.head[:, 2])
    rotations = {JOINT["spine_mid"]: vertebra, JOINT["spine_shoulder"]: vertebra, JOINT["head"]: head}
    forward_kinematics(positions, frames, rotations, offsets, _TRUNK)

    chest = turn(1, pose.ground[:, 2] + pose.trunk[:, 1])
    for s, (side, outward) in enumerate(zip(SIDES, OUTWARD, strict=True)):
        inward = np.array([-outward, 1, 1])
        shoulder, elbow, wrist, hand, hip, knee, foot_joint, toes = (
            JOINT[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot")
        )
        reach = _apply(chest, pose.wrist[:, s] * inward) * arm[:, None]
        share = pose.contact[:, s, 3:]
        reach = reach + share * (pose.contact[:, s, :3] - positions[:, shoulder] - reach)
        swing, bend = pose.elbow[:, s].T
        # The elbow points back from a hanging arm, down from one held forward, to the front from a raised one.
        bowed = np.cos(swing)[:, None] * np.cross(chest[:, :, 0], reach / np.sqrt((reach**2).sum(axis=1))[:, None])
        pole = bowed + (outward * np.sin(swing))[:, None] * chest[:, :, 0] - np.array([0.0, 0.3, 0.0])
        upper = two_bone(reach, pole, -offsets[:, elbow, 1], -offsets[:, wrist, 1], sign=-1)
        rotations[elbow] = frames[:, shoulder].transpose(0, 2, 1) @ upper.frame
        rotations[wrist] = turn(0, upper.angle)
        rotations[hand] = turn(0, -bend)

        # A kicking foot leaves the floor where it stood, seen from the body.
        sole = pose.feet[:, s, :3] + _apply(facing, pose.kick[:, s, :3] * inward)
        sole[:, 1] += ankle
        knee_pole = _apply(facing, np.tile([0.15 * outward, 0.0, 1.0], (num_rows, 1)))
        knee_pole[:, 1] += np.maximum(pose.kick[:, s, 1], 0)  # a leg kicked forward points its knee up
        leg_bend = two_bone(sole - positions[:, hip], knee_pole, thigh, shank, sign=1)
        rotations[knee] = frames[:, hip].transpose(0, 2, 1) @ leg_bend.frame
        rotations[foot_joint] = turn(0, leg_bend.angle)
        lower_leg = leg_bend.frame @ rotations[foot_joint]
        sole_frame = turn(1, pose.feet[:, s, 3]) @ turn(0, -pose.kick[:, s, 3])
        rotations[toes] = lower_leg.transpose(0, 2, 1) @ sole_frame
    forward_kinematics(positions, frames, rotations, offsets, [v for v in ORDER[1:] if v not in _TRUNK])
    return positions
