"""Training and evaluation: one configuration, one loop, checkpoints that go on bit for bit."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from lib import checkpoints, focus, losses, scores, transforms
from lib.clips import Batch, Clip, ClipSet, collate
from lib.focus import FocusLosses
from lib.models.layers import evaluation_mode

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
        if not 0 < self.crop <= 1:
            raise ValueError(f"TrainConfig: crop={self.crop}, needed in (0, 1]")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"TrainConfig: label_smoothing={self.label_smoothing}, needed in [0, 1)")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"TrainConfig: optimizer={self.optimizer!r}; choose one of {list(OPTIMIZERS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"TrainConfig: precision={self.precision!r}; choose one of {sorted(PRECISIONS)}")


class History(NamedTuple):
    """`epochs`: one row per epoch (loss, accuracy, further terms, validation_accuracy, learning_rate, seconds)."""

    epochs: pd.DataFrame

    @property
    def seconds(self) -> float:
        """Time spent in all epochs, those before a resumption included."""
        return float(self.epochs["seconds"].sum())


def fit(
    model: nn.Module,
    train: ClipSet,
    validation: ClipSet | None = None,
    *,
    config: TrainConfig | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place, by SGD with Nesterov momentum unless the configuration says otherwise.

    Parameters
    ----------
    model
        Parameters with ``requires_grad=False`` stay as they are; a module that has no others is used as in evaluation.
    train
        Clips, as `lib.transforms` has prepared them.
    validation
        Scored after every epoch when given; never used to choose anything.
    checkpoint
        File written after every epoch. When it exists, training goes on from it, to the same weights bit for bit as
        without a stop; a finished one only loads. One made with another configuration, model or other clips is refused.
    progress
        Show a bar with loss, accuracy and time left.

    Notes
    -----
    Epoch e depends on the weights, the optimiser's state and (config.seed, e) alone, so no generator state needs to be
    stored; PyTorch's global generator is left as found. The same seed gives the same weights on one CPU build with the
    same number of threads.
    """
    config = config or TrainConfig()
    model.to(config.device)
    # exploration has an optimiser of its own: its slopes must not ride on the momentum of the others
    optimizers = optimizer, explorer = _optimizer(model, config), _optimizer(model, replace(config, weight_decay=0.0))
    rows = checkpoints.resume(model, optimizers, train, config, checkpoint) if checkpoint else []
    weight = _class_weights(train, config.device) if config.class_balanced else None
    steps = math.ceil(len(train) / config.batch_size)
    bar = tqdm(
        total=config.epochs * steps, initial=len(rows) * steps, desc="training", unit="step", disable=not progress
    )
    with bar, torch.random.fork_rng(), _modes_restored(model):
        for epoch in range(len(rows), config.epochs):
            started, sums, hits = time.perf_counter(), Counter(), 0
            torch.manual_seed(int(np.random.SeedSequence([config.seed, epoch]).generate_state(1)[0]))
            _train_mode(model)
            for step, batch in enumerate(_epoch(train, config, epoch)):
                rate = _learning_rate(config, epoch + step / steps)
                for group in [group for one in optimizers for group in one.param_groups]:
                    group["lr"] = rate
                logits, terms = _losses(model, batch, config, weight)
                _descend(optimizer, sum(_weight(config, name) * term for name, term in terms.items()))
                if config.focus.exploration and (epoch * steps + step) % config.focus.exploration_every == 0:
                    with _autocast(config.precision, config.device):
                        terms["exploration"] = focus.exploration(model, batch, config.focus)
                    _descend(explorer, config.focus.exploration * terms["exploration"])
                sums.update({name: term.item() * len(logits) for name, term in terms.items()})
                sums["explored"] += len(logits) * ("exploration" in terms)
                hits += int((logits.argmax(dim=1) == batch.labels).sum())
                bar.update()
            explored = sums.pop("explored")
            row = {
                "epoch": epoch,
                "accuracy": hits / len(train),
                "learning_rate": rate,
                "seconds": time.perf_counter() - started,
            }
            row |= {name: total / (explored if name == "exploration" else len(train)) for name, total in sums.items()}
            if not math.isfinite(row["loss"]):
                raise FloatingPointError(
                    f"loss became {row['loss']} in epoch {epoch}; lower learning_rate={config.learning_rate}"
                )
            if validation is not None:
                row["validation_accuracy"] = evaluate(model, validation, config=config).top1
            rows.append(row)
            bar.set_postfix({key: f"{row[key]:.3f}" for key in ("loss", "accuracy")})
            if checkpoint:
                checkpoints.save(model, optimizers, train, config, rows, Path(checkpoint))
    if validation is not None and "validation_accuracy" not in rows[-1]:  # it was finished without
        rows[-1] = rows[-1] | {"validation_accuracy": evaluate(model, validation, config=config).top1}
    return History(pd.DataFrame(rows))


