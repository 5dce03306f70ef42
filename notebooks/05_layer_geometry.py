# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-layer-geometry)=
# # Layer geometry
#
# Do deeper layers bring clips of one action together, and in which layer does that happen? We take the features of
# every layer, warp clips onto each other, link near clips to a graph, and measure how smoothly the labels vary on it.
# The method is that of Das, Shekkizhar and Ortega (2023), whose finding we put to the test: *initial layers respond to
# general human motion, and only later layers discriminate actions.*
#
# **Before:** [](#nb-train-stgcn), [](#nb-windowed-dtw) · **Time:** 60 s on two cores · **Full runs:**
# `data/results/geometry.csv`

# %%
import numpy as np
import pandas as pd
from IPython.display import display

from lib import datasets, dtw, features, geometry, graphs, plots, recipes, runs, smoothness, training, trust, widgets

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # network, and the draws of intervals and permutations
clip_seed: int = 0  # synthetic bodies and motions, and the draw of compared clips
num_clips: int = 480  # synthetic training clips; real datasets are trained on whole
num_compared: int = 160  # clips compared with each other, from the test split
epochs: int | None = None  # training passes; None: the dataset's recipe, as for the next
width: float | None = None  # channels as a share of the published ones
window_size: int = 4  # frames of the input per DTW window; layers with fewer frames take proportionally fewer
stride: int = 4  # input frames between windows, scaled likewise
radius: float = 0.2  # DTW band as a share of a sequence's windows
num_neighbors: int = 10  # candidates per clip before NNK prunes them
sigma_scale: float = 0.3333  # kernel width as a share of the mean distance to the last candidate; the published rule
num_varied: int = 60  # compared clips on which these settings are varied, more than 40
num_probed: int = 160  # training clips that linear probes are fitted to

# %% [markdown]
# ## The smallest case
#
# Four clips on a line, two of class *a* and two of class *b*. Each is linked to its two nearest with the inverse of the
# distance as weight. Before you look: which of the four have the largest share of their weight on the other class?

# %% tags=["nbval-check-output"]
places = np.array([0.0, 1.0, 2.5, 3.5])
small = graphs.knn(np.abs(places[:, None] - places[None, :]), 2, kernel="inverse")
errors = smoothness.label_smoothness(small, np.array([0, 0, 1, 1]))
pd.DataFrame({"place": places, "class": list("aabb"), "other class": errors.per_clip.cross_class_mass.round(3)})

# %% [markdown]
# The two clips at the border between the classes. The mean of the last column is the **cross-class mass**; 0 means that
# all neighbours agree. The **interpolation error** compares the whole
# predicted label vector with the true one, and the **Laplacian** form counts each link once. For all three, lower is
# smoother.

# %% [markdown]
# ## A trained network and an untrained one
#
# The untrained one has the initial weights, and its batch normalisations know the mean and spread of the training
# clips, as the trained one's do. Without that it would pass its input on almost unchanged, which is no fair baseline.

# %%
recipe = recipes.get(dataset, epochs=epochs, width=width)
limit = num_clips if dataset == "synthetic" else None
train = recipe.prepare(datasets.load(dataset, split="train", limit=limit, seed=clip_seed, progress=False))
split = "test_clean" if dataset == "nw_ucla" else "test"
clips = recipe.prepare(datasets.load(dataset, split=split, limit=num_compared, seed=clip_seed, progress=False))
trained, history = recipe.fit(train, seed)
untrained = training.calibrate_norms(recipe.build(train, seed), train)

# %% tags=["nbval-check-output"]
print(len(clips), "clips of", len(np.unique(clips.labels)), "classes,", len(np.unique(clips.subjects)), "subjects")

# %%
print(f"accuracy on the compared clips: {training.evaluate(trained, clips, config=recipe.train).top1:.1%}")

# %% [markdown]
# ## Features of every layer
#
# One pass collects all ten layers. A frame's vector holds all channels of all joints; padding is trimmed. Temporal
# strides leave the deeper layers fewer, longer frames.

