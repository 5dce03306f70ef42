# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-transfer)=
# # Which layers should be tuned?
#
# A network that knows some movements is to learn others from a few labelled clips. The geometry paper (Das, Shekkizhar
# and Ortega 2023) finds that early layers see motion in general and concludes that the later layers are the ones to
# tune. How many of them? And could one have known beforehand?
#
# **Before:** [](#nb-layer-geometry) · **Time:** 60 s on two cores · **Full runs:** `data/results/transfer.csv`

# %%
import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lib import graphs, plots, protocols, recipes, runs, smoothness, training, transfer, transferability

# %% tags=["parameters"]
dataset: str = "synthetic"  # target: synthetic, nw_ucla, utd_mhad or msr_action3d
source: str = "synthetic"  # where the network learnt before; the target itself: half of its classes, the others new
seed: int = 0  # halves, labelled clips, initial weights, order, augmentation
network: str = "stgcn"  # or msg3d, stf
per_class: int = 5  # labelled clips of each target class
depths: str = "0 2 6 10"  # numbers of last layers that are tuned beside the classifier
norms: str = "source"  # statistics of frozen normalisations: the source's, or those of the "target"'s labelled clips
num_clips: int = 400  # synthetic training clips; real datasets are used whole
num_neighbors: int = 5  # candidates of each clip in the dataset graph
epochs: int | None = None  # passes over all training clips; None: the dataset's recipe, as for all below
width: float | None = None  # channels as a share of the published ones
num_frames: int | None = None  # every clip stretched to this
precision: str | None = None  # float32 or bfloat16
device: str | None = None  # cpu or cuda

# %% [markdown]
# ## The smallest case
#
# Does a layer's geometry rank classes that it has never seen? Three clips of class *a* and three of class *b* lie on a
# line, once apart and once mixed. Which of the two sets does each score prefer?

# %% tags=["nbval-check-output"]
labels = np.array([0, 0, 0, 1, 1, 1])
places = {"apart": np.array([0.0, 1, 2, 6, 7, 8]), "mixed": np.array([0.0, 6, 2, 1, 7, 8])}
pd.DataFrame(
    {
        name: {
            "cross-class mass": smoothness.label_smoothness(
                graphs.knn(np.abs(x[:, None] - x), 2, kernel="inverse"), labels
            ).cross_class_mass,
            "LogME": transferability.logme(x[:, None], labels),
            "nearest neighbour": transferability.nearest_neighbor(x[:, None], labels),
        }
        for name, x in places.items()
    }
).round(2)

# %% [markdown]
# The cross-class mass is an error, lower is better; the other two are better when higher. LogME (You et al. 2021) is the
# log evidence of a linear model from features to classes.
#
# ## Old clips and new ones
#
# With one dataset its classes are halved: the network learns one half, the other half is new. With two, all classes of
# the source are old, and joints are matched by their place on the body.

# %%
changes = {"epochs": epochs, "width": width, "num_frames": num_frames, "precision": precision, "device": device}
recipe = recipes.get(dataset, recipes.TRANSFER_RECIPES, **changes)
alike = {name: getattr(recipe, name) for name in ("width", "num_frames", "align", "dropout")}
origin = recipes.get(source, recipes.TRANSFER_RECIPES, **changes | alike)
old, new = protocols.transfer(source, dataset, seed=seed, limit=num_clips, progress=False)
old, new = origin.prepare(old), {split: recipe.prepare(part) for split, part in new.items()}
labelled = new["train"].subset(protocols.budget(new["train"], per_class, seed))

# %% tags=["nbval-check-output"]
parts = {"old, to train on": old, "new, labelled": labelled, "new, to test on": new["test"]}
pd.DataFrame({n: {"clips": len(p), "classes": len(p.class_names)} for n, p in parts.items()}).T

# %%
trained, history = recipes.focus_step(origin, network).fit(old, seed)
trained = transfer.with_norms(trained, norms, labelled)
print(f"accuracy on the old clips in the last epoch: {history.epochs['accuracy'].iloc[-1]:.1%}")

# %% [markdown]
# ## What the network's layers make of the new classes
#
# Nothing is tuned yet. The labelled clips go through the network, and every layer, the clips themselves included, is
# scored in four ways: by the label smoothness of its dataset graph ([](#nb-layer-geometry)), and by a linear probe,
# LogME and the nearest neighbour on features averaged over frames and joints (of the clips themselves over frames
# alone).

# %%
found = transferability.by_layer(trained, labelled, num_neighbors=num_neighbors)
found.round(3)

