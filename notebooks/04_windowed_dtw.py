# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-windowed-dtw)=
# # Window-based dynamic time warping
#
# How far apart are two performances of different length and tempo? Dynamic time warping (DTW) lines them up first. We
# compare short windows instead of single frames, inside a band, and this page shows what each of these choices does.
#
# **Before:** [](#nb-skeleton-clips) · **Time:** 20 s on two cores · **Full run:** the same page with more clips

# %%
import tempfile

import numpy as np
import pandas as pd
from tslearn import metrics

from lib import datasets, dtw, plots, runs, transforms, trust

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # clips
num_clips: int = 120  # clips compared in the last section
window_size: int = 4  # frames per window
stride: int = 2  # frames between windows
radius: int = 4  # Sakoe-Chiba band, in windows

# %% [markdown]
# ## The smallest case
#
# Two sequences of one number per frame. The cost of a pair of frames is the squared difference; a path from one corner
# to the other may step down, right, or both, and the distance is the root of the smallest sum along a path. Find the
# cheapest path before you run the cell.

# %% tags=["nbval-check-output"]
x, y = np.array([0.0, 2.0, 2.0, 1.0]), np.array([0.0, 2.0, 1.0])
small = dtw.path(x, y)
print(
    pd.DataFrame((x[:, None] - y[None]) ** 2).to_string(), f"\npath {small.pairs.tolist()}\ndistance {small.distance}"
)

# %% [markdown]
# The frame that *x* holds once more costs nothing: *y* waits.

# %%
#| label: fig-warped-pair
#| caption: "Two hand heights of one class and the frames that warping pairs; the right hand's height in two aligned clips, each curve with its own scale."
clips = datasets.load(dataset, limit=num_clips, seed=seed, progress=False).map(transforms.align)
first, second = (clips[int(i)] for i in np.flatnonzero(clips.labels == np.bincount(clips.labels).argmax())[:2])
hand = clips.skeleton.joints.index("right_hand")
heights = [clip.x[:, np.argmax(clip.present), hand, 1] for clip in (first, second)]
plots.warped_pair(*heights, dtw.path(*heights).pairs, fps=clips.fps, names=("first", "second"), units="m");

# %% [markdown]
# ## Windows
#
# A sequence (T, D) is cut into windows of `window_size` frames, one every `stride` frames. The cost of two windows is
# the mean over their frames of the squared distance. Longer windows ask that short movements, not single poses, agree;
# a larger stride leaves fewer windows to align, so the work falls with its square.

# %% tags=["nbval-check-output"]
poses = [clip.x[:, np.argmax(clip.present)].reshape(clip.length, -1) for clip in clips]  # (T, VC), first person
stranger = int(np.flatnonzero(clips.labels != clips.labels[0])[0])  # first clip of another class
two = [poses[0], poses[stranger]]
windows = [np.lib.stride_tricks.sliding_window_view(p, window_size, axis=0)[::stride] for p in two]
[part.shape for part in windows]

# %% [markdown]
# The distance of two sequences of one window each is the root of the window cost, so all window costs of a pair are
# one call away.

# %%
#| label: fig-alignment
#| caption: "Window costs of two clips of different classes, the band that the path may use, and the cheapest path."
each = [list(part.transpose(0, 2, 1)) for part in windows]  # lists of (window_size, VC)
costs = dtw.pairwise(*each, window_size=window_size) ** 2
aligned = dtw.path(*two, window_size=window_size, stride=stride, radius=radius)
i, j = np.indices(costs.shape)
low, high = min(0, costs.shape[1] - costs.shape[0]) - radius, max(0, costs.shape[1] - costs.shape[0]) + radius
plots.alignment(costs, aligned.pairs, band=(j - i >= low) & (j - i <= high));

# %% tags=["nbval-check-output"]
along = float(np.sqrt(costs[tuple(aligned.pairs.T)].sum()))
print(f"root of the costs along the path {along:.3f}, distance {aligned.distance:.3f}")

# %% [markdown]
# ## What others call a window
#
# Libraries mean different things by the same word. With `window_size=stride=1` our distance is that of tslearn, band
# included, which the cell below checks; the other lines were compared in `benchmarks/dtw.py`. dtaidistance counts the
# band from one. aeon returns the squared sum and takes the band as a share of the length; where lengths differ, its
# band is another one.
#
# | library | equal lengths n, band of r frames | unequal lengths | returns |
# |---|---|---|---|
# | `lib.dtw` | `radius=r` | widened by the gap of the lengths | root of the sum |
# | tslearn | `sakoe_chiba_radius=r` | the same | root of the sum |
# | dtaidistance | `window=r + 1` | the same | root of the sum |
# | aeon | `window=r / n` | band along the rescaled diagonal | the sum |

