# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-train-msg3d-stf)=
# # MS-G3D, and telling it where to look
#
# GradCAM says afterwards which joints and frames a network used. STF (Ke, Peng and Lyu 2022) makes that focus part of
# training: modules inside MS-G3D guess it, build a graph of each clip from the guess, and four losses shape it. Is the
# network better for it, and does its focus become more faithful?
#
# **Before:** [](#nb-train-stgcn) · **Time:** 60 s on two cores · **Full runs:** `data/results/focus.csv`

# %%
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from lib import attribution, datasets, faithfulness, focus, losses, recipes, runs, training

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # initial weights, order, augmentation
steps: str = "msg3d stf"  # networks to train, of: stgcn msg3d modules exploration divergence adjacency stf
num_clips: int = 240  # synthetic training clips; real datasets are used whole
num_explained: int = 24  # test clips whose focus is checked
epochs: int | None = None  # passes over the training clips; None: the dataset's recipe, as for all below
width: float | None = None  # channels as a share of the published 96, 192, 384
num_frames: int | None = None  # every clip stretched to this
precision: str | None = None  # float32 or bfloat16
exploration: float | None = None  # weight of the term where a step has it; None: the recipe's, as for the three below
divergence: float | None = None
adjacency: float | None = None
consistency: float | None = None
protocol: str | None = None  # how splits are made; "selection" keeps to training clips of the real datasets

# %% [markdown]
# ## The smallest case
#
# Two frames, three joints. The focus is the positive part of GradCAM, divided by its largest entry. Hiding what it
# points at moves those joints to the middle of the body. Which joint moves farthest?

# %% tags=["nbval-check-output"]
q = torch.tensor([[[0.0, 1.0, 4.0], [0.0, 2.0, 0.0]]])  # (P, T, V)
x = torch.tensor([0.0, 1.0, 2.0]).expand(1, 1, 2, 3)  # (P, C, T, V), one coordinate
print(losses.scaled(q))
print(losses.masked_input(x, q, centre=x.mean(dim=3, keepdim=True)))

# %% [markdown]
# The third joint in the first frame, all the way. Where the focus is 0 nothing moves.
#
# ## Networks and losses
#
# MS-G3D sees joints over up to 12 hops at once, and windows of 3 and 5 frames as one graph. `stf` has a module in front
# of each of its six graph convolutions: `beta` guesses the focus from the features, `alpha` makes a graph over joints
# of it. What the paper leaves open is an option with a documented default: where modules stand, whether their graph
# adds to the fixed one, which class is explained (`lib.models.msg3d`, `lib.focus`).

# %%
changes = {"epochs": epochs, "width": width, "num_frames": num_frames, "precision": precision}
recipe = recipes.get(dataset, recipes.FOCUS_RECIPES, **changes)
given = {"exploration": exploration, "divergence": divergence, "adjacency": adjacency, "consistency": consistency}
weights = replace(recipe.train.focus, **{name: weight for name, weight in given.items() if weight is not None})
recipe = replace(recipe, train=replace(recipe.train, focus=weights))
limit = num_clips if dataset == "synthetic" else None
splits = ["train", "test", "test_clean"] if dataset == "nw_ucla" and protocol is None else ["train", "test"]
raw = {name: datasets.load(dataset, split=name, protocol=protocol, limit=limit, progress=False) for name in splits}
clips = {split: recipe.prepare(part) for split, part in raw.items()}
networks = {step: recipes.focus_step(recipe, step).build(clips["train"], seed) for step in steps.split()}
sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in networks.items()}
pd.Series(sizes, name="weights").to_frame()

# %% [markdown]
# The terms: *exploration* lowers the score that is left when the focus is hidden, *divergence* pulls the focus of the
# two highest classes apart, *adjacency* teaches `beta` the focus, *consistency* makes the last two modules agree. The
# paper weighs them so that each has the classification loss's order of magnitude. Measured on one batch of the
# untrained network, that would be the first column; the recipe's weights, chosen on training subjects, are the second.

# %%
sample = clips["train"].batch(np.arange(min(32, len(clips["train"]))))
probe = recipes.focus_step(recipe, "stf").build(clips["train"], seed)
start = focus.balanced(probe, sample, recipe.train.focus, classification=np.log(len(clips["train"].class_names)))
pd.DataFrame({"balanced": start, "recipe": {name: getattr(recipe.train.focus, name) for name in focus.TERMS}})

# %% [markdown]
# ## Training
#
# Exploration takes steps of its own, one in eight: together with the others it did not settle, the authors write.

# %%
trained = {step: recipes.focus_step(recipe, step).fit(clips["train"], seed) for step in networks}
networks = {step: pair[0] for step, pair in trained.items()}
histories = {step: pair[1].epochs for step, pair in trained.items()}
pd.concat({step: epochs.tail(1) for step, epochs in histories.items()}).droplevel(1).round(3)

# %%
rows = []
for step, model in networks.items():
    row = {"step": step, "seconds": round(histories[step]["seconds"].sum(), 1)}
    row["train_accuracy"] = histories[step]["accuracy"].iloc[-1]
    for split in splits[1:]:
        row[split] = training.evaluate(model, clips[split], config=recipe.train).top1
        row[f"{split}_10_passes"] = training.evaluate(model, clips[split], config=recipe.train, passes=10).top1
    rows.append(row)
scores = runs.save_table("focus", pd.DataFrame(rows).assign(seed=seed, **recipes.described(recipe), **asdict(weights)))
scores.set_index("step")[["train_accuracy", *[name for name in scores if name.startswith("test")]]].round(3)

# %%
held_out = clips[splits[-1]]
config = recipe.train
recall = {step: training.evaluate(model, held_out, config=config).per_class for step, model in networks.items()}
by_class = pd.DataFrame(recall, index=pd.Index(held_out.class_names, name="class")).rename_axis(columns="step")
runs.save_table("focus_classes", by_class.stack().rename("recall").reset_index().assign(seed=seed));

# %% [markdown]
# ## Is the focus faithful?
#
# GradCAM at what enters the last block is what the last two modules' focuses are made of. The faster a class's score
# falls while the joints or frames that it calls important hold still, the more faithful it is (`lib.faithfulness`).

# %%
explained = held_out.subset(np.sort(np.random.default_rng(seed).permutation(len(held_out))[:num_explained]))
layers = ["layers.1", "layers.2"]  # what enters and what leaves the last block; ST-GCN's are early ones
measured = {
    step: faithfulness.measure(
        model,
        explained,
        partial(attribution.of_layers, model, rng=np.random.default_rng(seed), layers=layers),
        rng=np.random.default_rng(seed),
        num_steps=6,
        num_draws=0,
    )
    for step, model in networks.items()
}
table = pd.concat(measured, names=["step"]).groupby(["step", "method", "measure"])["value"].mean().reset_index()
runs.save_table("focus_faithfulness", table.assign(seed=seed))
table.pivot(index=["method", "measure"], columns="step", values="value").round(3)
