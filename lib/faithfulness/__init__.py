"""Does an explanation tell the truth about the network? Measures that take any importance (N, M, T, V).

Deletion and insertion ask whether the score follows what is called important, PGI and PGU whether it reacts to small
moves there, stability whether the explanation reacts out of proportion, randomisation whether it depends on the
weights at all, and planted truth whether it finds what is known to decide.
"""

from lib.faithfulness._checks import randomised, rank_correlation, stability
from lib.faithfulness._curves import UNITS, Curve, curve
from lib.faithfulness._measure import measure
from lib.faithfulness._moves import Gap, prediction_gap, turned
from lib.faithfulness._truth import planted_truth

__all__ = [
    "UNITS",
    "Curve",
    "Gap",
    "curve",
    "measure",
    "planted_truth",
    "prediction_gap",
    "randomised",
    "rank_correlation",
    "stability",
    "turned",
]
