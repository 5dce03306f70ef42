"""A pyramid as plain data and as a graph of networkx."""

import json
import math

import pytest
from pyramid_cases import clip, tiny


@pytest.fixture(scope="module", params=["published", "signed"])
def pyramid(request):
    from lib import pyramids

    return pyramids.class_feature_pyramid(tiny("Residual"), clip(), 1, 4, threshold=0.3, rule=request.param)


def test_json_gives_the_pyramid_back(pyramid):
    from lib.pyramids import Pyramid

    assert len(pyramid.nodes) > 3
    assert Pyramid.from_dict(json.loads(json.dumps(pyramid.to_dict(), allow_nan=False))) == pyramid


def test_both_exports_hold_the_same_graph(pyramid):
    import networkx

    graph, data = pyramid.to_networkx(), pyramid.to_dict()
    names = [(node["layer"], node["kernel"]) for node in data["nodes"]]
    assert dict(graph.nodes(data="level")) == {
        name: node["level"] for name, node in zip(names, data["nodes"], strict=True)
    }
    assert {(parent, child): values for parent, child, values in graph.edges(data=True)} == {
        (names[edge["parent"]], names[edge["child"]]): {key: edge[key] for key in ("contribution", "score")}
        for edge in data["edges"]
    }
    assert graph.graph == {key: value for key, value in data.items() if key not in ("nodes", "edges")}
    assert networkx.is_directed_acyclic_graph(graph)


def test_levels_are_shortest_ways_and_end_at_the_depth(pyramid):
    import networkx

    graph = pyramid.to_networkx()
    (root,) = (node for node, ways in graph.in_degree() if ways == 0)
    assert root == ("head", 1)
    assert networkx.single_source_shortest_path_length(graph, root) == dict(graph.nodes(data="level"))
    assert max(dict(graph.nodes(data="level")).values()) <= pyramid.depth


def test_what_several_draw_on_is_explored_once(pyramid):
    graph = pyramid.to_networkx()
    assert max(ways for _, ways in graph.in_degree()) > 1
    assert len({node[:2] for node in pyramid.nodes}) == len(pyramid.nodes)
    assert len({edge[:2] for edge in pyramid.edges}) == len(pyramid.edges)


def test_kernels_of_a_layer_are_listed(pyramid):
    for layer, size in pyramid.layer_sizes.items():
        kernels = pyramid.kernels(layer)
        assert kernels == sorted(set(kernels))
        assert 0 <= kernels[0] <= kernels[-1] < size
    with pytest.raises(ValueError, match=r"no layer 'other' in this pyramid; it has \['head', "):
        pyramid.kernels("other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("edges"), r"missing \['edges'\], unknown \[\]"),
        (lambda data: data.update(extra=1), r"missing \[\], unknown \['extra'\]"),
        (lambda data: data["nodes"][0].pop("level"), r"nodes need \['layer', 'kernel', 'level'\]"),
        (
            lambda data: data["edges"].append({"parent": 0, "child": 999, "contribution": 0, "score": 0}),
            "needed nodes 0",
        ),
    ],
)
def test_data_that_is_no_pyramid_is_refused(pyramid, change, message):
    from lib.pyramids import Pyramid

    data = pyramid.to_dict()
    change(data)
    with pytest.raises(ValueError, match=message):
        Pyramid.from_dict(data)


def test_the_strongest_of_a_step_has_children(pyramid):
    strength = dict(zip(pyramid.nodes, pyramid.strengths(), strict=True))
    parents = {pyramid.nodes[edge.parent] for edge in pyramid.edges}
    for level in range(max(node.level for node in parents) + 1):
        own = [node for node in parents if node.level == level]
        assert strength[pyramid.strongest(level)] == max(strength[node] for node in own)
    assert pyramid.strongest(9) is None


def test_strengths_add_up_along_all_ways(pyramid):
    import networkx

    graph, start = pyramid.to_networkx(), pyramid.nodes[0][:2]
    total = {node: sum(graph.edges[edge]["score"] for edge in graph.out_edges(node)) for node in graph}
    for node, strength in zip(pyramid.nodes, pyramid.strengths(), strict=True):
        ways = networkx.all_simple_edge_paths(graph, start, node[:2])
        shares = (math.prod(graph.edges[edge]["score"] / total[edge[0]] for edge in way) for way in ways)
        assert strength == pytest.approx(1.0 if node.level == 0 else sum(shares))
