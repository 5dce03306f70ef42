"""Recipes and rows of results: what a row says of its recipe, and which rows were made by the recipes as they are."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.focus import TERMS
from lib.recipes._chosen import RECIPES
from lib.recipes._recipe import Recipe
from lib.recipes._steps import focus_step

OWN = ("width", "num_frames", "align", "dropout")
INNER = ("epochs", "turn", "precision", "device", "optimizer", "learning_rate", "weight_decay", "batch_size")
LATER = (  # of the training, too; earlier rows do not say them
    "momentum",
    "warmup_epochs",
    "label_smoothing",
    "class_balanced",
    "clip_norm",
    "crop",
    "tilt",
    "stretch",
    "noise",
    "mirror",
)
CHOICES = ("explained", "moving_target", "score", "exploration_every")  # of STF, where a row has a term


def described(recipe: Recipe) -> dict[str, object]:
    """Return what a row of results says about how a network was made and trained, but for terms beside its loss."""
    return {n: getattr(recipe.train, n) for n in (*INNER, *LATER)} | {n: getattr(recipe, n) for n in OWN}


def unchanged(rows: pd.DataFrame, among: Mapping[str, Recipe] = RECIPES, *, fused: bool = False) -> pd.DataFrame:
    """Rows of a study that were trained as the recipes say, on official splits of the real datasets.

    Other widths, epochs, weights or streams that somebody recorded are left out, so that no table mixes networks; other
    streams, columns ``stream`` and ``streams``, are kept where `fused` says so. A row that says no weight has none.
    """
    kept = []
    for dataset, recipe in among.items():
        part = rows[rows["dataset"] == dataset]
        if dataset == "synthetic" or not len(part):
            continue
        wanted = {name: value for name, value in described(recipe).items() if name != "device" and name not in LATER}
        same = [part[name].isna() if value is None else part[name].eq(value) for name, value in wanted.items()]
        later = {name: getattr(recipe.train, name) for name in LATER}
        later |= {name: getattr(recipe.train.focus, name) for name in CHOICES}
        same += [part[name].isna() | part[name].eq(value) for name, value in later.items() if name in part]
        if "protocol" in part:
            same.append(part["protocol"].isna())
        if not fused:
            said = part.columns.intersection(["stream", "streams"])
            same += [part[name].isna() | part[name].eq(recipe.stream) for name in said]
        for name in TERMS:
            if name in part:
                weights = {step: getattr(focus_step(recipe, step).train.focus, name) for step in set(part["step"])}
                same.append(part[name].fillna(0.0).eq(part["step"].map(weights)))
        if "smoothness_weight" in part:
            weights = {step: focus_step(recipe, step).train.smoothness for step in set(part["step"])}
            same.append(part["smoothness_weight"].fillna(0.0).eq(part["step"].map(weights)))
        kept.append(part[np.logical_and.reduce(same)])
    return pd.concat(kept) if kept else rows.iloc[:0]


def curves(histories: Mapping[str, pd.DataFrame], key: str) -> pd.DataFrame:
    """Return a row per network: its name in the column `key`, and ``accuracy 0`` and so on of each epoch.

    `histories` are `training.History.epochs` by name; accuracies are those on the augmented training clips, to 1e-4.
    """
    rows = {name: epochs.set_index("epoch")["accuracy"].round(4) for name, epochs in histories.items()}
    wide = pd.DataFrame(rows).T.add_prefix("accuracy ")
    return wide.rename_axis(index=key, columns=None).reset_index()


def over_epochs(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """Turn rows of `curves` into a table: ``epoch``, and of each value of `by` the mean over rows, ``stf accuracy``."""
    wide = rows.filter(regex=r"^accuracy \d+$").groupby(rows[by]).mean().T
    wide.index = wide.index.str.removeprefix("accuracy ").astype(int).rename("epoch")
    return wide.sort_index().dropna(how="all").add_suffix(" accuracy").reset_index().rename_axis(columns=None)
