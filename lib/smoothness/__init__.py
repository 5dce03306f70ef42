"""How smoothly labels vary over a dataset graph, against chance, with intervals, layer by layer.

Lower is smoother: near clips share their class. Every total is a mean of per-clip values, and those give its
interval, and that of a difference between layers, by resampling clips or whole subjects.
"""

from lib.smoothness._intervals import Interval, bootstrap_interval, paired_difference
from lib.smoothness._layers import Appearance, appears_at, by_class, by_layer
from lib.smoothness._measures import (
    Measures,
    PermutationBaseline,
    Smoothness,
    interpolated_accuracy,
    label_smoothness,
    permutation_baseline,
)

__all__ = [
    "Appearance",
    "Interval",
    "Measures",
    "PermutationBaseline",
    "Smoothness",
    "appears_at",
    "bootstrap_interval",
    "by_class",
    "by_layer",
    "interpolated_accuracy",
    "label_smoothness",
    "paired_difference",
    "permutation_baseline",
]
