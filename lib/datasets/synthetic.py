"""`synthetic`: twenty actions of a kinematic body before a Kinect-like sensor, their decisive joints and frames known.

Each clip is a performance that no class has a say in (who, which view, how long, when the action starts, how the person
sways, steps, turns and gestures meanwhile, how the sensor fails) plus one action that moves some joints for a while.

Truth: joint v of person m is True at frame t when the action displaces it there, noise apart, from where the same
performance without the action would have it. Parents drag children: a turned upper arm marks elbow to finger tips, a
bent trunk marks head and both arms, a sinking pelvis everything but the planted ankles and feet. A pose that lasts
(seated, carrying) stays marked to the end of the clip, or from its start. Hence, outside the truth, clips of all
classes with the same number of persons have the same distribution; two classes drawn for one seed and position even
have the same coordinates there, noise included.
"""

from collections.abc import Sequence

import numpy as np

from lib.clips import ClipSet
from lib.datasets._actions import ACTIONS, FAMILIES
from lib.datasets._body import SKELETON, Pose, joints_of
from lib.datasets._scene import FPS, VIEWS, Scene, SyntheticConfig, build_subject, stream

__all__ = ["CLASSES", "FAMILIES", "NUM_SUBJECTS", "QUIET", "SyntheticConfig", "make"]

CLASSES = tuple(ACTIONS)
NUM_SUBJECTS = 20
QUIET = SyntheticConfig(noise=0.0, dropouts=0.0, distractors=0.0, sway=0.0, heading=0.0, jitter=0.0, tilt=0.0)
"""The action alone: every other joint rests, every person and camera faces the other."""

_SPLITS = {None: ((0, 1), range(len(VIEWS))), "train": ((1,), (0, 1)), "test": ((0,), (2,))}  # parities, views
_CHUNK = 48  # clips posed at once: large enough for NumPy, small enough for the cache


def make(
    num_clips: int = 1000,
    *,
    seed: int = 0,
    split: str | None = None,
    actions: Sequence[str] = CLASSES,
    config: SyntheticConfig | None = None,
) -> ClipSet:
    """Draw clips; clip i depends on `seed`, `split`, `config` and its label, but not on `num_clips`.

    Parameters
    ----------
    num_clips
        Number of clips; a smaller set is the beginning of a larger one.
    seed
        Clips and subjects. Subject k is the same person in every split of one seed.
    split
        ``"train"``: odd subjects in views 0 and 1; ``"test"``: even subjects in view 2, so that neither the person nor
        the view was seen; None: every subject in every view. The three never share a clip. The partner in a two-person
        clip is of the same parity as the subject.
    actions
        Classes to draw, in the order of their labels; each run of ``len(actions)`` clips holds every class once.
    config
        Noise, distractors, ranges; SyntheticConfig() when None.

    Returns
    -------
    Clips on `ntu25` in camera coordinates: metres, y up, z away from the camera, 30 fps. `subjects` names the actor,
    `views` the camera, `truth` the joints and frames that carry the class (see the module).
    """
    config = config or SyntheticConfig()
    if split not in _SPLITS:
        raise ValueError(f"split={split!r}; choose None, 'train' or 'test'")
    unknown = [name for name in actions if name not in ACTIONS]
    if unknown or len(actions) == 0 or len(set(actions)) < len(actions):
        raise ValueError(f"actions={tuple(actions)}; choose at least one of {CLASSES}, each once")
    if num_clips < 1 or seed < 0:
        raise ValueError(f"num_clips={num_clips}, seed={seed}; needed at least one clip and a seed of at least 0")
    subjects = [build_subject(stream(seed, 0, k)) for k in range(NUM_SUBJECTS)]
    number = list(_SPLITS).index(split)
    parities, views = _SPLITS[split]
    pool = [k for k in range(NUM_SUBJECTS) if k % 2 in parities]
    blocks = range(-(-num_clips // len(actions)))
    labels = np.concatenate([stream(seed, 1, number, b).permutation(len(actions)) for b in blocks])[:num_clips]

    arrays, truths, who, seen = [], [], [], []
    for start in range(0, num_clips, _CHUNK):
        scenes = [
            Scene(seed, (number, i), ACTIONS[actions[labels[i]]], subjects, pool, views, config)
            for i in range(start, min(start + _CHUNK, num_clips))
        ]
        people = [person for scene in scenes for person in scene.people]
        counts = [len(person.truth) for person in people]
        world = joints_of(Pose.concatenate([p.pose for p in people]), [p.body for p in people], counts)
        rows = iter(np.split(world, np.cumsum(counts)[:-1]))
        for scene in scenes:
            sensed = [scene.sense(m, next(rows)) for m in range(len(scene.people))]
            arrays.append(np.stack([sensed[m].x for m in scene.slots], axis=1))  # (T, M, V, 3)
            truths.append(np.stack([sensed[m].truth for m in scene.slots], axis=1))
            who.append(scene.subject)
            seen.append(scene.view)
    return ClipSet.from_arrays(
        arrays,
        labels,
        SKELETON,
        names=[f"synthetic_{split or 'all'}_{seed}_{i:05d}" for i in range(num_clips)],
        class_names=actions,
        subjects=who,
        views=seen,
        truth=truths,
        fps=FPS,
        dataset="synthetic",
    )
