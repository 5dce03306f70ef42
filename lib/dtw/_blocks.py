"""One block of pairs: window costs by tiles of rows, the band, the dynamic programme, and what rounding allows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lib.dtw import _kernel
from lib.dtw._costs import Scratch, WindowCosts
from lib.dtw._plan import Group, tiles
from lib.dtw._windows import Options, Superframes, band

LONG_PATH = 1024  # windows of both sequences beyond which float32 sums would lose digits step by step
UNIT = 2.0**-24  # rounding of one float32 operation
MIN_PRODUCT_ROWS = 128  # rows of a matrix product that runs near its peak, and hides the calls around it
DIFFERENCE_TILE = 8  # windows of every row sequence per call where no product asks for more


class Sums(NamedTuple):
    """Result of a block, (rows, columns).

    Attributes
    ----------
    total
        Summed squared differences over the windows of the best path, in scaled units.
    steps
        Window pairs on it, or None where nobody asks.
    doubtful
        True where float32 cannot promise the digits (or the number of steps): these pairs need `_exact`.
    """

    total: np.ndarray
    steps: np.ndarray | None
    doubtful: np.ndarray


def block_sums(
    rows: list[Group],
    y: Group,
    shape: Superframes,
    options: Options,
    differences: bool,
    scratch: Scratch,
    check: Callable[[], None],
) -> Sums:
    """All pairs of some row groups and a column group; `check` is called between tiles and may raise to stop."""
    counts = np.concatenate([group.counts for group in rows])
    num_lanes = y.parts[0].shape[2 if differences else 1]
    lane_counts = np.concatenate([y.counts, np.repeat(y.counts[-1:], num_lanes - len(y.counts))])
    below, above = (np.ascontiguousarray(side) for side in band(counts[:, None], lane_counts[None], options.radius))
    uniform = np.ptp(below) == 0 and np.ptp(above) == 0
    reach = (int(below.max()), int(above.max()))

    tile = DIFFERENCE_TILE
    if not differences:  # more rows than the product needs would only widen the band's part of it
        tile = min(tile, max(-(-MIN_PRODUCT_ROWS // len(counts)), (sum(reach) + 1) // 16))
    costs = WindowCosts(rows, y, shape, min(tile, int(counts.max())), reach, differences, scratch)
    programme = _Programme(counts, y.counts, num_lanes, below.max(axis=1), above.max(axis=1), scratch)
    noise, relative, doubt = rounding(rows, y, shape, differences)
    if options.normalize == "path":
        slack = np.zeros((len(counts), num_lanes), np.float32)
        slack[:, : len(y.counts)] = noise
        programme.count_steps(1.0 + relative, slack)
    for start, stop in tiles(int(counts.max()), costs.tile):
        check()
        tile_costs = costs.windows(start, stop)
        if not uniform:
            _kernel.mask_band(tile_costs, start, stop - start, counts, below, above)
        programme.advance(tile_costs, start, stop)
    total = programme.sums[:, : len(y.counts)].astype(np.float64)
    doubtful = total <= doubt  # both are zero where squares vanish beside far larger sequences
    if not programme.steps:
        return Sums(total, None, doubtful)
    fewest, most = (steps[:, : len(y.counts)] for steps in programme.steps)
    return Sums(total, fewest.astype(np.float64), doubtful | (fewest != most))


def rounding(rows: list[Group], y: Group, shape: Superframes, differences: bool):
    """Bound what float32 does to a path's sum: absolute and relative slack, and the sum below which a pair is doubtful.

    A product |x|² + |y|² - 2xy is off by about a unit of the norms, whatever the difference; the path meets at most
    n + m windows. A direct difference is off by a unit of the frames' size times the difference, hence the square.
    """
    counts, norms = (
        np.concatenate(values)[:, None] for values in zip(*((g.counts, g.norms) for g in rows), strict=True)
    )
    scale = (shape.box + shape.tail) * (counts + y.counts) * (norms + y.norms)
    if differences:
        return 0.01 * UNIT * scale, 200 * UNIT, 1e-4 * scale
    return 4 * UNIT * scale, 16 * UNIT, 0.01 * scale


class _Programme:
    """State of the dynamic programme of a block."""

    def __init__(self, counts_x, counts_y, num_lanes, below, above, scratch):
        sizes = (len(counts_x), int(counts_y.max()) + 1, num_lanes)
        long = counts_x.max() + counts_y.max() > LONG_PATH
        self.counts, self.band = (counts_x, counts_y), (below, above)
        self.state = scratch.array("state", sizes, np.float64 if long else np.float32)
        self.state[:, 0] = 0.0
        self.state[:, 1:] = np.inf
        self.saved = np.empty(num_lanes, self.state.dtype)
        self.sums = np.empty((len(counts_x), num_lanes), self.state.dtype)
        self.steps = ()

    def count_steps(self, relative, slack):
        self.steps = tuple(np.empty(self.sums.shape, np.float32) for _ in range(2))
        self.step_state = tuple(np.zeros(self.state.shape, np.float32) for _ in range(2))
        self.tolerance = (np.float32(relative), slack)

    def advance(self, costs, start, stop):
        common = (costs, start, stop - start, *self.counts, *self.band, self.state)
        if self.steps:
            _kernel.accumulate_steps(*common, *self.step_state, *self.tolerance, self.sums, *self.steps)
        else:
            _kernel.accumulate(*common, self.saved, self.sums)
