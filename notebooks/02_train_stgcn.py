# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-train-stgcn)=
# # Train an ST-GCN
#
# How well does the network recognise actions from people and views it has never seen, and where does it fail? Every
# later page looks inside this network, so it has to be a good one first.
#
# **Before:** [](#nb-skeleton-clips) · **Time:** 60 s on two cores · **Full runs:** `data/results/training.csv`

# %%
from dataclasses import replace

import pandas as pd
import torch
from IPython.display import display

from lib import datasets, plots, recipes, runs, scores, training
from lib.models.fusion import Fusion

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # initial weights, order, augmentation
streams: str = "joint"  # or several networks whose scores are fused: "2*joint + bone + joint_motion"
num_clips: int = 480  # synthetic training clips; real datasets are used whole
epochs: int | None = None  # passes over the training clips; None: the dataset's recipe
width: float | None = None  # channels as a share of the published 64, 128, 256; None: the recipe's
precision: str | None = None  # float32 or bfloat16; None: the recipe's
num_frames: int | None = None  # every clip stretched to this; None: the recipe's
turn: float | None = None  # degrees, random turns within +-; None: the recipe's
optimizer: str | None = None  # sgd or adamw; None: the recipe's, as for the four below
learning_rate: float | None = None  # peak, after warm-up
weight_decay: float | None = None  # of SGD, or AdamW's decoupled one
batch_size: int | None = None  # clips
dropout: float | None = None  # after every temporal convolution but the first
protocol: str | None = None  # how splits are made; "selection" keeps to training clips of the real datasets

# %% [markdown]
# ## Clips and recipe
#
# The splits are the official ones. NW-UCLA has a second test set: 95 of its 464 test clips are copies of training
# clips, and `test_clean` leaves these out. With them go two of the ten classes, *pick up with two hands* and *drop
# trash*, of which no other test clips exist. The recipe says how clips are prepared: centred, stretched to one length,
# and on the synthetic set turned about the vertical until the body faces the camera (`transforms.align`).

# %% tags=["nbval-check-output"]
changes = {"num_frames": num_frames, "turn": turn, "batch_size": batch_size, "dropout": dropout}
changes |= {"optimizer": optimizer, "learning_rate": learning_rate, "weight_decay": weight_decay}
recipe = recipes.get(dataset, epochs=epochs, width=width, precision=precision, **changes)
limit = num_clips if dataset == "synthetic" else None
splits = ["train", "test", "test_clean"] if dataset == "nw_ucla" and protocol is None else ["train", "test"]
raw = {name: datasets.load(dataset, split=name, protocol=protocol, limit=limit, progress=False) for name in splits}
clips = {split: recipe.prepare(part) for split, part in raw.items()}
{split: len(part) for split, part in clips.items()}

# %% [markdown]
# Training turns, tilts and stretches the bodies at random, so that another camera shows little that is new. Recipes
# were chosen on training clips alone (`-p protocol selection`): on NW-UCLA view 1 was trained on and view 2 scored, on
# the other two real datasets one training subject was held out. The last table of this page has those rows; MSR
# Action3D has none of its own: its optimiser is UTD-MHAD's, and of how the rest was chosen no row is kept.

# %% tags=["nbval-check-output"]
terms = ["focus", "smoothness", "smoothness_neighbors"]  # of other pages' losses; none here
pd.Series(vars(recipe.train)).drop(["device", "seed", *terms]).to_frame("training")

# %% [markdown]
# ## Training
#
# The network has ten layers of a graph convolution over joints and a convolution over nine frames, as published. A
# stopped training goes on from its checkpoint, to the same weights bit for bit. With `streams` further networks learn
# from bones, or from the motion of joints or bones; scores are then those of their mean log-probabilities, and the
# curves those of the first network.

# %%
weights = recipes.parse_streams(streams)
trained = {name: replace(recipe, stream=name).fit(clips["train"], seed) for name in weights}
networks, histories = ({name: pair[k] for name, pair in trained.items()} for k in (0, 1))
model, history = Fusion(networks, weights), histories[next(iter(weights))]
history.epochs.tail(3).round(3)

# %%
#| label: fig-learning-curves
#| caption: "Loss and accuracy on the augmented training clips by epoch; one seed, the page's dataset and recipe."
plots.learning_curves(history.epochs);

# %% [markdown]
# ## Scores on people and views never seen
#
# What do you expect: is the score on the test clips nearer to the training accuracy above or to chance? Each clip is
# seen once as it is; the rows with 10 passes average over ten random changes of it like those of training, as many
# published scores do.

# %%
held_out = {split: part for split, part in clips.items() if split != "train"}

reached = {split: training.evaluate(model, part, config=recipe.train) for split, part in held_out.items()}
row = {"train_accuracy": history.epochs["accuracy"].iloc[-1]}
row["seconds"] = round(sum(curves.seconds for curves in histories.values()), 1)
for split, part in held_out.items():
    row[f"{split}_10_passes"] = training.evaluate(model, part, config=recipe.train, passes=10).top1
for split, found in reached.items():
    row |= {split: found.top1, f"{split}_top5": found.top5, f"{split}_calibration": found.calibration_error}
pd.Series(row).round(3).to_frame(dataset)

# %% [markdown]
# On the synthetic clips it is near the training accuracy, and far from chance (one in twenty classes): what this small
# network has learnt in its few passes holds for other bodies, and it has not learnt all there is.

# %%
row |= recipes.described(recipe) | {"clips_train": len(clips["train"]), "threads": torch.get_num_threads()}
runs.save_table("training", pd.DataFrame([row]))
curves = recipes.curves({name: past.epochs for name, past in histories.items()}, "stream")
runs.save_table("curves", curves.assign(step="stgcn", **recipes.described(recipe)));

