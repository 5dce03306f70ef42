"""Time a training step of each network beside the same network computed as it was published.

    python -m benchmarks.models              both networks at full width, float32 and bfloat16; writes models.csv
    python -m benchmarks.models --dry-run    the same, prints only
    python -m benchmarks.models --also ours_compiled published_channels_last    other ways to run them, beside

A step is forward, loss and backward on clips of 25 joints and two persons; the optimiser's part is the same for both.
The published computation is that of the tests' oracles, with the same weights in the same run: loss and gradients are
compared before anything is timed, all take turns, and the fastest repeat of each counts. `ratio` is the published
network's time over ours in one precision, `ratio_float32` that of the published network in float32 over ours.

In float64 loss and every gradient agree to 1e-4. In float32 no two orders of summation do: a ReLU near zero that falls
on the other side moves the gradient, of the published network itself by 1e-3 of its length. `gradient_error` is that
distance from float64, and ours may not be above three times the published one.

Shares are operations of matrix products and convolutions, counted for each network by itself, beside a square matrix
product of that precision in the same run: a network that needs fewer of them may be faster at a smaller share, and a
share can exceed 1 where PyTorch's float32 product is not the fastest on the processor (MKL's on AMD). `--clock cpu`
divides the process's CPU time by the threads, for a machine that others use. The published networks' 1x1 convolutions
are faster from 16 persons in a batch on (8 clips).
"""

import argparse
import copy
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
from lib.models import msg3d_weights, stgcn

sys.path.insert(0, str(paths.ROOT / "tests"))
import oracles
import oracles_msg3d

NUM_CLASSES = 60
SIDE = 1024  # of the matrices whose product says what the machine can do
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def with_channels_last(network: nn.Module) -> nn.Module:
    """Copy a network whose convolutions take and give channels last in memory."""
    network = copy.deepcopy(network)
    for p in network.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    return network


VARIANTS = {
    "ours_compiled": lambda ours, _: torch.compile(ours),
    "published_compiled": lambda _, published: torch.compile(published),
    "published_channels_last": lambda _, published: with_channels_last(published),
}


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


def step(network: nn.Module, x: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    network.zero_grad()
    with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        logits = network(x)
    loss = F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels)
    loss.backward()
    return loss.detach()


def slopes(network: nn.Module, ours: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Loss and gradients of a training step without dropout, in the precision of x and under our names."""
    network = copy.deepcopy(network).to(x.dtype).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    loss = step(network, x, labels, x.dtype)
    found = {name: p.grad for name, p in network.named_parameters()}
    if type(network) is not type(ours):
        partitions = 3  # of the spatial strategy
        is_stgcn = isinstance(ours, stgcn.STGCN)
        found = stgcn.from_reference(found, partitions) if is_stgcn else msg3d_weights.from_reference(found, ours)
    return {"loss": loss} | found


def gradient_errors(networks: dict[str, nn.Module], x: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Distance of each network's float32 gradient from float64, over its length, once loss and gradients agree."""
    ours, exact = networks["ours"], slopes(networks["published"], networks["ours"], x.double(), labels)
    for name, slope in slopes(ours, ours, x.double(), labels).items():
        # biases before a normalisation have none but rounding, and adjacencies are float32
        atol = 1e-4 * float(exact[name].abs().max()) + 1e-7
        torch.testing.assert_close(slope, exact[name], rtol=1e-4, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
    errors = {}
    for who, network in networks.items():
        found = slopes(network, ours, x, labels)
        torch.testing.assert_close(found["loss"].double(), exact["loss"], rtol=1e-4, atol=0)
        off = sum(float((found[name] - exact[name]).square().sum()) for name in exact)
        errors[who] = (off / sum(float(slope.square().sum()) for slope in exact.values())) ** 0.5
    if errors["ours"] > 3 * errors["published"] + 1e-4:
        raise ValueError(
            f"float32 gradients are off by {errors}; ours may be at most three times the published network's"
        )
    return errors


def rounds(calls: dict, repeats: int, clock: str, threads: int) -> pd.DataFrame:
    """Seconds of each call in every round, after one that does not count; in a round calls follow one another."""
    now = time.perf_counter if clock == "wall" else lambda: time.process_time() / threads
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            start = now()
            call()
            seconds[name].append(now() - start)
    return pd.DataFrame(seconds)


def fastest(calls: dict, repeats: int, clock: str, threads: int) -> dict:
    """Seconds of each call's fastest round."""
    return rounds(calls, repeats, clock, threads).min().to_dict()


def product(dtype: torch.dtype):
    """Return a function that multiplies two square matrices, the rate to compare with."""
    square = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(dtype)
    return lambda: square @ square


def operations(call) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--models", nargs="+", choices=("stgcn", "msg3d"), default=("stgcn", "msg3d"))
    parser.add_argument("--also", nargs="+", choices=sorted(VARIANTS), default=(), help="seconds of these, too")
    parser.add_argument("--dry-run", action="store_true", help="nothing written")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    skeleton = skeletons.get("ntu25")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(args.batch, 3, args.frames, len(skeleton), 2, generator=generator)
    labels = torch.arange(args.batch) % NUM_CLASSES
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False, cwd=paths.ROOT).stdout.strip()
    common = {"batch": args.batch, "frames": args.frames, "threads": args.threads, "clock": args.clock}
    origin = {"torch": torch.__version__, "platform": platform.platform(), "commit": commit}
    origin["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    rows = []
    for name in args.models:
        networks = dict(zip(("ours", "published"), (net.train() for net in pair(name, skeleton)), strict=True))
        errors = gradient_errors(networks, x, labels)
        count = {who: operations(lambda n=n: step(n, x, labels, torch.float32)) for who, n in networks.items()}
        contenders = networks | {variant: VARIANTS[variant](*networks.values()) for variant in args.also}
        calls = {}
        for precision, dtype in DTYPES.items():
            for who, network in contenders.items():
                calls[precision, who] = lambda n=network, d=dtype: step(n, x, labels, d)
            calls[precision, "peak"] = product(dtype)
        seconds = fastest(calls, args.repeats, args.clock, args.threads)
        for precision in DTYPES:
            peak = 2 * SIDE**3 / seconds[precision, "peak"]
            row = {"model": name, "precision": precision}
            for column, against in (("ratio", precision), ("ratio_float32", "float32")):
                row[column] = round(seconds[against, "published"] / seconds[precision, "ours"], 3)
            for who in networks:
                row[f"seconds_{who}"] = round(seconds[precision, who], 4)
                row[f"gflop_{who}"] = round(count[who] / 1e9, 2)
                row[f"share_{who}"] = round(count[who] / seconds[precision, who] / peak, 3)
                row[f"gradient_error_{who}"] = f"{errors[who]:.1e}"
            row |= {f"seconds_{variant}": round(seconds[precision, variant], 4) for variant in args.also}
            rows.append(row | {"peak_gflops": round(peak / 1e9, 1)} | common | origin)
    table = pd.DataFrame(rows)
    print(table.drop(columns=list(origin)).T.to_string(header=False))
    print(f"load average {os.getloadavg()[0]:.1f}")
    if not args.dry_run:
        execution.write_whole(paths.RESULTS / "models.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
