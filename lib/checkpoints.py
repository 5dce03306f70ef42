"""The file that a training goes on from: weights, the optimisers' states, and what they belong to."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import nn

from lib._train_config import TrainConfig
from lib.clips import ClipSet


def _identity(model: nn.Module, train: ClipSet, config: TrainConfig) -> dict[str, str]:
    """Collect what a checkpoint must agree with before training may go on from it."""
    config_text = {f.name: str(getattr(config, f.name)) for f in fields(config) if f.name != "device"}
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    structure = hashlib.sha256(f"{model!r} {shapes}".encode())
    if frozen := [name for name, parameter in model.named_parameters() if not parameter.requires_grad]:
        structure.update(repr(frozen).encode())
    for name, value in model.named_buffers():
        if name.rpartition(".")[2] in ("A", "parents"):
            structure.update(value.cpu().numpy().tobytes())
    return config_text | {
        "model": f"{type(model).__name__} {structure.hexdigest()[:16]}",
        "clips": train.digest(),
    }


def save(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    train: ClipSet,
    config: TrainConfig,
    rows: list[dict],
    checkpoint: Path,
) -> None:
    """Write the state after an epoch, whole or not at all."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_name(f".{checkpoint.name}.{os.getpid()}")
    state = {
        "identity": _identity(model, train, config),
        "config": asdict(config),
        "rows": rows,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    try:
        torch.save(state, partial)
        partial.replace(checkpoint)
    finally:
        partial.unlink(missing_ok=True)


def resume(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    train: ClipSet,
    config: TrainConfig,
    checkpoint: str | Path,
) -> list[dict]:
    """Load weights and the optimisers' states into `model` and `optimizers`; return the rows of the epochs behind them.

    Without a file there is nothing to go on from: no rows.

    Raises
    ------
    ValueError
        The file is no checkpoint, or of another training; it says what differs.
    """
    if not Path(checkpoint).exists():
        return []
    try:
        state = torch.load(checkpoint, map_location=config.device, weights_only=True)
        found, rows, weights, steps = (state[name] for name in ("identity", "rows", "model", "optimizers"))
        found = dict(found)
    except Exception as error:  # torch raises pickle, zip, key and runtime errors on damaged files
        raise ValueError(
            f"{checkpoint}: not a checkpoint of training.fit ({error}); remove it to start again"
        ) from error
    wanted = _identity(model, train, config)
    differs = [
        f"{key}: {found.get(key)} there, {value} here" for key, value in wanted.items() if found.get(key) != value
    ]
    if differs:
        raise ValueError(f"{checkpoint} was made by another training ({'; '.join(differs)}); use another file")
    model.load_state_dict(weights)
    for optimizer, state in zip(optimizers, steps, strict=True):
        optimizer.load_state_dict(state)
    return rows
