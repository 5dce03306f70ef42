import numpy as np

from lib import dtw


def test_windows_span_the_same_time_in_every_layer(rng):
    sequences = {name: [rng.normal(size=(n // s, 3)) for n in (16, 24)] for name, s in {"early": 1, "late": 4}.items()}
    found = dtw.by_layer(sequences, {"early": 1, "late": 4}, window_size=8, stride=2, radius=0.5, normalize="path")
    assert list(found) == ["early", "late"]
    for name, window_size, stride in (("early", 8, 2), ("late", 2, 1)):
        expected = dtw.pairwise(sequences[name], window_size=window_size, stride=stride, radius=0.5, normalize="path")
        np.testing.assert_array_equal(found[name], expected)
