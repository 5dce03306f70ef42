# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (nb-class-feature-pyramids)=
# # Class feature pyramids
#
# Which kernels of a network matter to a class, layer by layer, and does the class need them? Stergiou et al. (2019)
# step back from the class through the kernels that each one draws on, in 3D networks on video. Their release shows
# pictures; nobody has silenced the kernels it names to see what the class loses. Here that is done, in 3D networks that
# see skeletons as small videos, and in a network on the skeletons themselves.
#
# **Before:** [](#nb-gradcam) · **Time:** 60 s on two cores · **Full runs:** `data/results/pyramid_ablation.csv`

# %%
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lib import attribution, datasets, plots, protocols, pyramids, recipes, runs, training, trust

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, nw_ucla, utd_mhad or msr_action3d
seed: int = 0  # initial weights, order, augmentation, and random kernels
network: str = "video_resnet50"  # or video_mfnet, video_i3d, video_resnet101, video_resnet152, video_resnext101
num_clips: int = 240  # synthetic training clips; real datasets are trained on whole
num_explained: int = 4  # test clips whose kernels are silenced, classes in turn, first those the network gets right
depth: int = 3  # steps back from the class
epochs: int | None = None  # training passes; None: the dataset's recipe
width: float | None = None  # channels as a share of the published ones; None: the recipe's

# %% [markdown]
# ## The smallest case
#
# A kernel sees three channels: the first adds 2 to its output, the second nothing, the third takes 3 away. The
# **published** rule scales such numbers to 0..1 between their least and their greatest; the **signed** rule divides by
# the greatest and keeps what is positive. With a threshold of 0.6, which channels does each rule call the kernel's
# children?

# %% tags=["nbval-check-output"]
given = np.array([2.0, 0.0, -3.0])
rules = {"published": (given - given.min()) / np.ptp(given), "signed": given / given.max()}
pd.DataFrame({"given": given} | rules, index=["first", "second", "third"]).assign(
    published_child=lambda t: t["published"] >= 0.6, signed_child=lambda t: t["signed"] >= 0.6
)

# %% [markdown]
# By the published rule a channel that gives nothing is a child, because another one gives less than nothing.
#
# ## A 3D network that sees skeletons
#
# Each clip is drawn as 16 small pictures: left limbs red, right limbs green, the middle of the body blue. Where the
# body is in each of them is known. The network is one of the six of the paper, narrow enough for a few cores.

# %%
recipe = recipes.get(dataset, recipes.VIDEO_RECIPES, model=network, epochs=epochs, width=width)
limit = num_clips if dataset == "synthetic" else None
split = "test_clean" if dataset == "nw_ucla" else "test"
train = recipe.prepare(datasets.load(dataset, split="train", limit=limit, progress=False))
test = recipe.prepare(datasets.load(dataset, split=split, limit=160 if limit else None, progress=False))
model, _ = recipe.fit(train, seed)
model.eval()
found = training.evaluate(model, test)
print(f"accuracy on {len(test)} test clips: {found.top1:.1%}")

# %% [markdown]
# ## The pyramid of a clip
#
# The layers are found by watching one pass of the network, whatever its code looks like: branches, groups, sums and
# concatenations are followed channel by channel. Each kernel is there once, however many draw on it.

# %%
#| label: fig-pyramid
#| caption: "Kernels behind the class of one test clip, signed rule, threshold 0.6: the strongest of each step back, named by layer and number. The larger a dot, the larger its share of the class; red is the way from each kernel to its strongest child."
right = protocols.round_robin(test.labels, found.logits.argmax(axis=1) == test.labels)[:num_explained]
batches = [test.batch([int(place)]) for place in right]
videos = [model.draw(batch.x, batch.lengths, batch.present) for batch in batches]
video, label = videos[0], int(test.labels[right[0]])
pyramid = pyramids.class_feature_pyramid(model.network, video, label, depth, rule="signed", threshold=0.6)
plots.pyramid(pyramid, class_name=test.class_names[label]);

# %% [markdown]
# `pyramid.to_dict()` is ready for JSON, and `pyramid.to_networkx()` is a graph for every tool that knows networkx.

# %%
graph = pyramid.to_networkx()
print(f"{graph.number_of_nodes()} kernels, {graph.number_of_edges()} connections, in {len(pyramid.layer_sizes)} layers")

# %% [markdown]
# ## Where in the clip?
#
# A **saliency tube** shows, over frames and pixels, what the chosen kernels of a layer get from the channels that were
# chosen with them. Beside it stands GradCAM of the last stage. Which of them stays with the part that moves?

