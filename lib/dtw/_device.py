"""Blocks of pairs on a GPU, through PyTorch: one matrix product per tile of the band, then anti-diagonals.

The counterpart of `_blocks`: the same groups in, the same `Sums` out. Cells of an anti-diagonal do not need each
other, so a step of the dynamic programme takes all of them for all pairs at once. In `costs` (n, A, m, B) an
anti-diagonal is a view with strides of its own: nothing is moved.
"""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lib.dtw._blocks import LONG_PATH, Sums, rounding
from lib.dtw._kernel import LARGE
from lib.dtw._plan import LANE_WIDTH, Group, tiles
from lib.dtw._windows import Options, Superframes, band

BLOCK_BYTES = 2**31  # of costs that stand in the device's memory together
MAX_SIZE = 512  # sequences a side: the launches of a block's steps then cost less than the steps
PRODUCT_ROWS = 2**13  # rows of one matrix product; more would only widen the band's part of it

_LOCK = threading.Lock()  # one block at a time: its memory is the limit, and one block fills a device


def check_device(device: Any) -> torch.device | None:
    """Return the PyTorch device asked for, or None for the CPU, which has kernels of its own."""
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is no device of PyTorch's; give 'cpu', 'cuda' or 'cuda:1'") from error
    if device.type == "cpu":
        return None
    if device.type != "cuda":
        raise ValueError(f"device={str(device)!r} is not supported; give 'cpu', 'cuda' or 'cuda:1'")
    return device


def require(device: torch.device | None) -> None:
    """Refuse a GPU that this machine does not have."""
    if device is not None and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={str(device)!r}, but PyTorch {torch.__version__} sees {torch.cuda.device_count()} GPUs; "
            "give 'cpu', or install PyTorch for your GPU"
        )


def group_size(windows: int, shape: Superframes) -> int:
    """Return how many sequences of up to `windows` windows a side fit into a block, a multiple of the lanes' width."""
    copies = 1 if shape.box == 1 and not shape.tail else 3  # superframes, their box sums and a step between them
    size = int((BLOCK_BYTES / (4 * copies * shape.count(windows) ** 2)) ** 0.5) // LANE_WIDTH * LANE_WIDTH
    return min(MAX_SIZE, max(LANE_WIDTH, size))


def block_sums(
    rows: list[Group],
    y: Group,
    shape: Superframes,
    options: Options,
    differences: bool,
    device: torch.device,
    check: Callable[[], None],
) -> Sums:
    """All pairs of some row groups and a column group; `check` is called between steps and may raise to stop."""
    counts = np.concatenate([group.counts for group in rows])
    below, above = band(counts[:, None], y.counts[None], options.radius)
    reach = (int(below.max()), int(above.max()))
    noise, relative, doubt = rounding(rows, y, shape, differences)
    sizes = (len(counts), len(y.counts))
    with _LOCK, torch.inference_mode(), _full_precision():
        costs = _window_costs(rows, y, shape, reach, differences, device, check)
        limits = None
        if np.ptp(below) or np.ptp(above):
            limits = [torch.as_tensor(np.broadcast_to(side, sizes).copy(), device=device) for side in (below, above)]
        slack = None
        if options.normalize == "path":
            slack = torch.as_tensor(np.broadcast_to(noise, sizes).astype(np.float32), device=device)
        total, *steps = _programme(costs, counts, y.counts, reach, limits, relative, slack, check)
    doubtful = total <= doubt
    if not steps:
        return Sums(total, None, doubtful)
    fewest, most = steps
    return Sums(total, fewest, doubtful | (fewest != most))


