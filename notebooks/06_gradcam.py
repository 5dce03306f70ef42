# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-gradcam)=
# # GradCAM at every layer
#
# Which joints and frames does each layer hold against or in favour of a class, and can we believe it? GradCAM weighs a
# layer's channels by how much the class score rises with them. Das et al. (2023) draw it for skeletons; nobody seems
# to have measured, layer by layer, whether it is true. On the synthetic clips the decisive joints and frames are
# known, so here it can be.
#
# **Before:** [](#nb-train-stgcn), [](#nb-layer-geometry) · **Time:** 60 s on two cores · **Full runs:**
# `data/results/gradcam_trust.csv`

# %%
from functools import partial

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from lib import attribution, datasets, faithfulness, gradcam, plots, recipes, runs, training

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # network, and the draws of moves and of random importance
clip_seed: int = 0  # synthetic bodies and motions, and the draw of explained clips
num_clips: int = 480  # synthetic training clips; real datasets are trained on whole
num_explained: int = 40  # clips explained, from the test split
num_steps: int = 6  # points of a deletion curve after its first
num_draws: int = 1  # random moves per number of joints, for PGI and PGU
epochs: int | None = None  # training passes; None: the dataset's recipe
width: float | None = None  # channels as a share of the published 64, 128, 256; None: the recipe's
precision: str | None = None  # float32 or bfloat16 in training; None: the recipe's

# %% [markdown]
# ## The smallest case
#
# One channel pair, two frames, two joints. A map adds up the channels, each weighted by its mean slope: the class
# score rises with the first channel and falls with the second. Which cell will be the most important?

# %% tags=["nbval-check-output"]
features = np.array([[[1.0, 0.0], [3.0, 1.0]], [[0.0, 2.0], [1.0, 0.0]]])  # (C, T, V)
slopes = np.array([[[0.5, 0.5], [0.5, 0.5]], [[-1.0, 0.0], [-1.0, 0.0]]])  # of the score, by feature
weights = slopes.mean(axis=(1, 2))  # one per channel
print("weights", weights)
print(np.einsum("c,ctv->tv", weights, features))

# %% [markdown]
# The first joint's second frame, although the second channel speaks against it. The cell with -1 speaks against the
# class; most implementations cut such cells to 0 and rescale the rest, which makes layers and clips incomparable. Here
# they stay.
#
# ## All layers from one pass

# %%
recipe = recipes.get(dataset, epochs=epochs, width=width, precision=precision)
limit = num_clips if dataset == "synthetic" else None
train = recipe.prepare(datasets.load(dataset, split="train", limit=limit, seed=clip_seed, progress=False))
split = "test_clean" if dataset == "nw_ucla" else "test"
clips = recipe.prepare(datasets.load(dataset, split=split, limit=num_explained, seed=clip_seed, progress=False))
model, _ = recipe.fit(train, seed)
model.eval()
print(f"accuracy on {len(clips)} clips to explain: {training.evaluate(model, clips).top1:.1%}")

# %%
batch = clips.batch(np.arange(len(clips)))
maps = gradcam.gradcam(model, batch)  # of the class that the network predicts
pd.Series({layer: part.shape for layer, part in maps.items()}, name="(N, M, T_l, V)").to_frame()

# %%
with torch.no_grad():
    predicted = model(batch.x, batch.lengths, batch.present).argmax(dim=1).numpy()
right = predicted == clips.labels
right |= not right.any()  # a network that is always wrong still has maps to show
alone = right & (clips.present.sum(axis=1) == 1)
place = int((alone if alone.any() else right).argmax())
stretched = {
    layer: gradcam.upsample_time(part, model.layer_strides[layer], clips.lengths) for layer, part in maps.items()
}
shown = clips[place]
strip = {layer: np.maximum(part[place, : shown.x.shape[1]], 0).transpose(1, 0, 2) for layer, part in stretched.items()}
print(f"{shown.name}: {clips.class_names[shown.label]}")

# %%
#| label: fig-importance
#| caption: "One clip that the network gets right, joints coloured by the positive part of GradCAM in the last layer, whose frames are four input frames wide."
first, *_, last = model.layer_names
plots.pose_strip(shown.x, shown.skeleton, num_poses=7, importance=strip[last]);

