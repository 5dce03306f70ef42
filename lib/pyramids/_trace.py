"""One forward pass, watched: the layers of any network, and which kernels reach which of their input channels.

Every operator that PyTorch runs for the clip passes through `Tracer`, whatever Python made it run, so that branches,
loops, functional calls and modules of any kind are seen as they are. `_rules` carries labels of origin along, `_plain`
takes apart what networks on skeletons compute in one product.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lib.clips import Batch
from lib.models.layers import evaluation_mode
from lib.pyramids._clips import arguments
from lib.pyramids._layers import Trace
from lib.pyramids._plain import FORMS
from lib.pyramids._sources import NONE
from lib.pyramids._tracer import Tracer


def trace(
    model: nn.Module,
    clip: torch.Tensor | Batch,
    *,
    kept: Collection[tuple[str, int]] = (),
    watched: str | None = None,
) -> Trace:
    """Run a clip through a network, in evaluation mode and without gradients, and find its layers.

    Parameters
    ----------
    model
        Any module that gives logits (1, classes). Modes and weights are afterwards what they were.
    clip
        (1, C, T, H, W); for a network on skeletons a batch of one clip.
    kept
        Kernels, (layer's name, kernel), whose output is wanted everywhere: `Trace.maps`.
    watched
        Name of a convolution whose input is wanted: `Trace.given`.

    Notes
    -----
    Layers are convolutions (of one, two or three dimensions, grouped, transposed) and matrices of weights. What lies
    between carries origins along: per channel for normalisations (their statistics do not count as connections),
    activations, pooling and padding; element by element for views, permutations, slices and concatenations. A sum
    splits into signed shares, a product counts for both factors. Operators that are not known are taken to mix
    everything, with a warning.

    In networks on skeletons every adjacency partition or scale of a graph convolution is a layer, ``layers.0.gcn:2``,
    and so is every dilation of MS-G3D's temporal convolutions, ``layers.0.after:0``; frames of a window are taps of the
    layer that collapses it. Partitions are sides of a sum. A clip's own graph counts as given, like the fixed one.
    Padded frames and absent persons are left out, unless the network itself counts them (``pooling="mean"``).
    """
    tracer = Tracer(kept, watched)
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        evaluation_mode(model),
        _module_names(model) as tracer.stack,
        _plain_forms(model, tracer),
        tracer,
    ):
        x, *rest = arguments(model, clip)
        tracer.labels[x] = torch.full((1,) * x.ndim, NONE).expand(x.shape)
        logits = model(x, *rest)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[0] != 1:
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(f"the model gives {found}, needed logits (1, classes); wrap it in a module that picks them")
    if not tracer.knows(logits):
        raise ValueError("the model's logits do not come from the clip")
    if not bool(torch.isfinite(logits).all()):
        raise ValueError(f"the model's logits are {logits[0].tolist()[:5]}, needed finite numbers; check its weights")
    outputs = tuple(tracer.sources[label] for label in tracer.labels_of(logits)[0].tolist())
    return Trace(tuple(tracer.layers), logits[0].detach(), outputs, tracer.maps, tracer.given)


@contextmanager
def _module_names(model: nn.Module) -> Iterator[list[str]]:
    """Names of the modules whose forward is running, the innermost last."""
    stack, handles = [], []

    def enter(name):
        return lambda module, inputs: stack.append(name)

    def leave(module, inputs, output):
        stack.pop()

    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(enter(name or type(module).__name__)))
            handles.append(module.register_forward_hook(leave))
        yield stack
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _plain_forms(model: nn.Module, tracer: Tracer) -> Iterator[None]:
    """Let the tracer see plain forms in place of the modules that have one."""
    handles = []

    def enter(module, inputs):
        tracer.pauses += 1

    def leave(name):
        def label(module, inputs, output):
            tracer.pauses -= 1
            form = FORMS[type(module)]
            if form is not None and tracer.pauses == 0:
                tracer.labels[output] = tracer.labels_of(form(tracer, name, module, *inputs))

        return label

    try:
        for name, module in model.named_modules():
            if type(module) in FORMS:
                handles.append(module.register_forward_pre_hook(enter))
                handles.append(module.register_forward_hook(leave(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()
