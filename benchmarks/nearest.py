"""Time `dtw.nearest` on layer-like features: recall, share of pairs computed, growth with N.

    python -m benchmarks.nearest                 2,000 to 20,000 clips; writes data/results/nearest.csv
    python -m benchmarks.nearest --sizes 2000 5000 --dry-run
    python -m benchmarks.nearest --dataset nw_ucla       every layer of a trained network instead

Made-up features are built as a layer's are: a few smooth latent paths per class, warped in time and bent by each
clip, through a random matrix and a ReLU, with noise. Recall is against exact neighbours of some clips, found by
`pairwise` of those against all; "pairs" is the share of all N (N - 1) / 2 that was computed, the exponent is that of
seconds between two sizes. The first call of the approximate search in a process also compiles NNDescent; that time is
given apart, in a row of its own.
"""

import argparse
import os
import time

import numpy as np
import pandas as pd

from lib import datasets, dtw, execution, paths, recipes, runs
from lib.features import extract

MEASURED = ("seconds", "pairs", "recall", "exponent")


def layer_features(num_clips: int, num_frames: int, num_dims: int, seed: int, num_classes: int = 60) -> np.ndarray:
    """(N, T, D) float32; a larger set has the classes of a smaller one."""
    rng = np.random.default_rng(seed)
    latent = 6
    mix = rng.normal(size=(latent, num_dims)) / np.sqrt(latent)
    waves = rng.normal(size=(num_classes, 4, latent)) / np.array([1, 1, 2, 2])[:, None]
    offsets = 1.5 * rng.normal(size=(num_classes, latent))
    labels = np.arange(num_clips) % num_classes
    t = np.linspace(0, 1, num_frames)
    speed = rng.normal(0, 0.12, size=(num_clips, 1)) * np.sin(np.pi * t)
    warped = 2 * np.pi * (t + speed)[:, :, None] * np.array([1, 2, 3, 4]) / 2  # (N, T, 4)
    bend = rng.normal(0, 0.25, size=(num_clips, 4, latent))
    shift = rng.normal(0, 0.3, size=(num_clips, 1, latent))
    path = np.einsum("ntw,nwl->ntl", np.sin(warped), waves[labels] + bend) + offsets[labels][:, None] + shift
    features = np.maximum(path @ mix, 0) + 0.05 * rng.normal(size=(num_clips, num_frames, num_dims))
    return features.astype(np.float32)


def recall_of(found: dtw.Nearest, features, choices, num_queries: int, seed: int) -> float:
    """Share of the true neighbours of some clips that were found."""
    queries = np.random.default_rng(seed).choice(len(features), min(num_queries, len(features)), replace=False)
    distances = dtw.pairwise([features[query] for query in queries], features, **choices)
    distances[np.arange(len(queries)), queries] = np.inf
    k = found.indices.shape[1]
    true = np.argpartition(distances, k - 1, axis=1)[:, :k]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(true, found.indices[queries], strict=True)]))


class Table:
    """Rows of the results file, printed as they come."""

    def __init__(self, args):
        self.origin = {"threads": args.threads} | runs.origin()
        self.common, self.rows, self.before = {"radius": args.radius, "k": args.k}, [], {}

    def add(self, features, method, shape, seconds, pairs=None, recall=None):
        """Add a row; `shape` is (N, T, D), `pairs` how many were computed."""
        n, before = shape[0], self.before.get(method)
        row = {"features": features, "method": method, **dict(zip("NTD", shape, strict=True)), **self.common}
        row["seconds"] = f"{seconds:.2f}"
        row["pairs"] = "" if pairs is None else f"{pairs / (n * (n - 1) / 2):.4f}"
        row["recall"] = "" if recall is None else f"{recall:.4f}"
        row["exponent"] = ""
        if before and before[0] < n:
            row["exponent"] = f"{np.log(seconds / before[1]) / np.log(n / before[0]):.2f}"
        self.before[method] = n, seconds
        self.rows.append(row | self.origin)
        print("  ".join(f"{row[name] or '-':>12}" for name in ("features", "method", "N", *MEASURED)))


def grow(table: Table, args, choices) -> None:
    """Time every size of made-up features."""
    warm = layer_features(64, args.frames, args.dims, args.seed)
    for method in args.methods:
        dtw.nearest(warm, args.k, method=method, **choices)
    if "approximate" in args.methods:
        start = time.perf_counter()
        dtw.nearest(layer_features(4200, 2, 1, args.seed), args.k, method="approximate", num_threads=args.threads)
        table.add("made up", "compile", (4200, 2, 1), time.perf_counter() - start)
    for n in sorted(args.sizes):
        features, shape = layer_features(n, args.frames, args.dims, args.seed), (n, args.frames, args.dims)
        for method in args.methods:
            if method == "exact" and n > args.exact_up_to:
                continue
            start = time.perf_counter()
            found = dtw.nearest(features, args.k, method=method, seed=args.seed, **choices)
            seconds = time.perf_counter() - start
            table.add(
                "made up", method, shape, seconds, found.num_pairs, recall_of(found, features, choices, 200, args.seed)
            )
        queries = min(n, 100)  # what every pair would take
        start = time.perf_counter()
        dtw.pairwise(features[:queries], features, **choices)
        table.add("made up", "all pairs", shape, (time.perf_counter() - start) * (n - 1) / 2 / queries)


def of_layers(table: Table, args, choices) -> None:
    """Search every layer of the network that the dataset's recipe trains, on all clips of the dataset."""
    recipe = recipes.get(args.dataset)
    train, clips = (recipe.prepare(datasets.load(args.dataset, split=split)) for split in ("train", None))
    network, _ = recipe.fit(train, args.seed)
    for layer, features in extract(network, clips, progress=True).items():
        shape = (len(features), *features[0].shape)
        for method in args.methods:
            start = time.perf_counter()
            found = dtw.nearest(features, args.k, method=method, seed=args.seed, **choices)
            seconds = time.perf_counter() - start
            recall = recall_of(found, features, choices, 200, args.seed)
            table.add(f"{args.dataset} {layer}", method, shape, seconds, found.num_pairs, recall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 5000, 10000, 20000])
    parser.add_argument("--methods", nargs="+", default=["approximate", "exact"])
    parser.add_argument("--dataset", help="search the layers of this dataset's trained network instead of made-up ones")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--dims", type=int, default=16)
    parser.add_argument("--radius", type=int, default=4)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exact-up-to", type=int, default=20000, help="largest N of the exact search")
    parser.add_argument("--dry-run", action="store_true", help="print only")
    args = parser.parse_args()
    print(f"radius={args.radius} k={args.k}, load average {os.getloadavg()[0]:.1f}")
    table, choices = Table(args), {"radius": args.radius, "num_threads": args.threads}
    (of_layers if args.dataset else grow)(table, args, choices)
    if not args.dry_run:
        kind = args.dataset or "made up"
        path = paths.RESULTS / "nearest.csv"
        fresh = pd.DataFrame(table.rows)
        if path.exists():  # rows of the other kinds stay
            old = pd.read_csv(path, dtype=str)
            fresh = pd.concat([old[~old["features"].str.startswith(kind)], fresh.astype(str)])
        execution.write_whole(path, fresh.to_csv(index=False))


if __name__ == "__main__":
    main()
