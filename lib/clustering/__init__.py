"""Movements without labels: vectors of frames into clusters and segments, and how well these agree with people.

No function that makes clusters sees an annotation; `frame_scores` and `boundary_scores` alone do. No torch here.
"""

from lib.clustering._baselines import change_points, hidden_markov, pose_velocity
from lib.clustering._cluster import METHODS, choose_number, cluster, project
from lib.clustering._frames import boundaries, merge_short, over_frames, segment_ids
from lib.clustering._recognition import linear_probe, nearest_neighbor
from lib.clustering._scores import BoundaryScores, FrameScores, boundary_scores, frame_scores, matched, separation

__all__ = [
    "METHODS",
    "BoundaryScores",
    "FrameScores",
    "boundaries",
    "boundary_scores",
    "change_points",
    "choose_number",
    "cluster",
    "frame_scores",
    "hidden_markov",
    "linear_probe",
    "matched",
    "merge_short",
    "nearest_neighbor",
    "over_frames",
    "pose_velocity",
    "project",
    "segment_ids",
    "separation",
]
