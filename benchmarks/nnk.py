"""Time `graphs.nnk` against a loop over `scipy.optimize.nnls` that solves the same problems.

    python -m benchmarks.nnk            N = 5000, k = 50; writes data/results/nnk.csv
    python -m benchmarks.nnk --quick    N = 500, k = 20; prints only

"graph" is from the distance matrix to weights: `nnk` checks its input and searches neighbours inside its time, the
loop is given the neighbours. "solve" is from the local kernel systems to weights: the loop reduces each to least
squares by a Cholesky factor and calls `nnls`; ours also tests each for negative eigenvalues and computes residuals.
BLAS keeps to one thread throughout, which is faster for matrices this small. Each time is the best of `--repeats`
runs, after one small run that compiles. On a machine shared with other work the ratio of CPU seconds (all threads
added up) is the steadier figure; times the number of free cores it predicts the ratio of wall-clock times.
"""

import argparse
import itertools
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import scipy
from scipy.linalg import solve_triangular
from scipy.optimize import nnls
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from lib import graphs, paths, runs
from lib.graphs._solver import solve_systems
from lib.graphs._systems import fill_systems

# name, feature dimension, bandwidth scale, relative noise on distances (what makes them no metric, as DTW's are)
CASES = [
    ("3 dimensions", 3, 1 / 3, 0.0),
    ("16 dimensions", 16, 1 / 3, 0.0),
    ("16 dimensions, wide kernel", 16, 1.0, 0.0),
    ("128 dimensions", 128, 1 / 3, 0.0),
    ("128 dimensions, wide kernel", 128, 1.0, 0.0),
    ("16 dimensions, wide kernel, no metric", 16, 1.0, 0.05),
]


def make_distances(num_clips: int, dimension: int, noise: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(num_clips, dimension))
    distances = cdist(points, points)
    if noise:
        factors = np.triu(np.exp(noise * rng.normal(size=distances.shape)), 1)
        distances *= factors + factors.T
    return distances


def nnls_systems(systems) -> np.ndarray:
    """Solve every system by K = L L', min |L' theta - L^-1 k| over theta >= 0."""
    weights = []
    for system in systems:
        kernel = system[:-1, :-1] + 1e-10 * system.diagonal().max() * np.eye(len(system) - 1)
        lower = np.linalg.cholesky(kernel)
        weights.append(nnls(lower.T, solve_triangular(lower, system[:-1, -1], lower=True))[0])
    return np.array(weights)


def nnls_graph(distances: np.ndarray, indices: np.ndarray, sigma: float, repair: bool) -> np.ndarray:
    """From distances to weights, row by row."""

    def systems():
        for i, row in enumerate(indices):
            members = np.append(row, i)
            kernel = np.exp(-(distances[np.ix_(members, members)] ** 2) / (2 * sigma**2))
            if repair:
                values, vectors = np.linalg.eigh(kernel)
                kernel = (vectors * np.maximum(values, 0)) @ vectors.T
            yield kernel

    return nnls_systems(systems())


def solve_blocks(systems: np.ndarray, solver: str, num_threads: int) -> np.ndarray:
    """Run our solver alone, in blocks shared among threads as `nnk` does."""
    n, k = len(systems), systems.shape[1] - 1
    weights, numbers, flags = np.empty((n, k)), np.empty((3, n)), np.empty(n, np.bool_)

    def solve(start: int) -> None:
        rows = slice(start, start + 64)
        solve_systems(systems[rows], solver == "exact", weights[rows], *numbers[:, rows], flags[rows])

    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(solve, range(0, n, 64)))
    return weights


def best_time(call, repeats: int):
    """Best wall-clock seconds, best CPU seconds over all threads, and the result."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        result = call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return min(wall), min(cpu), result


def measure(num_clips: int, k: int, threads: list[int], repeats: int, seed: int) -> pd.DataFrame:
    common = {
        **runs.origin(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "cpus": os.cpu_count(),
        "seed": seed,
        "num_clips": num_clips,
        "k": k,
    }
    graphs.nnk(make_distances(80, 3, 0.0, seed), 10)  # compiles
    rows = []
    for name, dimension, scale, noise in CASES:
        distances = make_distances(num_clips, dimension, noise, seed)
        sigma = graphs.bandwidth(distances, k, scale=scale)
        indices = graphs.knn(distances, k).indices
        systems = fill_systems(distances, np.full(num_clips, sigma), indices, 0, num_clips)
        if noise:
            systems, _ = graphs.nearest_psd(systems)
        slow_graph, _, expected = best_time(partial(nnls_graph, distances, indices, sigma, noise > 0), repeats)
        slow_solve, slow_solve_cpu, _ = best_time(partial(nnls_systems, systems), repeats)
        for num_threads, solver in itertools.product(threads, ("exact", "pruning")):
            build = partial(graphs.nnk, distances, k, sigma=sigma, solver=solver, num_threads=num_threads)
            graph_seconds, _, graph = best_time(build, repeats)
            solve_seconds, solve_cpu, weights = best_time(partial(solve_blocks, systems, solver, num_threads), repeats)
            rows.append(
                common
                | {"case": name, "solver": solver, "threads": num_threads}
                | {"graph_seconds": graph_seconds, "graph_seconds_nnls": slow_graph}
                | {"graph_speedup": slow_graph / graph_seconds}
                | {"solve_seconds": solve_seconds, "solve_seconds_nnls": slow_solve}
                | {"solve_speedup": slow_solve / solve_seconds, "solve_cpu_speedup": slow_solve_cpu / solve_cpu}
                | {"max_difference": max(np.abs(w - expected).max() for w in (graph.weights, weights))}
                | {"kkt_residual": graph.kkt_residuals.max()}
                | {"num_neighbors_mean": graph.num_neighbors.mean()}
                | {"systems_repaired": graph.psd_change.num_changed}
            )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-clips", type=int, default=5000)
    parser.add_argument("--k", type=int, default=50, help="candidates per clip")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat, no file unless --output says so")
    parser.add_argument("--output", type=Path, help="CSV to write (default: data/results/nnk.csv)")
    options = parser.parse_args()
    if options.quick:
        options.num_clips, options.k, options.repeats = 500, 20, 1
    elif options.output is None:
        options.output = paths.RESULTS / "nnk.csv"

    with threadpool_limits(1, user_api="blas"):
        table = measure(options.num_clips, options.k, options.threads, options.repeats, options.seed)
    shown = ["case", "solver", "threads", "graph_seconds", "graph_speedup", "solve_seconds", "solve_speedup"]
    shown += ["solve_cpu_speedup", "max_difference", "kkt_residual", "num_neighbors_mean", "systems_repaired"]
    print(table[shown].to_string(index=False, float_format="{:.3g}".format))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        beside = options.output.with_suffix(".partial")
        table.to_csv(beside, index=False)
        beside.replace(options.output)


if __name__ == "__main__":
    main()
