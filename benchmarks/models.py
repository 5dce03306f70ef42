"""Time a training step of each network beside the same network computed as it was published.

    python -m benchmarks.models              both networks at full width, float32 and bfloat16; writes models.csv
    python -m benchmarks.models --dry-run    the same, prints only

A step is forward, loss and backward on clips of 25 joints and two persons; the optimiser's part is the same for both.
The published computation is that of the tests' oracles, with the same weights in the same run: logits are compared
before anything is timed, the two take turns, and the fastest repeat of each counts. Shares are operations of matrix
products and convolutions, counted for each network by itself, beside a square matrix product of that precision in the
same run: a network that needs fewer of them may be faster at a smaller share, and a share can exceed 1 where PyTorch's
float32 product is not the fastest on the processor (MKL's on AMD). `--clock cpu` divides the process's CPU time by the
threads, for a machine that others use. The published networks' 1x1 convolutions are faster from 16 persons in a batch
on (8 clips).
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lib import execution, models, paths, skeletons

sys.path.insert(0, str(paths.ROOT / "tests"))
import oracles
import oracles_msg3d

NUM_CLASSES = 60
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def pair(name: str, skeleton: skeletons.Skeleton) -> tuple[nn.Module, nn.Module]:
    """Return ours and the published network, with the same weights."""
    torch.manual_seed(0)
    if name == "stgcn":
        adjacency = torch.tensor(skeleton.adjacency("spatial"), dtype=torch.float32)
        published = oracles.PublishedSTGCN(3, NUM_CLASSES, adjacency)
        options = {}
    else:
        published = oracles_msg3d.PublishedMSG3D(3, NUM_CLASSES, (skeleton.hops == 1).astype(float))
        options = {"num_persons": 2}
    ours = models.build(name, num_classes=NUM_CLASSES, skeleton=skeleton, pooling="mean", **options)
    models.load_reference(ours, published.state_dict())
    return ours, published


def step(network: nn.Module, x: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype) -> None:
    network.zero_grad()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        logits = network(x)
    F.cross_entropy(logits.float(), labels).backward()


def fastest(calls: dict, repeats: int, clock: str, threads: int) -> dict[str, float]:
    """Seconds of each call's fastest repeat after one that does not count; calls take turns."""
    now = time.perf_counter if clock == "wall" else lambda: time.process_time() / threads
    seconds = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            start = now()
            call()
            seconds[name] = min(seconds[name], now() - start)
    return seconds


def operations(call) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--dry-run", action="store_true", help="nothing written")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    skeleton = skeletons.get("ntu25")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(args.batch, 3, args.frames, len(skeleton), 2, generator=generator)
    labels = torch.arange(args.batch) % NUM_CLASSES
    side = 1024
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False, cwd=paths.ROOT).stdout.strip()
    common = {"batch": args.batch, "frames": args.frames, "threads": args.threads, "clock": args.clock}
    origin = {"torch": torch.__version__, "platform": platform.platform(), "commit": commit}
    origin["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    rows = []
    for name in ("stgcn", "msg3d"):
        networks = dict(zip(("ours", "published"), pair(name, skeleton), strict=True))
        with torch.no_grad():
            logits, expected = (network.eval()(x) for network in networks.values())
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        for network in networks.values():
            network.train()
        count = {who: operations(lambda n=n: step(n, x, labels, torch.float32)) for who, n in networks.items()}
        for precision, dtype in DTYPES.items():
            square = torch.randn(side, side, generator=generator).to(dtype)
            calls = {who: lambda n=n, d=dtype: step(n, x, labels, d) for who, n in networks.items()}
            calls["peak"] = lambda square=square: square @ square
            seconds = fastest(calls, args.repeats, args.clock, args.threads)
            peak = 2 * side**3 / seconds["peak"]
            row = {"model": name, "precision": precision, "ratio": round(seconds["published"] / seconds["ours"], 3)}
            for who in networks:
                row[f"seconds_{who}"] = round(seconds[who], 4)
                row[f"gflop_{who}"] = round(count[who] / 1e9, 2)
                row[f"share_{who}"] = round(count[who] / seconds[who] / peak, 3)
            rows.append(row | {"peak_gflops": round(peak / 1e9, 1)} | common | origin)
    table = pd.DataFrame(rows)
    print(table.drop(columns=list(origin)).to_string(index=False))
    print(f"load average {os.getloadavg()[0]:.1f}")
    if not args.dry_run:
        execution.write_whole(paths.RESULTS / "models.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
