"""How networks that learn without labels are trained, on recordings and on clips (`recipes.get` picks and changes)."""

from collections.abc import Mapping
from dataclasses import replace

from lib.recipes._recipe import Recipe
from lib.training import TrainConfig

_NO_CHANCE = TrainConfig(
    optimizer="adamw",
    learning_rate=0.003,
    weight_decay=0.0,
    batch_size=32,
    warmup_epochs=1,
    crop=1.0,
    turn=0.0,
    tilt=0.0,
    stretch=0.0,
)
_PREDICTOR = Recipe(
    "seq2seq",
    width=0.125,
    dropout=0.0,
    num_frames=None,
    options={"source_frames": 25, "target_frames": 25},
    train=replace(_NO_CHANCE, learning_rate=0.002, epochs=20, clip_norm=1.0),
)
RECORDING_RECIPES: Mapping[str, Recipe] = {
    "synthetic": replace(
        _PREDICTOR,
        width=0.0625,
        options={"source_frames": 15, "target_frames": 15},
        train=replace(_PREDICTOR.train, learning_rate=0.004, epochs=12),
    ),
    "cmu_subject86": _PREDICTOR,
}
"""Predictors of recordings at 30 frames per second, in windows as long as both parts; a small share of the published
width, and epochs set beforehand: no annotation chose them.
"""

_AUTOENCODER = Recipe(
    "predict_cluster",
    width=0.125,
    dropout=0.0,
    num_frames=25,
    align=True,
    options={"num_layers": 1},
    train=replace(_NO_CHANCE, learning_rate=0.004, batch_size=64, epochs=100, clip_norm=25.0),
)
EMBEDDING_RECIPES: Mapping[str, Recipe] = {
    "synthetic": replace(_AUTOENCODER, width=0.0625, train=replace(_AUTOENCODER.train, batch_size=32, epochs=12)),
    "nw_ucla": replace(_AUTOENCODER, train=replace(_AUTOENCODER.train, epochs=50)),
    "utd_mhad": _AUTOENCODER,
    "msr_action3d": _AUTOENCODER,
}
"""Predict & Cluster, smaller and shorter than published; settings were compared on NW-UCLA's training views alone."""