# %%
#| label: fig-tubes
#| caption: "The clip as the network sees it, under the tube of the layer of the strongest kernel one step back."
frames, last = video[0].permute(1, 2, 3, 0).numpy(), model.network.layer_names[-1]
chosen = [pyramid.strongest(level) for level in range(1, depth)]
heats = {f"tube of {n.layer}": pyramids.saliency_tube(model.network, video, pyramid, n.layer) for n in chosen if n}
heats[f"GradCAM of {last}"] = attribution.video_gradcam(model.network, video, label, last)
plots.tube_strip(frames, next(iter(heats.values())));

# %%
#| label: fig-tubes-moving
#| caption: "The clip under each map."
plots.tube_animation(frames, heats, 8)

# %% [markdown]
# The bones that move at least half as fast as the fastest one of a frame, with two pixels around them, are the moving
# part. The table has the share of each map on it and on the whole body, and the share of pixels that these take.

# %%
rows = []
for batch, own, index in zip(batches, videos, test.labels[right].tolist(), strict=True):
    places = model.draw.places(batch.x, batch.lengths, batch.present)
    speeds = model.draw.speeds(places)
    moving = speeds > 0.5 * speeds.amax(dim=(2, 3), keepdim=True)
    parts = {"moving part": model.draw.masks(places, moving, reach=2.0), "body": model.draw.masks(places, reach=2.0)}
    maps = {"all pixels alike": np.ones(own.shape[2:])}
    maps[f"GradCAM of {last}"] = attribution.video_gradcam(model.network, own, index, last)
    found_here = pyramids.class_feature_pyramid(model.network, own, index, depth, rule="signed", threshold=0.6)
    if node := found_here.strongest(1):
        maps["tube, one step back"] = pyramids.saliency_tube(model.network, own, found_here, node.layer)
    shares = {(n, p): m[mask[0].numpy()].sum() / m.sum() for n, m in maps.items() for p, mask in parts.items()}
    rows.append(pd.Series(shares).unstack())
pd.concat(rows, keys=right, names=["clip", "map"]).groupby("map", sort=False).mean().round(3)

# %% [markdown]
# In pictures this small neither of these maps stays with what moves, nor with the body: the last stage has two places by
# two, and the shares are about those of pixels drawn blindly. Tubes of earlier layers were not scored.
#
# ## Does the class need them?
#
# Kernels of every layer that is so many steps back are silenced: the strongest of the pyramid by either rule, those
# with the largest weights, or random ones, each time equally many. What does the class lose, against the mean of all
# classes?

# %%
#| label: fig-ablation-video
#| caption: "Drop of the class's logit, less that of the mean over classes, when kernels are silenced: mean over classes and 95 % intervals over classes, each the mean of its clips."
rng = np.random.default_rng(seed)
labels = test.labels[right].tolist()
clips = zip(tqdm(videos, desc="silencing", unit="clip"), labels, strict=True)
lost = [pyramids.ablation(model.network, *each, depth, rng=rng).assign(seed=each[1]) for each in clips]
lost = pd.concat(lost).rename(columns={"logit_drop": "value"}).groupby(["level", "share", "method", "seed"]).mean()
means = trust.over_seeds(lost.reset_index(), ["level", "share", "method"])  # units are classes here, not seeds
unit = "drop of the logit,\nless the mean class's"
plots.ablation(means.reset_index(), unit=unit);

# %%
wide = lost["value"].unstack("method")
ahead = wide[["published", "signed", "magnitude"]].sub(wide["random"], axis=0).stack().rename("value").reset_index()
ahead = trust.over_seeds(ahead, ["level", "share", "method"]).rename(columns={"seeds": "classes"})
kept = ahead.join(lost.groupby(["level", "share", "method"])["probability_drop"].mean()).reset_index()
described = {"network": network, "accuracy": round(found.top1, 4)} | recipes.described(recipe)
runs.save_table("pyramid_ablation", kept.assign(**described))
kept.pivot(index=["level", "share"], columns="method", values=["mean", "low"]).round(2)

# %% [markdown]
# The table has the lead over random kernels and the lower end of its 95 % interval over classes: above 0, the class
# needs what the order names more than it needs kernels at large. Near the class both rules of the pyramid must do well,
# since there a kernel's contribution to the logit is what is measured; further back it is a finding. The classes of this
# small run are few, and one step back no order is decided; the full runs below have eight.
#
# ## Networks on skeletons
#
# The same steps lead back through an ST-GCN, where each partition of a joint's neighbourhood is a layer, to joints and
# frames.

