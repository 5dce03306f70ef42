"""Bodies and tables that the tests of pictures share, and one call of every kind of picture."""

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from scipy import sparse


def clip(rng, frames=12, persons=1, channels=3):
    return rng.normal(size=(frames, persons, 25, channels)).astype(np.float32)


def bones(ax):
    return [line for line in ax.collections if isinstance(line, LineCollection) and len(line.get_segments())]


NAMES = ("wave", "kick", "sit down")


def smoothness_rows():
    return pd.DataFrame(
        [
            {
                "layer": layer,
                "measure": measure,
                "network": network,
                "value": 0.5 - 0.02 * layer,
                "low": 0.3,
                "high": 0.6,
            }
            | {"permuted_mean": 0.7, "permuted_low": 0.68, "permuted_high": 0.72}
            for measure in ("interpolation_error", "laplacian")
            for network in ("trained", "untrained")
            for layer in range(10)
        ]
    )


def class_rows(values):
    return pd.DataFrame(
        [
            {
                "layer": f"block{layer}",
                "class": c,
                "measure": "interpolation_error",
                "value": v,
                "permuted_mean": 0.5 + c,
            }
            for layer, row in enumerate(values)
            for c, v in enumerate(row)
        ]
    )


def sensitivity_tables():
    names = ["window_size 8", "plain DTW", "untrained"]
    overlap = pd.DataFrame(np.linspace(0, 1, 12).reshape(3, 4), index=names)
    return overlap, pd.DataFrame({"mean": [0.9, 0.8, -0.1], "low": [0.8, np.nan, -1.4], "high": 1.1}, index=names)


def history():
    epochs = np.arange(1, 6)
    runs = [
        {
            "epoch": epochs,
            "seed": seed,
            "loss": 1 / epochs,
            "accuracy": 1 - 1 / epochs,
            "validation_accuracy": 0.9 - 1 / epochs,
        }
        for seed in range(3)
    ]
    return pd.concat([pd.DataFrame(run) for run in runs], ignore_index=True)


def ring(count):
    """Graph of a closed chain of `count` nodes."""
    ones = sparse.eye_array(count, format="csr")[np.r_[1:count, 0]]
    return sparse.csr_array(ones + ones.T)


def trust_rows():
    rows = pd.DataFrame(
        {"method": ["layers.0", "layers.1", "random", "motion"] * 2, "measure": ["deletion"] * 4 + ["pgi"] * 4}
    )
    return rows.assign(value=np.linspace(0.1, 0.8, 8), low=0.0, high=0.9)


def gain_rows():
    return pd.DataFrame({"mean": [2.0, 0.1], "low": [1.0, -1.0], "high": [3.0, 1.2]}, index=["stf", "modules"])


def share_rows():
    shares = pd.DataFrame({"share": [0.1, 1.0] * 2, "step": ["msg3d"] * 2 + ["stf"] * 2, "mean": [0.5, 0.9, 0.6, 0.95]})
    return shares.assign(low=shares["mean"] - 0.05, high=shares["mean"] + 0.05)


def level_rows():
    rows = pd.DataFrame({"corruption": ["noise"] * 4 + ["turn"] * 2, "level": [0.1, 0.2] * 2 + [30.0, 60.0]})
    rows = rows.assign(
        unit=["m"] * 4 + ["degrees"] * 2, series=["accuracy"] * 2 + ["smoothness"] * 2 + ["accuracy"] * 2
    )
    return rows.assign(mean=np.linspace(0, 0.5, 6), low=-0.1, high=0.6)


def layer_level_rows():
    parts = [level_rows().query("series == 'accuracy'").assign(layer=f"layers.{d}", depth=d) for d in (0, 1, 2)]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(overlap=rows["mean"] + 0.1 * rows["depth"], chance=0.05)


def small_pyramid():
    """Two ways from a class to one kernel, the one by way of kernel 3 stronger."""
    from lib.pyramids import Edge, Node, Pyramid

    nodes = (Node("head", 1, 0), Node("two", 3, 1), Node("two", 0, 1), Node("one", 5, 2))
    edges = (Edge(0, 1, 2.0, 0.9), Edge(0, 2, 0.5, 0.3), Edge(1, 3, 1.0, 0.8), Edge(2, 3, 1.0, 1.0))
    rest = {"class_index": 1, "logit": 2.5, "depth": 2, "threshold": 0.3, "rule": "signed", "shortcuts": True}
    sizes = {"head": 3, "two": 4, "one": 6}
    return Pyramid(**rest, top=None, layer_sizes=sizes, nodes=nodes, edges=edges)


