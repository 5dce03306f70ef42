"""Distances at every layer of a network, with windows that span the same time in each."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32
from tqdm.auto import tqdm

from lib.dtw._pairwise import pairwise


def by_layer(
    sequences: Mapping[str, Sequence[np.ndarray]],
    layer_strides: Mapping[str, int],
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: int | float | None = None,
    normalize: str | None = None,
    progress: bool = False,
) -> dict[str, Float32[np.ndarray, "N N"]]:
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
    radius, normalize
        As in `pairwise`; a fractional radius is the same share of time in every layer.
    progress
        Show a bar that counts layers.
    """
    distances = {}
    for layer, part in tqdm(sequences.items(), desc="distances", unit="layer", disable=not progress):
        step = layer_strides[layer]
        distances[layer] = pairwise(
            part,
            window_size=max(1, window_size // step),
            stride=max(1, stride // step),
            radius=radius,
            normalize=normalize,
        )
    return distances
