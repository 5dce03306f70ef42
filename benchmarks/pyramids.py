"""Time of a class feature pyramid in each of the six networks, at full size, beside one forward pass.

    python -m benchmarks.pyramids              all six, clips of 16 x 112 x 112; writes pyramids.csv
    python -m benchmarks.pyramids --dry-run    the same, prints only

`forward_seconds` is one plain pass, `traced_seconds` the pass that finds the layers, `pyramid_seconds` all of
`class_feature_pyramid`; the fastest repeat of each counts. `back_step` is what the pyramid takes beyond the traced
pass, and `tracing` what tracing takes beyond the plain one, both as shares of the plain one. `published_ms` are the
authors' own back-steps, on two GPUs of 2017 and clips of 16 x 224 x 224 (Stergiou et al. 2019, table of their release);
they give no time of a forward pass. Depth and threshold are theirs, but for I3D's depth, which they count in branches.
"""

import argparse
import os
from typing import NamedTuple

import pandas as pd
import torch

from benchmarks.models import fastest
from lib import execution, paths, pyramids, runs
from lib.models import conv3d

NUM_CLASSES = 400  # Kinetics


class Published(NamedTuple):
    """A line of the authors' table."""

    back_step_ms: float
    threshold: float


PUBLISHED = {
    "mfnet": Published(24.43, 0.60),
    "i3d": Published(23.21, 0.65),
    "resnet50": Published(21.39, 0.55),
    "resnet101": Published(39.48, 0.60),
    "resnet152": Published(31.06, 0.60),
    "resnext101": Published(70.49, 0.60),
}


def row_of(name: str, args: argparse.Namespace) -> dict:
    model = conv3d.build(name, num_classes=NUM_CLASSES, seed=0).eval()
    clip = torch.randn(1, 3, 16, args.size, args.size, generator=torch.Generator().manual_seed(0))
    published = PUBLISHED[name]
    found = []

    def forward() -> None:
        with torch.no_grad():
            model(clip)

    def pyramid() -> None:
        found.append(pyramids.class_feature_pyramid(model, clip, 0, args.depth, threshold=published.threshold))

    calls = {"forward": forward, "traced": lambda: pyramids.trace(model, clip), "pyramid": pyramid}
    seconds = fastest(calls, args.repeats, "wall", args.threads)
    return {
        "network": name,
        **{f"{name}_seconds": round(value, 3) for name, value in seconds.items()},
        "tracing": round(seconds["traced"] / seconds["forward"] - 1, 2),
        "back_step": round((seconds["pyramid"] - seconds["traced"]) / seconds["forward"], 3),
        "back_step_ms": round(1000 * (seconds["pyramid"] - seconds["traced"]), 1),
        "published_ms": published.back_step_ms,
        "kernels": len(found[-1].nodes),
        "connections": len(found[-1].edges),
        "threshold": published.threshold,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=sorted(PUBLISHED), default=sorted(PUBLISHED))
    parser.add_argument("--size", type=int, default=112, help="height and width of the clip")
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dry-run", action="store_true", help="nothing written")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = pd.DataFrame([row_of(name, args) for name in args.networks])
    table = table.assign(size=args.size, depth=args.depth, threads=args.threads)
    print(table.set_index("network").T.to_string())
    print(f"load average {os.getloadavg()[0]:.1f}")
    if not args.dry_run:
        table = table.assign(torch=torch.__version__, **runs.origin())
        execution.write_whole(paths.RESULTS / "pyramids.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
