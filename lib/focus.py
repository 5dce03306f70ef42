"""What STF adds to training: which terms, weighted how, computed from one pass (Ke, Peng, Lyu; AAAI 2022)."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
    """Weights of STF's terms beside the classification loss, 0 leaves one out; and what the paper leaves open.

    Exploration has steps of its own, and its weight is the share of the learning rate that they are taken with.

    A focus is that of one module: GradCAM of what enters it, as far as it acts by way of the module's own convolutions
    and graph. The paper's modules stand in a row; here two of them share their features, and without this the last two
    would have the same focus.
    """

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
    stride: int  # frames of the input for one of the features
    convs: list[tuple[ScaleConv, torch.Tensor]]  # graph convolutions that it serves, and what leaves them

    @property
    def lengths(self) -> torch.Tensor:
        """(P,) true frames."""
        if self.mask is not None:
            return self.mask.sum(dim=(1, 2, 3)).long()
        return torch.full((len(self.beta),), self.beta.shape[1], device=self.beta.device)


@contextmanager
def watch(model: nn.Module) -> Iterator[list[Module]]:
    """Collect the STF-GCN modules of a pass, in the order of the layers."""
    found: list[Module] = []

    def note_conv(conv, _, output):
        found[-1].convs.append((conv, output))  # its module has just been called

    hooks, stride = [], 1
    for name, block in zip(model.layer_names, getattr(model, "layers", ()), strict=False):
        for path, module in getattr(block, "focus", {}).items():

            def note(module, inputs, outputs, stride=stride):
                found.append(Module(module, *inputs, *outputs, stride, []))

            hooks.append(module.register_forward_hook(note))
            hooks += [conv.register_forward_hook(note_conv) for conv in block.convs(path)]
        stride = model.layer_strides[name]
    if not hooks:
        raise ValueError(f"{type(model).__name__} has no STF-GCN modules; build 'stf', or msg3d with focus_places")
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def terms(logits: torch.Tensor, batch: Batch, modules: list[Module], config: FocusLosses) -> dict[str, torch.Tensor]:
    """Unweighted terms of ``config.beside`` from one training pass, differentiable.

    Notes
    -----
    Consistency joins the last two modules, divergence compares the two highest classes in the last one, adjacency is
    the mean over all modules, where the paper has a weight for each. Normalisations hold their statistics, as in
    evaluation, where a focus is looked at; what the terms teach is therefore the slope with these statistics given.
    Absent persons do not count.
    """
    explained = batch.labels if config.explained == "label" else logits.argmax(dim=1)
    wanted, found = config.beside, {}
    if "divergence" in wanted and logits.shape[1] < 2:
        raise ValueError("divergence compares the focus of two classes; this network knows one")
    if "consistency" in wanted and len(modules) < 2:
        raise ValueError("consistency joins two STF-GCN modules; this network has one")
    compared = 2 if "consistency" in wanted else int("divergence" in wanted)
    seen, taught = modules[-compared:], compared
    if "adjacency" in wanted:
        seen, taught = modules, len(modules) if config.moving_target else compared
    first = [present_rows(q, batch.present) for q in _focuses(logits, explained, seen, again=taught)]
    if "divergence" in wanted:
        best, second = logits.topk(2, dim=1).indices.T
        rival = torch.where(best == explained, second, best)
        other = _focuses(logits, rival, modules[-1:], again=1)[0]
        found["divergence"] = losses.divergence(first[-1], present_rows(other, batch.present))
    if "adjacency" in wanted:
        targets = first if config.moving_target else [q.detach() for q in first]
        pairs = zip(targets, modules, strict=True)
        distances = [losses.adjacency(q, present_rows(module.beta, batch.present)) for q, module in pairs]
        found["adjacency"] = torch.stack(distances).mean()
    if "consistency" in wanted:
        longer, shorter = modules[-2:]
        lengths = present_rows(longer.lengths, batch.present)
        last = losses.resized(first[-1], lengths, longer.beta.shape[1], shorter.stride // longer.stride)
        found["consistency"] = losses.consistency(first[-2], last)
    return found


def exploration(model: nn.Module, batch: Batch, config: FocusLosses) -> torch.Tensor:
    """Score that is left of the predicted class once the last module's focus is hidden from the input.

    Notes
    -----
    Both passes use the running statistics of normalisations: masked clips must not move them, and what the trained
    network will do with a masked clip is what is meant. The gradient goes through the score and, a second time, through
    the focus. Coordinates are hidden by moving them to the mean of the frame's joints, before a network of another
    stream makes bones or motion of them. Autocast reaches the network alone: in 16 bits the score of a sure network has
    no slope.
    """
    with evaluation_mode(model):
        with watch(model) as modules:
            logits = model(batch.x, batch.lengths, batch.present)
        explained = batch.labels if config.explained == "label" else logits.argmax(dim=1)
        q = present_rows(_focuses(logits, explained, modules[-1:], again=1)[0], batch.present)
        persons = batch.x.permute(0, 4, 1, 2, 3)  # (N, M, C, T, V)
        own = persons[batch.present]
        lengths = batch.lengths[batch.present.nonzero()[:, 0]]
        q = losses.resized(losses.scaled(q), lengths, own.shape[2], modules[-1].stride)
        masked = persons.clone()
        masked[batch.present] = losses.masked_input(own, q, own.mean(dim=3, keepdim=True))
        logits = model(masked.permute(0, 2, 3, 4, 1), batch.lengths, batch.present)
    with torch.autocast(logits.device.type, enabled=False):
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return losses.exploration(exact, explained, score=config.score)


class FocusMaps(NamedTuple):
    """The last module's focus on a class, and its guess of it; absent persons and padded frames are 0."""

    focus: Float[np.ndarray, "N M T_l V"]
    beta: Float[np.ndarray, "N M T_l V"]
    stride: int  # frames of the input for one of the maps


