"""What sees every operator of a forward pass, carries labels of origin along and records layers."""

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from lib.pyramids import _rules
from lib.pyramids._layers import Layer, meetings
from lib.pyramids._sources import NONE, Sources, merged


class Tracer(TorchDispatchMode):
    """Sees every operator of a forward pass; keeps labels of origin beside tensors, and layers as they ran.

    Of the kernels `kept`, (layer's name, kernel), it keeps what they give everywhere: `maps`, clips before places. Of
    the layer `watched`, a convolution, it keeps what it was given: `given`.
    """

    def __init__(self, kept: Collection[tuple[str, int]] = (), watched: str | None = None):
        super().__init__()
        self.kept, self.watched = frozenset(kept), watched
        self.maps: dict[tuple[str, int], torch.Tensor] = {}
        self.given: dict[str, object] = {}
        self.sources = Sources()
        self.layers: list[Layer] = []
        self.labels = WeakTensorKeyDictionary()
        self.stack: list[str] = []
        self.pauses = 0
        self._overwritten: tuple[torch.Tensor, torch.Tensor] | None = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within this, operators run unseen."""
        self.pauses += 1
        try:
            yield
        finally:
            self.pauses -= 1

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Within this, layers have this name."""
        self.stack.append(name)
        try:
            yield
        finally:
            self.stack.pop()

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
        if self.pauses or not any(self.knows(tensor) for tensor in _rules.tensors(given)):
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
                means = left.double().mean(dim=0)
                made = self.record(right.t(), means, means, labels, out)
                return made[None].expand(out.shape)
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
        means = mean.flatten(1).mean(dim=1)
        made = self.record(weight, sums, means, labels, out, groups=given["groups"], transposed=given["transposed"])
        if self.layers[-1].name == self.watched:  # a copy: others may write over it
            self.given = {name: given[name] for name in ("stride", "padding", "dilation")} | {"input": x.clone()}
        return made.reshape(1, -1, *[1] * len(axes)).expand(out.shape)

    def record(
        self,
        weight: torch.Tensor,
        sums: torch.Tensor,
        means: torch.Tensor,
        labels: torch.Tensor,
        out: torch.Tensor,
        *,
        groups: int = 1,
        transposed: bool = False,
    ) -> torch.Tensor:
        """Add a `Layer` with labels (C,) of its input and output (N, C', ...), and give labels (C',) of the output."""
        inputs = tuple(self.sources[label] for label in labels.tolist())
        level = 1 + max((self.layers[source].level for share in inputs for source, _ in share), default=0)
        names = {layer.name for layer in self.layers}
        name, count = self._place(), 2
        while name in names:
            name, count = f"{self._place()}:{count}", count + 1
        layer = Layer(name, weight.detach().cpu(), groups, transposed, sums.cpu(), means.cpu(), inputs, level)
        self.layers.append(layer)
        for kernel in range(layer.num_kernels):
            if (name, kernel) in self.kept:
                self.maps[name, kernel] = out[:, kernel].clone()
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
