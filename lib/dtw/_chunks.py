"""How a matrix of distances is cut into square chunks: the unit of storing, of sending out and of memory."""

from typing import NamedTuple

import numpy as np

from lib.dtw._blocks import DIFFERENCE_TILE
from lib.dtw._costs import QUERY_BUFFER
from lib.dtw._plan import GROUP_SIZES, uses_differences
from lib.dtw._windows import Options, band, num_windows, superframes

SIZES = (512, 256, 128, 64, 32, 16)  # sequences along a side; below 64 the kernel's groups no longer fill
FULL_SIZE = 64
MIN_PER_SIDE = 8  # chunks that share the work, and of which a kill may cost those at hand
MAX_WORK = 2**40  # multiplications in a chunk: some ten seconds of one core
MIN_AT_ONCE = 4  # chunks that should fit into the memory together


class Cut(NamedTuple):
    """A matrix and its chunks; chunk (i, j) has rows i * size and on, columns j * size and on.

    Attributes
    ----------
    shape
        Rows and columns of the matrix.
    size
        Rows and columns of a chunk, but for the last ones.
    triangle
        Whether the matrix mirrors its upper half, so that chunks with i <= j are all there is to compute.
    """

    shape: tuple[int, int]
    size: int
    triangle: bool

    def chunks(self) -> list[tuple[int, int]]:
        """Every chunk that must be computed."""
        rows, columns = (-(-side // self.size) for side in self.shape)
        return [(i, j) for j in range(columns) for i in range(j + 1 if self.triangle else rows)]

    def slices(self, chunk: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a chunk."""
        rows, columns = (
            slice(k * self.size, min((k + 1) * self.size, side)) for k, side in zip(chunk, self.shape, strict=True)
        )
        return rows, columns

    def mirrored(self, chunk: tuple[int, int]) -> bool:
        """Whether the chunk also stands, transposed, on the other side of the diagonal."""
        return self.triangle and chunk[0] != chunk[1]

    def num_pairs(self, chunk: tuple[int, int]) -> int:
        """Pairs to compute in a chunk."""
        rows, columns = (part.stop - part.start for part in self.slices(chunk))
        return rows * (rows - 1) // 2 if self.triangle and chunk[0] == chunk[1] else rows * columns


def choose_size(shape: tuple[int, int], longest: int, num_dims: int, options: Options, max_memory: float) -> int:
    """Size of chunks for sequences of up to `longest` frames.

    It depends on the data and on what the user asked for, never on the machine: so does every bit of the result.
    """
    windows = num_windows(longest, options.window_size, options.stride)
    reach = min(2 * int(band(windows, windows, options.radius)[0]) + 1, windows)
    work = windows * reach * (num_dims * min(options.stride, options.window_size) + min(GROUP_SIZES.values()))
    for size in SIZES:
        memory = working_memory(size, longest, num_dims, options)
        roomy = MIN_AT_ONCE * memory <= max_memory
        if size > FULL_SIZE and not (roomy and MIN_PER_SIDE * size <= max(shape) and size**2 * work <= MAX_WORK):
            continue
        if memory <= max_memory:
            return size
    raise ValueError(
        f"max_memory={max_memory} is too little for sequences of up to {longest} frames and D={num_dims}: "
        f"the smallest chunks need {memory} bytes"
    )


def working_memory(size: int, longest: int, num_dims: int, options: Options) -> int:
    """Bytes that one thread needs at most for a chunk of `size` by `size` sequences of up to `longest` frames."""
    shape = superframes(options.window_size, options.stride)
    windows = num_windows(longest, options.window_size, options.stride)
    frames = max(longest, options.window_size)
    rows, width, lanes = shape.count(windows), num_dims * (shape.head + shape.rest) + 4, max(GROUP_SIZES)
    packed = (2 * size + 2 * lanes) * rows * width * 4  # float32 copies; those of one group twice for a moment
    plain = shape.box == 1 and not shape.tail
    ring = 0 if plain else DIFFERENCE_TILE * (-(-shape.count(0) // DIFFERENCE_TILE) + 1)
    buffers = DIFFERENCE_TILE + ring * (2 if shape.rest else 1)  # rows of windows or superframes per sequence
    block = lanes**2 * (rows * buffers * 4 + (windows + 1) * 16 + 64)  # their costs, and the programme's state
    queries = 0 if uses_differences(num_dims, shape) else 2 * max(QUERY_BUFFER, lanes * width * DIFFERENCE_TILE) * 4
    exact = 16 * windows * (windows + frames) + 64 * frames * num_dims  # a doubtful pair, in float64
    return packed + block + queries + exact + 24 * size**2 + 2**18  # finished distances on their way; Python's own


def longest_and_dims(*lists: list[np.ndarray]) -> tuple[int, int]:
    """Frames of the longest sequence, and dimensions."""
    return max(len(sequence) for sequences in lists for sequence in sequences), lists[0][0].shape[1]
