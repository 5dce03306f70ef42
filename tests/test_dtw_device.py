"""The kernel for GPUs: its arithmetic runs anywhere PyTorch does, a GPU only adds the device."""

import numpy as np
import pytest
import torch
from dtw_cases import assert_close, datasets, windowings
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def on_device():
    """`pairwise` through PyTorch on any device, in blocks of at most `size` sequences a side."""
    from lib.dtw import _device, _matrix, _windows

    def compute(sequences, others=None, device="cpu", size=8, **choices):
        options = _windows.check_options(
            **({"window_size": 1, "stride": 1, "radius": None, "normalize": None} | choices)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_device, "MAX_SIZE", size)
            return _matrix.matrix(sequences, others, options, num_threads=2, device=torch.device(device))

    return compute


@given(sequences=datasets(max_sequences=12), choices=windowings(), size=st.sampled_from([8, 16]))
@settings(max_examples=150)
def test_blocks_through_pytorch_match_the_exact_distance(dtw, on_device, sequences, choices, size):
    found = on_device(sequences, size=size, **choices)
    expected = [[dtw.distance(x, y, **choices) for y in sequences] for x in sequences]
    assert_close(found, expected)
    np.testing.assert_array_equal(found, found.T)


@given(sequences=datasets(max_sequences=5), others=st.integers(1, 9), choices=windowings())
def test_two_lists_through_pytorch(dtw, on_device, sequences, others, choices):
    others = [np.resize(x, (1 + len(x) // 2, x.shape[1])) for x in (sequences * 9)[:others]]
    expected = [[dtw.distance(x, y, **choices) for y in others] for x in sequences]
    assert_close(on_device(sequences, others, **choices), expected)


@pytest.mark.parametrize("normalize", [None, "path"])
def test_paths_too_long_for_float32_sums(dtw, on_device, rng, normalize):
    sequences = [rng.normal(size=(n, 9)) for n in (600, 580)]
    found = on_device(sequences, radius=20, normalize=normalize)
    assert_close(found[0, 1], dtw.distance(*sequences, radius=20, normalize=normalize), rtol=1e-6)


def test_blocks_shrink_with_the_length_of_sequences():
    from lib.dtw import _device, _windows

    plain, boxed = _windows.superframes(1, 1), _windows.superframes(5, 2)
    sizes = [_device.group_size(windows, plain) for windows in (20, 75, 300, 3000, 10**6)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == _device.MAX_SIZE
    assert sizes[-1] == 8
    for windows in (75, 300, 1200):
        size = _device.group_size(windows, boxed)
        assert size % 8 == 0
        assert size**2 * boxed.count(windows) ** 2 * 12 <= _device.BLOCK_BYTES


@pytest.mark.parametrize("precision", ["tf32", "ieee"])
def test_the_users_choice_of_precision_stays(on_device, rng, precision):
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = precision
        on_device([rng.normal(size=(5, 12)) for _ in range(3)])
        assert matmul.fp32_precision == precision
    finally:
        matmul.fp32_precision = before


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "device='gpu' is no device"),
        (1.5, "device=1.5 is no device"),
        ("meta", "device='meta' is not supported; give 'cpu'"),
        ("cuda:99", "device='cuda:99', but PyTorch .* GPUs; give 'cpu'"),
    ],
)
def test_devices_that_are_none(dtw, rng, device, message):
    with pytest.raises(ValueError, match=message):
        dtw.pairwise([rng.normal(size=(4, 2))] * 2, device=device)


def test_cpu_by_any_name_is_our_own_kernel(dtw, rng):
    sequences = [rng.normal(size=(7, 3)) for _ in range(4)]
    np.testing.assert_array_equal(dtw.pairwise(sequences, device=torch.device("cpu")), dtw.pairwise(sequences))


@pytest.mark.gpu
@given(sequences=datasets(max_sequences=12), choices=windowings())
def test_gpu_matches_the_cpu(dtw, sequences, choices):
    assert_close(dtw.pairwise(sequences, device="cuda", **choices), dtw.pairwise(sequences, **choices), rtol=1e-4)


@pytest.mark.gpu
def test_gpu_fills_a_store(dtw, rng, tmp_path):
    sequences = [rng.normal(size=(rng.integers(20, 60), 40)).cumsum(0) for _ in range(150)]
    found = dtw.pairwise(sequences, device="cuda", store=tmp_path / "store", radius=0.2)
    assert_close(np.asarray(found), dtw.pairwise(sequences, radius=0.2), rtol=1e-4)
