"""The kernels that matter to one class, as a directed graph without cycles, and its two exports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import networkx


class Node(NamedTuple):
    """A kernel.

    Attributes
    ----------
    layer, kernel
        Name of the layer, and output channel in it.
    level
        Layers between it and the class, along the shortest way; 0 is the class's own kernel in the classifier.
    """

    layer: str
    kernel: int
    level: int


class Edge(NamedTuple):
    """A kernel (child) that a later one (parent) draws on.

    Attributes
    ----------
    parent, child
        Positions in `Pyramid.nodes`.
    contribution
        What the child gives to the parent, in units of the parent's output (rule ``"signed"``), or products of mean
        weight and mean activation (``"published"``; into the class mean weights, as released).
    score
        The number from 0 to 1 that was compared with the threshold.
    """

    parent: int
    child: int
    contribution: float
    score: float


@dataclass(frozen=True)
class Pyramid:
    """Class feature pyramid of one clip. Nodes come level by level; every kernel is there once, whoever draws on it.

    Attributes
    ----------
    class_index, logit
        The class, and its score for the clip.
    depth, threshold, rule, shortcuts, top
        As asked for.
    layer_sizes
        Kernels of every layer that the nodes name, chosen or not; later layers first.
    """

    class_index: int
    logit: float
    depth: int
    threshold: float
    rule: str
    shortcuts: bool
    top: int | None
    layer_sizes: dict[str, int]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def kernels(self, layer: str) -> list[int]:
        """Chosen kernels of a layer, ascending."""
        if layer not in self.layer_sizes:
            raise ValueError(f"no layer {layer!r} in this pyramid; it has {list(self.layer_sizes)}")
        return sorted(node.kernel for node in self.nodes if node.layer == layer)

    def strengths(self) -> list[float]:
        """Share of the class that reaches each of `nodes`, along all ways to it.

        The class's own kernel has 1 (shared alike, where there are several), and every kernel hands on what it has to
        its children, in proportion to their scores; so the last kernels of all ways have 1 together.
        """
        rank = {layer: place for place, layer in enumerate(self.layer_sizes)}
        columns = [[edge[i] for edge in self.edges] for i in (0, 1, 3)]
        levels, ranks = [node.level for node in self.nodes], [rank[node.layer] for node in self.nodes]
        return strengths(np.array(levels), np.array(ranks), *map(np.array, columns)).tolist()

    def strongest(self, level: int) -> Node | None:
        """Of the kernels that many steps from the class that have children the strongest; None where there is none."""
        parents = {edge.parent for edge in self.edges}
        of_level = [index for index, node in enumerate(self.nodes) if node.level == level and index in parents]
        strength = self.strengths()
        return self.nodes[max(of_level, key=lambda index: strength[index])] if of_level else None

    def to_dict(self) -> dict:
        """Give the pyramid as dicts, lists, numbers and strings, for ``json.dump``; `from_dict` reads it."""
        plain = {name: value for name, value in vars(self).items() if name not in ("nodes", "edges")}
        return plain | {
            "layer_sizes": dict(self.layer_sizes),
            "nodes": [node._asdict() for node in self.nodes],
            "edges": [edge._asdict() for edge in self.edges],
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> "Pyramid":
        """Read what `to_dict` gave.

        Raises
        ------
        ValueError
            Fields are missing or unknown, or an edge names a node that is not there.
        """
        known = set(cls.__dataclass_fields__)
        if set(data) != known:
            missing, unknown = sorted(known - set(data)), sorted(set(data) - known)
            raise ValueError(f"no pyramid: missing {missing}, unknown {unknown}")
        try:
            nodes = tuple(Node(**node) for node in data["nodes"])
            edges = tuple(Edge(**edge) for edge in data["edges"])
        except TypeError as error:
            raise ValueError(f"no pyramid: nodes need {list(Node._fields)}, edges {list(Edge._fields)}") from error
        for edge in edges:
            if not (0 <= edge.parent < len(nodes) and 0 <= edge.child < len(nodes)):
                raise ValueError(f"no pyramid: edge {tuple(edge)}, needed nodes 0..{len(nodes) - 1}")
        return cls(**{**data, "layer_sizes": dict(data["layer_sizes"]), "nodes": nodes, "edges": edges})

    def to_networkx(self) -> "networkx.DiGraph":
        """Give the pyramid as a graph from the class down.

        Nodes are (layer, kernel) with `level`; edges run from parent to child with `contribution` and `score`; the
        graph's own attributes are the pyramid's other fields.
        """
        import networkx

        rest = {name: value for name, value in self.to_dict().items() if name not in ("nodes", "edges")}
        graph = networkx.DiGraph(**rest)
        for node in self.nodes:
            graph.add_node((node.layer, node.kernel), level=node.level)
        for edge in self.edges:
            parent, child = self.nodes[edge.parent], self.nodes[edge.child]
            graph.add_edge(parent[:2], child[:2], contribution=edge.contribution, score=edge.score)
        return graph


def strengths(
    levels: np.ndarray, ranks: np.ndarray, parents: np.ndarray, children: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """Share of the class that reaches each node, see `Pyramid.strengths`.

    Parameters
    ----------
    levels, ranks
        (nodes,) steps from the class, and the place of its layer among all, later layers first.
    parents, children, scores
        (edges,) as of `Edge`.
    """
    strength = (levels == 0) / max(1, int((levels == 0).sum()))
    if not len(parents):
        return strength
    total = np.bincount(parents, scores, len(levels))[parents]
    share = np.where(total > 0, scores / np.where(total > 0, total, 1), 1 / np.bincount(parents)[parents])
    order = np.argsort(ranks[parents], kind="stable")
    # a kernel is complete when all later layers have handed on what they had
    for own in np.split(order, np.flatnonzero(np.diff(ranks[parents][order])) + 1):
        np.add.at(strength, children[own], strength[parents[own]] * share[own])
    return strength
