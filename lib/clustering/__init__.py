"""Movements without labels: vectors of frames into clusters and segments, and how well these agree with people.

No function that makes clusters sees an annotation; `frame_scores` and `boundary_scores` alone do. No torch here.
"""

from lib.clustering._baselines import change_points, hidden_markov, pose_velocity
from lib.clustering._cluster import METHODS, choose_number, cluster, principal, separation
from lib.clustering._frames import boundaries, merge_short, over_frames
from lib.clustering._scores import BoundaryScores, FrameScores, boundary_scores, frame_scores, matched
from lib.clustering._study import from_spans, score_table, segmentations, spans

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
    "from_spans",
    "hidden_markov",
    "matched",
    "merge_short",
    "over_frames",
    "pose_velocity",
    "principal",
    "score_table",
    "segmentations",
    "separation",
    "spans",
]
