"""Training and evaluation: one configuration, one loop, checkpoints that go on bit for bit."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from lib import checkpoints, objectives, scores
from lib._epochs import augmented, epoch_batches
from lib._train_config import TrainConfig
from lib.clips import Batch, ClipSet, collate
from lib.models.layers import evaluation_mode
from lib.objectives import autocast

__all__ = ["History", "TrainConfig", "Watch", "calibrate_norms", "evaluate", "fit", "predict"]


@runtime_checkable
class Watch(Protocol):
    """Measures a network, which it leaves as it was; plain numbers by name."""

    def __call__(self, network: nn.Module) -> dict[str, float]: ...

    def digest(self) -> str:
        """Tell it from other watches: `recipes.Recipe.fit` keeps a checkpoint for each."""


class History(NamedTuple):
    """`epochs`: one row per epoch: loss, learning_rate, seconds, what the objective names and what was watched.

    With labels there are accuracy, STF's terms and validation_accuracy; without, the players' terms and
    validation_loss.
    """

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
    watch: Callable[[nn.Module], dict[str, float]] | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place, by SGD with Nesterov momentum unless the configuration says otherwise.

    A network with ``turns`` (`models.recurrent`) learns by its own losses and sees no labels; label smoothing,
    balance, STF's losses and label smoothness mean nothing then.

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
    watch
        Measures the network after every epoch; the numbers that it returns join the epoch's row. It must leave the
        network as it was.
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
    goal = objectives.objective(model, train, config)
    optimizers = list(goal.optimizers.values())
    rows = checkpoints.resume(model, optimizers, train, config, checkpoint) if checkpoint else []
    steps = math.ceil(len(train) / config.batch_size)
    bar = tqdm(
        total=config.epochs * steps, initial=len(rows) * steps, desc="training", unit="step", disable=not progress
    )
    with bar, torch.random.fork_rng(), _modes_restored(model):
        for epoch in range(len(rows), config.epochs):
            started, sums, clips = time.perf_counter(), Counter(), Counter()
            torch.manual_seed(_seed(config, epoch))
            _train_mode(model)
            for step, batch in enumerate(epoch_batches(train, config, epoch)):
                rate = _learning_rate(config, epoch + step / steps)
                for player, optimizer in goal.optimizers.items():
                    for group in optimizer.param_groups:
                        group["lr"] = rate * goal.shares.get(player, 1.0)
                for turn in goal.turns(batch, epoch * steps + step):
                    _descend(goal.optimizers[turn.player], turn.loss, config.clip_norm)
                    sums.update({name: term.item() * len(batch.labels) for name, term in turn.terms.items()})
                    clips.update({name: len(batch.labels) for name in turn.terms})
                bar.update()
            row = {"epoch": epoch, "learning_rate": rate, "seconds": time.perf_counter() - started}
            row |= {name: total / clips[name] for name, total in sums.items()}
            if not math.isfinite(row["loss"]):
                raise FloatingPointError(
                    f"loss became {row['loss']} in epoch {epoch}; lower learning_rate={config.learning_rate}"
                )
            if validation is not None:
                row |= _validated(model, goal, validation, config)
            if watch is not None:
                row |= watch(model)
            rows.append(row)
            bar.set_postfix({key: f"{row[key]:.3f}" for key in ("loss", "accuracy") if key in row})
            if checkpoint:
                checkpoints.save(model, optimizers, train, config, rows, Path(checkpoint))
    if validation is not None and not any(name.startswith("validation_") for name in rows[-1]):  # finished without
        rows[-1] = rows[-1] | _validated(model, goal, validation, config)
    return History(pd.DataFrame(rows))


def _seed(config: TrainConfig, epoch: int) -> int:
    return int(np.random.SeedSequence([config.seed, epoch]).generate_state(1)[0])


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor, clip_norm: float) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip_norm < math.inf:
        nn.utils.clip_grad_norm_([weight for group in optimizer.param_groups for weight in group["params"]], clip_norm)
    optimizer.step()


def _validated(model: nn.Module, goal: objectives.Objective, clips: ClipSet, config: TrainConfig) -> dict[str, float]:
    """Accuracy, or, of a network that learns without labels, the loss of its first player."""
    if isinstance(goal, objectives.Classification):
        return {"validation_accuracy": evaluate(model, clips, config=config).top1}
    total = 0.0
    with torch.no_grad(), evaluation_mode(model):
        for batch in clips.batches(config.batch_size):
            turn = next(goal.turns(batch.to(config.device), 0))
            total += turn.terms["loss"].item() * len(batch.labels)
    return {"validation_loss": total / len(clips)}


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
        changed = [augmented(clip, config, rng) for clip in clips]
        starts = range(0, len(changed), config.batch_size)
        batches = (collate(changed[start : start + config.batch_size]) for start in starts)
        total = total + _forward(model, batches, config).softmax(dim=1)
    return (total / passes).clamp(min=1e-30).log().numpy()


def evaluate(model: nn.Module, clips: ClipSet, *, config: TrainConfig | None = None, passes: int = 1) -> scores.Scores:
    """Score `model` on `clips`; `passes` as in `predict`."""
    return scores.score(predict(model, clips, config=config, passes=passes), clips.labels)


def _forward(model: nn.Module, batches: Iterable[Batch], config: TrainConfig) -> torch.Tensor:
    device = next(model.parameters()).device
    with torch.inference_mode(), evaluation_mode(model), autocast(config.precision, device.type):
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
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
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


def _learning_rate(config: TrainConfig, epoch: float) -> float:
    if epoch < config.warmup_epochs:
        return config.learning_rate * (epoch + 1e-3) / config.warmup_epochs
    progress = (epoch - config.warmup_epochs) / max(config.epochs - config.warmup_epochs, 1e-9)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


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