# %%
#| label: fig-class-importance
#| caption: "Share of each joint in the importance of the class, last layer, clips that the network gets right."
frames = -(-clips.lengths[right] // model.layer_strides[last])
importance = gradcam.by_class(
    maps[last][right], clips.labels[right], len(clips.class_names), frames, clips.present[right]
)
plots.class_importance(importance, clips.class_names, clips.skeleton.joints);

# %% [markdown]
# If the rows of [](#fig-class-importance) resemble each other, the map tells bodies, not actions. The **contrast** of
# two classes is half the summed difference of their rows: 0 for the same joints, 1 for none in common.

# %%
seen = ~np.isnan(importance).any(axis=1) & (np.nansum(importance, axis=1) > 0)
contrast = gradcam.contrast(importance[seen])
pairs = contrast[np.triu_indices(len(contrast), 1)]
print(f"contrast of {seen.sum()} classes: mean {pairs.sum() / max(len(pairs), 1):.3f}")

# %% [markdown]
# ## Does it tell the truth?
#
# Four questions to every layer's map, and to four other answers: integrated gradients and occlusion (through captum),
# **motion energy**, which calls important what moves and knows no network, and **random** numbers.
#
# - **Deletion** lets the most important joints, or frames, hold still first; the class score should fall fast (small
#   area). **Insertion** starts from a still body (large area).
# - **PGI** turns the bones of the important joints a little, **PGU** those of all others: the first should change the
#   score more.
# - On synthetic clips, **average precision** asks whether decisive joints and frames come first.

# %%
rng = np.random.default_rng([seed, 6])
explain = partial(attribution.every, model, rng=rng)
effort = {"num_steps": num_steps, "num_draws": num_draws}
table = faithfulness.measure(model, clips, explain, rng=rng, progress=True, **effort)
means = table.groupby(["method", "measure"], sort=False)["value"].agg(["mean", "sem", "count"]).reset_index()
means = means.rename(columns={"mean": "value"})
means = means.assign(low=means["value"] - 1.96 * means["sem"], high=means["value"] + 1.96 * means["sem"])
runs.save_table("gradcam_trust", means.assign(split=split))
means.pivot(index="method", columns="measure", values="value").round(3).loc[table["method"].unique()]

# %%
#| label: fig-deletion
#| caption: "Area under the score while joints are deleted (lower is better) and inserted (higher is better), by layer; bands are 95 % intervals over clips."
plots.trust_by_layer(means, model.layer_names, ["deletion by joints", "insertion by joints"]);

# %%
#| label: fig-truth
#| caption: "What is known to decide (synthetic clips) or, elsewhere, what a small move changes: average precision over joints and frames, or PGI and PGU, by layer; bands are 95 % intervals over clips."
known = ["truth joints", "truth frames"] if clips.truth is not None else ["pgi", "pgu"]
plots.trust_by_layer(means, model.layer_names, known);

# %% [markdown]
# Differences on the same clips say more than two intervals side by side. Below, the best layer against motion energy
# and against random; a positive difference is in favour of GradCAM. The best of ten layers was picked on these very
# clips, which flatters it a little.

# %%
goal = {"deletion by joints": -1, "insertion by joints": 1, **({known[0]: 1} if clips.truth is not None else {})}
rows = []
for name, sign in goal.items():
    wide = sign * table[table["measure"] == name].pivot(index="clip", columns="method", values="value").dropna()
    best = wide[list(model.layer_names)].mean().idxmax()
    for other in ("motion energy", "random"):
        gap = (wide[best] - wide[other]).to_numpy()
        draws = rng.choice(gap, (2000, len(gap))).mean(axis=1)
        low, high = np.percentile(draws, [2.5, 97.5])
        rows.append({"measure": name, "best": best, "against": other, "by": gap.mean(), "low": low, "high": high})
runs.save_table("gradcam_gap", pd.DataFrame(rows)).round(3)

# %% [markdown]
# On the synthetic clips GradCAM's last layer beats both in deletion, and all its layers beat random numbers in average
# precision over joints; but **motion energy names the decisive joints better than any layer**. The reason is the truth
# itself: it counts every joint that an action displaces, and on a body that otherwise sways little those are the joints
# that move. A network may decide on a few of them. In time it is the other way round: the last layers name the decisive
# frames better than motion energy does, as bodies also move when no action goes on.

# %% [markdown]
# ## Does it depend on the network?
#
# A map that stays the same when the weights are drawn anew shows the body and the wiring, not what was learnt. Layers
# are replaced by untrained ones from the head down; the untrained network's batch normalisations know the training
# clips, as before.

# %%
fresh = training.calibrate_norms(recipe.build(train, seed + 1000), train)
target = torch.as_tensor(predicted)
trained_maps = gradcam.gradcam(model, batch, target=target)
rows = []
for count in (0, 2, 4, 6, 8, 11):
    mixed = training.calibrate_norms(faithfulness.randomised(model, fresh, count), train)
    for layer, found in gradcam.gradcam(mixed, batch, target=target).items():
        ends = batch._replace(lengths=torch.as_tensor(-(-clips.lengths // model.layer_strides[layer])))
        agreement = faithfulness.rank_correlation(trained_maps[layer], found, ends)
        rows.append({"layers drawn anew": min(count, 10), "layer": layer, "rank correlation": agreement.mean()})
drawn = pd.DataFrame(rows).pivot(index="layer", columns="layers drawn anew", values="rank correlation")
runs.save_table("gradcam_random", pd.DataFrame(rows))
drawn.round(2)

# %% [markdown]
# The last column should be near 0. Where it is not, part of the map comes from the architecture.
#
# Nor should a map change out of proportion when all bones turn by two degrees. **RIS**, **ROS** and **RRS** are the
# largest relative change of the map beside that of the input, of the class probabilities and of the last layer's
# features (Agarwal et al. 2022); lower is steadier.

# %%
few = clips.batch(np.arange(min(16, len(clips))))
explained = {name: partial(gradcam.gradcam, model, layers=[name]) for name in (first, last)}
steady = {
    name: faithfulness.stability(model, lambda part, n=name: explained[n](part)[n], few, clips.skeleton, rng)
    for name in explained
}
steady["motion energy"] = faithfulness.stability(model, attribution.motion_energy, few, clips.skeleton, rng)
pd.DataFrame({name: part.median() for name, part in steady.items()}).T.round(2)

# %% [markdown]
# ## Geometry and attention
#
# Do layers whose graph separates the classes also look at the right joints? For every layer we have the cross-class
# mass of [](#nb-layer-geometry) and the area of deletion; if both fall together, their rank correlation over layers is
# positive. Rows come from the full runs of both pages on the same network and seed.

# %%
stored = runs.studies()
geometry, trust = stored.get("geometry"), stored.get("gradcam_trust")
rows = []
if geometry is not None and trust is not None:
    mass = geometry[geometry["measure"] == "cross_class_mass"]
    area = trust[trust["measure"] == "deletion by joints"].rename(columns={"method": "layer"})
    both = mass.merge(area, on=["dataset", "seed", "layer"], suffixes=("_mass", "_area"))
    for (name, which), part in both.groupby(["dataset", "seed"]):
        rho = spearmanr(part["value_mass"], part["value_area"]).statistic
        rows.append({"dataset": name, "seed": which, "rank correlation": rho, "layers": len(part)})
pd.DataFrame(rows).round(2)

# %% [markdown]
# The full runs were made by
#
# ```
# python -m lib sweep 06_gradcam --grid dataset=nw_ucla seed=0,1,2 -p num_explained 48 --record gradcam_trust
# ```
#

# %%
full = stored.get("gradcam_trust")
seeds = pd.DataFrame()
if full is not None:
    chosen = full[full["measure"].isin(["deletion by joints", "insertion by joints", "pgi", "pgu"])]
    seeds = chosen.pivot_table(index=["dataset", "method"], columns="measure", values="value", sort=False)
seeds.round(3)

# %% [markdown]
# On NW-UCLA the first five layers' maps delete no better than random numbers. From layer 7 on they beat motion energy,
# and the last layer's are the best of the ten: the layers in which clips of one class come together are those whose
# maps can be believed. But integrated gradients, at many times the cost, are more faithful than any layer's map, and
# small moves (`pgi`, `pgu`) hardly tell methods apart.
#
# **What this does not show.** Deleted joints hold still at their mean, which is a body, but not one the network has
# seen; another way to delete gives other areas. Average precision asks for all joints that an action displaces, and a
# network needs only some of them to decide, so that 1 is out of reach for an honest map.
#
# ```{exercise}
# :label: ex-gradcam-wrong
# Explain the clips that the network gets wrong, once for the predicted class and once with `target="true"`. Do the two
# maps differ in joints or in frames?
# ```
#
# ```{exercise}
# :label: ex-gradcam-still
# Replace the still body in `attribution.still` by the mean pose of all clips. Which layers change their rank?
# ```
#
# **Next:** [](#nb-layer-geometry), now with the maps beside it.