def focus_maps(model: nn.Module, batch: Batch, target: torch.Tensor | None = None) -> FocusMaps:
    """Look at the last module's focus on the predicted classes, or on `target` (N,), in evaluation mode."""
    batch = batch.to(next(model.parameters()).device)
    with torch.enable_grad(), evaluation_mode(model):
        x = batch.x.detach().clone().requires_grad_()  # joins the modules to the graph even where weights are frozen
        with watch(model) as modules:
            logits = model(x, batch.lengths, batch.present)
        target = logits.argmax(dim=1) if target is None else target
        focus = _focuses(logits, target, modules[-1:], again=0)[0]
    found = []
    for values in (focus, modules[-1].beta):
        values = present_rows(values, batch.present)
        out = values.new_zeros(*batch.present.shape, *values.shape[1:])
        out[batch.present] = values
        found.append(out.detach().float().cpu().numpy())
    return FocusMaps(*found, stride=modules[-1].stride)


def balanced(model: nn.Module, batch: Batch, config: FocusLosses, classification: float) -> dict[str, float]:
    """Weights for all four terms, measured on one batch: powers of ten that bring each to the classification loss.

    The paper chooses weights so; its numbers are not known. Exploration's is worth something with SGD alone, whose
    steps are as long as slopes are steep. The batch should hold many classes. Normalisations take its mean and
    variance, as in training; the network stays as it is.
    """
    model = copy.deepcopy(model).train()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.momentum = 1.0  # so that exploration, in evaluation mode, finds this batch's statistics
    probe = replace(config, divergence=1.0, adjacency=1.0, consistency=1.0)
    with watch(model) as modules:
        logits = model(batch.x, batch.lengths, batch.present)
    values = {name: value.item() for name, value in terms(logits, batch, modules, probe).items()}
    values["exploration"] = exploration(model, batch, probe).item()
    return losses.balanced_weights(values, classification)


def _focuses(logits: torch.Tensor, classes: torch.Tensor, modules: list[Module], *, again: int) -> list[torch.Tensor]:
    """Focus of each module on one class per clip, in float32 at least; only the last `again` may be taught.

    A module's features lead to the score through its own convolutions, whose slopes are enough to weigh channels by
    (`ScaleConv.mean_slope`), and through its graph. Features of the block's other path are the same, but not these.
    Through an earlier focus goes a part of its slope alone, for want of a second-order graph; detach it.
    """
    score = logits.gather(1, classes[:, None]).sum()
    exact = torch.promote_types(logits.dtype, torch.float32)
    if not all(end.requires_grad for module in modules for end in _ends(module)):
        raise ValueError(
            "an STF-GCN module and all before it are frozen: no slope tells its focus; tune it, or no terms"
        )
    found = []
    with features_explained():
        slopes = iter(_slopes(score, modules, again))
    with torch.autocast(logits.device.type, enabled=False):
        for module in modules:
            alpha = module.adjacency.mean_slope(next(slopes).to(exact), module.beta, module.mask)
            cells = num_cells(module.beta, module.mask)[:, None]
            for conv, _ in module.convs:
                alpha = alpha + conv.mean_slope(next(slopes).to(exact), module.graph, module.lengths) / cells
            found.append(losses.focus(module.features.to(exact), alpha, module.mask))
    return found


def _ends(module: Module) -> list[torch.Tensor]:
    return [module.beta, *(output for _, output in module.convs)]


def _slopes(score: torch.Tensor, modules: list[Module], again: int) -> tuple[torch.Tensor, ...]:
    """Slopes with respect to the ends of all modules, in order; with a graph of their own for the last `again`.

    Such a graph takes time and memory as far as it reaches. It stops in front of the block of the first of these
    modules, and from there slopes go down to earlier blocks without one.
    """
    border = len(modules) - again
    while 0 < border < len(modules) and modules[border - 1].features is modules[border].features:  # of one block
        border -= 1
    early = [end for module in modules[:border] for end in _ends(module)]
    late = [end for module in modules[border:] for end in _ends(module)]
    if not early or not late:
        return torch.autograd.grad(score, early or late, create_graph=bool(late), retain_graph=True)
    entering = modules[border].features
    *found, slope = torch.autograd.grad(score, [*late, entering], create_graph=True)
    return (*torch.autograd.grad(entering, early, slope, retain_graph=True), *found)
