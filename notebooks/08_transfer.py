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
from dataclasses import replace

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
# scored in four ways: by the label smoothness of its dataset graph ([](#nb-layer-geometry)), and by a linear probe, LogME
# and the nearest neighbour on features averaged over frames and joints (of the clips themselves over frames alone).

# %%
found = transferability.by_layer(trained, labelled, num_neighbors=num_neighbors)
found.round(3)

# %% [markdown]
# ## Tuning more and more layers
#
# The last layers learn, the others keep weights and, unless `norms` says otherwise, statistics. A classifier for the new classes learns always. Beside
# the network that knows the old classes stands a fresh one with the same layers frozen at random weights, its
# normalisations set to the labelled clips; with all layers tuned it is training from scratch. Epochs grow with the root
# of what is missing, as on [](#nb-scarce-data).

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
table = table.assign(step=network, seed=seed, epochs_tuned=longer, **recipes.described(recipe))
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
# ## Real skeletons
#
# The same between NW-UCLA, UTD-MHAD and MSR Action3D, whose joints are those of one Kinect, five labelled clips of each
# new class. With `source` and `dataset` alike, half of the classes are new. Rows of all pairs are not recorded yet:
#
# ```
# python -m lib sweep 08_transfer -p depths "0 2 4 6 8 10" --grid dataset=nw_ucla,utd_mhad,msr_action3d source=nw_ucla,utd_mhad,msr_action3d seed=0,1,2,3,4 --record transfer
# ```
#
# `transferability.agreement` then says, of each pair and seed, how well each score orders the depths, and what its advice
# costs. Here it is for the one run above; two rules that look at nothing stand beside the scores.

# %%
told = table[table["start"] == "trained"].assign(accuracy=table[list(new)[-1]])
told = told.assign(**{"tune everything": told["num_tuned"], "tune the classifier": -told["num_tuned"]})
blind = {"tune everything": 1, "tune the classifier": 1}
transferability.agreement(told, transferability.SCORES | blind).round(3)

# %% [markdown]
# All scores but the probe like the last layer best, and so advise to tune the classifier alone, which is the worst of
# the depths here. That a layer tells the new classes apart does not say how much better the layers after it could get.
#
# **What this does not show.** One run: other halves and other labelled clips move all of it. Depths are few, so that a
# rank correlation over them is coarse.
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