# %% [markdown]
# ## Tuning more and more layers
#
# The last layers learn, the others keep weights and, unless `norms` says otherwise, statistics. A classifier for the
# new classes learns always. Beside the network that knows the old classes stands a fresh one with the same layers
# frozen at random weights, its normalisations set to the labelled clips; with all layers tuned it is training from
# scratch. Epochs grow with the root of what is missing, as on [](#nb-scarce-data).

# %%
plain = recipes.focus_step(recipe, "modules" if network == "stf" else network)  # cross-entropy alone
longer = round(plain.train.epochs * math.sqrt(len(new["train"]) / len(labelled)))
tuning = replace(plain, train=replace(plain.train, epochs=longer))
starts = {"trained": trained, "fresh": training.calibrate_norms(plain.build(labelled, seed), labelled)}
names, rows = trained.layer_names, []
for start, begun in starts.items():
    for depth in tqdm(transfer.parse_depths(depths, len(names)), desc=f"tuning, {start}", unit="network"):
        model = transfer.start(plain.build(labelled, seed), begun, depth)
        model, history = tuning.fit(labelled, seed, model=model, progress=False)
        row = {"start": start, "num_tuned": depth, "layer": transfer.last_frozen(names, depth) or "clips"}
        row |= {s: training.evaluate(model, new[s], config=recipe.train).top1 for s in new if s != "train"}
        rows.append(row | {"seconds": round(history.seconds, 1), "clips_train": len(labelled)})

# %%
table = pd.DataFrame(rows).merge(found.reset_index().assign(start="trained"), how="left")
terms = asdict(recipes.focus_step(origin, network).train.focus)
table = table.assign(step=network, seed=seed, epochs_tuned=longer, **recipes.described(recipe), **terms)
runs.save_table("transfer", table)
table.pivot(index="num_tuned", columns="start", values=list(new)[-1]).round(3)

# %%
#| label: fig-transfer
#| caption: "Accuracy on test clips of the new classes against the number of tuned layers, one run of this page: the network that knows the old classes, and a fresh one with the same layers frozen."
means = table.rename(columns={list(new)[-1]: "mean"}).assign(low=np.nan, high=np.nan)
plots.by_depth(means, ["trained", "fresh"]);

# %% [markdown]
# Old movements help with new ones a great deal here: the classifier alone, on frozen features, is ahead of a network
# that learns everything from the labelled clips. How many layers are tuned matters less than where one starts.
#
# `transferability.agreement` says how well each score orders the depths of a transfer, and what its advice costs. Here it
# is for the one run above; two rules that look at nothing stand beside the scores.

# %%
told = table[table["start"] == "trained"].assign(accuracy=table[list(new)[-1]], dataset=dataset, source=source)
transferability.judged(told).set_index("predictor")[["correlation", "regret"]].round(3)

# %% [markdown]
# Among the depths tried three of the four scores like the last frozen layer best, and so advise to tune the classifier
# alone, which no depth does worse than; the probe likes two tuned layers as well. That a layer tells the new classes
# apart does not say how much better the layers after it could get.
#
# ## Real skeletons
#
# The same with NW-UCLA, UTD-MHAD and MSR Action3D, whose joints are those of one Kinect, five labelled clips of each new
# class. **Within** a dataset half of the classes are old and the other half new, as with the paper's NTU RGB+D.
# **Between** datasets cameras, rooms and people change as well, and a few movements are not even new.
#
# ```
# python -m lib sweep 08_transfer -p depths "0 2 4 6 8 10" --grid dataset=nw_ucla,utd_mhad,msr_action3d source=nw_ucla,utd_mhad,msr_action3d seed=0,1,2,3,4 --record transfer
# ```
#
# Accuracy on test clips, mean of five seeds; a seed draws halves, labelled clips, initial weights and order. Of
# NW-UCLA's test clips those count that are no copies of training clips: they show eight of its ten classes, and four or
# five of the five new ones where halves are drawn. Intervals on this page hold 95 % and are Student's, over seeds; those
# of STF further down are bootstrap ones, as in the study they belong to.

# %%
from lib import claims, paths, trust

study = claims.transfers(runs.studies()["transfer"])
deep = study[(study["step"] == "stgcn") & (study["norms"] == "source")]
within = deep["source"] == deep["dataset"]
learnt = deep["source"].where(deep["start"] == "trained", "nowhere").where(~within, "half, " + deep["start"])
over = trust.over_seeds(deep.assign(learnt=learnt, value=deep["accuracy"]), ["dataset", "learnt", "num_tuned"])
over["mean"].unstack("num_tuned").round(3)

