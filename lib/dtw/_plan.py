"""Which sequences share lanes, which groups share a block of pairs, and the float32 copies that the blocks read."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lib.dtw import _inputs, _kernel
from lib.dtw._windows import Options, Superframes, band, extend, num_windows, rescale_exponent, superframes

# Up to so many numbers per superframe part, direct differences beat a matrix product that hardly has an inner axis.
MAX_DIFFERENCE_DIMS = 8
LANE_WIDTH = 8  # lanes are padded to whole vectors of 8 float32
# Lanes side by side, and what the dynamic programme then costs per cell, in dimensions of a frame product (measured).
GROUP_SIZES = {64: 10, 32: 14, 16: 22}
ROWS_PER_BLOCK = 64  # enough for the matrix product to run near its peak


class Scaling(NamedTuple):
    """Shift and power of two that bring all sequences near zero and one before they become float32."""

    centre: np.ndarray
    exponent: int


class Group(NamedTuple):
    """Sequences of like length, packed side by side.

    Attributes
    ----------
    indices
        Their places in the user's list.
    counts
        Windows of each, ascending.
    parts
        One or two (Q, lanes, K + 2) arrays for products, or (K, Q, lanes) for differences: heads, then rests.
    norms
        Largest squared norm of a superframe, per sequence.
    """

    indices: np.ndarray
    counts: np.ndarray
    parts: list[np.ndarray]
    norms: np.ndarray


class Block(NamedTuple):
    """Some row groups against one column group: the unit of work, of progress and of giving up."""

    rows: range
    column: int
    num_pairs: int


def measure(sequences: list[np.ndarray], name: str, run: Callable) -> Scaling:
    """Mean and size of all frames together; refuses what is not finite. `run` maps a function over items."""

    def look(chunk):
        sums = np.zeros(sequences[0].shape[1])
        largest = 0.0
        for index in chunk:
            before = sums.copy() if sequences[index].dtype == np.float64 else sums
            largest = max(largest, _kernel.scan(sequences[index], sums))
            if not np.isfinite(sums).all():
                _inputs.require_finite(sequences[index], f"{name}[{index}]")
                sums = before  # finite, but too large to add up: leave it out of the mean
        return sums, largest

    chunks = np.array_split(np.arange(len(sequences)), min(len(sequences), 16))
    sums, largest = zip(*run(look, chunks), strict=True)
    with np.errstate(over="ignore", invalid="ignore"):
        centre = sum(sums) / sum(len(sequence) for sequence in sequences)
    return Scaling(np.nan_to_num(centre, nan=0.0, posinf=0.0, neginf=0.0), rescale_exponent(max(largest)))


def merge(first: Scaling, second: Scaling) -> Scaling:
    """Scaling for two lists of sequences together."""
    return Scaling(first.centre / 2 + second.centre / 2, max(first.exponent, second.exponent))


def group_size(counts: np.ndarray, others: np.ndarray | None, num_dims: int, radius: int | float | None) -> int:
    """Group size that should cost least: small groups waste fewer cells on padding, wide bands and the diagonal."""

    def cost(size):
        rows, columns = _cut(counts, size), _cut(counts if others is None else others, size)
        (shortest, longest, sizes), (low, high, lanes) = (
            np.array([(side[cut[0]], side[cut[-1]], len(cut)) for cut in cuts]).T
            for side, cuts in ((counts, rows), (counts if others is None else others, columns))
        )
        below, _ = band(longest[:, None], low[None], radius)
        _, above = band(shortest[:, None], high[None], radius)
        cells = longest[:, None] * np.minimum(high, below + above + 1) * sizes[:, None] * _padded(lanes)
        if others is None:
            cells = np.triu(cells)
        return cells.sum() * (num_dims + GROUP_SIZES[size])

    return min(GROUP_SIZES, key=cost)


def _cut(counts, size):
    order = np.argsort(counts, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def _padded(lanes):
    return -(-lanes // LANE_WIDTH) * LANE_WIDTH


def pack(
    rows: list[np.ndarray],
    columns: list[np.ndarray] | None,
    scaling: Scaling,
    options: Options,
    run: Callable,
    size: int | None = None,
) -> tuple[list[Group], list[Group]]:
    """Copy both lists, `size` sequences a group, into float32 superframes; without columns the rows serve as both."""
    shape = superframes(options.window_size, options.stride)
    lists = [rows] if columns is None else [rows, columns]
    counts = [np.array([num_windows(len(x), options.window_size, options.stride) for x in side]) for side in lists]
    width = rows[0].shape[1] * (shape.head + shape.rest)
    size = size or group_size(counts[0], None if columns is None else counts[1], width, options.radius)
    groups = [
        list(
            run(lambda indices, k=k: _pack_group(lists[k], indices, counts[k][indices], scaling, options, shape), cuts)
        )
        for k, cuts in enumerate(_cut(side, size) for side in counts)
    ]
    return groups[0], groups[-1]


def uses_differences(num_dims: int, shape: Superframes) -> bool:
    """Whether frame costs come from direct differences rather than from matrix products."""
    return num_dims * shape.head <= MAX_DIFFERENCE_DIMS


def _pack_group(sequences, indices, counts, scaling, options, shape: Superframes) -> Group:
    num_dims = sequences[0].shape[1]
    differences = uses_differences(num_dims, shape)
    num_rows, lanes = shape.count(int(counts.max())), _padded(len(indices))
    parts, norms = [], np.zeros(len(indices))
    for offset, width in ((0, shape.head), (shape.head, shape.rest))[: 2 if shape.rest else 1]:
        part = np.zeros((num_rows, lanes, num_dims * width + (0 if differences else 2)), np.float32)
        for lane, index in enumerate(indices):
            frames = extend(sequences[index], options.window_size)
            norms[lane] += _kernel.pack(
                frames, scaling.centre, 2.0**-scaling.exponent, shape.step, offset, width, part[:, lane]
            )
        parts.append(np.ascontiguousarray(part.transpose(2, 0, 1)) if differences else part)
    return Group(indices, counts, parts, norms)


def blocks(rows: list[Group], columns: list[Group], triangle: bool, num_threads: int) -> list[Block]:
    """Every block of the matrix, or of its upper triangle; the largest come first.

    Row groups of one common length are taken together, as long as that leaves every thread a few blocks.
    """
    counts = np.concatenate([group.counts for group in rows])
    together = max(1, ROWS_PER_BLOCK // max(len(group.indices) for group in rows)) if np.ptp(counts) == 0 else 1
    while together > 1 and len(columns) * len(rows) < 4 * num_threads * together * (1 + triangle):
        together -= 1
    plan = []
    for j, column in enumerate(columns):
        for start, stop in tiles(j + 1 if triangle else len(rows), together):
            num_pairs = sum(len(rows[i].indices) for i in range(start, stop)) * len(column.indices)
            if triangle and stop == j + 1:
                num_pairs -= len(column.indices) * (len(column.indices) + 1) // 2
            weight = num_pairs * int(rows[stop - 1].counts.max()) * int(column.counts.max())
            plan.append((weight, Block(range(start, stop), j, num_pairs)))
    return [block for _, block in sorted(plan, key=lambda entry: -entry[0])]


def tiles(num_rows: int, tile: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most `tile` rows."""
    for start in range(0, num_rows, tile):
        yield start, min(num_rows, start + tile)
