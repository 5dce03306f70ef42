"""Layer outputs out of a network: torch in, one NumPy sequence per clip out."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from lib import paths
from lib.clips import Batch, ClipSet
from lib.models.layers import evaluation_mode

POOLS = {"none": None, "joints": 3, "channels": 1}  # axis of (P, C, T, V) that is averaged


@contextmanager
def capture(model: nn.Module, layers: Sequence[str], *, guard: bool = False) -> Iterator[dict[str, torch.Tensor]]:
    """Collect the outputs of modules by name while the context is open.

    Yields a dict that each forward pass fills, in the order in which the layers ran. Tensors are the module's own
    outputs, attached to the graph if there is one. On leaving, also by an error, every hook is gone; modes, gradient
    flags and inputs are never touched. With `guard` the rest of the network gets a copy, so that an activation which
    works in place cannot overwrite what was collected.
    """
    modules = dict(model.named_modules())
    if unknown := [name for name in layers if name not in modules]:
        choices = getattr(model, "layer_names", sorted(modules)[1:])
        raise ValueError(f"no layers {unknown} in {type(model).__name__}; it has {list(choices)}")
    outputs: dict[str, torch.Tensor] = {}

    def keep(name):
        def hook(module, inputs, output):
            outputs.pop(name, None)
            outputs[name] = output
            return output.clone() if guard else None

        return hook

    handles = []
    try:
        for name in layers:
            handles.append(modules[name].register_forward_hook(keep(name)))
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def extract(
    model: nn.Module,
    clips: ClipSet,
    layers: Sequence[str] | None = None,
    *,
    pool: str = "none",
    batch_size: int = 64,
    store: str | Path | None = None,
    progress: bool = False,
) -> dict[str, list[np.ndarray]]:
    """Every clip's features at every layer, padding trimmed, persons averaged.

    Parameters
    ----------
    model
        A network of `lib.models`: its `layer_strides` say how many true frames a layer has left. Used where it is, in
        evaluation mode, and returned to the mode it was in.
    layers
        Names from ``model.layer_names``; all of them by default.
    pool
        What one frame's vector is: ``"none"`` all channels of all joints (D = C V), ``"joints"`` the mean over joints
        (D = C), ``"channels"`` the mean over channels (D = V).
    store
        Folder for one ``<layer>.npy`` per layer, filled batch by batch through a memory map, so that memory holds one
        batch whatever N is. It must not exist, and appears when it is whole. Without it arrays are held in memory.

    Returns
    -------
    {layer: list over clips of (T_i, D) float32}, T_i = ceil(length / stride); lists hold views on one array per layer.
    The mean over present persons stands for the clip.
    """
    if pool not in POOLS:
        raise ValueError(f"pool={pool!r}; choose one of {sorted(POOLS)}")
    names = tuple(layers) if layers is not None else model.layer_names
    if unknown := [name for name in names if name not in model.layer_strides]:
        raise ValueError(f"no layers {unknown} in {type(model).__name__}; it has {list(model.layer_strides)}")
    if len(clips) == 0:
        raise ValueError("clips: empty set; needed at least one clip")
    if store is None:
        return _extract(model, clips, names, pool, batch_size, None, progress)
    store = Path(store)
    if store.exists():
        raise FileExistsError(f"{store} exists; choose another folder or remove it")
    store.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{store.name}-", dir=store.parent))
    try:
        _extract(model, clips, names, pool, batch_size, partial, progress)
        paths.publish(partial, store)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    files = {name: np.load(store / f"{name}.npy", mmap_mode="r") for name in names}
    return {name: np.split(rows, _ends(model, clips, name)[:-1]) for name, rows in files.items()}


def _extract(
    model: nn.Module,
    clips: ClipSet,
    names: tuple[str, ...],
    pool: str,
    batch_size: int,
    folder: Path | None,
    progress: bool,
) -> dict[str, list[np.ndarray]]:
    ends = {name: _ends(model, clips, name) for name in names}
    rows: dict[str, np.ndarray] = {}
    device = next(model.parameters()).device
    start = 0
    with torch.inference_mode(), evaluation_mode(model), capture(model, names) as outputs:
        batches = tqdm(
            clips.batches(batch_size),
            total=-(-len(clips) // batch_size),
            desc="features",
            unit="batch",
            disable=not progress,
        )
        for batch in batches:
            model(*batch.to(device)[:3])
            for name in names:
                for n, sequence in enumerate(_sequences(outputs[name], batch, model.layer_strides[name], pool)):
                    if name not in rows:
                        rows[name] = _allocate(folder, name, (int(ends[name][-1]), sequence.shape[1]))
                    end = ends[name][start + n]
                    rows[name][end - len(sequence) : end] = sequence
            start += len(batch.labels)
    return {name: np.split(rows[name], ends[name][:-1]) for name in names}


def _ends(model: nn.Module, clips: ClipSet, name: str) -> np.ndarray:
    """Row after the last one of each clip at a layer."""
    return np.cumsum(-(-clips.lengths // model.layer_strides[name]))


def _sequences(output: torch.Tensor, batch: Batch, stride: int, pool: str) -> Iterator[np.ndarray]:
    """One (T_i, D) array per clip of the batch from a layer's output (P, C, T_l, V)."""
    output = present_rows(output, batch.present)
    if POOLS[pool] is not None:
        output = output.mean(dim=POOLS[pool], keepdim=True)
    output = output.float().permute(0, 2, 1, 3).flatten(2).cpu().numpy()  # (P, T_l, D)
    owner = batch.present.nonzero()[:, 0].numpy()
    for n, length in enumerate(batch.lengths.tolist()):
        yield output[owner == n, : -(-length // stride)].mean(axis=0)


def present_rows(output: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Rows (P, ...) of present persons from a layer's output; some networks also compute empty slots."""
    return output[present.flatten()] if len(output) == present.numel() else output


def _allocate(folder: Path | None, name: str, shape: tuple[int, int]) -> np.ndarray:
    if folder is None:
        return np.empty(shape, dtype=np.float32)
    return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)
