import numpy as np
import pytest

from lib import dtw


def test_windows_span_the_same_time_in_every_layer(rng):
    sequences = {name: [rng.normal(size=(n // s, 3)) for n in (16, 24)] for name, s in {"early": 1, "late": 4}.items()}
    found = dtw.by_layer(sequences, {"early": 1, "late": 4}, window_size=8, stride=2, radius=0.5, normalize="path")
    assert list(found) == ["early", "late"]
    for name, window_size, stride in (("early", 8, 2), ("late", 2, 1)):
        expected = dtw.pairwise(sequences[name], window_size=window_size, stride=stride, radius=0.5, normalize="path")
        np.testing.assert_array_equal(found[name], expected)


def test_every_layer_has_a_store_of_its_own(rng, tmp_path):
    sequences = {name: [rng.normal(size=(n, 3)) for n in (16, 24, 20)] for name in ("layers.0", "layers.1")}
    strides = {"layers.0": 1, "layers.1": 1}
    expected = dtw.by_layer(sequences, strides, radius=0.5)
    found = dtw.by_layer(sequences, strides, radius=0.5, store=tmp_path / "geometry")
    assert sorted(path.name for path in (tmp_path / "geometry").iterdir()) == list(found)
    for layer, distances in found.items():
        np.testing.assert_allclose(distances, expected[layer], rtol=1e-6)
    with pytest.raises(ValueError, match=r"layers.0.*radius: 0.5 there, 0.2 here"):
        dtw.by_layer(sequences, strides, radius=0.2, store=tmp_path / "geometry")


def test_choices_without_meaning_are_refused_though_layers_would_scale_them(rng):
    with pytest.raises(ValueError, match="window_size=-3"):
        dtw.by_layer({"layer": [rng.normal(size=(8, 2))] * 2}, {"layer": 4}, window_size=-3)
