"""Exponential maps of a skeleton's bones: to rotations, without their jump at pi, and to joint positions.

An exponential map is a rotation as its axis times its angle in radians (Grassia 1998).
"""

import numpy as np
from jaxtyping import Float, Int

_TURN = 2 * np.pi


def rotations(expmaps: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3 3"]:
    """Matrices R of exponential maps, for columns: ``R @ v`` turns v counter-clockwise seen from the axis' tip.

    Rodrigues' formula with sin(t)/t and (1 - cos(t))/t² as sinc, so that zero gives the identity exactly and nothing
    is divided by an angle. A map longer than 2 pi is as good as any other.
    """
    x, y, z = np.moveaxis(np.asarray(expmaps, dtype=np.float64), -1, 0)
    angle = np.sqrt(x * x + y * y + z * z)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    first = np.sinc(angle / np.pi)[..., None, None]  # np.sinc(a) is sin(pi a) / (pi a)
    second = np.square(np.sinc(angle / _TURN))[..., None, None] / 2  # (1 - cos t) / t² = sinc(t / 2)² / 2
    return np.eye(3) + first * cross + second * (cross @ cross)


def continued(expmaps: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    """Return the same rotations over time, each written with the turns that bring it closest to the frame before.

    A map kept within pi jumps by a whole turn when a body turns around. The first frame stays as it is.
    """
    result = np.array(expmaps, dtype=np.float64)
    for t in range(1, len(result)):  # in order: each frame refers to the one before
        angle = np.linalg.norm(result[t])
        along = result[t] if angle > 0 else result[t - 1]  # no rotation is whole turns about any axis
        if length := np.linalg.norm(along):
            axis = along / length
            result[t] = axis * (angle + _TURN * np.round((axis @ result[t - 1] - angle) / _TURN))
    return result


def chain(
    root: Float[np.ndarray, "T 3"],
    rotations: Float[np.ndarray, "T V 3 3"],
    offsets: Float[np.ndarray, "V 3"],
    parents: Int[np.ndarray, " V"],
) -> Float[np.ndarray, "T V 3"]:
    """Joint positions by forward kinematics.

    Parameters
    ----------
    root
        Position of joint 0.
    rotations
        Of each bone against its parent, for columns; joint 0 against the world.
    offsets
        From a joint's parent to the joint where all rotations are the identity; row 0 is not used. A bone ends in its
        joint and turns with it, as in Acclaim's skeletons; in those of BVH a joint turns the bones that start there.
    parents
        Of each joint, before it in order; joint 0 is the root.

    Raises
    ------
    ValueError
        A joint stands before its parent.
    """
    late = np.flatnonzero(parents[1:] > np.arange(len(parents) - 1)) + 1
    if late.size:
        raise ValueError(f"joint {late[0]} stands before its parent {parents[late[0]]}; needed parents first")
    positions = np.empty((*rotations.shape[:2], 3))
    world = np.empty_like(rotations)
    positions[:, 0], world[:, 0] = root, rotations[:, 0]
    for v in range(1, len(parents)):
        world[:, v] = world[:, parents[v]] @ rotations[:, v]
        positions[:, v] = positions[:, parents[v]] + world[:, v] @ offsets[v]
    return positions
