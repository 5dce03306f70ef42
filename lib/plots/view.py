"""From a clip to a picture plane: the view, left and right, and who is there.

Where the picture looks from. Three-dimensional clips follow the Kinect: x to the sensor's left, y up, z away from the
sensor. The default view is the sensor's own, so a person who faces the sensor has the left hand on the right of the
picture, as in a photograph. `azimuth` walks the viewer around the person to the viewer's right (90: seen from the
side) and `elevation` lifts the viewer, both in degrees; the projection is orthographic, so lengths across the view
are true. Two-dimensional clips are drawn as they are. ``y_down=True`` says that y grows downwards and x to the right,
as in images (2-D) and in camera coordinates (3-D).

Persons whose coordinates are all zero, and joints that are not finite, are not drawn.
"""

import numpy as np
from jaxtyping import Num

from lib.skeletons import Skeleton


def project(
    x: Num[np.ndarray, "*any C"], *, azimuth: float | int = 0.0, elevation: float | int = 0.0, y_down: bool = False
) -> Num[np.ndarray, "*any 2"]:
    """Coordinates as a viewer sees them: to the right, and up.

    Parameters
    ----------
    x
        C = 2, or C = 3 in the Kinect's axes.
    azimuth, elevation
        Degrees, for C = 3 only; see the module's text.
    y_down
        y grows downwards and x to the right.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.shape[-1] == 2:
        return x * (1.0, -1.0) if y_down else x.copy()
    if x.shape[-1] != 3:
        raise ValueError(f"C={x.shape[-1]} channels; needed 2 or 3 coordinates (leave confidences out)")
    if y_down:
        x = x * (-1.0, -1.0, 1.0)  # camera axes to Kinect axes, a half turn about z
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    right = np.array([-np.cos(a), 0.0, np.sin(a)])
    up = np.array([np.sin(e) * np.sin(a), np.cos(e), np.sin(e) * np.cos(a)])
    return np.stack([x @ right, x @ up], axis=-1)


def joint_sides(skeleton: Skeleton) -> tuple[str, ...]:
    """``"left"``, ``"right"`` or ``"center"`` for each of the V joints."""
    sides = ["center"] * len(skeleton)
    for left, right in skeleton.left_right:
        sides[left], sides[right] = "left", "right"
    return tuple(sides)


def bone_sides(skeleton: Skeleton) -> tuple[str, ...]:
    """Side of each edge: that of its joints; a bone from one side to the other belongs to the centre."""
    joints = joint_sides(skeleton)
    ends = ({joints[a], joints[b]} - {"center"} for a, b in skeleton.edges)
    return tuple(end.pop() if len(end) == 1 else "center" for end in ends)


def head_joint(skeleton: Skeleton) -> int | None:
    """Index of the joint drawn as a head: "head", or "nose" in layouts of the face; None without either."""
    return next((skeleton.joints.index(name) for name in ("head", "nose") if name in skeleton.joints), None)


def as_clip(x: np.ndarray, skeleton: Skeleton, *, dims: int = 4) -> np.ndarray:
    """(T, M, V, C) or, with `dims` 3, (M, V, C) view of an array that may lack the person axis."""
    letters = "T, M, V, C" if dims == 4 else "M, V, C"
    if x.ndim == dims - 1:
        x = x[..., None, :, :]
    if x.ndim != dims or x.shape[-2] != len(skeleton) or 0 in x.shape:
        raise ValueError(
            f"shape {x.shape}; needed ({letters}), M may be left out, with V={len(skeleton)} "
            f"joints of {skeleton.name!r} and no empty axis"
        )
    return x


def per_joint(name: str, values: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """`values` per joint broadcast over persons: for a clip (T, V) or (T, M, V), for a frame (V,) or (M, V)."""
    if values is None:
        return None
    values = np.asarray(values)
    full = values[..., None, :] if values.ndim == len(shape) - 1 else values
    if full.ndim != len(shape) or any(n not in (1, m) for n, m in zip(full.shape, shape, strict=True)):
        without = shape[:-2] + shape[-1:]
        raise ValueError(f"{name}: shape {values.shape}; needed {shape}, or {without} for all persons alike")
    if full.shape[:-2] + full.shape[-1:] != shape[:-2] + shape[-1:]:
        raise ValueError(f"{name}: shape {values.shape}; needed {shape} (resample it to the clip's frames and joints)")
    return np.broadcast_to(full, shape)


def visible(x: np.ndarray) -> np.ndarray:
    """Joints to draw, a bool array of the shape of x without C: finite, and of a person who is not all zero."""
    finite = np.isfinite(x).all(axis=-1)
    seen = (np.where(np.isfinite(x), x, 0.0) != 0).any(axis=(-1, -2))
    return finite & seen[..., None]


def unit_name(units: str | None, channels: int) -> str:
    """`units`, or metres for three coordinates; what two coordinates count is for the data to say."""
    return units if units is not None else "m" if channels == 3 else "units of the data"
