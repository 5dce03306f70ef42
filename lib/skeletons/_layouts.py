"""The layouts of joints that datasets and pose estimators use, by name, and the way from one to another."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from lib.skeletons._skeleton import Skeleton


def _pairs(joints: Sequence[str], left: str, right: str) -> tuple[tuple[int, int], ...]:
    """Pair each joint whose name starts with `left` with its namesake that starts with `right`."""
    partners = {name: right + name[len(left) :] for name in joints if name.startswith(left)}
    return tuple((joints.index(a), joints.index(b)) for a, b in partners.items() if b in joints)


def _layout(name: str, joints: str, edges: str, center: str, torso: str, sides: tuple[str, str]) -> Skeleton:
    names = tuple(joints.split())
    index = {joint: v for v, joint in enumerate(names)}
    pairs = tuple((index[a], index[b]) for a, b in (edge.split("-") for edge in edges.split()))
    spans = tuple(index[joint] for joint in torso.split())
    return Skeleton(name, names, pairs, index[center], _pairs(names, *sides), spans)


_KINECT_LIMBS = """
    left_shoulder-left_elbow left_elbow-left_wrist left_wrist-left_hand
    right_shoulder-right_elbow right_elbow-right_wrist right_wrist-right_hand
    left_hip-left_knee left_knee-left_ankle left_ankle-left_foot
    right_hip-right_knee right_knee-right_ankle right_ankle-right_foot"""
_LIMBS_JOINTS = """
    left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow right_wrist right_hand
    left_hip left_knee left_ankle left_foot right_hip right_knee right_ankle right_foot"""
_HIPS_AND_SHOULDERS = "left_hip right_hip left_shoulder right_shoulder"
_SIDES = ("left_", "right_")

LAYOUTS: dict[str, Skeleton] = {
    layout.name: layout
    for layout in (
        _layout(  # Kinect v2, joints as numbered by NTU RGB+D; centre as in ST-GCN
            "ntu25",
            f"""spine_base spine_mid neck head {_LIMBS_JOINTS} spine_shoulder
            left_hand_tip left_thumb right_hand_tip right_thumb""",
            f"""{_KINECT_LIMBS} spine_base-spine_mid spine_mid-spine_shoulder neck-spine_shoulder head-neck
            left_shoulder-spine_shoulder right_shoulder-spine_shoulder left_hip-spine_base right_hip-spine_base
            left_hand_tip-left_thumb left_thumb-left_hand right_hand_tip-right_thumb right_thumb-right_hand""",
            "spine_shoulder",
            _HIPS_AND_SHOULDERS,
            _SIDES,
        ),
        _layout(  # Kinect v1 in the order of its SDK and of NW-UCLA; UTD-MHAD and MSR Action3D are reordered to it
            "kinect20",
            f"hip_center spine shoulder_center head {_LIMBS_JOINTS}",
            f"""{_KINECT_LIMBS} hip_center-spine spine-shoulder_center head-shoulder_center
            left_shoulder-shoulder_center right_shoulder-shoulder_center left_hip-hip_center right_hip-hip_center""",
            "spine",
            _HIPS_AND_SHOULDERS,
            _SIDES,
        ),
        _layout(  # OpenPose BODY/COCO-18 as in Kinetics-Skeleton; ST-GCN hangs each hip from its shoulder
            "openpose18",
            """nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee
            right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear""",
            """right_wrist-right_elbow right_elbow-right_shoulder left_wrist-left_elbow left_elbow-left_shoulder
            left_ankle-left_knee left_knee-left_hip right_ankle-right_knee right_knee-right_hip left_hip-left_shoulder
            right_hip-right_shoulder left_shoulder-neck right_shoulder-neck nose-neck left_eye-nose right_eye-nose
            left_ear-left_eye right_ear-right_eye""",
            "neck",
            _HIPS_AND_SHOULDERS,
            _SIDES,
        ),
        _layout(
            "coco17",
            """nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist
            right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle""",
            """left_ankle-left_knee left_knee-left_hip right_ankle-right_knee right_knee-right_hip
            left_hip-left_shoulder right_hip-right_shoulder left_wrist-left_elbow left_elbow-left_shoulder
            right_wrist-right_elbow right_elbow-right_shoulder left_shoulder-nose right_shoulder-nose left_eye-nose
            left_ear-left_eye right_eye-nose right_ear-right_eye""",
            "nose",
            _HIPS_AND_SHOULDERS,
            _SIDES,
        ),
        _layout(  # MediaPipe Pose leaves the face apart from the body; shoulder-nose edges join the two, as in coco17
            "mediapipe33",
            """nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear
            left_mouth right_mouth left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky
            right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle
            right_ankle left_heel right_heel left_foot_index right_foot_index""",
            """nose-left_eye_inner left_eye_inner-left_eye left_eye-left_eye_outer left_eye_outer-left_ear
            nose-right_eye_inner right_eye_inner-right_eye right_eye-right_eye_outer right_eye_outer-right_ear
            nose-left_mouth nose-right_mouth left_mouth-right_mouth left_shoulder-nose right_shoulder-nose
            left_shoulder-right_shoulder left_shoulder-left_elbow left_elbow-left_wrist left_wrist-left_pinky
            left_wrist-left_index left_wrist-left_thumb left_pinky-left_index right_shoulder-right_elbow
            right_elbow-right_wrist right_wrist-right_pinky right_wrist-right_index right_wrist-right_thumb
            right_pinky-right_index left_shoulder-left_hip right_shoulder-right_hip left_hip-right_hip
            left_hip-left_knee left_knee-left_ankle left_ankle-left_heel left_heel-left_foot_index
            left_ankle-left_foot_index
            right_hip-right_knee right_knee-right_ankle right_ankle-right_heel right_heel-right_foot_index
            right_ankle-right_foot_index""",
            "nose",
            _HIPS_AND_SHOULDERS,
            _SIDES,
        ),
        _layout(  # CMU motion capture, the bones of its ASF files in file order
            "cmu31",
            """root lhipjoint lfemur ltibia lfoot ltoes rhipjoint rfemur rtibia rfoot rtoes lowerback upperback thorax
            lowerneck upperneck head lclavicle lhumerus lradius lwrist lhand lfingers lthumb rclavicle rhumerus rradius
            rwrist rhand rfingers rthumb""",
            """root-lhipjoint lhipjoint-lfemur lfemur-ltibia ltibia-lfoot lfoot-ltoes root-rhipjoint rhipjoint-rfemur
            rfemur-rtibia rtibia-rfoot rfoot-rtoes root-lowerback lowerback-upperback upperback-thorax thorax-lowerneck
            lowerneck-upperneck upperneck-head thorax-lclavicle lclavicle-lhumerus lhumerus-lradius
            lradius-lwrist lwrist-lhand lhand-lfingers lwrist-lthumb thorax-rclavicle rclavicle-rhumerus
            rhumerus-rradius rradius-rwrist rwrist-rhand rhand-rfingers rwrist-rthumb""",
            "root",
            "lhipjoint rhipjoint lclavicle rclavicle",
            ("l", "r"),
        ),
    )
}


def get(name: str) -> Skeleton:
    """Layout by name; an unknown name lists the known ones."""
    if name not in LAYOUTS:
        raise ValueError(f"no skeleton layout {name!r}; choose one of {sorted(LAYOUTS)} or Skeleton.from_edges")
    return LAYOUTS[name]


_ALIKE = (  # joints of two layouts that mark the same place of the body
    {"spine_base", "hip_center", "root"},
    {"spine_mid", "spine"},
    {"spine_shoulder", "shoulder_center"},
)


def joint_map(source: Skeleton, target: Skeleton) -> Int[np.ndarray, " V"]:
    """For every joint of `target` the joint of `source` at the same place, so that ``x[..., joint_map, :]`` moves over.

    Joints match by name, or as the Kinect's two generations name one place: ``ntu25`` maps to ``kinect20``, which loses
    neck, hand tips and thumbs.

    Raises
    ------
    ValueError
        Joints of `target` that `source` does not have, by name.
    """
    place = {}
    for index, joint in enumerate(source.joints):
        place |= dict.fromkeys(next((group for group in _ALIKE if joint in group), {joint}), index)
    if missing := [joint for joint in target.joints if joint not in place]:
        raise ValueError(f"skeleton {source.name!r} has no joints {missing} of {target.name!r}; choose another target")
    return np.array([place[joint] for joint in target.joints])
