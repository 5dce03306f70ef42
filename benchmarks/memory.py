"""Peak memory of `dtw.pairwise(store=...)` on more clips than a matrix in memory would bear.

    python -m benchmarks.memory                20,000 clips of 20 frames, D=256; writes memory.csv
    python -m benchmarks.memory --clips 2000   smaller, prints only

The peak is that of the process, by the operating system's count, less what it occupied when the call began, sequences
included; the store goes to a temporary folder of `--folder`.
"""

import argparse
import resource
import tempfile
import time

import numpy as np
import pandas as pd

from lib import dtw, execution, paths, runs


def resident() -> int:
    """Bytes of memory that the process occupies now."""
    with open("/proc/self/statm", encoding="ascii") as status:
        return int(status.read().split()[1]) * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20000)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--radius", type=int, default=2)
    parser.add_argument("--max-memory", type=float, default=1.5e9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", help="where the store goes meanwhile; default: the system's temporary folder")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    dtw.pairwise([rng.normal(size=(9, 9)) for _ in range(9)], radius=2)  # compiles
    shape = (args.clips, args.frames, args.dims)
    sequences = rng.standard_normal(shape, dtype=np.float32).cumsum(axis=1)
    before, start = resident(), time.perf_counter()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        found = dtw.pairwise(
            sequences,
            radius=args.radius,
            store=f"{folder}/distances",
            max_memory=args.max_memory,
            num_threads=args.threads,
            progress=True,
        )
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        i, j = rng.integers(args.clips, size=(2, 20))
        expected = [dtw.distance(sequences[a], sequences[b], radius=args.radius) for a, b in zip(i, j, strict=True)]
        np.testing.assert_allclose([found[a, b] for a, b in zip(i, j, strict=True)], expected, rtol=1e-5)
    row = dict(zip("NTD", shape, strict=True)) | {"radius": args.radius, "threads": args.threads}
    row |= {"max_memory": args.max_memory, "input_bytes": sequences.nbytes, "peak_beside_input": peak - before}
    row |= {"matrix_bytes": 4 * args.clips**2, "seconds": round(seconds, 1)} | runs.origin()
    print(pd.Series(row).to_string())
    if args.clips >= 20000:
        execution.write_whole(paths.RESULTS / "memory.csv", pd.DataFrame([row]).to_csv(index=False))


if __name__ == "__main__":
    main()