# %% tags=["nbval-check-output"]
table = {}
for r in (0, 2, 5, None):
    ours = dtw.distance(*two, radius=r)
    theirs = metrics.dtw(
        poses[0], poses[1], global_constraint="sakoe_chiba" if r is not None else None, sakoe_chiba_radius=r
    )
    table[str(r)] = {
        "lib.dtw": round(ours, 4),
        "tslearn": round(float(theirs), 4),
        "agree": bool(np.isclose(ours, theirs)),
    }
pd.DataFrame(table).T.rename_axis("radius")

# %% [markdown]
# ## Do the choices matter?
#
# For each clip we look whether the nearest other clip has its class. Lines are window sizes, the axis is the band.

# %%
settings = [(w, r) for w in (1, 4, 12) for r in (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)]
rows = []
for w, r in settings:
    distance = dtw.pairwise(poses, window_size=w, stride=max(1, w // 2), radius=r, normalize="path")
    np.fill_diagonal(distance, np.inf)
    hits = clips.labels[distance.argmin(axis=1)] == clips.labels
    rows += [{"window": w, "radius": r, "clip": n, "hit": 100.0 * hit} for n, hit in enumerate(hits)]
found = pd.DataFrame(rows)
sensitivity = found.assign(hit=found["hit"] / 100).groupby(["window", "radius"])["hit"].agg(["mean", "sem"]).reset_index()
sensitivity["low"], sensitivity["high"] = (sensitivity["mean"] + side * sensitivity["sem"] for side in (-2, 2))
sensitivity = sensitivity.rename(columns={"mean": "value"})

# %%
#| label: fig-band-sensitivity
#| caption: "Share of clips whose nearest other clip has their class, by band (share of the longer clip's windows) and window size (frames); bands are plus and minus two standard errors over clips."
plots.band_sensitivity(
    sensitivity, series="window", xlabel="band, share of windows", ylabel="nearest clip has the same class"
);

# %% [markdown]
# Intervals that overlap in [](#fig-band-sensitivity) do not say that a choice is free: the clips are the same, so that
# settings can be compared clip by clip. Points by which a band is ahead of none (radius 1), with 95 % intervals over
# clips:

# %%
none = found[found["radius"] == 1].set_index(["window", "clip"])["hit"].rename("none")
gain = found[found["radius"] < 1].join(none, on=["window", "clip"])
gain = gain.assign(gain=gain["hit"] - gain["none"]).groupby(["window", "radius"])["gain"].agg(["mean", "sem"])
gain["low"], gain["high"] = (gain["mean"] + side * gain["sem"] for side in (-1.96, 1.96))
trust.written(gain, 1).unstack("window")

# %% [markdown]
# A band of a tenth does better than none with every window size, a fifth with the two shorter ones: bodies may wait for
# each other a little, but not a whole movement long. Which of the two is better, and how many frames a window should
# have, these clips hardly say. The bands were looked at on the very clips that are counted, which flatters the best;
# steps were half a window throughout.
#
# ## How fast?
#
# Frame costs are matrix products over the part of the frame matrix that the band touches, and the dynamic programme
# runs over many pairs side by side. The rows come from `python -m benchmarks.dtw`, which first checks that the
# libraries agree on the same random walks and then times each on two cores: ours on all pairs of 100 or 300 sequences,
# the slower others on those of the first 24 to 60 of them. aeon's band is another one where lengths
# differ ("mixed lengths"), narrower than ours, so its dot there is for less work and its values were not compared.

# %%
#| label: fig-dtw-speed
#| caption: "Seconds per pair of four libraries on the same random walks, of which the peers get fewer, two threads each; 75 frames, 75 dimensions and a band of 8 frames, or as the case says."
timed = runs.studies()["dtw"]
plots.speed(timed[~timed["case"].str.startswith("growth")]);

# %%
ours = timed[timed["library"] == "ours"].dropna(subset="speedup").set_index("case")
ours[["N", "T", "D", "window", "speedup", "peak_share"]].round(2)

# %% [markdown]
# `speedup` is over the fastest of the three that computes the same; `peak_share` is the rate of the arithmetic that the
# definition needs, beside that of a large matrix product on the same cores. A call of ours has costs that do not grow
# with the number of pairs, so that few sequences take longer each (75 frames, 75 dimensions, a band of 8):

# %%
number = timed[timed["case"] == "growth N"].set_index("N")["seconds_per_pair"]
(1e6 * number).round(2).to_frame("microseconds per pair").T

# %% [markdown]
# The speed-up at 75 numbers a frame is that of 300 clips; with 100 we are about four times as fast as the fastest peer,
# with 50 about twice. Time per pair grows with the length, by less than its square up to a few hundred frames although
# the band is a share of it:

# %%
#| label: fig-dtw-growth
#| caption: "Our seconds per pair against frames, with a band of a tenth of them; dashed lines grow by the power they name."
frames = timed[timed["case"] == "growth T"]
frames = frames.assign(T=frames["T"].astype(float))
plots.growth(frames, x="T", value="seconds_per_pair", xlabel="frames T", ylabel="seconds per pair");

# %% [markdown]
# With the number of dimensions it grows far more slowly than in proportion (200 sequences of 75 frames, a band of 8):

# %%
dims = timed[timed["case"] == "growth D"].set_index("D")["seconds_per_pair"]
(1e6 * dims).round(2).to_frame("microseconds per pair").T

# %% [markdown]
# ## More clips than fit
#
# All pairs of 20,000 clips are 200 million alignments, and their matrix has 1.6 GB. With `store=` finished blocks go to
# a zarr folder; a call that was killed goes on where it stopped and ends with the same bits, and one with other clips or
# settings is refused. `max_memory` bounds what the call takes beside its input.

# %% tags=["nbval-check-output"]
with tempfile.TemporaryDirectory() as folder:
    stored = dtw.pairwise(poses, window_size=4, radius=0.2, store=f"{folder}/distances", max_memory=2e8)
    again = dtw.pairwise(poses, window_size=4, radius=0.2, store=f"{folder}/distances")  # only opens the folder
    print(type(again).__name__, again.shape, "chunks of", again.chunks, "equal:", np.array_equal(stored, again))

# %% [markdown]
# The same call spreads over machines that share nothing but a network. Install the book with its extra `cluster` on
# each, start a scheduler on one and a worker on every other, and give the call a client:
#
# ```
# dask scheduler                                  # prints its address
# dask worker tcp://first-machine:8786            # on each of the others
# ```
#
# ```python
# from distributed import Client
#
# dtw.pairwise(sequences, radius=0.2, store="distances", client=Client("tcp://first-machine:8786"), progress=True)
# ```
#
# Under Slurm or another queue, `dask_jobqueue.SLURMCluster(cores=8, memory="16GB").get_client()` is such a client. The
# sequences go to each worker once, a worker that dies costs the blocks it had in hand, and this process writes the
# store. `device="cuda"` runs the same arithmetic on a GPU; it has been checked on a CPU alone so far.
#
# A graph of nearest neighbours needs few of the pairs. `dtw.nearest(sequences, k)` is exact and skips what lower bounds
# rule out; `method="approximate"` looks at a share of all pairs, the column `pairs` below, that falls as clips become
# more (`python -m benchmarks.nearest`, and `--dataset nw_ucla --methods approximate` for the layers of a trained
# network).
# `exponent` says how the time grew from the size before, `recall` is the share of true neighbours that were found. Made-up
# sequences have 30 frames and 16 dimensions; k is 10 everywhere. A pair of such a search costs about ten times one of a
# full matrix, and pays because so few are looked at: five times as fast as all pairs at 2,000 clips, 17 times at 20,000.
# The first approximate search of a process compiles for longer than all pairs of 10,000 clips take (row `compile`).

# %%
searched = runs.studies()["nearest"]
searched.set_index(["features", "method", "N"])[["seconds", "pairs", "recall", "exponent"]]

# %% [markdown]
# **What this does not show.** These are raw poses, where the body's shape and the view count as much as the movement.
# The next page warps what a network makes of them. DTW is no metric either: going from *a* to *c* by way of *b* may be
# shorter than the direct way, which is why the graphs of the next page repair their kernels.
#
# ```{exercise}
# :label: ex-dtw-normalize
# Compare `normalize=None` with `"path"` for clips of very different length. Which one finds long clips far from
# everything, and why?
# ```
#
# ```{exercise}
# :label: ex-dtw-triangle
# Find three short sequences that break the triangle inequality.
# ```
#
# **Next:** [](#nb-layer-geometry)
