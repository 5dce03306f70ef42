"""Distances at every layer of a network, with windows that span the same time in each."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from tqdm.auto import tqdm

from lib.dtw._pairwise import pairwise
from lib.dtw._windows import check_options


def by_layer(
    sequences: Mapping[str, Sequence[np.ndarray]],
    layer_strides: Mapping[str, int],
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: int | float | None = None,
    normalize: str | None = None,
    device: Any = "cpu",
    store: str | os.PathLike | None = None,
    client: Any = None,
    progress: bool = False,
) -> dict[str, Float32[Any, "N N"]]:
    """Pairwise distances of the same clips at several layers.

    Parameters
    ----------
    sequences
        {layer: list of (T_l, D) features}, as `lib.features.extract` returns them.
    layer_strides
        {layer: input frames per frame of the layer}, a network's own attribute of that name.
    window_size, stride
        In frames of the *input*; a layer whose frames span s of them uses ``max(1, window_size // s)`` and
        ``max(1, stride // s)``, so that windows cover the same stretch of time in every layer
        (exactly so where both are multiples of every s).
    radius, normalize, device, client
        As in `pairwise`; a fractional radius is the same share of time in every layer.
    store
        Folder that takes one store per layer, named by it (see `pairwise`); a call that was stopped goes on there.
    progress
        Show a bar that counts layers, and with `store` or `client` one that counts each layer's pairs.
    """
    check_options(window_size, stride, radius, normalize)  # here, as a layer's own are at least 1
    distances = {}
    for layer, part in tqdm(sequences.items(), desc="distances", unit="layer", disable=not progress):
        step = layer_strides[layer]
        distances[layer] = pairwise(
            part,
            window_size=max(1, window_size // step),
            stride=max(1, stride // step),
            radius=radius,
            normalize=normalize,
            device=device,
            store=None if store is None else Path(store) / layer,
            client=client,
            progress=progress and (store is not None or client is not None),
        )
    return distances
