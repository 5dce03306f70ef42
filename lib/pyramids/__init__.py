"""Class feature pyramids: the kernels that matter to one class, layer by layer, in any network on video."""

from lib.pyramids._layers import Layer, Trace
from lib.pyramids._pyramid import Edge, Node, Pyramid
from lib.pyramids._search import class_feature_pyramid
from lib.pyramids._trace import trace

__all__ = ["Edge", "Layer", "Node", "Pyramid", "Trace", "class_feature_pyramid", "trace"]
