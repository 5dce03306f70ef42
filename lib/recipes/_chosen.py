"""The recipes of every dataset, by study, and how to pick one and change it."""

from collections.abc import Mapping
from dataclasses import fields, replace

from lib.focus import FocusLosses
from lib.recipes._recipe import Recipe
from lib.training import TrainConfig

_FEW_CLIPS = TrainConfig(
    optimizer="adamw",
    learning_rate=0.002,
    weight_decay=0.05,
    batch_size=16,
    epochs=100,
    turn=30.0,
    tilt=10.0,
    precision="bfloat16",
)
RECIPES: Mapping[str, Recipe] = {
    "synthetic": Recipe(  # no crop: it would blur rhythm and order, which tell classes apart here
        width=0.25,
        num_frames=48,
        align=True,
        dropout=0.0,
        train=TrainConfig(epochs=30, warmup_epochs=3, crop=1.0, turn=45.0),
    ),
    "nw_ucla": Recipe(num_frames=48, train=TrainConfig(epochs=90, turn=60.0, tilt=20.0, precision="bfloat16")),
    "utd_mhad": Recipe(num_frames=32, dropout=0.0, train=_FEW_CLIPS),
    "msr_action3d": Recipe(
        num_frames=32, dropout=0.3, train=replace(_FEW_CLIPS, epochs=150, crop=0.5, stretch=0.2, noise=0.01)
    ),
}


_FOCUS = FocusLosses(exploration=0.1, divergence=0.01, adjacency=0.01, consistency=0.01)
_SMALL = replace(_FEW_CLIPS, epochs=30, focus=_FOCUS, smoothness=1.0)
FOCUS_RECIPES: Mapping[str, Recipe] = {
    "synthetic": Recipe(
        "stf",
        width=0.125,
        num_frames=24,
        align=True,
        dropout=0.0,
        train=replace(_SMALL, epochs=6, warmup_epochs=1, crop=1.0, turn=45.0, tilt=0.0),
    ),
    "nw_ucla": Recipe(
        "stf", width=0.25, num_frames=24, dropout=0.0, train=replace(_SMALL, epochs=20, turn=60.0, tilt=20.0)
    ),
    "utd_mhad": Recipe("stf", width=0.25, num_frames=24, dropout=0.0, train=_SMALL),
    "msr_action3d": Recipe("stf", width=0.25, num_frames=24, dropout=0.0, train=replace(_SMALL, crop=0.5)),
}
"""Small ones for the studies of STF, the same for every network that is compared: minutes a run on one core.

Weights of STF's terms were set beforehand; on NW-UCLA's training views none of the larger ones that were compared with
them did better (rows in ``data/results/focus.csv``, protocol ``selection``).
"""

TRANSFER_RECIPES: Mapping[str, Recipe] = {
    **FOCUS_RECIPES,
    "synthetic": replace(
        FOCUS_RECIPES["synthetic"],
        train=replace(FOCUS_RECIPES["synthetic"].train, epochs=15, learning_rate=0.004),
    ),
}
"""Those of the studies of STF; the page's own small network sees more, so that it has something to pass on."""

_VIDEO = Recipe(
    "video_resnet50",
    width=0.25,
    num_frames=None,  # drawing resamples
    dropout=0.0,
    train=replace(_FEW_CLIPS, epochs=26, warmup_epochs=1, precision="float32"),
)
VIDEO_RECIPES: Mapping[str, Recipe] = {
    "synthetic": replace(
        _VIDEO,
        align=True,
        train=replace(_VIDEO.train, epochs=10, learning_rate=0.004, batch_size=8, turn=15.0, tilt=0.0),
    ),
    "nw_ucla": replace(
        _VIDEO,
        dropout=0.3,
        train=replace(_VIDEO.train, epochs=60, learning_rate=0.003, turn=60.0, tilt=20.0, noise=0.01, mirror=True),
    ),
    "utd_mhad": _VIDEO,
    "msr_action3d": _VIDEO,
}
"""Stick figures, 16 frames of 64 x 64 pixels; ``model="video_mfnet"`` or another of `models.conv3d` trains alike.

Chosen on NW-UCLA's training views alone (view 1 trained on, view 2 scored); the other real datasets took it over.
"""


def get(dataset: str, among: Mapping[str, Recipe] = RECIPES, **changes) -> Recipe:
    """Recipe of a dataset, with fields of Recipe or TrainConfig changed; a change to None keeps the recipe's value."""
    if dataset not in among:
        raise ValueError(f"no recipe for {dataset!r}; choose one of {sorted(among)}, or make a Recipe")
    changes = {name: value for name, value in changes.items() if value is not None}
    own = {f.name for f in fields(Recipe)} - {"train"}
    inner = {f.name for f in fields(TrainConfig)}
    if unknown := sorted(changes.keys() - own - inner):
        raise ValueError(f"a recipe has no {unknown}; it has {sorted(own | inner)}")
    recipe = among[dataset]
    train = replace(recipe.train, **{name: value for name, value in changes.items() if name in inner})
    return replace(recipe, train=train, **{name: value for name, value in changes.items() if name in own})