@contextmanager
def _full_precision():
    """Keep TF32 out of float32 products on GPUs."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _window_costs(rows, y, shape, reach, differences, device, check):
    """Costs of window pairs (n, A, m, B) inside the widest band; elsewhere anything, NaN included."""
    heads, *rest = (_superframe_costs(rows, y, part, reach, differences, device, check) for part in range(len(y.parts)))
    whole = heads + rest[0] if rest else heads
    total, done = None, 0
    power, size = whole, 1  # sums over `size` superframes down the diagonal, doubled from one to the next
    while True:
        if shape.box & size:
            total = power if total is None else _diagonal_sum(total, power, done)
            done += size
        if 2 * size > shape.box:
            break
        power, size = _diagonal_sum(power, power, size), 2 * size
    return _diagonal_sum(total, heads, shape.box) if shape.tail else total


def _diagonal_sum(first, second, shift):
    """Cells of `first` plus those of `second` that stand `shift` further down their diagonal."""
    n, m = second.shape[0] - shift, second.shape[2] - shift
    return first[:n, :, :m] + second[shift:, :, shift:]


def _superframe_costs(rows, y, part, reach, differences, device, check):
    parts = [group.parts[part] for group in rows]
    right = torch.as_tensor(y.parts[part], device=device)
    if differences:  # (K, Q, lanes)
        parts = [values[..., : len(group.indices)] for values, group in zip(parts, rows, strict=True)]
        right = right[..., : len(y.indices)]
        left = torch.as_tensor(_together(parts, axis=2), device=device)
        costs = right.new_zeros(left.shape[1], left.shape[2], *right.shape[1:])
        for ours, theirs in zip(left, right, strict=True):
            check()
            costs += (ours[:, :, None, None] - theirs).square_()
        return costs
    parts = [values[:, : len(group.indices)] for values, group in zip(parts, rows, strict=True)]
    right = right[:, : len(y.indices)]
    left = torch.as_tensor(_together(parts, axis=1), device=device) * -2  # (Q, A, K + 2), left sides as in `_costs`
    left[..., -2], left[..., -1] = left[..., -1] / -2, 1
    num_rows, A, width = left.shape
    columns, B = right.shape[:2]
    costs = right.new_empty(num_rows, A, columns, B)
    flat = right.reshape(-1, width)
    for start, stop in tiles(num_rows, max(1, PRODUCT_ROWS // A)):
        check()
        low, high = max(0, start - reach[0]), min(columns, stop + reach[1])
        if low < high:
            product = left[start:stop].reshape(-1, width) @ flat[low * B : high * B].T
            costs[start:stop, :, low:high] = product.view(stop - start, A, high - low, B)
    return costs


def _together(parts, axis):
    """Row groups side by side, the shorter ones filled up with zeros."""
    frames = 0 if axis == 1 else 1
    longest = max(part.shape[frames] for part in parts)
    pad = [[(0, longest - part.shape[frames]) if side == frames else (0, 0) for side in range(3)] for part in parts]
    return np.concatenate([np.pad(part, width) for part, width in zip(parts, pad, strict=True)], axis=axis)


def _programme(costs, counts_x, counts_y, reach, limits, relative, slack, check):
    """Sum of every pair, and with `slack` the fewest and the most steps of a best path (see `_kernel`), float64."""
    n, A, m, B = (int(counts_x.max()), costs.shape[1], int(counts_y.max()), costs.shape[3])
    dtype = torch.float64 if n + m > LONG_PATH else torch.float32
    # states[k] is the anti-diagonal k before the current one; row i + 1 is window i of x, row 0 stands before the first
    names = ("total",) if slack is None else ("total", "fewest", "most")
    empty = {"total": torch.inf, "fewest": 0.0, "most": 0.0}
    states = [
        {k: costs.new_full((n + 2, A, B), empty[k], dtype=dtype if k == "total" else torch.float32) for k in names}
        for _ in range(3)
    ]
    results = [np.empty((A, B)) for _ in names]
    ends = _Ends(counts_x, counts_y)
    states[1]["total"][0] = 0.0  # two before the first: every path starts there
    for d in range(n + m - 1):
        check()
        # windows i of x with 0 <= d - i < m and -below <= (d - i) - i <= above
        low = max(0, d - m + 1, -((reach[1] - d) // 2))
        high = min(n - 1, d, (d + reach[0]) // 2)
        previous, before, now = states
        cells = costs.as_strided(
            (max(0, high - low + 1), A, B),
            (costs.stride(0) - costs.stride(2), costs.stride(1), costs.stride(3)),
            costs.storage_offset() + low * (costs.stride(0) - costs.stride(2)) + d * costs.stride(2),
        )
        if limits is not None:
            offset = d - 2 * torch.arange(low, high + 1, device=costs.device)[:, None, None]
            cells = cells.masked_fill((offset < -limits[0]) | (offset > limits[1]), torch.inf)
        up, left, diagonal = slice(low, high + 1), slice(low + 1, high + 2), slice(low, high + 1)
        best = torch.minimum(torch.minimum(previous["total"][up], previous["total"][left]), before["total"][diagonal])
        if slack is not None:
            _count_steps(previous, before, now, up, left, best, relative, slack)
        now["total"][left] = best + cells
        now["total"][max(0, low - 1) : low + 1] = torch.inf  # the next two look one row beyond either end
        now["total"][high + 2 : high + 4] = torch.inf
        if d == 0:
            before["total"][0] = torch.inf
        for name, result in zip(names, results, strict=True):
            ends.collect(d, now[name], result)
        states = [now, previous, before]
    return results


def _count_steps(previous, before, now, up, left, best, relative, slack):
    cut = best * relative + slack
    good = [previous["total"][up] <= cut, previous["total"][left] <= cut, before["total"][up] <= cut]
    for name, other, choose in (("fewest", float(LARGE), torch.minimum), ("most", 0.0, torch.maximum)):
        steps = [previous[name][up], previous[name][left], before[name][up]]
        few = [torch.where(those, values, other) for those, values in zip(good, steps, strict=True)]
        now[name][left] = choose(choose(few[0], few[1]), few[2]) + 1


class _Ends:
    """Where the last cell of every pair stands: on which anti-diagonal, in which row."""

    def __init__(self, counts_x, counts_y):
        diagonal = (counts_x[:, None] + counts_y - 2).ravel()
        self.order = np.argsort(diagonal, kind="stable")
        self.starts = np.searchsorted(diagonal[self.order], np.arange(diagonal.max() + 2))
        self.rows, self.width = np.asarray(counts_x), len(counts_y)

    def collect(self, d, state, result):
        """Copy the sums of the pairs that end on anti-diagonal d."""
        pairs = self.order[self.starts[d] : self.starts[d + 1]]
        if not len(pairs):
            return
        a, b = np.divmod(pairs, self.width)
        at = [torch.as_tensor(index, device=state.device) for index in (self.rows[a], a, b)]
        result[a, b] = state[at[0], at[1], at[2]].cpu().numpy()
