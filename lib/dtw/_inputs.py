"""Sequences as users have them, turned into (n, D) float arrays or refused with their place and reason."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def check_sequence(value: Any, name: str) -> np.ndarray:
    """One sequence as a C-contiguous (n, D) float32 or float64 array; a copy only where dtype or order need one.

    Finiteness is not looked at here, see `require_finite`.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} cannot be read as an array of frames by dimensions: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}; needed real numbers (bool, int or float)")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {array.shape}; needed (frames, dimensions) or (frames,)")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; needed at least one frame and one dimension")
    dtype = np.float32 if array.dtype in (np.float16, np.float32) else np.float64
    array = np.ascontiguousarray(array, dtype=dtype)
    return array[:, None] if array.ndim == 1 else array


def check_sequences(values: Any, name: str) -> list[np.ndarray]:
    """Every sequence of a list, a tuple, any iterable, or one (N, T, D) or (N, T) array."""
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise ValueError(f"{name} is of type {type(values).__name__}; needed a list of arrays or one (N, T, D) array")
    try:
        arrays = [check_sequence(value, f"{name}[{index}]") for index, value in enumerate(values)]
    except TypeError as error:  # a 0-d array claims to be iterable
        raise ValueError(
            f"{name} cannot be iterated: {error}; needed a list of arrays or one (N, T, D) array"
        ) from error
    if not arrays:
        raise ValueError(f"{name} is empty; needed at least one sequence")
    for index, array in enumerate(arrays):
        require_dimensions(array, f"{name}[{index}]", arrays[0].shape[1], f"{name}[0]")
    return arrays


def require_dimensions(array: np.ndarray, name: str, needed: int, reference: str) -> None:
    """Refuse a sequence whose frames have another number of dimensions than the reference."""
    if array.shape[1] != needed:
        raise ValueError(f"{name} has D={array.shape[1]} dimensions per frame but {reference} has D={needed}")


def require_finite(array: np.ndarray, name: str) -> None:
    """Refuse NaN and infinity, saying where the first one stands."""
    bad = ~np.isfinite(array)
    if bad.any():
        frame, dimension = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} has {array[frame, dimension]} at frame {frame}, dimension {dimension} "
            f"({bad.sum()} such values); needed finite numbers: cut padding to the true length, fill gaps"
        )
