"""How each dataset is prepared and trained on: what both the training page and the pages that need a network use."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from torch import nn

from lib import models, paths, runs, training, transforms
from lib.clips import ClipSet
from lib.focus import TERMS, FocusLosses
from lib.models.layers import STREAMS
from lib.training import History, TrainConfig, Watch


@dataclass(frozen=True)
class Recipe:
    """Preparation, network and training for one dataset.

    Earlier recipes had been scored on the test clips before. These were chosen on training clips alone, by protocol
    ``selection`` of each dataset (rows in ``data/results/training.csv``).
    """

    model: str = "stgcn"
    width: float = 0.5
    dropout: float = 0.2
    num_frames: int | None = 64  # every clip stretched to this; None keeps true lengths
    stream: str = "joint"  # or "bone", "joint_motion", "bone_motion"
    align: bool = False  # turn each body to face the camera, instead of only centring it
    options: Mapping[str, object] = field(default_factory=dict)  # of the network's class alone
    train: TrainConfig = field(default_factory=TrainConfig)

    def prepare(self, clips: ClipSet) -> ClipSet:
        """Centre or align clips and stretch them, as `fit` and every use of the network expect them."""
        steps = [transforms.align if self.align else transforms.center]
        if self.num_frames is not None:
            steps.append(partial(transforms.resample, num_frames=self.num_frames))
        return clips.map(*steps)

    def build(self, clips: ClipSet, seed: int) -> nn.Module:
        """Return the untrained network of `seed` for the classes and joints of `clips`."""
        return models.build(
            self.model,
            num_classes=len(clips.class_names),
            skeleton=clips.skeleton,
            in_channels=clips.num_channels,
            width=self.width,
            dropout=self.dropout,
            stream=self.stream,
            seed=seed,
            **self.options,
        )

    def fit(
        self,
        clips: ClipSet,
        seed: int,
        *,
        validation: ClipSet | None = None,
        model: nn.Module | None = None,
        watch: Watch | None = None,
        progress: bool = True,
    ) -> tuple[nn.Module, History]:
        """Train the network of `seed` on prepared clips, or go on from, or load, its checkpoint under ``build/``.

        Training starts from `model`, in place, where one is given, and from `build`'s fresh network otherwise. `watch`
        as in `training.fit`; epochs that a checkpoint holds are not watched again, so that one that was made by other
        code of the package, watched in another way or not at all, is another checkpoint.
        """
        config = replace(self.train, seed=seed)
        own = [asdict(replace(self, train=config)), clips.digest(), _code()]
        if model is None:
            model = self.build(clips, seed)
        else:
            own.append(_weights(model))
        if watch is not None:
            own += [runs.library(), watch.digest()]
        text = json.dumps(own, sort_keys=True)
        name = f"{clips.dataset.replace('/', '-')}-{seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.pt"
        checkpoint = paths.build() / "checkpoints" / name
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(checkpoint.with_name(f".{name}.lock")):  # runs side by side train a network once
            history = training.fit(
                model, clips, validation, config=config, checkpoint=checkpoint, watch=watch, progress=progress
            )
        return model, history


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
"""Small ones for the studies of STF, the same for every network that is compared: minutes a run on one core."""

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

FOCUS_STEPS = {
    "msg3d": (),
    "modules": (),
    "exploration": ("exploration",),
    "divergence": ("exploration", "divergence"),
    "adjacency": ("exploration", "divergence", "adjacency"),
    "stf": TERMS,
}
"""STF's ablation: MS-G3D, its modules without a term, then one more term at a time in the paper's order."""


SMOOTH = "stgcn_smooth"  # ST-GCN with label smoothness of the batch's graph beside its loss
STEPS = ("stgcn", SMOOTH, *FOCUS_STEPS)


def focus_step(recipe: Recipe, step: str) -> Recipe:
    """Recipe for one of `STEPS`: of the ablation, or ST-GCN trained alike, without or with label smoothness."""
    if step not in STEPS:
        raise ValueError(f"no step {step!r}; choose one of {list(STEPS)}")
    kept = FOCUS_STEPS.get(step, ())
    losses = replace(recipe.train.focus, **{name: 0.0 for name in TERMS if name not in kept})
    model = {"stgcn": "stgcn", SMOOTH: "stgcn", "msg3d": "msg3d"}.get(step, "stf")
    smoothness = recipe.train.smoothness if step == SMOOTH else 0.0
    return replace(recipe, model=model, train=replace(recipe.train, focus=losses, smoothness=smoothness))


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


def unchanged(rows: pd.DataFrame, among: Mapping[str, Recipe] = RECIPES) -> pd.DataFrame:
    """Rows of a study that were trained as the recipes say, on official splits of the real datasets.

    Other widths, epochs, weights or streams that somebody recorded are left out, so that no table mixes networks.
    """
    kept = []
    for dataset, recipe in among.items():
        part = rows[rows["dataset"] == dataset]
        if dataset == "synthetic" or not len(part):
            continue
        wanted = {name: value for name, value in described(recipe).items() if name != "device"}
        same = [part[name].isna() if value is None else part[name].eq(value) for name, value in wanted.items()]
        same += [part[name].isna() for name in ("protocol", "stream") if name in part]
        for name in TERMS:
            if name in part:
                weights = {step: getattr(focus_step(recipe, step).train.focus, name) for step in set(part["step"])}
                same.append(part[name].eq(part["step"].map(weights)))
        if "smoothness_weight" in part:
            weights = {step: focus_step(recipe, step).train.smoothness for step in set(part["step"])}
            same.append(part["smoothness_weight"].fillna(0.0).eq(part["step"].map(weights)))
        kept.append(part[np.logical_and.reduce(same)])
    return pd.concat(kept) if kept else rows.iloc[:0]


def parse_steps(text: str) -> list[str]:
    """Networks of the ablation from text like ``"msg3d stf"``, each once, in that order."""
    names = text.replace(",", " ").split()
    if not names or len(set(names)) < len(names) or not set(names) <= set(STEPS):
        raise ValueError(f"steps={text!r}; needed names from {list(STEPS)}, each once")
    return names


def parse_shares(text: str) -> list[float]:
    """Shares of the training clips from text like ``"0.1 0.25 1"``, each once, above 0 and at most 1."""
    try:
        shares = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        shares = []
    if not shares or len(set(shares)) < len(shares) or not all(0 < share <= 1 for share in shares):
        raise ValueError(f"shares={text!r}; needed numbers above 0 and at most 1, each once, as in '0.1 0.25 1'")
    return shares


def described(recipe: Recipe) -> dict[str, object]:
    """Return what a row of results says about how a network was made and trained."""
    own = ("width", "num_frames", "align", "dropout")
    inner = ("epochs", "turn", "precision", "device", "optimizer", "learning_rate", "weight_decay", "batch_size")
    return {n: getattr(recipe.train, n) for n in inner} | {n: getattr(recipe, n) for n in own}


def parse_streams(text: str) -> dict[str, float]:
    """Streams and their weights from text like ``"joint"`` or ``"2*joint + bone + joint_motion"``."""
    weights = {}
    for part in text.split("+"):
        weight, _, stream = part.replace(" ", "").rpartition("*")
        if stream not in STREAMS or stream in weights:
            raise ValueError(f"streams={text!r}: {stream!r} is unknown or comes twice; choose from {list(STREAMS)}")
        try:
            weights[stream] = float(weight or 1)
        except ValueError:
            raise ValueError(f"streams={text!r}: weight {weight!r} is no number") from None
    return weights


def _weights(model: nn.Module) -> str:
    """Digest of where a training starts: every value, and which of them learn."""
    digest = hashlib.sha256(repr([name for name, p in model.named_parameters() if p.requires_grad]).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


def _code() -> str:
    """Digest of the code that decides trained weights, so that no checkpoint outlives it."""
    folder = Path(__file__).parent
    names = (
        "_clip_batches.py",
        "_epochs.py",
        "_train_config.py",
        "clips.py",
        "features.py",
        "focus.py",
        "losses.py",
        "objectives.py",
        "training.py",
        "transforms.py",
    )
    files = [*(folder / name for name in names), *sorted(folder.glob("models/**/*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
