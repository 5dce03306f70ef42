"""Time `gradcam.gradcam` for all layers beside one layer, and beside captum's LayerGradCam called once per layer.

    python -m benchmarks.gradcam           ST-GCN of the published width, 32 clips of 64 frames; writes gradcam.csv
    python -m benchmarks.gradcam --quick   a narrow one, prints only

All three run on the same network, clips and threads, one after the other in every repeat, and the fastest repeat of
each counts. Values are compared before anything is timed.
"""

import argparse
import os
import platform
import time

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerGradCam

from lib import execution, gradcam, models, paths, runs, skeletons
from lib.clips import ClipSet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    args = parser.parse_args()
    if args.quick:
        args.clips, args.width, args.repeats = 8, 0.25, 3
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    skeleton = skeletons.get("kinect20")
    clips = ClipSet.from_arrays(rng.normal(size=(args.clips, args.frames, 20, 3)), [0] * args.clips, skeleton)
    batch = clips.batch(np.arange(args.clips))
    network = models.build("stgcn", num_classes=10, skeleton=skeleton, in_channels=3, width=args.width).eval()

    def with_captum():
        return {
            name: LayerGradCam(network, network.get_submodule(name)).attribute(
                batch.x, target=0, additional_forward_args=(batch.lengths, batch.present)
            )
            for name in network.layer_names
        }

    calls = {
        "all layers": lambda: gradcam.gradcam(network, batch, target=0),
        "one layer": lambda: gradcam.gradcam(network, batch, network.layer_names[:1], target=0),
        "captum, layer by layer": with_captum,
    }
    ours, theirs = calls["all layers"](), with_captum()
    difference = max(np.abs(ours[name][:, 0] - theirs[name][:, 0].detach().numpy()).max() for name in ours)
    assert difference < 1e-6, difference
    calls["one layer"]()
    seconds = dict.fromkeys(calls, float("inf"))
    for _ in range(args.repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    common = {"clips": args.clips, "frames": args.frames, "width": args.width, "threads": args.threads}
    common |= {"torch": torch.__version__, "platform": platform.platform()} | runs.origin()
    rows = [
        {"method": name, "seconds": round(value, 4), "times_all_layers": round(value / seconds["all layers"], 3)}
        | common
        for name, value in seconds.items()
    ]
    table = pd.DataFrame(rows)
    print(table[["method", "seconds", "times_all_layers", *common]].to_string(index=False))
    print(f"largest difference from captum {difference:.1e}, load average {os.getloadavg()[0]:.1f}")
    if not args.quick:
        execution.write_whole(paths.RESULTS / "gradcam.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
