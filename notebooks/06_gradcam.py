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
from IPython.display import display
from scipy.stats import spearmanr

from lib import attribution, datasets, faithfulness, gradcam, plots, recipes, runs, training, trust, widgets

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # network, and the draws of moves and of random importance
clip_seed: int = 0  # synthetic bodies and motions, and the draw of explained clips
num_clips: int = 480  # synthetic training clips; real datasets are trained on whole
num_explained: int = 40  # clips explained, from the test split
distractors: float = 1.0  # synthetic clips: how much moves that has nothing to do with the class
num_steps: int = 6  # points of a deletion curve after its first
num_draws: int = 1  # random moves per number of joints, for PGI and PGU; 0: none
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
split = "test_clean" if dataset == "nw_ucla" else "test"
if dataset == "synthetic":
    config = datasets.synthetic.SyntheticConfig(distractors=distractors)
    train = datasets.synthetic.make(num_clips, split="train", seed=clip_seed, config=config)
    clips = datasets.synthetic.make(num_explained, split="test", seed=clip_seed, config=config)
else:
    train = datasets.load(dataset, split="train", progress=False)
    clips = datasets.load(dataset, split=split, limit=num_explained, seed=clip_seed, progress=False)
train, clips = recipe.prepare(train), recipe.prepare(clips)
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
people = shown.x.shape[1]
strip = {layer: gradcam.shares(part)[place, :people].transpose(1, 0, 2) for layer, part in stretched.items()}
print(f"{shown.name}: {clips.class_names[shown.label]}")

# %%
#| label: fig-importance
#| caption: "One clip that the network gets right, joints coloured by their share of the positive part of GradCAM in the last layer, whose frames are four input frames wide."
first, *_, last = model.layer_names
plots.pose_strip(shown.x, shown.skeleton, num_poses=7, importance=strip[last]);

# %% [markdown]
# The same clip at four layers. Early layers see a few frames and one joint's neighbours; their maps are patches. Late
# layers see most of the clip.

# %%
#| label: fig-layers-over-time
#| caption: "The clip's first person, joints over time, at four layers: positive part, as a share of each map's largest value."
some = [model.layer_names[index] for index in (0, 4, 7, 9)]
each = {name: strip[name][:, 0] / strip[name].max() for name in some}
plots.joints_over_time(each, clips.skeleton.joints, columns=4, largest=1.0);

# %%
#| label: fig-two-layers
#| caption: "The clip at the first and at the last layer; the larger the dot, the larger the joint's share at that moment."
halves = {name: strip[name] / strip[name].max() for name in (first, last)}
plots.pose_animations(
    [shown.x[: shown.length]] * 2,
    shown.skeleton,
    15,  # frames a second: stretched clips have no rate in common
    titles=[f"{name}, {clips.class_names[shown.label]}" for name in halves],
    importances=list(halves.values()),
    largest=1.0,
    max_frames=12,
)

# %% [markdown]
# Run the page in JupyterLab and the next cell is an explorer: any clip, layer, class, frame and method.

# %% tags=["remove-input"]
if runs.is_live():
    display(widgets.explore_gradcam(model, clips))