# %%
#| label: fig-transfer-real
#| caption: "Accuracy on test clips against the number of tuned layers, by where the network learnt before; mean of five seeds and 95 % interval. Nowhere: a fresh network with the same layers frozen. Half: the other half of the dataset's own classes, an easier task; fresh beside it."
targets = list(dict.fromkeys(deep["dataset"]))
colors = dict(zip([*targets, "nowhere"], plots.LINE_COLORS, strict=False))
axes = plots.grid(2 * len(targets), columns=len(targets), size=(4.1, 3.3), sharey=True, titles=targets)
for above, below, target in zip(axes[: len(targets)], axes[len(targets) :], targets, strict=True):
    part = over.loc[target].reset_index()
    shown = {name: color for name, color in colors.items() if name in set(part["learnt"])}
    plots.by_depth(part, shown, by="learnt", ax=above)
    plots.by_depth(part, ["half, trained", "half, fresh"], by="learnt", ax=below)
axes[0].set_ylim(0, 1);

# %% [markdown]
# ### What the start is worth
#
# Points of accuracy by which the network that learnt before is ahead of the fresh one, paired by seed, with 95 %
# intervals.

# %%
keys = ["dataset", "source", "num_tuned"]
points = 100 * deep.pivot(index=[*keys, "seed"], columns="start", values="accuracy")
ahead = trust.over_seeds((points["trained"] - points["fresh"]).rename("value").reset_index(), keys)
trust.written(ahead, 0).unstack("num_tuned")

# %% [markdown]
# On average the network that learnt before is ahead at every depth, whatever it learnt, and by far the most where the
# classifier alone learns: frozen random features are worth little. On UTD-MHAD and MSR Action3D the lead shrinks,
# roughly, with every layer that is tuned; on NW-UCLA, from elsewhere, it is least in between. With all layers tuned most
# intervals still lie above 0. UTD-MHAD, with its 27 classes, teaches the most.
#
# ### How many layers to tune
#
# Points won, or lost, by tuning fewer than all layers, paired by seed, mean over sources; then over targets, too.

# %%
tuned = deep[deep["start"] == "trained"]
own = tuned["source"] == tuned["dataset"]
kinds = {"within": tuned[own], "between": tuned[~own]}
full = tuned["num_tuned"].max()
accuracy = 100 * tuned.assign(kind=own.map({True: "within", False: "between"})).pivot(
    index=["kind", "dataset", "source", "seed"], columns="num_tuned", values="accuracy"
)
lost = accuracy.sub(accuracy[full], axis=0).drop(columns=full).stack().rename("value").reset_index()
lost = pd.concat([lost, lost.assign(dataset="all")])
trust.written(trust.over_seeds(lost, ["kind", "dataset", "num_tuned"]), 1).unstack("num_tuned")

# %% [markdown]
# **Within** a dataset, the paper's case, little is decided. Over all three eight tuned layers do about as well as ten,
# six and four lose two or three points, which five seeds do not decide, two lose five. The targets disagree: MSR
# Action3D loses more with every layer that is frozen, NW-UCLA rather gains. **Between** datasets everything is worth
# tuning. To freeze even the first two of ten layers costs several points, in the mean of every target. That early layers
# see motion in general, so that later ones alone need tuning, may be true of other movements in one dataset; from one
# dataset to another it is not, at this size.
#
# ### Weights or statistics?
#
# A frozen layer keeps two things of its source: weights, and the means and spreads by which its normalisations scale.
# The fresh network's statistics are those of the labelled clips. Perhaps freezing fails for the statistics alone? With
# `norms` at `target` the trained network gets them too, before anything is frozen. Three seeds of each pair:
#
# ```
# python -m lib sweep 08_transfer -p norms target -p depths "0 8" --grid source=utd_mhad dataset=nw_ucla,msr_action3d seed=0,1,2 --record transfer
# ```
#
# and the same from the other two. Points against the source's statistics, and against tuning all layers.

# %%
pairs = ["dataset", "source", "seed"]
known = study[(study["step"] == "stgcn") & (study["start"] == "trained") & (study["source"] != study["dataset"])]
wide = 100 * known.pivot(index=pairs, columns=["norms", "num_tuned"], values="accuracy")
wide = wide[wide[("target", 0)].notna()]
compared = {f"{depth} tuned, against the source's": wide[("target", depth)] - wide[("source", depth)] for depth in (0, 8)}
compared["8 tuned, against all"] = wide[("target", 8)] - wide[("source", full)]
compared = pd.DataFrame(compared).melt(ignore_index=False, var_name="points").reset_index()
trust.over_seeds(compared, ["points", "dataset"]).round(1)

