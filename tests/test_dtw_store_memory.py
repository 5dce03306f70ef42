"""Distances in a store: bounded in memory, whatever the number of pairs."""

import tracemalloc

import numpy as np
import pytest
from store_cases import CHOICES, walks


@pytest.fixture(scope="module")
def internals():
    from lib.dtw import _chunks, _matrix, _windows

    return {"chunks": _chunks, "matrix": _matrix, "windows": _windows}


def traced_peak(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bound_by_its_parameter_and_not_by_the_number_of_pairs(dtw, tmp_path, rng):
    sequences = list(rng.normal(size=(800, 3, 1)))
    dtw.pairwise(sequences[:150], store=tmp_path / "small", num_threads=2)  # what is loaded once
    limit = 1_500_000  # the matrix would take 2,560,000
    peak = traced_peak(lambda: dtw.pairwise(sequences, store=tmp_path / "large", max_memory=limit, num_threads=2))
    assert peak < limit


@pytest.mark.parametrize(
    "choices", [{}, CHOICES, {"normalize": "path", "window_size": 9}, {"window_size": 7, "stride": 3}]
)
@pytest.mark.parametrize(("num_dims", "length"), [(2, 150), (60, 40), (700, 9)])
def test_a_chunk_needs_no_more_than_was_said(internals, rng, choices, num_dims, length):
    options = internals["windows"].check_options(
        **{"window_size": 1, "stride": 1, "radius": None, "normalize": None} | choices
    )
    sequences = list(rng.normal(size=(128, length, num_dims)).astype(np.float32))
    sequences[70] = sequences[3].copy()  # a doubtful pair
    compute = internals["matrix"].matrix
    compute(sequences[:20], sequences[:20], options)
    said = internals["chunks"].working_memory(64, length, num_dims, options)
    peak = traced_peak(lambda: compute(sequences[:64], sequences[64:], options))
    assert said / 8 < peak < said


def test_twenty_thousand_clips_fit_by_plan(internals):
    chunks, options = internals["chunks"], internals["windows"].check_options(1, 1, 8, None)
    size = chunks.choose_size((20000, 20000), 75, 256, options, 2**30)
    assert size == 512
    assert 8 * chunks.working_memory(size, 75, 256, options) < 2**30


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (64, 64), (65, 130), (130, 65)])
def test_chunks_cover_every_pair_once(internals, size, rows, columns):
    for cut in (
        internals["chunks"].Cut((rows, columns), size, False),
        internals["chunks"].Cut((rows, rows), size, True),
    ):
        seen = np.zeros(cut.shape, int)
        for chunk in cut.chunks():
            seen[cut.slices(chunk)] += 1
            if cut.mirrored(chunk):
                seen[cut.slices(chunk)[::-1]] += 1
        assert (seen == 1).all()
        pairs = rows * (rows - 1) // 2 if cut.triangle else rows * columns
        assert sum(map(cut.num_pairs, cut.chunks())) == pairs


def test_too_little_memory_is_refused_with_what_is_needed(dtw, internals, tmp_path):
    with pytest.raises(
        ValueError, match=r"max_memory=1000 is too little for sequences of up to \d+ frames and D=24: the"
    ):
        dtw.pairwise(walks(20), store=tmp_path / "new", max_memory=1000)
    dtw.pairwise(walks(20), store=tmp_path / "store")
    with pytest.raises(ValueError, match=r"max_memory=1000 is too little: the store's chunks of 64 need \d+ bytes"):
        dtw.pairwise(walks(20), store=tmp_path / "store", max_memory=1000)
    for bad in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=r"max_memory=.* must be a number of bytes, more than 0"):
            dtw.pairwise(walks(20), max_memory=bad)
