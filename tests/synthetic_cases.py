"""Performances of the synthetic set that its tests share, and what they are measured by."""

from dataclasses import replace

import numpy as np

from lib import skeletons
from lib.datasets import synthetic

STILL = replace(synthetic.SyntheticConfig(), noise=0.0, dropouts=0.0, tilt=0.0)  # the body as it is, camera level
V = {name: v for v, name in enumerate(skeletons.get("ntu25").joints)}
SIDES = ("left", "right")
ARMS = [name for name in synthetic.CLASSES if name.startswith(("wave", "clap", "drink", "phone", "swipe"))]
ARM_JOINTS = [V[f"{s}_{j}"] for s in SIDES for j in ("elbow", "wrist", "hand", "hand_tip", "thumb")]


def body_axes(frame, torso):
    """Rows: the body's left, up and front."""
    left_hip, right_hip, left_shoulder, right_shoulder = frame[list(torso)]
    left = left_hip + left_shoulder - right_hip - right_shoulder
    left /= np.linalg.norm(left)
    up = left_shoulder + right_shoulder - left_hip - right_hip
    up -= left * (left @ up)
    up /= np.linalg.norm(up)
    return np.stack([left, up, np.cross(left, up)])


def in_body_axes(clip):
    x = clip.x.astype(float) - clip.x[0, 0, 0]
    return x @ body_axes(x[0, 0], clip.skeleton.torso).T


def window(action, config):
    """First and one-past-last frame of the action phase of clip 0 (the same for every action)."""
    frames = np.flatnonzero(synthetic.make(1, actions=("wave_right",), config=config)[0].truth.any(axis=(1, 2)))
    return frames[0], frames[-1] + 1


def same_clip(*actions, config=STILL, num_clips=1, **kwargs):
    """The same performances with one action after another in them."""
    return [synthetic.make(num_clips, actions=(name,), config=config, **kwargs) for name in actions]