# %%
sequences = {
    "trained": features.extract(trained, clips, progress=True),
    "untrained": features.extract(untrained, clips),
}

# %% tags=["nbval-check-output"]
pd.DataFrame({layer: {"frames": len(part[0]), "D": part[0].shape[1]} for layer, part in sequences["trained"].items()}).T

# %% [markdown]
# ## Distances between clips, layer by layer
#
# A window spans the same stretch of time in every layer, so it holds fewer frames where a layer has fewer. Distances
# are divided by the length of the path, so that long clips are not far from everything.

# %%
settings = {"window_size": window_size, "stride": stride, "radius": radius, "normalize": "path"}
distance = {
    network: dtw.by_layer(layers, trained.layer_strides, progress=True, **settings)
    for network, layers in sequences.items()
}

# %% [markdown]
# ## A graph per layer
#
# Non-negative kernel regression (NNK) starts from a clip's nearest neighbours and keeps those that are not hidden
# behind a nearer one in the same direction. How many it keeps depends on the width of its kernel as much as on the
# data: with the published rule, a third of the distance to the last candidate, few are hidden.

# %%
graph = {
    network: {
        layer: graphs.nnk(m, num_neighbors, sigma=graphs.bandwidth(m, num_neighbors, scale=sigma_scale))
        for layer, m in layers.items()
    }
    for network, layers in distance.items()
}

# %%
last, matrix = list(distance["trained"].items())[-1]
widths = {scale: graphs.bandwidth(matrix, num_neighbors, scale=scale) for scale in (1 / 3, 1.0, 3.0)}
kept = {f"{s:.2f}": graphs.nnk(matrix, num_neighbors, sigma=width).num_neighbors.mean() for s, width in widths.items()}
pd.Series(kept, name=f"neighbours kept in {last}").rename_axis("kernel width, share of the last candidate's").to_frame()

# %%
#| label: fig-neighbors-by-layer
#| caption: "Neighbours that NNK keeps of each clip's candidates, by layer of the trained network: the fewer, the fewer directions the features spread in around a clip."
plots.neighbors_by_layer(
    {name.removeprefix("layers."): part.num_neighbors for name, part in graph["trained"].items()},
    candidates=num_neighbors,
);

# %% [markdown]
# ## Label smoothness, layer by layer
#
# Three baselines belong beside the curve: the same network **untrained** (what the architecture and the skeleton alone
# do), **permuted labels** (what chance does on this very graph) and the **interval** over subjects (what other people
# would have changed).

# %%
rows = smoothness.by_layer(
    graph["trained"],
    clips.labels,
    rng=np.random.default_rng(seed),
    groups=clips.subjects,
    untrained=graph["untrained"],
)
runs.save_table("geometry", rows.assign(split=split))
mass = rows[rows["measure"] == "cross_class_mass"].set_index("layer")
mass[["value", "low", "high", "untrained", "permuted_mean", "num_neighbors_mean"]].round(3)

# %%
#| label: fig-smoothness-by-layer
#| caption: "Label smoothness by layer (lower: clips of one class closer), page's dataset and seed; bands are 95 % intervals over subjects, grey is the range under permuted labels."
plots.smoothness_by_layer(rows, measures=["cross_class_mass", "laplacian"], interval="95 % over subjects");

# %% [markdown]
# Where does discrimination appear? Our rule: the first layer that has made half of the largest drop below layer 0, if
# the interval of its own drop excludes zero.

# %%
scores = {layer: smoothness.label_smoothness(part, clips.labels) for layer, part in graph["trained"].items()}
appears = smoothness.appears_at(scores, rng=np.random.default_rng(seed), groups=clips.subjects)
runs.save_table(
    "appearance",
    pd.DataFrame([{"layer": appears.layer, "low": appears.low, "high": appears.high, "never": appears.never}]),
)