# %%
#| label: fig-kernels-joints
#| caption: "What the strongest kernel of each step back gives, before normalisation, at every joint and frame of one test clip (first person), as a share of its largest size."
plain = recipes.focus_step(recipes.get(dataset, recipes.FOCUS_RECIPES), "stgcn")
bodies = plain.prepare(datasets.load(dataset, split="train", limit=limit, progress=False))
seen = plain.prepare(datasets.load(dataset, split=split, limit=160 if limit else None, progress=False))
stgcn, _ = plain.fit(bodies, seed)
guesses = training.evaluate(stgcn.eval(), seen).logits.argmax(axis=1)
told = protocols.round_robin(seen.labels, guesses == seen.labels)[:num_explained]
clip = seen.batch([int(told[0])])
behind = pyramids.class_feature_pyramid(stgcn, clip, int(clip.labels[0]), depth, rule="signed", threshold=0.6)
best = {n.level: n for _, n in sorted(zip(behind.strengths(), behind.nodes, strict=True)) if n.level}
active = pyramids.joint_maps(stgcn, clip, best.values())
shown = {f"{layer} · {kernel}": m[0] / np.abs(m[0]).max() for (layer, kernel), m in active.items()}
plots.joints_over_time(shown, seen.skeleton.joints, columns=3, largest=1.0, label="share of the kernel's largest value");

# %%
#| label: fig-ablation-stgcn
#| caption: "As [](#fig-ablation-video), for kernels of the ST-GCN."
known = [(seen.batch([int(i)]), int(seen.labels[i])) for i in tqdm(told, desc="silencing", unit="clip")]
gone = pd.concat([pyramids.ablation(stgcn, *each, depth, rng=rng).assign(seed=each[1]) for each in known])
gone = gone.rename(columns={"logit_drop": "value"}).groupby(["level", "share", "method", "seed"]).mean()
plots.ablation(trust.over_seeds(gone.reset_index(), ["level", "share", "method"]).reset_index(), unit=unit);

# %% [markdown]
# On so few clips nothing is decided about this network: every interval of a rule holds zero. No full study of it has
# been made.
#
# ## On real clips, and its time
#
# ```
# python -m lib sweep 10_class_feature_pyramids -p dataset nw_ucla -p num_explained 40 \
#     --grid network=video_resnet50,video_mfnet seed=0,1,2 --record pyramid_ablation
# python -m benchmarks.pyramids
# ```
#
# Accuracy on clips without copies of training clips, by seed; then the lead over random kernels when a tenth of the
# kernels is silenced, forty clips of eight of the ten classes (all test clips of the other two are copies), with its
# interval over seeds.

# %%
full = recipes.unchanged(runs.studies()["pyramid_ablation"], recipes.VIDEO_RECIPES)
full.groupby(["network", "seed"])["accuracy"].first().unstack().round(3)

# %%
tenth = full[full["share"] == 0.1].rename(columns={"mean": "value"})
lead = trust.over_seeds(tenth, ["network", "level", "method"])
lead[["mean", "low", "high"]].unstack("method").round(2)

# %% [markdown]
# The other two orders less the published rule, paired by seed:

# %%
beside = {key: trust.paired_gains(part, "published", by="method") for key, part in tenth.groupby(["network", "level"])}
trust.written(pd.concat(beside, names=["network", "level"]), 2).unstack("method")

# %% [markdown]
# Over classes, within one network: of all runs and shares, in how many the interval lies above 0.

# %%
above = full.assign(above=full["low"] > 0).groupby(["network", "level", "method"])["above"]
above.agg(["sum", "count"]).unstack("method")

# %% [markdown]
# The time of a pyramid in each of the six networks of the paper at full size: tracing and stepping back as shares of one
# forward pass, on this CPU, for clips of 16 frames of 112 x 112 pixels. The published milliseconds are of two GPUs and
# 224 x 224 pixels. With random weights and the authors' thresholds there are up to half a million connections, which
# take the time.

# %%
times = runs.studies().get("pyramids", pd.DataFrame(columns=["network"]))
columns = ["forward_seconds", "tracing", "back_step", "back_step_ms", "published_ms", "kernels"]
times.set_index("network").filter(columns)

# %% [markdown]
# On real movement, too, a class loses more with the kernels that the signed rule names than with random ones, one, two
# and three steps back from it, in both 3D networks and every training. In the ResNet the published rule is a little
# behind it, decidedly so one and two steps back. In Multi-Fiber Net it is behind at every depth; its lead over random
# kernels is decided only two steps back, and at no depth is it decidedly ahead of large weights, which take a little
# more than random ones do.
#
# **What this does not show.** The class draws on its kernels; whether a person would call what they respond to a part of
# the movement is another question, and the maps above are no yes. A silent kernel leaves a constant behind its
# normalisation, not nothing. Orders are compared one layer at a time; kernels that stand in for each other hide what
# each of them does. Maps of larger pictures, which leave the last stage more places, were not scored.
#
# ```{exercise}
# :label: ex-pyramid-rule
# Draw [](#fig-pyramid) with `rule="published"`. Which kernels are in one pyramid and not in the other?
# ```
#
# ```{exercise}
# :label: ex-pyramid-own-video
# Read a file of your own with `lib.video.read` and step back from the class that the network sees in it.
# ```
#
# **Next:** [](#nb-sequence-embedding)
