"""One forward pass, watched: the layers of any network, and which kernels reach which of their input channels.

Every operator that PyTorch runs for the clip passes through `Tracer`, whatever Python made it run, so that branches,
loops, functional calls and modules of any kind are seen as they are. `_rules` carries labels of origin along.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from lib.models.layers import evaluation_mode
from lib.pyramids import _rules
from lib.pyramids._layers import Layer, Trace, meetings
from lib.pyramids._sources import NONE, Sources, merged


def trace(model: nn.Module, clip: torch.Tensor) -> Trace:
    """Run a clip through a network, in evaluation mode and without gradients, and find its layers.

    Parameters
    ----------
    model
        Any module that gives logits (1, classes). Modes and weights are afterwards what they were.
    clip
        (1, C, T, H, W).

    Notes
    -----
    Layers are convolutions (of one, two or three dimensions, grouped, transposed) and matrices of weights. What lies
    between carries origins along: per channel for normalisations (their statistics do not count as connections),
    activations, pooling and padding; element by element for views, permutations, slices and concatenations. A sum
    splits into signed shares, a product counts for both factors. Operators that are not known are taken to mix
    everything, with a warning.
    """
    tracer = Tracer()
    with torch.inference_mode(False), torch.no_grad(), evaluation_mode(model), _module_names(model) as stack, tracer:
        tracer.stack = stack
        clip = clip.detach().clone()
        tracer.labels[clip] = torch.full((1,) * clip.ndim, NONE).expand(clip.shape)
        logits = model(clip)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[0] != 1:
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(f"the model gives {found}, needed logits (1, classes); wrap it in a module that picks them")
    if not tracer.knows(logits):
        raise ValueError("the model's logits do not come from the clip")
    outputs = tuple(tracer.sources[label] for label in tracer.labels_of(logits)[0].tolist())
    return Trace(tuple(tracer.layers), logits[0].detach(), outputs)


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


class Tracer(TorchDispatchMode):
    """Sees every operator of a forward pass; keeps labels of origin beside tensors, and layers as they ran."""

    def __init__(self):
        super().__init__()
        self.sources = Sources()
        self.layers: list[Layer] = []
        self.labels = WeakTensorKeyDictionary()
        self.stack: list[str] = []
        self._overwritten: tuple[torch.Tensor, torch.Tensor] | None = None

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor comes from the clip."""
        return tensor in self.labels

    def labels_of(self, tensor: torch.Tensor) -> torch.Tensor:
        """Labels of a tensor, those of nothing if it does not come from the clip."""
        if tensor in self.labels:
            return self.labels[tensor]
        return torch.full((1,) * tensor.ndim, NONE).expand(tensor.shape)

    def before(self, tensor: torch.Tensor) -> torch.Tensor:
        """Values of the first side of a sum, also where the sum has been written over them."""
        if self._overwritten is not None and self._overwritten[0] is tensor:
            return self._overwritten[1]
        return tensor

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operator, and find where its result comes from."""
        kwargs = kwargs or {}
        given = _named(func, args, kwargs)
        if not any(self.knows(tensor) for tensor in _rules.tensors(given)):
            return func(*args, **kwargs)
        with self:  # operators that are made of others are seen as these
            pieces = func.decompose(*args, **kwargs)
        if pieces is not NotImplemented:
            return pieces
        written = _written(func, given)
        name = func.overloadpacket.__name__.removesuffix("_")
        given["name"] = name
        if name in ("add", "sub") and written is not None:
            self._overwritten = written, written.clone()
        out = func(*args, **kwargs)
        self._label(func, name, given, args, kwargs, out, written)
        self._overwritten = None
        return out

    def _label(self, func, name, given, args, kwargs, out, written) -> None:
        """Set the labels of what an operator has made."""
        made = [part for part in (out if isinstance(out, list | tuple) else [out]) if isinstance(part, torch.Tensor)]
        if name in _rules.UNRELATED:
            if written is not None:
                self._assign(written, torch.full((1,) * written.ndim, NONE).expand(written.shape))
            return
        if not made:
            return
        if name in _rules.MOVED:
            self._move(func, args, kwargs, made)
            return
        first = made[0] if written is None else written
        layer = self._layer(name, given, first)
        if layer is not None:
            labels = layer
        else:
            rule = _rules.rule_for(name, func)
            if rule is None:
                if not first.is_floating_point():
                    return  # positions and masks
                warnings.warn(
                    f"{func.overloadpacket} in {self._place()} is not known: its result is taken to depend on every "
                    "kernel that enters it",
                    stacklevel=2,
                )
                rule = _rules.mixed
            labels = rule(self, given, first)
        if written is None:
            self.labels[first] = labels
        else:
            self._assign(written, labels)

    def _move(self, func, args, kwargs, made: list[torch.Tensor]) -> None:
        """Labels move as their values do: the operator itself says how."""

        def as_labels(value, first):
            if isinstance(value, list | tuple):
                return type(value)(as_labels(part, first) for part in value)
            if not isinstance(value, torch.Tensor):
                return value
            # indices of `index` and `gather` are no maps
            return self.labels_of(value) if first or value.is_floating_point() else value.cpu()

        moved = func(*[as_labels(value, place == 0) for place, value in enumerate(args)], **kwargs)
        for tensor, labels in zip(made, moved if isinstance(moved, list | tuple) else [moved], strict=True):
            self.labels[tensor] = labels

    def _assign(self, tensor: torch.Tensor, labels: torch.Tensor) -> None:
        """Set labels of a tensor that was written to, and of the tensor of which it is a view."""
        self.labels[tensor] = labels.expand(tensor.shape)
        base = tensor._base
        if base is not None:
            whole = torch.empty_like(base, dtype=torch.int64, device="cpu").copy_(self.labels_of(base))
            view = whole.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset() - base.storage_offset())
            view.copy_(labels.expand(tensor.shape))
            self.labels[base] = whole

    def _place(self) -> str:
        return self.stack[-1] if self.stack else "the model"

    def _layer(self, name: str, given, out: torch.Tensor) -> torch.Tensor | None:
        """Record an operator that is a layer, and give the labels of its output; None if it is none."""
        if name == "convolution":
            if not self.knows(given["input"]):
                return None
            return self._convolution(given, out)
        if name in ("mm", "addmm"):
            summand, left, right = _rules.factors(given)
            if self.knows(left) and not self.knows(right) and not (summand is not None and self.knows(summand)):
                labels = merged(self.labels_of(left), [0], self.sources).expand(1, left.shape[1])[0]
                means = left.double().mean(dim=0).cpu()
                return self._record(right.t(), 1, False, means, means, labels)[None].expand(out.shape)
        return None

    def _convolution(self, given, out: torch.Tensor) -> torch.Tensor:
        x, weight = given["input"], given["weight"]
        axes = range(2, x.ndim)
        labels = merged(self.labels_of(x), [0, *axes], self.sources).reshape(-1).expand(x.shape[1])
        mean = x.mean(dim=0).double()
        sums = mean
        for axis in axes:
            sums = torch.tensordot(sums, meetings(given, axis - 2, x, out).to(sums), dims=([1], [1]))
        sums = sums / out[0, 0].numel()
        made = self._record(
            weight, given["groups"], given["transposed"], sums.cpu(), mean.flatten(1).mean(dim=1).cpu(), labels
        )
        return made.reshape(1, -1, *[1] * len(axes)).expand(out.shape)

    def _record(self, weight, groups, transposed, sums, means, labels) -> torch.Tensor:
        inputs = tuple(self.sources[label] for label in labels.tolist())
        level = 1 + max((self.layers[source].level for share in inputs for source, _ in share), default=0)
        names = {layer.name for layer in self.layers}
        name, count = self._place(), 2
        while name in names:
            name, count = f"{self._place()}:{count}", count + 1
        layer = Layer(name, weight.detach().cpu(), groups, transposed, sums, means, inputs, level)
        self.layers.append(layer)
        return self.sources.of_layer(len(self.layers) - 1, layer.num_kernels)


def _named(func, args, kwargs) -> dict[str, object]:
    """Arguments of an operator by name, defaults included."""
    given = {}
    for place, argument in enumerate(func._schema.arguments):
        if place < len(args) and not argument.kwarg_only:
            given[argument.name] = args[place]
        elif argument.name in kwargs:
            given[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            given[argument.name] = argument.default_value
    return given


def _written(func, given) -> torch.Tensor | None:
    """Return the tensor that an operator writes into, if it does; statistics of normalisations are none."""
    for argument in func._schema.arguments[:1] + [a for a in func._schema.arguments if a.name == "out"]:
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = given.get(argument.name)
            if isinstance(value, torch.Tensor):
                return value
    return None
