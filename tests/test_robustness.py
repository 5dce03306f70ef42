"""What spoiled clips do to a network: graphs, maps and answers, and the table over layers."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lib import corruptions, datasets, models, robustness, smoothness, training
from lib.geometry import Setting


def test_answers_are_paired_over_clips(network):
    clips = network[0]
    right = np.eye(len(clips.class_names))[clips.labels]
    spoiled = right.copy()
    spoiled[::4] = np.roll(spoiled[::4], 1, axis=1)
    some = np.isin(np.arange(len(clips)), [1, 2, 3])
    found = robustness.answers(right, spoiled, clips.labels, {"test": ~some | some, "test_clean": some})
    assert (found["test"], found["test_change"]) == (0.75, -0.25)
    assert found["test_low"] < -0.25 < found["test_high"] < 0
    ends = [
        robustness.answers(right, spoiled, clips.labels, {"test": ~some}, seed=seed)["test_low"] for seed in range(9)
    ]
    assert len(set(ends)) > 1
    assert [found[f"test_clean{part}"] for part in ("", "_change", "_low", "_high")] == [1, 0, 0, 0]


@pytest.fixture(scope="module")
def network():
    raw = datasets.load("synthetic", limit=16, split="test")
    fresh = [
        models.build("stgcn", num_classes=len(raw.class_names), skeleton=raw.skeleton, width=0.0625, seed=seed)
        for seed in (0, 1)
    ]
    return raw, *(training.calibrate_norms(model, raw) for model in fresh)


def test_the_table_of_equal_views_says_so(network):
    clips, model, other = network
    setting = Setting(num_neighbors=5)
    layers = ["layers.0", "layers.9"]
    clean = robustness.view(model, clips, clips.labels, layers=layers, setting=setting)
    control = robustness.view(other, clips, clips.labels, layers=layers, setting=setting)
    rows = robustness.by_layer(clean, clean, clips, model.layer_strides, (control, control))
    assert rows["layer"].tolist() == layers
    np.testing.assert_array_equal(rows[["overlap", "untrained_overlap"]], 1)
    np.testing.assert_allclose(rows["map_agreement"], 1)
    assert (rows["map_zero"].abs() < 0.9).all()
    assert (rows["interpolation_error"] != rows["untrained_interpolation_error"]).any()


def test_a_spoiled_view_differs_and_smoothness_is_that_of_its_own_graph(network):
    clips, model, other = network
    spoiled = corruptions.corrupt(clips, "joint_noise", 0.1)
    setting = Setting(num_neighbors=5)
    clean, after = (
        robustness.view(model, part, clips.labels, layers=["layers.4"], setting=setting) for part in (clips, spoiled)
    )
    control = robustness.view(other, clips, clips.labels, layers=["layers.4"], setting=setting)
    rows = robustness.by_layer(clean, after, clips, model.layer_strides, (control, control))
    smooth = smoothness.label_smoothness(after.graphs["layers.4"], clips.labels)
    assert rows["cross_class_mass"].item() == smooth.cross_class_mass
    assert rows["interpolation_error"].item() == smooth.interpolation_error
    assert 0 < rows["overlap"].item() < 1
    assert rows["map_agreement"].item() < 1


def test_every_column_is_that_of_its_own_views(network):
    _, model, other = network
    clips = datasets.load("synthetic", limit=40, split="test")  # two of each class, of many lengths
    spoiled = corruptions.corrupt(clips, "joint_noise", 0.1)
    layers, setting = ["layers.0", "layers.4", "layers.9"], Setting(num_neighbors=5)
    clean, after, bare, control = (
        robustness.view(net, part, clips.labels, layers=layers, setting=setting)
        for net in (model, other)
        for part in (clips, spoiled)
    )
    rows = robustness.by_layer(clean, after, clips, model.layer_strides, (bare, control)).set_index("layer")
    for layer in layers:
        wanted = {}
        for prefix, before, view in (("", clean, after), ("untrained_", bare, control)):
            smooth = smoothness.label_smoothness(view.graphs[layer], clips.labels)
            wanted[f"{prefix}cross_class_mass"] = smooth.cross_class_mass
            wanted[f"{prefix}interpolation_error"] = smooth.interpolation_error
            linked = [
                [set(row[w > 0]) for row, w in zip(graph.indices, graph.weights, strict=True)]
                for graph in (before.graphs[layer], view.graphs[layer])
            ]
            wanted[f"{prefix}overlap"] = np.mean([len(a & b) / len(a | b) for a, b in zip(*linked, strict=True)])
        for name, view in (("map_agreement", after), ("map_zero", bare)):
            ends = -(-clips.lengths // model.layer_strides[layer])
            pairs = [
                [maps[n, clips.present[n], :end].ravel() for maps in (clean.maps[layer], view.maps[layer])]
                for n, end in enumerate(ends)
            ]
            wanted[name] = np.mean([spearmanr(*pair).statistic for pair in pairs])
        assert rows.loc[layer, list(wanted)].to_dict() == pytest.approx(wanted, abs=1e-6)
        assert len({round(value, 6) for value in wanted.values()}) == len(wanted)


def test_a_view_without_a_class_has_no_maps(network):
    clips, model, _ = network
    seen = robustness.view(model, clips, layers=["layers.9"], setting=Setting(num_neighbors=3))
    assert seen.maps == {}
    assert list(seen.graphs) == ["layers.9"]


def test_gather_undoes_spread(network):
    clips, model, other = network
    layers, names = ["layers.0", "layers.4", "layers.9"], ["corruption", "level"]
    clean, bare = (
        robustness.view(one, clips, clips.labels, layers=layers, setting=Setting(num_neighbors=3))
        for one in (model, other)
    )
    rows = robustness.by_layer(clean, clean, clips, model.layer_strides, (bare, bare))
    seen = pd.concat([rows.assign(corruption="none", level=0.0), rows.assign(corruption="joint_noise", level=0.1)])
    kept = robustness.spread(seen, names).assign(seed=3)
    assert len(kept) == 2
    back = robustness.gather(kept)
    assert set(back["seed"]) == {3}
    order = [*names, "layer"]
    pd.testing.assert_frame_equal(
        back.set_index(order).sort_index()[seen.columns.drop(order)],
        seen.set_index(order).sort_index()[seen.columns.drop(order)],
    )


def test_rows_without_layers_are_refused():
    with pytest.raises(ValueError, match="no column 'cross_class_mass <layer>'; needed"):
        robustness.gather(pd.DataFrame({"seed": [0]}))