# %%
#| label: fig-smoothness-by-class
#| caption: "Cross-class mass by layer and class, divided by its value under permuted labels (1: chance); trained network."
classes = smoothness.by_class(
    graph["trained"], np.array(clips.class_names)[clips.labels], rng=np.random.default_rng(seed), num_resamples=200
)
plots.smoothness_by_class(classes, measure="cross_class_mass", relative=True);

# %%
#| label: fig-graph-layers
#| caption: "The dataset graph at the first and last layer of the trained network; a point is a clip, linked clips are near, colours and marks are classes. Distances between separate parts mean nothing."
shown = {layer: graph["trained"][layer].adjacency() for layer in ("layers.0", "layers.9")}
plots.graph_layers(shown, np.array(clips.labels), clips.class_names, columns=2);

# %% [markdown]
# In JupyterLab the next cell is an explorer: choose a layer and a clip, see whom it is linked to, and watch them move.

# %% tags=["remove-input"]
if runs.is_live():
    display(widgets.explore_graph(graph["trained"], clips))

# %% [markdown]
# ## On real skeletons: NW-UCLA
#
# The rows below come from three trainings on NW-UCLA, measured on its 369 clean test clips (a camera that was not
# trained on; eight of the ten classes, because all test clips of two are copies of training clips), made by
#
# ```
# python -m lib sweep 05_layer_geometry -p dataset nw_ucla -p num_compared 369 --grid seed=0,1,2 --record geometry
# ```

# %%
#| label: fig-smoothness-nw-ucla
#| caption: "Cross-class mass by layer on NW-UCLA's clean test clips, mean of three trainings; bands are 95 % intervals over subjects (mean of the three), grey is the range under permuted labels."
asked = "dataset == 'nw_ucla' and num_compared == 369 and window_size == 4 and stride == 4 and radius == 0.2"
study = runs.studies()["geometry"].query(f"{asked} and num_neighbors == 10 and sigma_scale == 0.3333 and clip_seed == 0")
numbers = ["value", "low", "high", "untrained", "gain", "gain_low", "gain_high", "change", "change_low", "change_high"]
numbers += ["permuted_mean", "permuted_low", "permuted_high", "num_neighbors_mean", "psd_relative_change"]
real = study.groupby(["layer", "depth", "measure"], as_index=False)[numbers].mean().sort_values("depth")
plots.smoothness_by_layer(real, measures=["cross_class_mass"], interval="95 % over subjects");

# %% [markdown]
# The same as a table. The last two columns count trainings: those in which the layer is smoother than the untrained
# network's, and those in which it is smoother than the layer before, by an interval that excludes zero.

# %%
real_mass = study[study["measure"] == "cross_class_mass"].sort_values("depth")
real_mass.groupby("layer").agg(
    cross_class_mass=("value", "mean"),
    lowest_seed=("value", "min"),
    highest_seed=("value", "max"),
    untrained=("untrained", "mean"),
    chance=("permuted_mean", "mean"),
    beats_untrained=("gain_high", lambda high: int((high < 0).sum())),
    beats_layer_before=("change_high", lambda high: int((high < 0).sum())),
).round(3)

# %% [markdown]
# ## Does it hang on the settings?
#
# The paper's window is not known, nor is much else. We change one setting at a time and ask two things. Does a clip
# keep its neighbours (Jaccard index: those in both graphs, of those in either; of equally many neighbours an index of
# 0.75 keeps six in seven, and one of 0.5 two in three)? Does the curve keep its shape (Spearman's correlation, over
# layers, of the cross-class mass with that under the page's settings)? The untrained network, with unchanged settings,
# shows what a difference looks like that is one. *Resampled* compares clips stretched to one length, *pooled* their mean
# frames, and *plain DTW* has windows of one frame, one frame apart. Which setting do you expect to matter most?

