"""A skeleton: joints, bones, and the graphs over them."""

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
