"""Joint layouts and the graphs over their joints.

Direction, written once for the whole book: ``A[k, v, w]`` carries joint v into joint w, so a layer computes
``y[..., w] = sum_v x[..., v] A[k, v, w]`` and the columns of a normalised A sum to one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, shortest_path


@dataclass(frozen=True)
class Skeleton:
    """Joints, the bones between them, and the joint that a partition is centred on.

    Attributes
    ----------
    name
        Layout name, or the user's own.
    joints
        V joint names.
    edges
        Undirected joint pairs; the graph is connected.
    center
        Centre of gravity in ST-GCN's sense: the joint that "inward" and "outward" refer to.
    left_right
        Pairs (left joint, right joint) that trade places in a mirror.
    torso
        Joints (left hip, right hip, left shoulder, right shoulder) that span the body's own axes, or None.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    center: int
    left_right: tuple[tuple[int, int], ...] = ()
    torso: tuple[int, int, int, int] | None = None

    def __post_init__(self):
        num_joints = len(self.joints)
        if num_joints == 0:
            raise ValueError(f"skeleton {self.name!r} has no joints; give at least one")
        for field, pairs in (("edges", self.edges), ("left_right", self.left_right)):
            for a, b in pairs:
                if not (0 <= a < num_joints and 0 <= b < num_joints) or a == b:
                    raise ValueError(
                        f"skeleton {self.name!r}: {field} holds ({a}, {b}); "
                        f"needed two different joints in 0..{num_joints - 1} (count from 0)"
                    )
        if len(set(self.joints)) < num_joints:
            twice = next(joint for joint in self.joints if self.joints.count(joint) > 1)
            raise ValueError(f"skeleton {self.name!r}: two joints are called {twice!r}; give each its own name")
        paired = [v for pair in self.left_right for v in pair]
        if len(set(paired)) < len(paired):
            raise ValueError(f"skeleton {self.name!r}: left_right {self.left_right} uses a joint in two pairs")
        if self.torso is not None and (len(self.torso) != 4 or not all(0 <= v < num_joints for v in self.torso)):
            raise ValueError(f"skeleton {self.name!r}: torso={self.torso}, needed four joints in 0..{num_joints - 1}")
        if not 0 <= self.center < num_joints:
            raise ValueError(f"skeleton {self.name!r}: center={self.center}, needed 0..{num_joints - 1}")
        lonely = [self.joints[v] for v in np.flatnonzero(np.isinf(self._hops_or_inf[self.center]))]
        if lonely:
            raise ValueError(
                f"skeleton {self.name!r}: no path from {self.joints[self.center]!r} to {lonely}; add edges"
            )

    @classmethod
    def from_edges(
        cls,
        edges: ArrayLike,
        *,
        joints: Sequence[str] | None = None,
        center: int | None = None,
        left_right: ArrayLike = (),
        torso: tuple[int, int, int, int] | None = None,
        name: str = "custom",
    ) -> "Skeleton":
        """Skeleton of your own from joint pairs counted from 0.

        Without `joints` they are numbered; without `center` the joint with the smallest largest hop distance is taken.
        """
        edges = tuple((int(a), int(b)) for a, b in edges)
        if joints is None:
            joints = tuple(f"joint_{v}" for v in range(max((max(e) for e in edges), default=0) + 1))
        left_right = tuple((int(a), int(b)) for a, b in left_right)
        trial = cls(name, tuple(joints), edges, 0 if center is None else center, left_right, torso)
        if center is None:
            return cls(name, trial.joints, edges, int(trial.hops.max(axis=1).argmin()), left_right, torso)
        return trial

    def __len__(self) -> int:
        """Return the number of joints V."""
        return len(self.joints)

    @cached_property
    def _hops_or_inf(self) -> Float[np.ndarray, "V V"]:
        return shortest_path(self._links, unweighted=True, directed=False)

    @property
    def _links(self) -> csr_array:
        ends = np.array(self.edges, dtype=np.int64).reshape(-1, 2)
        return csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(self), len(self)))

    @cached_property
    def hops(self) -> Int[np.ndarray, "V V"]:
        """Number of bones on the shortest way between two joints."""
        return self._hops_or_inf.astype(np.int64)

    @cached_property
    def parents(self) -> Int[np.ndarray, " V"]:
        """Each joint's neighbour on the way to the centre; the centre is its own parent."""
        parents = breadth_first_order(self._links, self.center, directed=False)[1].astype(np.int64)
        parents[self.center] = self.center
        return parents

    @cached_property
    def mirror(self) -> Int[np.ndarray, " V"]:
        """Permutation that swaps every left joint with its right one: ``x[..., mirror, :]``."""
        swap = np.arange(len(self))
        for left, right in self.left_right:
            swap[left], swap[right] = right, left
        return swap

    def adjacency(self, strategy: str = "spatial", *, max_hop: int = 1) -> Float[np.ndarray, "K V V"]:
        """Partitioned adjacency of ST-GCN (Yan et al. 2018, section 3.3), columns normalised over all partitions.

        Parameters
        ----------
        strategy
            ``"uniform"`` (K = 1), ``"distance"`` (K = max_hop + 1, one partition per hop count) or ``"spatial"``
            (K = 2 max_hop + 1: per hop count, sources as far from or farther than the target joint from the centre,
            then nearer ones; hop 0 has one part).
        max_hop
            Joints up to this many bones away are neighbours.

        Returns
        -------
        A with ``A[k, v, w]`` carrying joint v into joint w; summed over k and v every column is 1.
        """
        if max_hop < 0:
            raise ValueError(f"max_hop={max_hop}, needed at least 0")
        hops, from_center = self.hops, self.hops[self.center]
        near = hops <= max_hop
        weight = near / near.sum(axis=0, keepdims=True)
        if strategy == "uniform":
            return weight[None]
        by_hop = [np.where(hops == h, weight, 0.0) for h in range(max_hop + 1)]
        if strategy == "distance":
            return np.stack(by_hop)
        if strategy == "spatial":
            outward = from_center[:, None] < from_center[None, :]  # source v nearer to the centre than target w
            parts = [by_hop[0]]
            for part in by_hop[1:]:
                parts += [np.where(outward, 0.0, part), np.where(outward, part, 0.0)]
            return np.stack(parts)
        raise ValueError(f"strategy={strategy!r}; choose 'uniform', 'distance' or 'spatial'")

    def hop_scales(self, num_scales: int, *, window_size: int = 1) -> Float[np.ndarray, "K wV wV"]:
        """Disentangled k-hop adjacency of MS-G3D (Liu et al. 2020, equation 3), symmetrically normalised.

        Scale k links joints exactly k bones apart, and each joint with itself; scale 0 is the identity. In a window of
        several frames (section 3.3) nodes are ordered (frame, joint), a step along a bone may end in any frame, and
        one step leads from a joint to itself in another frame.
        """
        for name, value in (("num_scales", num_scales), ("window_size", window_size)):
            if value < 1:
                raise ValueError(f"{name}={value}, needed at least 1")
        steps = np.tile(np.where(self.hops == 0, 1, self.hops), (window_size, window_size))
        np.fill_diagonal(steps, 0)
        scales = np.stack([(steps == k) | np.eye(len(steps), dtype=bool) for k in range(num_scales)]).astype(float)
        root_degree = np.sqrt(scales.sum(axis=2))  # never 0: self-loops
        return scales / root_degree[:, :, None] / root_degree[:, None, :]


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