# %%
default = geometry.Setting("windowed", window_size, stride, radius, num_neighbors, sigma_scale)
some = np.sort(np.random.default_rng(seed).permutation(len(clips))[:num_varied])
part = {n: {layer: [rows[i] for i in some] for layer, rows in parts.items()} for n, parts in sequences.items()}
moved = geometry.sensitivity(
    part["trained"],
    trained.layer_strides,
    clips.labels[some],
    default,
    networks={"untrained": part["untrained"]},
    progress=True,
)
runs.save_table("sensitivity", moved)
moved.set_index("setting")[["jaccard", "rank_correlation"]].round(2)

# %% [markdown]
# On real skeletons, five trainings each, from
#
# ```
# python -m lib sweep 05_layer_geometry -p dataset nw_ucla -p width 0.25 -p epochs 15 -p num_varied 160 -p num_probed 400 --grid seed=0,1,2,3,4 --record sensitivity --record measures
# ```
#
# and the same for `utd_mhad` with `epochs` 30. These networks have half the recipe's width and a sixth (UTD-MHAD: a
# third) of its epochs, and 160 of the test clips are compared.

# %%
asked = "width == 0.25 and num_varied == 160 and num_probed == 400 and window_size == 4 and num_neighbors == 10"
studies = {name: runs.studies()[name].query(asked) for name in ("sensitivity", "measures")}
settings = studies["sensitivity"].query("setting != 'default'")
curves = trust.over_seeds(settings.assign(value=settings["rank_correlation"]), ["dataset", "setting"])
kept = settings.groupby(["dataset", "setting"], sort=False)[[c for c in settings if c.startswith("jaccard_")]].mean()
kept.columns = [column.removeprefix("jaccard_layers.") for column in kept]

# %%
#| label: fig-settings-nw-ucla
#| caption: "Jaccard index of neighbours by layer, and rank correlation of the curve over layers, when one setting changes; 160 of NW-UCLA's clean test clips, mean of five trainings, lines are 95 % intervals over them."
plots.sensitivity(kept.loc["nw_ucla"], curves.loc["nw_ucla"]);

# %%
#| label: fig-settings-utd-mhad
#| caption: "The same on 160 of UTD-MHAD's test clips."
plots.sensitivity(kept.loc["utd_mhad"], curves.loc["utd_mhad"]);

# %% [markdown]
# Neighbours move most with mean frames and where the number of candidates changes. The band hardly matters unless it is
# very narrow, and windows of fewer frames change nothing in the last three layers, where one frame spans four of the
# input anyway. On average over layers, windows of 16 frames and other strides exchange up to one neighbour in six,
# distances of stretched clips (*resampled*) from a seventh to a little over a fifth, and those of mean frames (*pooled*)
# a third; in single layers it is more. A wider kernel (*sigma scale*) or another number of candidates mostly drops
# neighbours or adds some: the index can be at most the ratio of the
# numbers kept, and it is nearly that. (Of 5 candidates NNK keeps 4 to 5, of 10 it keeps 6 to 9.) Still the layers keep
# their order: on UTD-MHAD almost as it was whatever is changed, on NW-UCLA more loosely, because there the curve is flat
# up to `layers.6`, and least surely with mean frames. The untrained network's curve runs the other way on both. So the
# shape of the curve may be trusted where it is not flat; who is whose neighbour less so.
#
# ## What else is asked of layers
#
# Four more measures, of the same clips and distances. A **linear probe** is a linear classifier on a layer's mean
# frames: it is fitted to training clips, its penalty chosen among them with whole subjects held out, and it scores the
# compared clips. The **intrinsic dimension** is how many directions clips spread in. **Information imbalance** says how
# little a layer's nearest neighbours tell about the last layer's distances, and **CKA** how alike two layers' vectors
# are, up to turns.

# %%
fitted = train.subset(np.sort(np.random.default_rng(seed).permutation(len(train))[:num_probed]))
tables = {}
for network, model in {"trained": trained, "untrained": untrained}.items():
    tables[network] = geometry.by_layer(
        distance[network],
        geometry.vectors(sequences[network]),
        clips.labels,
        train=geometry.vectors(features.extract(model, fitted)),
        train_labels=fitted.labels,
        train_groups=fitted.subjects,
    )
