"""What STF adds to training: which terms, weighted how, computed from one pass (Ke, Peng, Lyu; AAAI 2022)."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from lib import losses
from lib.clips import Batch
from lib.features import present_rows
from lib.models.layers import evaluation_mode, features_explained
from lib.models.multiscale import ScaleConv
from lib.models.stf import FocusAdjacency, num_cells

TERMS = ("exploration", "divergence", "adjacency", "consistency")


@dataclass(frozen=True)
class FocusLosses:
    """Weights of STF's terms beside the classification loss, 0 leaves one out; and what the paper leaves open."""

    exploration: float = 0.0
    divergence: float = 0.0
    adjacency: float = 0.0
    consistency: float = 0.0
    explained: str = "predicted"  # class whose focus is meant; or "label"
    moving_target: bool = False  # adjacency loss: let the focus come to beta, too, instead of beta to the focus alone
    score: str = "probability"  # what exploration lowers; or "logit"
    exploration_every: int = 8  # steps of the other terms for one of exploration

    def __post_init__(self):
        if wrong := {name: value for name in TERMS if not 0 <= (value := getattr(self, name)) < math.inf}:
            raise ValueError(f"FocusLosses: {wrong}, needed finite weights of at least 0")
        if self.explained not in ("predicted", "label"):
            raise ValueError(f"FocusLosses: explained={self.explained!r}; choose 'predicted' or 'label'")
        if self.score not in losses.SCORES:
            raise ValueError(f"FocusLosses: score={self.score!r}; choose one of {list(losses.SCORES)}")
        if self.exploration_every < 1:
            raise ValueError(f"FocusLosses: exploration_every={self.exploration_every}, needed at least 1")

    @property
    def beside(self) -> dict[str, float]:
        """Terms that join the classification loss, and their weights."""
        return {name: weight for name in TERMS[1:] if (weight := getattr(self, name))}


class Module(NamedTuple):
    """What an STF-GCN module saw and said in one pass."""

    adjacency: FocusAdjacency
    features: torch.Tensor  # (P, C, T_l, V), what enters it
    mask: torch.Tensor | None  # (P, 1, T_l, 1)
    beta: torch.Tensor  # (P, T_l, V), its guess of the focus
    graph: torch.Tensor  # (P, K, V, V)
    convs: list[tuple[ScaleConv, torch.Tensor]]  # graph convolutions that it serves, and what leaves them

    @property
    def lengths(self) -> torch.Tensor:
        """(P,) true frames."""
        if self.mask is not None:
            return self.mask.sum(dim=(1, 2, 3))
        return torch.full((len(self.beta),), self.beta.shape[1], device=self.beta.device)


@contextmanager
def watch(model: nn.Module) -> Iterator[list[Module]]:
    """Collect the STF-GCN modules of a pass, in the order of the layers."""
    found: list[Module] = []

    def note(module, inputs, outputs):
        found.append(Module(module, *inputs, *outputs, []))

    def note_conv(conv, _, output):
        found[-1].convs.append((conv, output))  # its module has just been called

    hooks = []
    for block in model.layers:
        for path, module in getattr(block, "focus", {}).items():
            hooks.append(module.register_forward_hook(note))
            hooks += [conv.register_forward_hook(note_conv) for conv in block.convs(path)]
    if not hooks:
        raise ValueError(f"{type(model).__name__} has no STF-GCN modules; build 'stf', or msg3d with focus_places")
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def terms(
    logits: torch.Tensor, labels: torch.Tensor, modules: list[Module], config: FocusLosses
) -> dict[str, torch.Tensor]:
    """Unweighted terms of ``config.beside`` from one training pass, differentiable.

    Notes
    -----
    Consistency joins the last two modules, divergence compares the two highest classes in the last one, adjacency is
    the mean over all modules. Normalisations hold their statistics, as in evaluation, where a focus is looked at.
    """
    best, second = logits.topk(2, dim=1).indices.T
    explained = labels if config.explained == "label" else best
    wanted, found = config.beside, {}
    seen = modules if "adjacency" in wanted else modules[-2:]  # the slopes of all come in one go
    first = _focuses(logits, explained, seen, again=config.moving_target or bool(wanted.keys() - {"adjacency"}))
    if "divergence" in wanted:
        rival = torch.where(best == explained, second, best)
        found["divergence"] = losses.divergence(first[-1], *_focuses(logits, rival, modules[-1:], again=True))
    if "adjacency" in wanted:
        targets = first if config.moving_target else [q.detach() for q in first]
        pairs = zip(targets, modules, strict=True)
        found["adjacency"] = torch.stack([losses.adjacency(q, module.beta) for q, module in pairs]).mean()
    if "consistency" in wanted:
        if len(modules) < 2:
            raise ValueError("consistency joins two STF-GCN modules; this network has one")
        found["consistency"] = losses.consistency(first[-2], first[-1])
    return found


