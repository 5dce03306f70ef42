"""Window-based dynamic time warping: one pair, its path, or every pair of a list of sequences.

A sequence (n, D) is cut into windows of `window_size` frames every `stride` frames. The cost of two windows is the mean
over their frames of the squared Euclidean distance. The path through the two lists of windows goes by steps (1, 0),
(0, 1), (1, 1) inside a band, and the distance is the root of the costs summed along the cheapest one.

Matrices that take hours, or more than memory, go to a folder chunk by chunk (`pairwise(..., store=path)`), and the work
to other machines (`pairwise(..., client=client)`).
"""

from lib.dtw._layers import by_layer
from lib.dtw._nearest import Nearest, nearest
from lib.dtw._pair import Path, distance, path
from lib.dtw._pairwise import pairwise

__all__ = ["Nearest", "Path", "by_layer", "distance", "nearest", "pairwise", "path"]
