"""How a network is trained, in one value: what objectives, checkpoints, epochs and the loop agree on."""

import math
from dataclasses import dataclass, field

import torch

from lib.focus import FocusLosses

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
OPTIMIZERS = ("sgd", "adamw")


@dataclass(frozen=True)
class TrainConfig:
    """How to train on clips that `lib.transforms` has prepared: the chance that is added, the steps, the arithmetic."""

    epochs: int = 60
    batch_size: int = 32  # clips
    optimizer: str = "sgd"  # with Nesterov momentum; or "adamw", which needs smaller rates and larger decay
    learning_rate: float = 0.1  # peak, after warm-up
    momentum: float = 0.9  # Nesterov, or the first of AdamW's two
    weight_decay: float = 5e-4  # AdamW's is decoupled: per step, times the rate
    warmup_epochs: int = 5  # linear from 0, then half a cosine to 0
    label_smoothing: float = 0.1  # share of the target spread over all classes
    class_balanced: bool = False  # weight the loss by inverse class frequency
    clip_norm: float = math.inf  # longest step of a gradient, over all weights of a player
    crop: float = 0.7  # random crop keeps at least this share of a clip's frames, stretched back; 1 = off
    turn: float = 30.0  # degrees, random turn about the vertical within +-
    tilt: float = 10.0  # degrees, random tilt within +-
    stretch: float = 0.1  # random scale per axis within 1 +-
    noise: float = 0.0  # metres, standard deviation of joint noise
    mirror: bool = False  # swap left and right at random; only where no class depends on the side
    precision: str = "float32"  # or "bfloat16": autocast, weights stay float32
    focus: FocusLosses = field(default_factory=FocusLosses)  # STF's terms; none by default
    smoothness: float = 0.0  # weight of label smoothness among what the classifier sees of a batch (losses.smoothness)
    smoothness_neighbors: int = 8  # links per clip in that graph
    device: str = "cpu"
    seed: int = 0  # order, augmentation, dropout; initial weights have their own (models.build)

    def __post_init__(self):
        counts = {name: getattr(self, name) for name in ("epochs", "batch_size", "smoothness_neighbors")}
        if wrong := {name: value for name, value in counts.items() if not isinstance(value, int) or value < 1}:
            raise ValueError(f"TrainConfig: {wrong}, needed whole numbers of at least 1")
        names = ("momentum", "weight_decay", "warmup_epochs", "turn", "tilt", "stretch", "noise", "smoothness")
        if wrong := {name: v for name in names if not 0 <= (v := getattr(self, name)) < math.inf}:
            raise ValueError(f"TrainConfig: {wrong}, needed finite numbers of at least 0")
        if not 0 < self.learning_rate < math.inf or self.momentum >= 1:
            raise ValueError(
                f"TrainConfig: learning_rate={self.learning_rate}, needed positive; momentum={self.momentum}, below 1"
            )
        if not self.clip_norm > 0:
            raise ValueError(f"TrainConfig: clip_norm={self.clip_norm}, needed positive")
        if not 0 < self.crop <= 1:
            raise ValueError(f"TrainConfig: crop={self.crop}, needed in (0, 1]")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"TrainConfig: label_smoothing={self.label_smoothing}, needed in [0, 1)")
        if self.optimizer == "adamw" and self.focus.exploration > 1:
            found = f"FocusLosses(exploration={self.focus.exploration})"
            raise ValueError(f"TrainConfig: {found} is a share of the learning rate; with AdamW needed at most 1")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"TrainConfig: optimizer={self.optimizer!r}; choose one of {list(OPTIMIZERS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"TrainConfig: precision={self.precision!r}; choose one of {sorted(PRECISIONS)}")