# %%
#| label: fig-class-importance
#| caption: "Share of each joint in the importance of the class, last layer, mean over clips that the network gets right, here one or two of a class; rows without colour are classes of which it gets none."
frames = -(-clips.lengths[right] // model.layer_strides[last])
importance = gradcam.by_class(
    maps[last][right], clips.labels[right], len(clips.class_names), frames, clips.present[right]
)
plots.class_importance(importance, clips.class_names, clips.skeleton.joints);

# %% [markdown]
# If the rows of [](#fig-class-importance) resemble each other, the map tells bodies, not actions. The **contrast** of
# two classes is half the summed difference of their rows: 0 for the same joints, 1 for none in common. With one or two
# clips behind a row the ends of the ranking are as much about these clips as about their classes.

# %%
seen = ~np.isnan(importance).any(axis=1) & (np.nansum(importance, axis=1) > 0)
names = np.array(clips.class_names)[seen]
contrast = gradcam.contrast(importance[seen])
one, other = np.triu_indices(len(contrast), 1)
order = np.argsort(contrast[one, other])
chosen = np.concatenate([order[:3], order[-3:]]) if len(order) >= 6 else order
ranking = pd.DataFrame({"one class": names[one], "another": names[other], "contrast": contrast[one, other]})
print(f"contrast of {seen.sum()} classes: mean {contrast[one, other].mean() if len(order) else 0:.3f}")
ranking.iloc[chosen].round(3)

# %%
#| label: fig-contrast
#| caption: "The two classes of the largest contrast: joints of which the one's importance has the larger share (orange), and the other's (purple)."
shares = importance[seen] / importance[seen].sum(axis=1, keepdims=True)
if len(order):
    a, b = one[order[-1]], other[order[-1]]
    title = " less ".join(plots.spoken([names[a], names[b]]))
    plots.pose(shown.x[0, 0], shown.skeleton, importance=shares[a] - shares[b], label="difference of shares", title=title);

# %% [markdown]
# ## Does it tell the truth?
#
# Four questions to every layer's map, and to four other answers, the first two through captum: **integrated gradients**,
# which add up slopes on the way from the still body to the clip; **occlusion**, which lets one joint after another hold
# still; **motion energy**, which calls important what moves and knows no network; and **random** numbers. Integrated
# gradients and occlusion have an advantage in the first question: both start from the still body by which deletion
# judges them. Occlusion gives one number per joint and no order among frames: it has no value in deletion and insertion
# by frames, and is at chance in `truth frames`.
#
# - **Deletion** lets the most important joints, or frames, hold still first; the class score should fall fast (small
#   area). **Insertion** starts from a still body (large area).
# - **PGI**, the prediction gap on important joints, turns their bones a little, **PGU** those of all others (Pellano et
#   al. 2025). There are more of the others, so that either number is to be compared with its own under random
#   importance, not with the other.
# - On synthetic clips, **average precision** asks whether decisive joints and frames come first (`truth joints`, `truth
#   frames`), and **pointing** whether the single most important joint at its moment is a decisive one (`truth
#   pointing`). Columns with `chance` say what share is decisive: what random
#   pointing gets in the mean. The average precision of a random order of so few is a little higher, see `random`.

# %%
rng = np.random.default_rng([seed, 6])
explain = partial(attribution.every, model, rng=rng)
effort = {"num_steps": num_steps, "num_draws": num_draws}
table = faithfulness.measure(model, clips, explain, rng=rng, progress=True, **effort)
means = table.groupby(["method", "measure"], sort=False)["value"].agg(["mean", "sem", "count"]).reset_index()
means = means.rename(columns={"mean": "value"})
means = means.assign(low=means["value"] - 1.96 * means["sem"], high=means["value"] + 1.96 * means["sem"])
wide = means.pivot(index="method", columns="measure", values="value").loc[table["method"].unique()]
runs.save_table("gradcam_trust", wide.assign(split=split))
wide.round(3)

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
# ## Which map to trust: five networks, two amounts of distraction
#
# One network is an anecdote, and an action alone on a still body is an easy riddle: what moves is what counts.
# `distractors` scales gestures, steps, turns and leaning that carry no class. The rows below come from
#
# ```
# python -m lib sweep 06_gradcam --grid seed=0,1,2,3,4 distractors=1,2 -p num_explained 48 \
#     -p num_steps 2 -p num_draws 0 -p precision bfloat16 --record gradcam_trust
# ```
#
# Five networks, each trained and explained at every amount of distraction, same clips; means and 95 % intervals over
# the five.

# %%
stored = runs.studies()
full = stored.get("gradcam_trust", pd.DataFrame(columns=["dataset", "seed", "method"]))
measures = full.filter(regex="^(deletion|insertion|truth) |^pg[iu]$").columns
full = full.melt(full.columns.difference(measures), measures, "measure").dropna(subset="value")
planted = full[(full["dataset"] == "synthetic") & full["measure"].isin(["truth joints", "truth frames", "truth pointing"])]
planted = planted.assign(truth=planted["measure"].str.removeprefix("truth "))
planted = planted[planted["num_explained"] == 48] if len(planted) else planted.assign(distractors=None)
truth_table = trust.over_seeds(planted, ["distractors", "truth", "method"]) if len(planted) else pd.DataFrame()
told = truth_table.assign(half=lambda part: part["high"] - part["mean"])[["mean", "half"]] if len(planted) else truth_table
told.unstack(["distractors", "truth"]).swaplevel(0, 2, axis=1).sort_index(axis=1).round(2) if len(planted) else told

# %% [markdown]
# Is the best layer better than motion energy and than random numbers? The layer is chosen on the other four networks,
# so that its luck does not count.

# %%
rivals = ["motion energy", "random"]
parts = planted.groupby(["distractors", "truth"])
parts = [(key, part) for key, part in parts if part["seed"].nunique() > 1]
gaps = {key: trust.gaps_of_best(part, model.layer_names, rivals) for key, part in parts}
pd.concat(gaps, names=["distractors", "truth"]).round(3) if gaps else pd.DataFrame()

# %% [markdown]
# By average precision the last layers are the ones to trust, in joints and still more in frames: they are far ahead of
# random numbers in both, and name the decisive **frames** better than motion energy does. But **motion energy names the
# decisive joints better than any layer.** In pointing all layers are far ahead of random numbers, and five networks
# decide neither whether late ones are better than early ones nor whether the best is worse than motion energy. Why are
# joints so hard? The truth counts every joint that an action displaces, and on these bodies such joints move most. A
# network need not look at all of them, which can be tested: hold still only the three decisive joints that the network
# needs most (by occlusion), or all decisive ones.

# %%
if clips.truth is not None:
    calm, target = attribution.still(batch), torch.as_tensor(predicted)
    decisive = np.zeros((*batch.x.shape[-1:-3:-1], len(clips)), bool)  # (M, V, N)
    for n, clip in enumerate(clips):
        decisive[: clip.truth.shape[1], :, n] = clip.truth.any(axis=0)
    need = attribution.occlusion(model, batch, target).sum(axis=2).transpose(1, 2, 0)
    third = np.sort(np.where(decisive, need, -np.inf).reshape(-1, len(clips)), axis=0)[-3]
    still = {"none": decisive & False, "three decisive joints": decisive & (need >= third), "all decisive": decisive}
    with torch.no_grad():
        for name, mask in still.items():
            x = torch.where(torch.as_tensor(mask.T[:, None, None]), calm, batch.x)
            share = model(x, batch.lengths, batch.present).softmax(dim=1).gather(1, target[:, None])
            print(f"{name}: {mask.sum(axis=(0, 1)).mean():.1f} joints still, probability {share.mean():.2f}")

# %% [markdown]
# Three joints cost the network most of what all of them together cost it. A map that is true to the network is right to
# leave the others out, and that costs it average precision as long as the truth asks for all of them. It is not the
# whole reason: integrated gradients and occlusion know the network, too, and in the mean come nearer to motion energy
# than any layer.

# %% [markdown]
# ## Right and wrong
#
# A map explains what the network said, also where that was wrong. If attention went astray, wrong predictions would
# rest on other joints than the true class wants: the map for the predicted class and the map for the true class would
# differ. Beside them, clips that were right, with the map of the class that came second.

# %%
with torch.no_grad():
    ranked = model(batch.x, batch.lengths, batch.present).argsort(dim=1, descending=True).numpy()
rival = np.where(predicted == clips.labels, ranked[:, 1], clips.labels)
against = gradcam.gradcam(model, batch, [last], target=rival)[last]
said, meant = (gradcam.shares(part).sum(axis=(1, 2)) for part in (maps[last], against))  # (N, V)
usable = (said.sum(axis=1) > 0) & (meant.sum(axis=1) > 0)
differ = np.where(usable, 0.5 * np.abs(said - meant).sum(axis=1), np.nan)

# %%
area = table[table["measure"] == "deletion by joints"].pivot(index="clip", columns="method", values="value")
judged = pd.DataFrame(
    {
        "prediction": np.where(predicted == clips.labels, "right", "wrong"),
        "contrast": differ,  # between the maps of the predicted and the other class
        "deletion": area[last],
        "deletion, random": area["random"],
    }
)
grouped = judged.groupby("prediction")
judged = grouped.mean().join(grouped.sem().add_suffix(" sem")).assign(clips=grouped.size())
runs.save_table("gradcam_right", judged)
judged.round(3)

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
        rows.append({"head and layers drawn anew": min(count, 10), "layer": layer, "rank correlation": agreement.mean()})
drawn = pd.DataFrame(rows).pivot(index="layer", columns="head and layers drawn anew", values="rank correlation")
runs.save_table("gradcam_random", pd.DataFrame(rows))
drawn.rename(columns={0: "head alone", 10: "all"}).round(2)

# %% [markdown]
# The last column should be near 0, and is: where it is not, part of the map comes from the architecture. A new head
# alone, with every layer as it was, already takes most of the order away: these maps are about the class, not about the
# body.
#
# Nor should a map change out of proportion when all bones turn by two degrees. **RIS**, **ROS** and **RRS** are the
# largest relative change of the map beside that of the input, of the class probabilities and of the last layer's
# features (relative input, output and representation stability, Agarwal et al. 2022); lower is steadier.

# %%
few = clips.batch(np.arange(min(16, len(clips))))
explained = {
    name: lambda part, target, n=name: gradcam.gradcam(model, part, [n], target)[n] for name in (first, last)
}
explained["motion energy"] = lambda part, target: attribution.motion_energy(part)
steady = {name: faithfulness.stability(model, f, few, clips.skeleton, rng) for name, f in explained.items()}
pd.DataFrame({name: part.median() for name, part in steady.items()}).T.round(2)

# %% [markdown]
# The last layer's map is several times steadier than the first one's, by all three.
#
# ## Geometry and attention
#
# Do layers whose graph separates the classes also look at the right joints? For every layer we have the cross-class mass
# of [](#nb-layer-geometry) and the area of deletion; if both fall together, their rank correlation over layers is
# positive. Two rivals stand beside it: depth alone, and the mass of the untrained network, which has learned nothing. A
# layer's depth goes with a smaller area, so that its correlation is negative. Rows come from the full runs of both pages
# on the same network and seed.

# %%
geometry = stored.get("geometry", pd.DataFrame(columns=["dataset", "seed", "layer", "measure"]))
mass = geometry[geometry["measure"] == "cross_class_mass"]
area = full[(full["measure"] == "deletion by joints") & full["method"].isin(model.layer_names)]
area = area[area["dataset"] != "synthetic"].rename(columns={"method": "layer"})
both = mass.merge(area, on=["dataset", "seed", "layer"], suffixes=("", "_area"))
rivals = {"mass": "value", "untrained mass": "untrained", "depth": "depth"}
linked = {
    (*key, name): spearmanr(part[column], part["value_area"]).statistic
    for key, part in both.groupby(["dataset", "seed"])
    for name, column in rivals.items()
}
linked = pd.Series(linked, name="rank correlation", dtype=float)
linked.rename_axis(["dataset", "seed", "against"]).unstack("seed").round(2) if len(linked) else linked

# %% [markdown]
# The untrained mass has exactly depth's numbers: it rises from layer to layer without any learning, and says nothing
# that depth does not.
#
# ## On real clips
#
# Networks of three seeds, 48 clips of the clean test set each, by
#
# ```
# python -m lib sweep 06_gradcam --grid dataset=nw_ucla seed=0,1,2 -p num_explained 48 --record gradcam_trust
# ```
#
# and once more with `--record gradcam_right`, which only collects. First all methods; then how far each differs from
# random numbers, paired by network, with 95 % intervals (good ones are below 0 in deletion and `pgu`, above it in
# `pgi`); then how far the best layer, chosen on the other two networks, is ahead; then right against wrong predictions.

# %%
real = full[full["dataset"] == "nw_ucla"]
real.pivot_table(index="method", columns="measure", values="value", sort=False).round(3)

# %%
asked = real[real["measure"].isin(["deletion by joints", "insertion by joints", "deletion by frames", "insertion by frames", "pgi", "pgu"])]
beyond = {name: trust.paired_gains(part, "random", by="method") for name, part in asked.groupby("measure")}
trust.written(pd.concat(beyond, names=["measure"]), 3).unstack("measure") if beyond else pd.DataFrame()

# %%
ahead = {
    name: trust.gaps_of_best(
        real[real["measure"] == name],
        model.layer_names,
        ["motion energy", "random", "integrated gradients"],
        higher_is_better=name.startswith("insertion"),
    )
    for name in ("deletion by joints", "insertion by joints")
    if real["seed"].nunique() > 1
}
pd.concat(ahead, names=["measure"]).round(3) if ahead else pd.DataFrame()

# %%
kept = stored.get("gradcam_right", pd.DataFrame(columns=["dataset"]))
kept[kept["dataset"] == "nw_ucla"].filter(["seed", *judged.reset_index().columns]).round(3)

# %% [markdown]
# On NW-UCLA the maps of the first six layers name **joints** no better than random ones do: over three networks the
# intervals of the difference hold zero, by deletion and by insertion. From `layers.6` on they do better by both, and the
# last layer's are well ahead of motion energy too. By **frames** maps do better than random ones from `layers.4` on
# where frames are deleted; where they are inserted, only those of `layers.6` and `layers.8` are decided. Motion energy
# is worse than random there. Integrated gradients and, by joints, occlusion are ahead of every layer, though deletion is
# their home ground. Small moves (`pgi`, `pgu`) hardly tell methods apart.
#
# Layers in which clips of one class come together are those whose maps can be believed, but so are simply the deeper
# ones: depth ranks the ten layers at least as well as the cross-class mass does. Ten layers of one architecture cannot
# say which of the two it is.
#
# Where the network is wrong, the map of its answer and the map of the true class lie further apart than the maps of
# the first and second class of clips that it gets right, in all three networks, and on this page's synthetic clips it is
# the other way round. There are only six to eight such clips per network, and the gap is clear in one of them alone:
# nothing is decided.
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
# :label: ex-gradcam-steps
# Run the page with `num_steps` 2 and 20. Which layers change their rank by deletion, and by more than their intervals?
# ```
#
# **Next:** [](#nb-scarce-data), or [](#nb-layer-geometry) again, with the maps beside it.