def exploration(model: nn.Module, batch: Batch, config: FocusLosses) -> torch.Tensor:
    """Score that is left of the predicted class once the last module's focus is hidden from the input.

    Notes
    -----
    Both passes use the running statistics of normalisations: masked clips must not move them, and what the trained
    network will do with a masked clip is what is meant. The gradient goes through the score and, a second time, through
    the focus. Coordinates are hidden by moving them to the mean of the frame's joints.
    """
    with evaluation_mode(model):
        with watch(model) as modules:
            logits = model(batch.x, batch.lengths, batch.present)
        predicted = logits.argmax(dim=1)
        explained = batch.labels if config.explained == "label" else predicted
        focus = _focuses(logits, explained, modules[-1:], again=True)[0]
        persons = batch.x.permute(0, 4, 1, 2, 3)  # (N, M, C, T, V)
        masked = persons.clone()
        own = persons[batch.present]
        masked[batch.present] = losses.masked_input(
            own, present_rows(focus, batch.present), own.mean(dim=3, keepdim=True)
        )
        logits = model(masked.permute(0, 2, 3, 4, 1), batch.lengths, batch.present)
    return losses.exploration(logits.to(focus.dtype), explained, score=config.score)


def focus_maps(model: nn.Module, batch: Batch) -> tuple[Float[np.ndarray, "N M T_l V"], Float[np.ndarray, "N M T_l V"]]:
    """Return the last module's focus on the predicted class, and its beta, in evaluation mode; absent persons are 0."""
    batch = batch.to(next(model.parameters()).device)
    with torch.enable_grad(), evaluation_mode(model):
        x = batch.x.detach().clone().requires_grad_()  # joins the modules to the graph even where weights are frozen
        with watch(model) as modules:
            logits = model(x, batch.lengths, batch.present)
        focus = _focuses(logits, logits.argmax(dim=1), modules[-1:], again=False)[0]
    found = []
    for values in (focus, modules[-1].beta):
        values = present_rows(values, batch.present)
        out = values.new_zeros(*batch.present.shape, *values.shape[1:])
        out[batch.present] = values
        found.append(out.detach().float().cpu().numpy())
    return found[0], found[1]


def balanced(model: nn.Module, batch: Batch, config: FocusLosses, classification: float) -> Mapping[str, float]:
    """Weights for all four terms, measured on one batch: powers of ten that bring each to the classification loss.

    The paper chooses weights so; its numbers are not known.
    """
    probe = FocusLosses(0.0, 1.0, 1.0, 1.0, config.explained, config.moving_target, config.score)
    with evaluation_mode(model):
        with watch(model) as modules:
            logits = model(batch.x, batch.lengths, batch.present)
        values = {name: value.item() for name, value in terms(logits, batch.labels, modules, probe).items()}
        values["exploration"] = exploration(model, batch, probe).item()
    return losses.balanced_weights(values, classification)


def _focuses(logits: torch.Tensor, classes: torch.Tensor, modules: list[Module], *, again: bool) -> list[torch.Tensor]:
    """Focus of each module on one class per clip, in float32 at least; differentiable `again` or not.

    A module's features lead to the score through its own convolutions, whose slopes are enough to weigh channels by
    (`ScaleConv.mean_slope`), and through its graph. Features of the block's other path are the same, but not these.
    """
    score = logits.gather(1, classes[:, None]).sum()
    exact = torch.promote_types(logits.dtype, torch.float32)
    ends = [end for m in modules for end in (m.beta, *(output for _, output in m.convs))]
    with features_explained():
        slopes = iter(torch.autograd.grad(score, ends, create_graph=again, retain_graph=True))
    found = []
    for module in modules:
        alpha = module.adjacency.mean_slope(next(slopes).to(exact), module.beta, module.mask)
        cells = num_cells(module.beta, module.mask)[:, None]
        for conv, _ in module.convs:
            alpha = alpha + conv.mean_slope(next(slopes).to(exact), module.graph, module.lengths) / cells
        found.append(losses.focus(module.features.to(exact), alpha, module.mask))
    return found
