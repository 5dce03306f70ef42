"""The folder that `ClipSet.save` writes and `ClipSet.load` reads, and the checks of what lies in one."""

import json
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib import paths
from lib.skeletons import Skeleton

if TYPE_CHECKING:
    from lib.clips import ClipSet

_COLUMNS = ("starts", "lengths", "num_persons", "present", "labels", "subjects", "views")
_TEXTS = ("names", "class_names", "fps", "dataset")


def write(clips: "ClipSet", folder: Path) -> Path:
    """Write a set of clips to a new folder, which appears whole or not at all."""
    if folder.exists():
        raise FileExistsError(f"{folder} exists; choose another folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        whole = clips.map()  # gathers a subset's rows into one run
        np.save(partial / "frames.npy", whole.frames)
        arrays = {name: getattr(whole, name) for name in (*_COLUMNS, "truth")}
        np.savez(partial / "index.npz", **{name: array for name, array in arrays.items() if array is not None})
        text = {name: getattr(clips, name) for name in _TEXTS}
        skeleton = {f.name: getattr(clips.skeleton, f.name) for f in fields(Skeleton)}
        (partial / "clips.json").write_text(json.dumps(text | {"skeleton": skeleton}))
        paths.publish(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def read(folder: Path, mmap: bool) -> dict[str, Any]:
    """Return the fields of a ClipSet; frames stay on disk until used when `mmap` is True."""
    try:
        frames = np.load(folder / "frames.npy", mmap_mode="r" if mmap else None, allow_pickle=False)
        with (folder / "index.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as index:
            arrays = {name: index[name] for name in (*_COLUMNS, "truth") if name in index}
        text = json.loads((folder / "clips.json").read_text())
        layout = text.pop("skeleton")
        pairs = {key: tuple(map(tuple, layout.pop(key))) for key in ("edges", "left_right")}
        torso = tuple(layout.pop("torso") or ()) or None
        skeleton = Skeleton(joints=tuple(layout.pop("joints")), torso=torso, **pairs, **layout)
        texts = {name: text[name] for name in _TEXTS}
        texts |= {name: tuple(texts[name]) for name in ("names", "class_names")}
        _check(frames, skeleton, texts, arrays)
    except Exception as error:  # zip, header, JSON, key, type and memory errors, whatever the damage led to
        raise ValueError(f"{folder}: not a folder that ClipSet.save wrote ({error})") from error
    return {"frames": frames, "skeleton": skeleton} | texts | arrays


def _check(frames, skeleton, texts, arrays):
    """Refuse an index that points outside the frames."""
    columns = [arrays[name] for name in _COLUMNS if name in arrays]
    counts, names, rows = {len(column) for column in columns}, texts["names"], len(frames)
    if counts != {len(names)} or not names:
        raise ValueError(f"columns of {sorted(counts)} entries for {len(names)} names")
    if any(column.dtype.kind not in "ib" for column in columns):
        raise ValueError("an index column does not hold integers")
    if frames.ndim != 3 or frames.shape[1] != len(skeleton) or frames.dtype != np.float32:
        raise ValueError(f"frames are {frames.dtype} {frames.shape}, needed float32 (rows, V, C)")
    starts, lengths, num_persons, present, labels = (arrays[name] for name in _COLUMNS[:5])
    low = min(starts.min(), lengths.min() - 1, num_persons.min() - 1)
    high = max(starts.max(), lengths.max(), num_persons.max())  # before a product may overflow
    if low < 0 or high > rows or (starts + lengths * num_persons).max() > rows:
        raise ValueError(f"the index points outside {rows} rows")
    if present.ndim != 2 or present.shape[1] < num_persons.max():
        raise ValueError(f"present is {present.shape} for up to {num_persons.max()} persons")
    truth = arrays.get("truth")
    if truth is not None and (truth.shape != frames.shape[:2] or truth.dtype != bool):
        raise ValueError(f"truth is {truth.dtype} {truth.shape}, needed bool {frames.shape[:2]}")
    if labels.min() < 0 or labels.max() >= len(texts["class_names"]):
        raise ValueError(f"labels reach {labels.max()} for {len(texts['class_names'])} class names")