measures = pd.concat(tables, names=["network"]).reset_index("network")
runs.save_table("measures", measures)
measures.query("network == 'trained'").set_index("layer")[["probe", "dimension", "imbalance_to_last", "cka_last"]].round(2)

# %%
#| label: fig-cka
#| caption: "CKA (linear, debiased) of every pair of layers of the trained network; the page's clips and seed."
alike = geometry.between_layers(geometry.vectors(sequences["trained"]))
names = [name.removeprefix("layers.") for name in alike]
plots.between_layers(alike.set_axis(names).set_axis(names, axis=1));

# %%
#| label: fig-measures-nw-ucla
#| caption: "Three measures by layer on 160 of NW-UCLA's clean test clips, mean of five trainings and 95 % interval over them, trained and untrained."
keys = ["dataset", "network", "layer", "depth"]
long = studies["measures"].melt([*keys, "seed"], ["probe", "dimension", "cka_last"], "measure")
three = trust.over_seeds(long, [*keys, "measure"]).rename(columns={"mean": "value"}).loc["nw_ucla"].reset_index()
plots.smoothness_by_layer(three.assign(layer=three["depth"]), interval="95 % over trainings");

# %% [markdown]
# The same on UTD-MHAD as a table, trained and untrained. `probe_train` is the probe's accuracy among the training clips,
# whose labels the network has been told.

# %%
columns = ["probe", "probe_train", "dimension", "imbalance_to_last", "cka_last"]
utd = studies["measures"].query("dataset == 'utd_mhad'").groupby(["network", "layer"])[columns].mean()
utd.unstack("network").round(2)

# %% [markdown]
# On NW-UCLA the probe tells of late layers what smoothness tells: what a linear map can read of the action grows up to
# `layers.8`, and only in the trained network. On UTD-MHAD it is nearly all there by `layers.3`; what follows puts clips
# of one action together without making them easier to tell apart. Training keeps the dimension low where the untrained
# network's grows, and the step to `layers.7`, in CKA as in smoothness, is one that the untrained network does not take.

# %% [markdown]
# **Does the finding hold?** In part. What training adds grows with depth. On NW-UCLA, trained in full, `layers.0` to
# `layers.3` are smoother than those of the untrained network in none of the three trainings by an interval without 0; from
# `layers.4` on they are in all three, and the gap grows to the last layer. Half of the whole drop below `layers.0` is
# reached in `layers.7` in two trainings and in `layers.8` in the third. That is the paper's claim about later layers.
#
# But the first layers are not blind to the action, nor to training. On NW-UCLA their cross-class mass is far below that
# of permuted labels, as is the untrained network's: clips of one class are near each other before anything is learned,
# and a wrong neighbour is the exception from the start. And elsewhere training reaches the first layers too: on this
# page's synthetic clips, and in the five smaller networks of each dataset, whose first layers are smoother than the
# untrained ones' on UTD-MHAD and on NW-UCLA (rows of [](#nb-robustness)), and whose `layers.0` serves a linear probe
# better than an untrained one in every training. On UTD-MHAD the first third of the layers serves it nearly as well as
# the last.
#
# **What this does not show.** Smoothness says that neighbours share labels, not why: [](#fig-smoothness-by-layer) would
# look the same if the network had learned the room instead of the movement. Intervals cover the choice of test
# subjects, and three seeds that of the training. Settings were varied one at a time, on networks of half the recipe's
# width, and a rank correlation knows the order of ten layers, not how far apart they are.
#
# ```{exercise}
# :label: ex-geometry-knn
# Replace `graphs.nnk(m, num_neighbors, sigma=...)` by `graphs.knn(m, num_neighbors, kernel="gaussian", sigma=...)`. Which
# layers change most, and why might that be?
# ```
#
# ```{exercise}
# :label: ex-geometry-window
# Run the page with `window_size` 1 and with 16. Does the layer in which classes come apart move?
# ```
#
# **Next:** [](#nb-gradcam)
