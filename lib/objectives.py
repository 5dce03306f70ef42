"""What a training step goes down: class labels, or what a network without labels asks of itself.

An objective has `optimizers`, one per player, and `turns`, which makes one loss after the other; each is gone down
before the next is made. `training.fit` knows no more about it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lib import focus, losses
from lib._train_config import PRECISIONS, TrainConfig
from lib.clips import Batch, ClipSet
from lib.models.recurrent import Turn


class Objective(ABC):
    """What `training.fit` asks for; `step` counts from the first epoch."""

    optimizers: dict[str, torch.optim.Optimizer]
    shares: Mapping[str, float] = {}  # of the learning rate, for players that have less than all of it

    @abstractmethod
    def turns(self, batch: Batch, step: int) -> Iterator[Turn]:
        """Losses of a step, one after the other."""


def objective(model: nn.Module, train: ClipSet, config: TrainConfig) -> Objective:
    """Return the network's own objective where it has one, classification elsewhere."""
    return OwnObjective(model, config) if hasattr(model, "turns") else Classification(model, train, config)


class OwnObjective(Objective):
    """A network's ``players`` and ``turns``; labels are never read."""

    def __init__(self, model: nn.Module, config: TrainConfig):
        self.model, self.config = model, config
        self.optimizers = {name: _optimizer(weights, config) for name, weights in model.players().items()}

    def turns(self, batch: Batch, step: int) -> Iterator[Turn]:
        """Give the network a batch without labels."""
        turns = self.model.turns(batch._replace(labels=torch.full_like(batch.labels, -1)))
        while True:
            with autocast(self.config.precision, self.config.device):
                turn = next(turns, None)
            if turn is None:
                return
            yield turn


class Classification(Objective):
    """Cross entropy with STF's terms and label smoothness beside it, and now and then exploration.

    The last has an optimiser of its own: its slopes must not ride on the momentum of the others. Its weight is a share
    of the learning rate. Under SGD that is what weighing the loss does; AdamW's steps do not know how large a loss is.
    """

    def __init__(self, model: nn.Module, train: ClipSet, config: TrainConfig):
        self.model, self.config = model, config
        self.optimizers = {
            "network": _optimizer(model.parameters(), config),
            "explorer": _optimizer(model.parameters(), replace(config, weight_decay=0.0)),
        }
        self.shares = {"explorer": config.focus.exploration}
        self.weight = class_weights(train, config.device) if config.class_balanced else None

    def turns(self, batch: Batch, step: int) -> Iterator[Turn]:
        """Classify; then, every so many steps, explore."""
        config = self.config
        watched = focus.watch(self.model) if config.focus.beside else nullcontext([])
        latent = _classified(self.model) if config.smoothness else nullcontext([])
        with autocast(config.precision, config.device), watched as modules, latent as vectors:
            logits = self.model(batch.x, batch.lengths, batch.present)
        logits = logits.float()
        terms = {"loss": F.cross_entropy(logits, batch.labels, self.weight, label_smoothing=config.label_smoothing)}
        if modules:
            terms |= focus.terms(logits, batch, modules, config.focus)
        for x in vectors:
            neighbors = config.smoothness_neighbors
            terms["smoothness"] = losses.smoothness(x.float().flatten(1), batch.labels, num_neighbors=neighbors)
        weights = config.focus.beside | {"smoothness": config.smoothness}
        loss = sum(weights.get(name, 1.0) * term for name, term in terms.items())
        hits = (logits.detach().argmax(dim=1) == batch.labels).double().mean()
        yield Turn("network", loss, {"accuracy": hits} | terms)
        if config.focus.exploration and step % config.focus.exploration_every == 0:
            with autocast(config.precision, config.device):
                term = focus.exploration(self.model, batch, config.focus)
            yield Turn("explorer", term, {"exploration": term})


@contextmanager
def _classified(model: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect what enters the classifier: a vector per clip (N, C)."""
    vectors: list[torch.Tensor] = []
    handle = model.classifier.register_forward_pre_hook(lambda _, inputs: vectors.append(inputs[0]))
    try:
        yield vectors
    finally:
        handle.remove()


def autocast(precision: str, device: str) -> torch.autocast:
    """Context in which a forward pass runs in that precision."""
    return torch.autocast(torch.device(device).type, PRECISIONS[precision], enabled=precision != "float32")


def class_weights(train: ClipSet, device: str) -> torch.Tensor:
    """Weight of every class by inverse frequency; a class without clips has none, the mean over clips is 1."""
    count = np.bincount(train.labels, minlength=len(train.class_names))
    weight = np.where(count > 0, len(train) / np.maximum(count, 1) / (count > 0).sum(), 0.0)
    return torch.tensor(weight, dtype=torch.float32, device=device)


def _optimizer(weights: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    weights = [weight for weight in weights if weight.requires_grad]
    if not weights:
        raise ValueError("every parameter is frozen; nothing to train")
    common = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(weights, betas=(config.momentum, 0.999), **common)
    return torch.optim.SGD(weights, momentum=config.momentum, nesterov=config.momentum > 0, **common)
