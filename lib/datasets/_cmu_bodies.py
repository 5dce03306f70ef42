"""Bones and axes of the CMU bodies whose motion the archives hold as angles alone.

All are facts about CMU's skeleton files (ASF, mocap.cs.cmu.edu), taken from where they are public:

- Offsets of the actions' body: ``_some_variables`` in the forward kinematics that come with these files (Li et al.
  2018; Mao et al. 2019; Su & Shlizerman 2020), 38 nodes, seven of them ends without angles.
- Offsets of subject 86: header of ``86_09.bvh`` in B. Hahne's conversion of the database (cgspeed).
- Both come from BVH files, which drop the length of a bone with several children: of the thorax and of the wrists.
  In ASF files a wrist is half as long as the forearm before it (subject 07: 1.68252 and 3.36504; dm_control's
  ``humanoid_CMU``: 0.0907676 m and 0.181536 m). The thorax is given the upper back's vector: they differ by 4 mm of
  114 in ``humanoid_CMU``. Without them a body lacks 12 cm of trunk and 9 cm of each forearm.
- Axes: ASF field ``axis``, for which all CMU bodies have the same values. With them the first frame of trial 09
  has the angles of ``86_09.bvh`` to its four decimals, bone by bone.
- Unit: ASF header ``length 0.45``, inches: a unit is 2.54 / 0.45 cm (mocap.cs.cmu.edu/faqs.php).
"""

import numpy as np

from lib import skeletons
from lib.datasets.expmaps import rotations

METRES = 0.0254 / 0.45
SKELETON = skeletons.get("cmu31")

_BVH = {  # bone: its vector in the rest pose, of the actions' body and of subject 86; y up, z forward, x to the left
    "lhipjoint": ((1.65674, -1.80282, 0.62477), (1.38280, -1.96574, 0.54427)),
    "lfemur": ((2.59720, -7.13576, 0), (2.72096, -7.47578, 0)),
    "ltibia": ((2.49236, -6.84770, 0), (2.73041, -7.50176, 0)),
    "lfoot": ((0.19704, -0.54136, 2.14581), (0.16150, -0.44371, 2.18031)),
    "ltoes": ((0, 0, 1.11249), (0, 0, 1.12127)),
    "rhipjoint": ((-1.61070, -1.80282, 0.62476), (-1.57224, -1.96575, 0.54427)),
    "rfemur": ((-2.59502, -7.12977, 0), (-2.95935, -8.13076, 0)),
    "rtibia": ((-2.46780, -6.78024, 0), (-2.52345, -6.93311, 0)),
    "rfoot": ((-0.23024, -0.63258, 2.13368), (-0.04475, -0.10171, 1.86688)),
    "rtoes": ((0, 0, 1.11569), (0, 0, 0.95157)),
    "lowerback": ((0.01961, 2.05450, -0.14112), (0.00669, 2.07367, 0.09104)),
    "upperback": ((0.01021, 2.06436, -0.05921), (-0.00664, 2.06198, -0.04732)),
    "lowerneck": ((0.00713, 1.56711, 0.14968), (-0.00021, 1.49948, 0.16345)),
    "upperneck": ((0.03429, 1.56041, -0.10006), (0.06080, 1.50567, -0.26702)),
    "head": ((0.01305, 1.62560, -0.05265), (0.01726, 1.56470, -0.11854)),
    "lclavicle": ((3.54205, 0.90436, -0.17364), (3.14993, 0.82932, -0.22488)),
    "lhumerus": ((4.86513, 0, 0), (5.68236, 0, 0)),
    "lradius": ((3.35554, 0, 0), (3.17112, 0, 0)),
    "lhand": ((0.66117, 0, 0), (0.63269, 0, 0)),
    "lfingers": ((0.53306, 0, 0), (0.51009, 0, 0)),
    "lthumb": ((0.54120, 0, 0.54120), (0.51788, 0, 0.51788)),
    "rclavicle": ((-3.49802, 0.75994, -0.32616), (-3.10571, 0.91279, -0.33334)),
    "rhumerus": ((-5.02649, 0, 0), (-5.87120, 0, 0)),
    "rradius": ((-3.36431, 0, 0), (-3.37589, 0, 0)),
    "rhand": ((-0.73041, 0, 0), (-0.60326, 0, 0)),
    "rfingers": ((-0.58887, 0, 0), (-0.48636, 0, 0)),
    "rthumb": ((-0.59786, 0, 0.59786), (-0.49379, 0, 0.49379)),
}
_AXES = {  # bone: degrees about x, then y, then z of the world; left, and for the right side y and z with other signs
    "femur": (0, 0, 20),
    "tibia": (0, 0, 20),
    "foot": (-90, 0, 20),
    "toes": (-90, 0, 20),
    "humerus": (180, -30, -90),
    "radius": (180, -30, -90),
    "wrist": (0, 90, 90),
    "hand": (0, 90, 90),
    "fingers": (0, 90, 90),
    "thumb": (-90, 45, 0),
}


def _offsets(body: int) -> np.ndarray:
    bones = {name: np.array(vectors[body]) for name, vectors in _BVH.items()}
    bones |= {"root": np.zeros(3), "thorax": bones["upperback"]}
    bones |= {"lwrist": bones["lradius"] / 2, "rwrist": bones["rradius"] / 2}
    return METRES * np.stack([bones[name] for name in SKELETON.joints])


def _axes() -> np.ndarray:
    """Columns are the x, y and z axis of each bone in the world, all joints at rest."""
    result = np.tile(np.eye(3), (len(SKELETON), 1, 1))
    for bone, (x, y, z) in _AXES.items():
        for side, sign in (("l", 1), ("r", -1)):
            about_x, about_y, about_z = rotations(np.diag(np.radians([x, sign * y, sign * z])))
            result[SKELETON.joints.index(side + bone)] = about_z @ about_y @ about_x
    return result


ACTIONS_OFFSETS, SUBJECT_86_OFFSETS = _offsets(0), _offsets(1)  # (31, 3) metres
SUBJECT_86_AXES = _axes()  # (31, 3, 3)
