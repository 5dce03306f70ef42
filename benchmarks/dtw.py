"""Time `dtw.pairwise` beside tslearn, aeon and dtaidistance on the same random walks.

    python -m benchmarks.dtw            the five cases and how time grows; writes data/results/dtw.csv
    python -m benchmarks.dtw --quick    smaller cases, prints only

Every library gets the same number of threads and first has to give the same distances. Peers are timed on the pairs of
the first few sequences and all times are per pair, the best of `--repeats` runs after one that compiles. Where a
library cannot compute a case as it is, it gets an equivalent: stacked windows, divided by the root of the window's
size. aeon's band for unequal lengths is another one, so that its time there is for its own band and its values are not
compared.

On a machine that others use, `--clock cpu` divides the process's CPU time by the threads, for every library alike,
which is the wall time of an idle machine if all scale perfectly; the results name the clock.

The peak share is the arithmetic that the definition needs (two operations per dimension for each frame pair that a
window pair inside the band uses, each frame pair counted once) beside a large float32 matrix product of the same run.
The peers pin older NumPy and Numba than ours needs: install them in an environment of their own.
"""

import argparse
import csv
import os
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from lib import dtw, paths, runs
from lib.dtw._windows import band, num_windows

COLUMNS = [
    *("case", "N", "T", "D", "radius", "window", "stride", "library", "version"),
    *("seconds_per_pair", "speedup", "peak_share", "threads", "clock", "commit", "date"),
]


