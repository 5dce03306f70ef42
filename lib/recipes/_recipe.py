"""A recipe: preparation, network and training in one value, and its checkpoint under ``build/``."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from filelock import FileLock
from torch import nn

from lib import models, paths, runs, training, transforms
from lib.clips import ClipSet
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


def _weights(model: nn.Module) -> str:
    """Digest of where a training starts: every value, and which of them learn."""
    digest = hashlib.sha256(repr([name for name, p in model.named_parameters() if p.requires_grad]).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


def deciding_files() -> list[Path]:
    """Return the code that decides trained weights."""
    folder = Path(__file__).parents[1]
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
    whole = (path for name in ("models", "skeletons") for path in sorted(folder.glob(f"{name}/**/*.py")))
    return [*(folder / name for name in names), *whole]


def _code() -> str:
    """Digest of these files, so that no checkpoint outlives what made it."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in deciding_files())).hexdigest()