def _losses(
    model: nn.Module, batch: Batch, config: TrainConfig, weight: torch.Tensor | None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits of a training pass, the classification ``loss`` and the terms beside it."""
    watched = focus.watch(model) if config.focus.beside else nullcontext([])
    latent = _classified(model) if config.smoothness else nullcontext([])
    with _autocast(config.precision, config.device), watched as modules, latent as vectors:
        logits = model(batch.x, batch.lengths, batch.present)
    logits = logits.float()
    found = {"loss": F.cross_entropy(logits, batch.labels, weight, label_smoothing=config.label_smoothing)}
    for x in vectors:
        neighbors = config.smoothness_neighbors
        found["smoothness"] = losses.smoothness(x.float().flatten(1), batch.labels, num_neighbors=neighbors)
    return logits.detach(), found | (focus.terms(logits, batch, modules, config.focus) if modules else {})


@contextmanager
def _classified(model: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect what enters the classifier: a vector per clip (N, C)."""
    vectors: list[torch.Tensor] = []
    handle = model.classifier.register_forward_pre_hook(lambda _, inputs: vectors.append(inputs[0]))
    try:
        yield vectors
    finally:
        handle.remove()


def _weight(config: TrainConfig, name: str) -> float:
    if name == "loss":
        return 1.0
    return config.smoothness if name == "smoothness" else getattr(config.focus, name)


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def predict(model: nn.Module, clips: ClipSet, *, config: TrainConfig | None = None, passes: int = 1) -> np.ndarray:
    """Logits (N, classes) float32 in evaluation mode, where the model is; batch_size and precision from `config`.

    One pass sees the clips as they are. More average class probabilities over that many passes of clips changed at
    random as `config` says for training (test-time augmentation, always the same draws); their logarithm is returned.
    """
    config = config or TrainConfig()
    if passes < 1:
        raise ValueError(f"passes={passes}, needed at least 1")
    if passes == 1:
        return _forward(model, clips.batches(config.batch_size), config).numpy()
    total = 0.0
    for index in range(passes):
        rng = np.random.default_rng([0, index])
        changed = [_augment(clip, config, rng) for clip in clips]
        starts = range(0, len(changed), config.batch_size)
        batches = (collate(changed[start : start + config.batch_size]) for start in starts)
        total = total + _forward(model, batches, config).softmax(dim=1)
    return (total / passes).clamp(min=1e-30).log().numpy()


def evaluate(model: nn.Module, clips: ClipSet, *, config: TrainConfig | None = None, passes: int = 1) -> scores.Scores:
    """Score `model` on `clips`; `passes` as in `predict`."""
    return scores.score(predict(model, clips, config=config, passes=passes), clips.labels)


def _forward(model: nn.Module, batches: Iterable[Batch], config: TrainConfig) -> torch.Tensor:
    device = next(model.parameters()).device
    with torch.inference_mode(), evaluation_mode(model), _autocast(config.precision, device.type):
        logits = [model(b.x, b.lengths, b.present).float().cpu() for b in (part.to(device) for part in batches)]
    return torch.cat(logits)


def calibrate_norms(model: nn.Module, clips: ClipSet, *, batch_size: int = 64) -> nn.Module:
    """Set the running statistics of every batch normalisation to those of `clips`, in place; returns `model`.

    A fresh network normalises by mean 0 and variance 1, that is, not at all. As an untrained baseline it then differs
    from a trained one in more than its weights, so its statistics are measured here: each layer's mean over all
    batches, weights untouched. Batches are mixed, always the same way: clips of one class side by side would hide what
    varies between classes.
    """
    order = np.random.default_rng(0).permutation(len(clips))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    device = next(model.parameters()).device
    with torch.no_grad(), evaluation_mode(model):
        for norm in norms:
            norm.train()
        try:
            for index, start in enumerate(range(0, len(clips), batch_size)):
                for norm in norms:
                    norm.momentum = 1 / (index + 1)
                model(*clips.batch(order[start : start + batch_size]).to(device)[:3])
        finally:
            for norm, momentum in zip(norms, before, strict=True):
                norm.momentum = momentum
    return model


def _epoch(train: ClipSet, config: TrainConfig, epoch: int) -> Iterator[Batch]:
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(len(train))
    chunk = 8 * config.batch_size  # clips of like length share a batch: less padding, still a new mix every epoch
    parts = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    order = np.concatenate([part[np.argsort(train.lengths[part], kind="stable")] for part in parts])
    starts = rng.permutation(np.arange(0, len(order), config.batch_size))
    for start in starts:
        clips = [_augment(train[i], config, rng) for i in order[start : start + config.batch_size]]
        yield collate(clips).to(config.device)


def _augment(clip: Clip, config: TrainConfig, rng: np.random.Generator) -> Clip:
    if config.crop < 1:
        clip = transforms.resample(transforms.random_crop(clip, rng, config.crop), clip.length)
    if config.mirror and rng.random() < 0.5:
        clip = transforms.mirror(clip)
    if config.turn or config.tilt:
        clip = transforms.random_view(clip, rng, config.turn, config.tilt)
    if config.stretch:
        clip = transforms.random_scale(clip, rng, config.stretch)
    return transforms.random_noise(clip, rng, config.noise) if config.noise else clip


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError(f"{type(model).__name__}: every parameter is frozen; nothing to train")
    common = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(learning, betas=(config.momentum, 0.999), **common)
    return torch.optim.SGD(learning, momentum=config.momentum, nesterov=config.momentum > 0, **common)


def _learning_rate(config: TrainConfig, epoch: float) -> float:
    if epoch < config.warmup_epochs:
        return config.learning_rate * (epoch + 1e-3) / config.warmup_epochs
    progress = (epoch - config.warmup_epochs) / max(config.epochs - config.warmup_epochs, 1e-9)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _autocast(precision: str, device: str) -> torch.autocast:
    return torch.autocast(torch.device(device).type, PRECISIONS[precision], enabled=precision != "float32")


def _class_weights(train: ClipSet, device: str) -> torch.Tensor:
    count = np.bincount(train.labels, minlength=len(train.class_names))
    weight = np.where(count > 0, len(train) / np.maximum(count, 1) / (count > 0).sum(), 0.0)
    return torch.tensor(weight, dtype=torch.float32, device=device)


def _train_mode(model: nn.Module) -> None:
    """Training mode, but for modules whose parameters are all frozen: their statistics and dropout rest as well."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


@contextmanager
def _modes_restored(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
