"""A trained network as the start of another: weights taken over, shallow layers kept as they are."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from lib import training
from lib.clips import ClipSet

CLASSIFIER = "classifier."


def start(model: nn.Module, source: nn.Module, num_tuned: int) -> nn.Module:
    """Give `model` the weights of `source`, all but the classifier's, and leave the last layers to be tuned; in place.

    Parameters
    ----------
    model
        Fresh network of the source's kind, for the target's classes.
    source
        Trained network. Both have ``classifier`` and ``layer_names``, as the networks on skeletons do.
    num_tuned
        How many of the last layers learn beside the classifier; 0: the classifier alone. With all of them the
        normalisation of the input learns as well. The others are frozen: `training.fit` leaves their weights and
        running statistics as they are.

    Raises
    ------
    ValueError
        More layers than there are, or networks that differ in more than their classes.
    """
    names = model.layer_names
    if not 0 <= num_tuned <= len(names):
        raise ValueError(f"num_tuned={num_tuned}; {type(model).__name__} has {len(names)} layers")
    weights = {name: value for name, value in source.state_dict().items() if not name.startswith(CLASSIFIER)}
    own = {name: value for name, value in model.state_dict().items() if not name.startswith(CLASSIFIER)}
    differs = [n for n in sorted(weights.keys() | own.keys()) if _shape(weights.get(n)) != _shape(own.get(n))]
    if differs:
        raise ValueError(
            f"source and model differ in {differs[:3]}, {_shape(weights.get(differs[0]))} there, "
            f"{_shape(own.get(differs[0]))} here; needed networks that differ in their classes only"
        )
    model.load_state_dict(weights, strict=False)
    tuned = (CLASSIFIER, *(f"{name}." for name in names[len(names) - num_tuned :]))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(num_tuned == len(names) or name.startswith(tuned))
    return model


def with_norms(model: nn.Module, norms: str, clips: ClipSet) -> nn.Module:
    """Return `model` with the statistics that its frozen normalisations are to have.

    ``norms="source"`` keeps those it was trained with, ``"target"`` gives a copy those of `clips`, prepared
    (`training.calibrate_norms`). Layers that are tuned measure their own in any case.
    """
    if norms not in ("source", "target"):
        raise ValueError(f"norms={norms!r}; choose 'source' or 'target'")
    return model if norms == "source" else training.calibrate_norms(copy.deepcopy(model), clips)


def parse_depths(text: str, num_layers: int) -> list[int]:
    """Numbers of tuned layers from text like ``"0 1 4 10"``, each once, from 0 to `num_layers`, in order."""
    try:
        depths = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        depths = []
    if not depths or len(set(depths)) < len(depths) or not all(0 <= depth <= num_layers for depth in depths):
        raise ValueError(f"depths={text!r}; needed whole numbers from 0 to {num_layers}, each once, as in '0 1 4'")
    return sorted(depths)


def last_frozen(layer_names: Sequence[str], num_tuned: int) -> str | None:
    """Layer whose output the tuned layers see; None when they see the clip itself."""
    return layer_names[-num_tuned - 1] if num_tuned < len(layer_names) else None


def _shape(value: torch.Tensor | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value.shape)