def ablation_rows():
    shares = pd.DataFrame({"share": [0.1, 0.2] * 2, "method": ["signed"] * 2 + ["random"] * 2})
    means = np.array([1.0, 2.0, 0.1, 0.2])
    rows = shares.assign(mean=means, low=means - 0.1, high=means + 0.1)
    return pd.concat([rows.assign(level=level) for level in (1, 2)], ignore_index=True)


def ax_calls(rng, skeleton):
    """Name -> (positional arguments, keywords) for every function with one axes."""
    path = np.array([[0, 0], [1, 1], [2, 1], [3, 2]])
    radii = pd.DataFrame({"radius": [1, 2, np.inf], "value": [0.3, 0.2, 0.25], "low": 0.1, "high": 0.4, "layer": 3})
    bins = pd.DataFrame({"confidence": [0.4, 0.9], "accuracy": [0.3, 0.8], "clips": [4, 9]})
    labels = rng.integers(0, 3, 30)
    times = pd.DataFrame({"case": list("aabb"), "library": ["ours", "theirs"] * 2, "N": [10, 10, 20, 20]})
    times["seconds_per_pair"] = [1e-6, 3e-5, 2e-6, 8e-5]
    return {
        "pose": ((clip(rng)[0], skeleton), {"importance": rng.uniform(size=25)}),
        "pose_strip": ((clip(rng), skeleton), {"fps": 30, "trail": 3, "truth": rng.uniform(size=(12, 25)) > 0.9}),
        "class_counts": ((labels, NAMES), {"groups": labels % 2}),
        "clip_lengths": ((rng.integers(20, 90, 30), labels, NAMES), {}),
        "confusion": ((rng.integers(0, 9, (3, 3)), NAMES), {}),
        "reliability": ((bins,), {}),
        "alignment": ((rng.uniform(size=(4, 3)), path), {"band": np.eye(4, 3) > 0}),
        "warped_pair": ((rng.normal(size=4), rng.normal(size=3), path), {"fps": 30.0}),
        "band_sensitivity": ((radii,), {"series": "layer"}),
        "smoothness_by_class": ((class_rows(rng.uniform(size=(4, 3))), NAMES), {"relative": True}),
        "neighbors_by_layer": (({"0": rng.integers(1, 9, 30), "1": rng.integers(1, 9, 30)},), {"candidates": 10}),
        "graph_embedding": ((ring(30), labels, NAMES), {}),
        "class_importance": ((rng.uniform(size=(3, 5)), NAMES, list("vwxyz")), {}),
        "speed": ((times,), {}),
        "gains": (
            (gain_rows(),),
            {"published": {"stf": 2.6}, "per_seed": pd.DataFrame({"stf": [1.0, 3.0], "modules": 0.1})},
        ),
        "pyramid": ((small_pyramid(),), {"class_name": "sit_down", "num_shown": 1}),
        "between_layers": ((pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abc")),), {}),
        "timeline": (
            ({"annotated": np.arange(12) // 4, "k-means": np.arange(12) // 3}, NAMES),
            {"fps": 30, "transitions": np.array([[3, 4, 5], [7, 8, 10]])},
        ),
        "frame_embedding": (
            (rng.normal(size=(12, 2)), np.arange(12) // 4, NAMES),
            {"poses": clip(rng)[:, 0], "skeleton": skeleton},
        ),
        "by_share": ((share_rows(), ["msg3d", "stf"]), {}),
        "growth": ((times,), {"x": "N", "value": "seconds_per_pair", "series": "library"}),
    }


def figure_calls(rng, skeleton):
    """Name -> (positional arguments, number of panels) for every function with several axes."""
    return {
        "joint_trajectories": ((clip(rng), skeleton), 3),
        "trust_by_layer": ((trust_rows(), ["layers.0", "layers.1"], ["deletion", "pgi"]), 2),
        "ablation": ((ablation_rows(),), 2),
        "joints_over_time": (({"0": rng.normal(size=(9, 5)), "1": rng.normal(size=(4, 5))}, list("vwxyz")), 2),
        "learning_curves": ((history(),), 2),
        "smoothness_by_layer": ((smoothness_rows(),), 2),
        "poses": (({"clean": clip(rng)[0], "joint_noise": clip(rng)[1]}, skeleton), 2),
        "by_level": ((level_rows(),), 2),
        "sensitivity": (sensitivity_tables(), 2),
        "graph_layers": (({"0": ring(9), "1": ring(9)}, np.arange(9) % 3, NAMES), 2),
    }


AX_NAMES = sorted(ax_calls(np.random.default_rng(0), None))
FIGURE_NAMES = sorted(figure_calls(np.random.default_rng(0), None))