# %% [markdown]
# Weights, and perhaps statistics. With the labelled clips' own statistics, frozen layers still cost four to six points
# against tuning everything, on all three targets. On NW-UCLA, where the camera moves, the statistics are worth seven
# points in the mean, which three seeds do not decide; on the other two they change little.
#
# ## Could one have known?
#
# For each source, target and seed: the rank correlation over depths between a score of the last frozen layer and the
# accuracy that was reached, and the **regret**, what is lost by the depth that the score likes best, compared with the
# best depth in hindsight. Means over pairs, intervals over seeds. The second table is the regret in points, less that of
# tuning everything, paired.

# %%
told = {kind: transferability.judged(part) for kind, part in kinds.items()}
found = {
    (kind, name): trust.over_seeds(part.assign(value=part[name]), ["predictor"]).drop(columns="seeds")
    for kind, part in told.items()
    for name in ("correlation", "regret")
}
pd.concat(found, axis=1).T.unstack().round(2)

# %%
regret = pd.concat({kind: part.set_index([*pairs, "predictor"])["regret"] for kind, part in told.items()}, names=["kind"])
regret = 100 * regret.unstack("predictor")
more = regret.sub(regret["tune everything"], axis=0).drop(columns="tune everything").stack().rename("value")
trust.written(trust.over_seeds(more.reset_index(), ["predictor", "kind"]), 1).unstack("kind")

# %% [markdown]
# **No score earns anything over a rule that looks at nothing.** To tune everything costs next to nothing between
# datasets and two points within one. Every score's advice costs many points more, both ways; only for the probe within a
# dataset is that not decided. Label smoothness orders the depths no better than chance. LogME orders them the wrong way
# round, and so does the nearest neighbour between datasets: they ask how well a layer's output tells the new classes
# apart, and deep layers do so best before any tuning. What tuning is to find out is another thing, namely how much
# better the layers could still get.
#
# ## The classifier alone, and focus
#
# Ke, Peng and Lyu (2022) tune only the classifier of networks that learnt NTU RGB+D 60 on NTU RGB+D 120, and find STF
# one point ahead of MS-G3D. Here the networks learnt UTD-MHAD:
#
# ```
# python -m lib sweep 08_transfer -p depths "0 1" --grid source=utd_mhad dataset=msr_action3d,nw_ucla seed=0,1,2,3,4 network=msg3d,stf --record transfer
# ```

# %%
alone = study[(study["num_tuned"] == 0) & (study["source"] == "utd_mhad") & (study["norms"] == "source")]
alone = alone[(alone["start"] == "trained") & (alone["dataset"] != "utd_mhad")]
alone = alone.assign(value=100 * alone["accuracy"])
level = trust.over_seeds(alone, ["dataset", "step"])["mean"].rename("accuracy")
gains = {target: trust.paired_gains(part, "msg3d") for target, part in alone.groupby("dataset")}
published = pd.read_csv(paths.PUBLISHED).query("work == 'STF dataset shift'").set_index("network")["score"]
theirs = (100 * (published - published["msg3d"])).rename("published gain").rename_axis("step")
gains = pd.concat(gains, names=["dataset"]).drop(columns="ahead")
level.to_frame().join(gains).join(theirs, on="step").round(1)

# %% [markdown]
# Here five seeds put STF's features neither ahead of MS-G3D's nor behind, on either dataset, and the published point
# lies within both intervals. MS-G3D's features are ahead of ST-GCN's in the mean, on MSR Action3D decidedly.
#
# **What this does not show.** One size of network (a quarter of the published width, few epochs), one budget of clips,
# and one learning rate for every depth: a smaller one might spare old weights. NTU RGB+D 120 has twice as many classes
# as the three datasets together, and its early layers may well be more general. Between datasets a few movements are in
# both (throw, sit down, tennis swing), so that not every class is new. Five seeds give wide intervals, and depths are
# few, so that a rank correlation over them is coarse.
#
# ```{exercise}
# :label: ex-transfer-budget
# Give `per_class` 2 and then 15. When does starting afresh catch up?
# ```
#
# ```{exercise}
# :label: ex-transfer-source
# With downloaded clips, let `source` be `synthetic` and `dataset` be `utd_mhad`. Do synthetic movements help with real
# ones?
# ```
#
# **Next:** [](#nb-robustness)
