"""Weights published for the original MS-G3D, under our names."""

import torch

from lib.models.msg3d import MSG3D
from lib.models.multiscale import DILATIONS, NUM_BRANCHES


def from_reference(state: dict[str, torch.Tensor], model: MSG3D) -> dict[str, torch.Tensor]:
    """Rename the weights of the published code (``model/msg3d.py``) to ours, joining what we compute at once.

    Unknown names, and pieces of which others are missing, pass through unchanged.
    """
    left = dict(state)
    norms = len(model.input_norms)
    if norms == 1 and "data_bn.weight" in left and len(left["data_bn.weight"]) != len(model.input_norms[0].weight):
        persons = len(left["data_bn.weight"]) / len(model.input_norms[0].weight)
        raise ValueError(
            f"data_bn.weight {tuple(left['data_bn.weight'].shape)} normalises {persons:g} persons, each for itself; "
            f"build the network with num_persons={persons:g}, and pooling='mean' for published scores"
        )
    renamed = {}
    for name in [name for name in left if name.startswith("data_bn.")]:
        value, rest = left.pop(name), name.removeprefix("data_bn.")
        parts = value.chunk(norms) if value.ndim else [value] * norms
        renamed |= {f"input_norms.{slot}.{rest}": part for slot, part in enumerate(parts)}
    for ours, theirs in _correspondence(model).items():
        for rest in ("", ".weight", ".bias", ".running_mean", ".running_var", ".num_batches_tracked"):
            names = [f"{piece}{rest}" for piece in theirs]
            pieces = [left[name] for name in names if name in left]
            if len(pieces) < len(names) or len({piece.shape for piece in pieces}) > 1:
                continue
            for name in names:
                del left[name]
            if ours.endswith(".taps"):
                renamed[ours + {".weight": "", ".bias": "_bias"}[rest]] = _stacked_taps(pieces)
                continue
            value = torch.cat(pieces) if pieces[0].ndim else pieces[0]
            if value.ndim == 5:
                value = value.transpose(1, 3)  # (C', C, 1, w, 1): frames of the window before channels
            renamed[ours + rest] = value.flatten(1) if value.ndim > 2 else value
    return renamed | left


def _stacked_taps(pieces: list[torch.Tensor]) -> torch.Tensor:
    """Bring kernels (b', b, 3, 1), one per dilation, to (D, 3 b, b'); biases (b',) to (D, b')."""
    stacked = torch.stack(pieces)
    return stacked.permute(0, 3, 2, 1, 4).flatten(3).flatten(1, 2) if stacked.ndim == 5 else stacked


def _correspondence(model: MSG3D) -> dict[str, list[str]]:
    """Name the published modules whose weights, one after the other, are each of ours."""
    table = {"classifier": ["fc"]}
    for index, block in enumerate(model.layers):
        ours, number = f"layers.{index}", index + 1
        table[f"{ours}.spatial.A_res"] = [f"sgcn{number}.0.A_res"]
        table[f"{ours}.spatial.mix"] = [f"sgcn{number}.0.mlp.layers.0"]
        table[f"{ours}.spatial_norm"] = [f"sgcn{number}.0.mlp.layers.1"]
        for size in range(len(block.windows)):
            path, there = f"{ours}.windows.{size}", f"gcn3d{number}.gcn3d.{size}"
            table[f"{path}.conv.A_res"] = [f"{there}.gcn3d.1.A_res"]
            table[f"{path}.conv.mix"] = [f"{there}.gcn3d.1.mlp.layers.0"]
            table[f"{path}.norm"] = [f"{there}.gcn3d.1.mlp.layers.1"]
            table[f"{path}.collapse"] = [f"{there}.out_conv"]
            table[f"{path}.out_norm"] = [f"{there}.out_bn"]
        temporal = {"temporal.0": f"sgcn{number}.1", "temporal.1": f"sgcn{number}.2", "after": f"tcn{number}"}
        for name, there in temporal.items():
            path, dilated = f"{ours}.{name}", range(len(DILATIONS))
            kernels, last = range(NUM_BRANCHES - 1), NUM_BRANCHES - 1
            table[f"{path}.enter"] = [f"{there}.branches.{branch}.0" for branch in kernels]
            table[f"{path}.enter_norm"] = [f"{there}.branches.{branch}.1" for branch in kernels]
            table[f"{path}.taps"] = [f"{there}.branches.{branch}.3.conv" for branch in dilated]
            table[f"{path}.point"] = [f"{there}.branches.{last}.0"]
            ends = [f"{branch}.3.bn" for branch in dilated] + [f"{last - 1}.4", f"{last}.1"]
            table[f"{path}.out_norm"] = [f"{there}.branches.{end}" for end in ends]
            table[f"{path}.residual"] = [f"{there}.residual.conv"]
            table[f"{path}.residual_norm"] = [f"{there}.residual.bn"]
    return table
