"""Joint layouts and the graphs over their joints.

Direction, written once for the whole book: ``A[k, v, w]`` carries joint v into joint w, so a layer computes
``y[..., w] = sum_v x[..., v] A[k, v, w]`` and the columns of a normalised A sum to one.
"""

from lib.skeletons._layouts import LAYOUTS, get, joint_map
from lib.skeletons._skeleton import Skeleton

__all__ = ["LAYOUTS", "Skeleton", "get", "joint_map"]
