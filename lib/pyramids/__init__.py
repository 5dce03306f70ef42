"""Class feature pyramids: the kernels that matter to one class, layer by layer, in networks on video and skeletons."""

from lib.pyramids._ablation import ablation, silenced
from lib.pyramids._joints import joint_maps
from lib.pyramids._layers import Layer, Trace
from lib.pyramids._pyramid import Edge, Node, Pyramid
from lib.pyramids._search import class_feature_pyramid
from lib.pyramids._trace import trace
from lib.pyramids._tubes import saliency_tube
from lib.pyramids._weights import kernel_weights

__all__ = [
    "Edge",
    "Layer",
    "Node",
    "Pyramid",
    "Trace",
    "ablation",
    "class_feature_pyramid",
    "joint_maps",
    "kernel_weights",
    "saliency_tube",
    "silenced",
    "trace",
]
