"""Time and memory of STF's training step beside MS-G3D's.

    python -m benchmarks.focus              both at full width, float32 and bfloat16; writes focus_steps.csv
    python -m benchmarks.focus --dry-run    the same, prints only

A step is forward, loss and backward, with the terms named; `stf` has all three that join the classification loss,
`exploration` is the step apart, and `full` is `stf` with its share of exploration, one in
`FocusLosses.exploration_every`. All take turns, round after round; `ratio` is over MS-G3D's step of the same round, its
median over rounds with the lowest and the highest: such ratios move less than times do on a machine with other work.
`seconds` are the fastest round's, `share` its operations per second over those of a matrix product. `peak_mb` is what
one step adds to the memory of a process of its own, in float32; of `full` it is the larger of its two steps.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F

from benchmarks.models import DTYPES, NUM_CLASSES, SIDE, operations, product, rounds
from lib import execution, focus, models, paths, runs
from lib.clips import Batch
from lib.focus import TERMS, FocusLosses

STEPS = {
    "msg3d": (),
    "modules": (),
    **{name: (name,) for name in TERMS[1:]},
    "stf": TERMS[1:],
    "exploration": TERMS[:1],
}
SUMMARY = {"": "median", "_low": "min", "_high": "max"}  # of a ratio over rounds


def batch_of(args: argparse.Namespace) -> Batch:
    x = torch.randn(args.batch, 3, args.frames, 25, 2, generator=torch.Generator().manual_seed(0))
    lengths, present = torch.full((args.batch,), args.frames), torch.ones(args.batch, 2, dtype=torch.bool)
    return Batch(x, lengths, present, torch.arange(args.batch) % NUM_CLASSES)


def call(name: str, batch: Batch, dtype: torch.dtype):
    """Return a function that takes one training step."""
    config = FocusLosses(**dict.fromkeys(STEPS[name], 0.01))
    model = models.build(
        "msg3d" if name == "msg3d" else "stf", num_classes=NUM_CLASSES, skeleton="ntu25", seed=0
    ).train()

    def step() -> None:
        model.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            if name == "exploration":
                loss = focus.exploration(model, batch, config)
            elif config.beside:
                with focus.watch(model) as modules:
                    logits = model(batch.x, batch.lengths, batch.present)
            else:
                logits = model(batch.x, batch.lengths, batch.present)
        if name != "exploration":
            loss = F.cross_entropy(logits.float(), batch.labels)
        if config.beside:
            terms = focus.terms(logits.float(), batch, modules, config)
            loss = loss + sum(0.01 * term for term in terms.values())
        loss.backward()

    return step


def peak_kb() -> int:
    """Return the most memory that this process has held (Linux)."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def peak_mb(name: str, args: argparse.Namespace) -> float:
    """Memory that one step adds, in a process of its own."""
    sizes = ["--batch", str(args.batch), "--frames", str(args.frames), "--threads", str(args.threads)]
    command = [sys.executable, "-m", "benchmarks.focus", "--memory-of", name, *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=paths.ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--memory-of", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--dry-run", action="store_true", help="nothing written")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    batch = batch_of(args)
    if args.memory_of:
        step = call(args.memory_of, batch, torch.float32)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew; what imports took is not the step's
        before = peak_kb()
        step()
        print(json.dumps((peak_kb() - before) * 1024 / 1e6))
        return
    every = FocusLosses().exploration_every
    count = {name: operations(call(name, batch, torch.float32)) for name in STEPS}
    count["full"] = count["stf"] + count["exploration"] / every
    rows = []
    for precision, dtype in DTYPES.items():
        calls = {name: call(name, batch, dtype) for name in STEPS} | {"product": product(dtype)}
        seconds = rounds(calls, args.repeats, args.clock, args.threads)
        peak = 2 * SIDE**3 / seconds.pop("product").min()
        seconds["full"] = seconds["stf"] + seconds["exploration"] / every
        ratios = seconds.div(seconds["msg3d"], axis=0)
        for name, least in seconds.min().items():
            row = {"step": name, "precision": precision, "seconds": round(least, 4)}
            row |= {f"ratio{part}": getattr(ratios[name], of)().round(3) for part, of in SUMMARY.items()}
            rows.append(row | {"gflop": round(count[name] / 1e9, 2), "share": round(count[name] / least / peak, 3)})
    peaks = {name: peak_mb(name, args) for name in STEPS}
    peaks["full"] = max(peaks["stf"], peaks["exploration"])
    common = {
        "rounds": args.repeats,
        "batch": args.batch,
        "frames": args.frames,
        "threads": args.threads,
        "clock": args.clock,
    }
    table = pd.DataFrame(rows).assign(peak_mb=lambda t: t["step"].map(peaks).round(0), every=every, **common)
    print(table.to_string(index=False))
    print(f"load average {os.getloadavg()[0]:.1f}")
    if not args.dry_run:
        table = table.assign(torch=torch.__version__, **runs.origin())
        execution.write_whole(paths.RESULTS / "focus_steps.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