# %% [markdown]
# How much should each stream weigh in a fusion? That is asked of training subjects alone, with `-p protocol selection`;
# here are the three best of all weights from 0 to 2.

# %%
if protocol == "selection":
    logits = {name: training.predict(one, clips["test"], config=recipe.train) for name, one in networks.items()}
    tried = scores.weightings(logits, clips["test"].labels)
    runs.save_table("fusion", tried.assign(**recipes.described(recipe)))
    display(tried.head(3))

# %%
#| label: fig-confusion
#| caption: "Confusion on the test clips: rows are true classes, shades are shares of a row; with up to 16 classes numbers are clips."
plots.confusion(reached["test"].confusion, clips["test"].class_names);

# %% [markdown]
# Classes that differ in side, in rhythm, in place or in the order of the same poses are the ones to look for off the
# diagonal of [](#fig-confusion).

# %%
#| label: fig-reliability
#| caption: "Accuracy of test clips against the network's confidence, in 15 equal bins of confidence."
plots.reliability(reached["test"].reliability);

# %% [markdown]
# Label smoothing during training holds the confidence down, so points above the diagonal in [](#fig-reliability) are
# expected: the network is right more often than it claims.

# %% [markdown]
# ## The real datasets
#
# The rows below were written by
#
# ```
# python -m lib sweep 02_train_stgcn --grid dataset=nw_ucla,utd_mhad,msr_action3d seed=0,1,2 --record training
# python -m lib sweep 02_train_stgcn --grid dataset=utd_mhad,msr_action3d seed=0,1,2 \
#     -p streams "joint + bone + joint_motion" --record training
# python -m lib sweep 02_train_stgcn --grid seed=0,1,2 -p dataset nw_ucla -p optimizer adamw -p learning_rate 0.002 \
#     -p weight_decay 0.05 -p batch_size 16 -p epochs 80 -p num_frames 32 -p turn 180 -p dropout 0 --record training
# ```
#
# and by the last one with `-p streams "joint + bone + joint_motion"` and one seed; `--record curves` keeps learning
# curves, too. Means and ranges are over seeds, minutes the longest run's on one core. Chance is 10 %, 3.7 % and 5 %. The
# synthetic row is a larger training than this page's: `-p dataset synthetic -p num_clips 2000 -p width 0.5 -p epochs 40
# -p precision bfloat16`.

# %%
setting = ["dataset", "streams", "num_frames", "width", "epochs", "optimizer", "turn"]
measured = ["seed", "test", "test_10_passes", "test_clean", "test_clean_10_passes", "seconds"]
rows = runs.studies()["training"].reindex(columns=[*setting, *measured, "protocol", "dropout"])
rows = rows.assign(streams=rows["streams"].fillna("joint").str.replace(" ", ""))
rows[rows["protocol"].isna()].groupby(setting).agg(
    seeds=("seed", "nunique"),
    test=("test", "mean"),
    test_low=("test", "min"),
    test_high=("test", "max"),
    test_10_passes=("test_10_passes", "mean"),
    test_clean=("test_clean", "mean"),
    test_clean_10_passes=("test_clean_10_passes", "mean"),
    minutes=("seconds", lambda seconds: seconds.max() / 60),
).round(3)

# %% [markdown]
# Four in five of the standard NW-UCLA test clips are honest, and the score on these (`test_clean`) is the one to trust.
# Three networks that see joints, bones and motions make fewer mistakes together: on UTD-MHAD and on MSR Action3D in all
# three seeds, on NW-UCLA in the one there is, with settings that are not the recipe's. All weigh alike there. Do the
# networks need more passes? (MSR Action3D's curves are on the next page, those of MS-G3D.)

# %%
#| label: fig-curves-real
#| caption: "Accuracy on the augmented training clips by epoch, of the networks that were fused; mean over seeds."
told = runs.studies()["curves"].query("step == 'stgcn' and protocol.isna()")
names = list(dict.fromkeys(told["dataset"]))
axes = plots.grid(len(names), columns=3, size=(3.4, 3.0), sharey=True, titles=names)
for ax, name in zip(axes, names, strict=True):
    plots.learning_curves(recipes.over_epochs(told[told["dataset"] == name], "stream"), axes=ax)

# %% [markdown]
# They know nearly all of their training clips at the end, changed at random as they are: what is missing on new people
# and views will not come from more passes alone.
#
# Below are the selection runs: `test` is the held-out part of the training clips, one seed each. On UTD-MHAD AdamW
# (Loshchilov and Hutter 2019) was far ahead of SGD after the same number of passes, and MSR Action3D took it over.
# NW-UCLA kept SGD, with more passes over longer clips.

# %%
shown = ["streams", "optimizer", "num_frames", "dropout", "turn", "epochs", "test", "test_10_passes"]
rows[rows["protocol"] == "selection"].set_index("dataset")[shown].round(3)

# %% [markdown]
# **What this does not show.** Three seeds give a range, not an interval: a difference of a point between two networks
# trained like this is within the noise of the seeds. NW-UCLA's rows with AdamW and turns of up to 180 degrees are a
# second setting beside the recipe's, which training clips would not have chosen: on view 2 it is behind, as the last
# table says. Its scores are not those of a setting that was chosen without the test clips.
#
# ```{exercise}
# :label: ex-train-views
# Train without turning views at random (set `turn` and `tilt` to 0 in `recipes.get`). On which dataset does it matter
# most?
# ```
#
# ```{exercise}
# :label: ex-train-width
# Run the page with `width` 0.125 and 1.0. How much of the accuracy does the width buy?
# ```
#
# **Next:** [](#nb-train-msg3d-stf)
