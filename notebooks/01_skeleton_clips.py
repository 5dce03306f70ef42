# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-skeleton-clips)=
# # Skeleton clips
#
# What does a network that recognises actions get to see? Points: twenty or so joints, thirty times a second. This page
# shows what one clip holds, what differs between two people doing the same thing, and what a transform changes. Letters
# such as T and V, and words that return on later pages, are in the [glossary](#glossary).
#
# **Before:** nothing · **Time:** 15 s on two cores · **Full run:** the same page with `-p dataset nw_ucla`

# %%
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import display

from lib import datasets, plots, runs, skeletons, transforms, widgets
from lib.clips import ClipSet

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # synthetic bodies and motions, draw of clips
num_clips: int = 200  # clips loaded

# %% [markdown]
# ## The smallest case: three joints
#
# A skeleton is a graph: joints, and the bones between them. `A[k, v, w]` carries joint *v* into joint *w*, and each
# column sums to one, so a joint takes the mean of its neighbours and itself. ST-GCN splits that mean into three parts
# by the hop distance to a centre: the joint itself, neighbours farther from the centre, and neighbours nearer to it.
# Which entries of the third part must be zero for a chain whose centre is joint 0?

# %% tags=["nbval-check-output"]
chain = skeletons.Skeleton.from_edges([(0, 1), (1, 2)], center=0)
itself, inward, outward = chain.adjacency("spatial").round(2)
pd.DataFrame(outward, index=["from 0", "from 1", "from 2"], columns=["into 0", "into 1", "into 2"])

# %% [markdown]
# Only the links that lead away from joint 0 are left. Six layouts come with the book; your own needs an edge list.

# %% tags=["nbval-check-output"]
pd.DataFrame(
    {
        name: {"joints V": len(layout), "centre": layout.joints[layout.center], "longest way (hops)": int(layout.hops.max())}
        for name, layout in skeletons.LAYOUTS.items()
    }
).T

# %% [markdown]
# ## A set of clips
#
# Clips differ in length and in the number of persons. They lie in one array, frame after frame, and a clip is a view
# on it.

# %% tags=["nbval-check-output"]
clips = datasets.load(dataset, limit=num_clips, seed=seed, progress=False)
clips

# %%
#| label: fig-class-counts
#| caption: "Loaded clips by class, and by the view they were seen from, where there is more than one."
seen = np.zeros(len(clips), dtype=int) if clips.views is None else clips.views
views, groups = np.unique(seen, return_inverse=True)
names = [f"view {view}" for view in views]
plots.class_counts(clips.labels, clips.class_names, groups=groups, group_names=names);

# %%
#| label: fig-clip-lengths
#| caption: "Length of the loaded clips in seconds."
plots.clip_lengths(clips.lengths, fps=clips.fps);

# %% [markdown]
# ## One clip
#
# Poses over time, seen by the sensor, left side blue and right side orange. Try to name the action before you read the
# title.

# %%
#| label: fig-pose-strip
#| caption: "Eight poses of one clip, evenly spaced in time; a ring marks joints and frames that were planted as carrying the class, where the dataset knows them."
clip = clips[0]
plots.pose_strip(clip.x, clip.skeleton, fps=clip.fps, truth=clip.truth, title=clips.class_names[clip.label]);

# %%
#| label: fig-animation
#| caption: "The same clip in motion."
plots.pose_animation(clip.x, clip.skeleton, clip.fps, title=clips.class_names[clip.label])

# %% tags=["remove-input"]
if runs.is_live():  # in JupyterLab: any clip, frame by frame, from any side
    display(widgets.explore_clips(clips))

# %% [markdown]
# The synthetic clips know their **planted truth**: which joints, at which frames, would be elsewhere had the action not
# been performed. But for the number of persons, nothing outside it depends on the class, so an explanation that points
# elsewhere is wrong, and [](#fig-pose-strip) shows what a right one looks like.

# %% [markdown]
# ## The same action by different people
#
# Two performances of one class: another body, another place, another view, another tempo. This is the variation that a
# network must not care about.

# %%
#| label: fig-two-people
#| caption: "One action performed by two people, as the sensor saw them."
same = np.flatnonzero((clips.labels == clip.label) & (clips.subjects != clips.subjects[0]))
pair = clips.subset([0, *same[:1]])
subjects = [f"subject {subject}" for subject in pair.subjects]
plots.pose_animations([part.x for part in pair], clip.skeleton, clip.fps, max_frames=20, titles=subjects)

# %% [markdown]
# ## Transforms
#
# A transform takes a clip and returns a clip; lengths, masks, frame rate and truth follow. `align` moves the body's
# centre in the first frame to the origin and turns the whole clip about the vertical until the body faces the sensor.

# %%
#| label: fig-aligned
#| caption: "The clip of [](#fig-pose-strip) after alignment and resampling to 24 frames."
aligned = transforms.compose(transforms.align, partial(transforms.resample, num_frames=24))(clip)
plots.pose_strip(aligned.x, aligned.skeleton, fps=aligned.fps, title="aligned, 24 frames");

# %% [markdown]
# How much of what separates clips is the view? Here is the share of clips whose nearest other clip, by plain distance
# of the stretched clips, has the same class, before and after alignment. Chance is one over the number of classes.

# %%
stretch = partial(transforms.resample, num_frames=24)
agreement = {}
for name, prepare in {"centred": transforms.center, "aligned": transforms.align}.items():
    ready = clips.map(prepare, stretch)
    flat = np.stack([part.x[:, np.argmax(part.present)].ravel() for part in ready])  # (N, TVC), first person
    squared = (flat**2).sum(axis=1)
    distance = squared[:, None] + squared[None] - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    agreement[name] = float((clips.labels[distance.argmin(axis=1)] == clips.labels).mean())
pd.Series(agreement, name="same class as nearest clip").to_frame().round(2)

# %% [markdown]
# Some of it: without the view, one clip in ten more lies next to its like. The rest is the body, the tempo, and actions
# that look alike by their poses.
#
# ## A batch
#
# Networks read clips padded with zeros to one shape. `lengths` and `present` say what is true, and everything in the
# book counts true frames and present persons only.

# %% tags=["nbval-check-output"]
batch = clips.batch([0, 1, 2])
{"x (N, C, T, V, M)": tuple(batch.x.shape), "lengths": batch.lengths.tolist(), "present": batch.present.tolist()}

# %% [markdown]
# ## Your own clips
#
# A list of (T, V, C) or (T, M, V, C) arrays, labels, and a layout's name or an edge list are enough. What cannot be
# right is refused, with the clip and the field named.

# %% tags=["nbval-check-output"]
broken = np.full((30, 17, 2), 0.5)
broken[12, 9, 1] = np.nan
try:
    ClipSet.from_arrays([broken], [0], "coco17", names=["kick_03"])
except ValueError as error:
    print(error)

# %% [markdown]
# **What this does not show.** Alignment takes one turn for the whole clip; someone who turns around while acting still
# turns around. And clips whose nearest neighbour agrees need not be easy: all clips here share the subjects.
#
# ```{exercise}
# :label: ex-clips-mirror
# Apply `transforms.mirror` to the clip above. Which classes would a network that trains on mirrored clips never tell
# apart?
# ```
#
# ```{exercise}
# :label: ex-clips-center
# Take `spine_base` instead of `spine_shoulder` as the centre of `ntu25`. Which entries change sides between the second
# and third part of `A`?
# ```
#
# **Next:** [](#nb-train-stgcn)
