"""What else is asked of layers, beside label smoothness, and how far answers hang on the settings of the graph.

Measures of the field: a linear probe, the intrinsic dimension, what the distances of one layer tell about those of
another, and CKA. `sensitivity` varies window, stride, band, neighbours, kernel width and metric one at a time.
"""

from lib.geometry._layers import between_layers, by_layer, vectors
from lib.geometry._measures import cka, information_imbalance, intrinsic_dimension
from lib.geometry._probe import Probe, linear_probe
from lib.geometry._settings import METRICS, Setting, distances, jaccard, neighbors, sensitivity, variations

__all__ = [
    "METRICS",
    "Probe",
    "Setting",
    "between_layers",
    "by_layer",
    "cka",
    "distances",
    "information_imbalance",
    "intrinsic_dimension",
    "jaccard",
    "linear_probe",
    "neighbors",
    "sensitivity",
    "variations",
    "vectors",
]