class Case(NamedTuple):
    """One line of the table; T is one length or the shortest and longest; peers get `peer_n` sequences."""

    name: str
    n: int
    t: int | tuple[int, int]
    d: int
    radius: int | float | None = None
    window: int = 1
    stride: int = 1
    peer_n: int = 0

    def sequences(self, seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        low, high = self.t if isinstance(self.t, tuple) else (self.t, self.t)
        return [rng.normal(size=(rng.integers(low, high + 1), self.d)).cumsum(0) for _ in range(self.n)]

    def choices(self) -> dict:
        return {"window_size": self.window, "stride": self.stride, "radius": self.radius}


CASES = [
    Case("banded", 300, 75, 75, 8, peer_n=60),
    Case("no band", 300, 75, 75, None, peer_n=60),
    Case("wide", 100, 75, 1600, 8, peer_n=24),
    Case("mixed lengths", 100, (20, 120), 256, 12, peer_n=30),
    Case("windows", 300, 75, 75, None, 5, 2, peer_n=60),
]
GROWTH = [
    *(Case("growth N", n, 75, 75, 8) for n in (50, 100, 200, 400, 800)),
    *(Case("growth T", 100, t, 75, 0.1) for t in (38, 75, 150, 300, 600)),
    *(Case("growth D", 200, 75, d, 8) for d in (1, 3, 8, 9, 25, 75, 256, 1024)),
    Case("growth radius", 100, (20, 120), 256, 0.1),
    *(Case("growth window", 200, 75, 75, None, window) for window in (1, 2, 5, 10, 20)),
]


def stacked(sequences: list[np.ndarray], window: int, stride: int) -> list[np.ndarray]:
    """Windows as single frames whose squared distance is the mean over the window."""
    if window == stride == 1:
        return sequences
    starts = [range(0, len(x) - window + 1, stride) for x in sequences]
    return [
        np.stack([x[at : at + window].ravel() for at in start]) / np.sqrt(window)
        for x, start in zip(sequences, starts, strict=True)
    ]


def tslearn_pairwise(sequences, radius, threads):
    from tslearn.metrics import cdist_dtw
    from tslearn.utils import to_time_series_dataset

    data = to_time_series_dataset(sequences)
    constraint = None if radius is None else "sakoe_chiba"
    return lambda: cdist_dtw(data, global_constraint=constraint, sakoe_chiba_radius=radius, n_jobs=threads)


def aeon_pairwise(sequences, radius, threads):
    from aeon.distances import dtw_pairwise_distance

    data = [np.ascontiguousarray(x.T) for x in sequences]
    longest = max(map(len, sequences))
    window = None if radius is None else radius / longest
    data = np.stack(data) if all(len(x) == longest for x in sequences) else data
    return lambda: np.sqrt(dtw_pairwise_distance(data, window=window, n_jobs=threads))


def dtaidistance_pairwise(sequences, radius, threads):
    from dtaidistance import dtw_ndim

    window = None if radius is None else radius + 1
    os.environ["OMP_NUM_THREADS"] = str(threads)
    return lambda: dtw_ndim.distance_matrix_fast(sequences, window=window, parallel=threads > 1)


PEERS = {"tslearn": tslearn_pairwise, "aeon": aeon_pairwise, "dtaidistance": dtaidistance_pairwise}


def best_time(function, args, threads: int, repeats: int = 1, budget: float = 20.0) -> float:
    """Best time after one call that compiles; stops repeating once the budget of seconds is used."""
    clock = time.perf_counter if args.clock == "wall" else lambda: time.process_time() / threads
    function()
    times = []
    while len(times) < max(repeats, args.repeats) and (not times or sum(times) < budget):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def measure_peak(args, threads: int) -> float:
    """Operations per second of a large float32 matrix product."""
    a = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
    with threadpool_limits(threads, user_api="blas"):
        return 2 * 2048**3 / best_time(lambda: a @ a, args, threads, 9)


def needed_operations(case: Case, sequences) -> float:
    """Operations that the frame costs of all pairs need, see the module's docstring."""
    counts = [num_windows(len(x), case.window, case.stride) for x in sequences]
    seen: dict[tuple[int, int], int] = {}
    total = 0
    for i, n in enumerate(counts):
        for m in counts[:i]:
            if (n, m) not in seen:
                below, above = band(n, m, case.radius)
                offsets = np.arange(max(-below, 1 - n), min(above, m - 1) + 1)
                diagonal = np.minimum(n, m - offsets) - np.maximum(0, -offsets)
                seen[n, m] = int(np.sum((diagonal - 1) * min(case.stride, case.window) + case.window))
            total += seen[n, m]
    return 2.0 * case.d * total


def time_ours(case: Case, args, threads: int) -> tuple[float, float]:
    """Seconds per pair and share of the peak."""
    sequences = [x.astype(np.float32) for x in case.sequences(args.seed)]
    seconds = best_time(lambda: dtw.pairwise(sequences, num_threads=threads, **case.choices()), args, threads)
    num_pairs = case.n * (case.n - 1) / 2
    return seconds / num_pairs, needed_operations(case, sequences) / seconds / args.peak[threads]


def comparable(peer: str, case: Case) -> bool:
    """Whether the peer computes the same distances; aeon does not widen its band for unequal lengths."""
    return peer != "aeon" or not isinstance(case.t, tuple)


def time_peers(case: Case, args) -> dict[str, float]:
    """Seconds per pair of each peer, after a check of its values."""
    sequences = case.sequences(args.seed)[: case.peer_n]
    ours = dtw.pairwise(sequences, **case.choices())
    upper = np.triu_indices(len(sequences), 1)
    windows = stacked(sequences, case.window, case.stride)
    seconds = {}
    for name in PEERS:
        run = PEERS[name](windows, case.radius, args.threads)
        found = np.asarray(run())[upper]
        if not comparable(name, case):
            print(f"  {name}: own band for unequal lengths, values not compared")
        else:
            np.testing.assert_allclose(ours[upper], found, rtol=1e-5)
        seconds[name] = best_time(run, args, args.threads) / len(upper[0])
    return seconds


def row(case: Case, args, library: str, seconds: float, speedup=None, share=None, threads=None) -> dict:
    """One line of the results file."""
    try:
        release = version("layers-of-motion" if library == "ours" else library)
    except PackageNotFoundError:
        release = args.commit
    length = "{}-{}".format(*case.t) if isinstance(case.t, tuple) else case.t
    values = (
        case.name, case.n, length, case.d, "" if case.radius is None else case.radius, case.window, case.stride,
        library, release, f"{seconds:.3e}", "" if speedup is None else f"{speedup:.1f}",
        "" if share is None else f"{share:.3f}", threads or args.threads, args.clock, args.commit, args.date,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def compare(case: Case, args) -> list[dict]:
    """Rows of one case, ours and the peers'."""
    print(f"{case.name}: N={case.n} T={case.t} D={case.d} radius={case.radius} window={case.window}/{case.stride}")
    peers = time_peers(case, args)
    ours, share = time_ours(case, args, args.threads)
    fastest = min(seconds for name, seconds in peers.items() if comparable(name, case))
    print(f"  ours {ours * 1e6:9.2f} us/pair   {fastest / ours:5.1f} x the fastest peer   {share:4.0%} of the peak")
    for name, seconds in peers.items():
        print(f"  {name:13s}{seconds * 1e6:9.2f} us/pair   {seconds / ours:5.1f} x   on {case.peer_n} sequences")
    rows = [row(case, args, "ours", ours, fastest / ours, share)]
    return rows + [row(case, args, name, seconds, seconds / ours) for name, seconds in peers.items()]


def grow(case: Case, args, threads: int) -> dict:
    """Row of our time alone."""
    seconds, share = time_ours(case, args, threads)
    shape = f"N={case.n} T={case.t} D={case.d} radius={case.radius} window={case.window} threads={threads}"
    print(f"  {case.name:14s} {shape:58s} {seconds * 1e6:9.2f} us/pair {share:5.0%}")
    return row(case, args, "ours", seconds, None, share, threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller cases, nothing written")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-peers", action="store_true", help="our own growth only, nothing written")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # peers warn about their own dependencies
    args.commit, args.date = runs.origin().values()
    args.peak = {threads: measure_peak(args, threads) for threads in {1, args.threads}}
    blas = {info["architecture"] for info in threadpool_info() if info["user_api"] == "blas"}
    print(
        f"matrix product peak {args.peak[args.threads] / 1e9:.0f} GFlop/s on {args.threads} threads ({blas}),", end=" "
    )
    print(f"{args.clock} time, load average {os.getloadavg()[0]:.1f}")

    cases, growth = CASES, GROWTH
    if args.quick:
        cases = [case._replace(n=case.n // 3, peer_n=case.peer_n // 3) for case in CASES]
        growth = [case for case in GROWTH if case.n <= 100]
    rows = [] if args.no_peers else [line for case in cases for line in compare(case, args)]
    print("growth of our time")
    rows += [grow(case, args, args.threads) for case in growth]
    rows += [grow(case._replace(name="growth threads"), args, 1) for case in cases]
    if not (args.quick or args.no_peers):
        with open(paths.RESULTS / "dtw.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
