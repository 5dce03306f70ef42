"""Distances on disk: a zarr array whose chunks appear whole, one by one, and know which call they belong to.

A chunk's file is its own record of being done. It is written beside its place and renamed (by zarr's local store), so
it is either there with all its bytes or not there, whenever the process dies. A chunk that stands on both sides of the
diagonal counts as done by its upper copy, which is written last.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from lib.dtw._chunks import SIZES, Cut
from lib.dtw._windows import Options

FORMAT, VERSION = "lib.dtw.pairwise", 1


def check_path(store: Any) -> Path:
    """Refuse what is no path, or is a file."""
    if not isinstance(store, str | os.PathLike):
        raise ValueError(f"store={store!r} must be the path of a folder, which need not exist")
    path = Path(store)
    if path.exists() and not path.is_dir():
        raise ValueError(
            f"store={str(store)!r} is a file; needed a folder made by pairwise, or a path where nothing is"
        )
    return path


def fingerprint(
    rows: list[np.ndarray], columns: list[np.ndarray] | None, options: Options, device: Any = None
) -> dict[str, Any]:
    """Everything that decides the distances to the last bit, for the array's attributes."""
    others = None if columns is None else _digest(columns)
    kind = "cpu" if device is None else device.type
    digests = {"sequences": _digest(rows), "others": others}
    return {"format": FORMAT, "version": VERSION, **digests, **options._asdict(), "device": kind}


def _digest(sequences):
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(f"{sequence.dtype.str}{sequence.shape}".encode())
        digest.update(sequence.data)
    return f"sha256 {digest.hexdigest()}"


def open_array(path: Path, expected: dict[str, Any], shape: tuple[int, int]) -> Any:
    """Zarr array that an earlier call left, or None where nothing is; refuses one that this call did not make.

    Raises
    ------
    ValueError
        The folder holds something else, is damaged, or belongs to other data or choices, which are named.
    """
    import zarr

    if not path.exists() or all(entry.suffix == ".partial" for entry in path.iterdir()):
        return None
    if not (path / "zarr.json").is_file():
        raise ValueError(f"store={str(path)!r} holds other files and no zarr.json; choose a path where nothing is")
    try:
        array = zarr.open(path, mode="r+", zarr_format=3)
        attributes = dict(array.attrs)
    except OSError:
        raise
    except Exception as error:  # zarr raises whatever the broken metadata led to
        raise ValueError(
            f"store={str(path)!r} is damaged: its zarr.json cannot be read ({type(error).__name__}: {error})"
        ) from error
    if attributes.get("format") != FORMAT:
        raise ValueError(
            f"store={str(path)!r} is a zarr folder that pairwise did not make; choose a path where nothing is"
        )
    # repr tells a radius of 1 window from one of 1.0, all windows
    differing = [name for name, value in expected.items() if repr(attributes.get(name)) != repr(value)]
    if differing:
        found = "; ".join(f"{name}: {attributes.get(name)!r} there, {expected[name]!r} here" for name in differing)
        raise ValueError(f"store={str(path)!r} belongs to another call: {found}; choose another path, or delete it")
    if (
        not isinstance(array, zarr.Array)
        or array.chunks[0] not in SIZES
        or _layout(array) != _layout(_create(zarr.storage.MemoryStore(), expected, shape, array.chunks[0]))
    ):
        raise ValueError(f"store={str(path)!r} is damaged: its zarr.json was changed; delete the folder to start anew")
    return array


def create(path: Path, attributes: dict[str, Any], shape: tuple[int, int], size: int) -> Any:
    """Make an array of chunks (size, size), all NaN so far."""
    path.mkdir(parents=True, exist_ok=True)
    return _create(path, attributes, shape, size)


def _create(store, attributes, shape, size):
    import zarr

    return zarr.create_array(
        store, shape=shape, chunks=(size, size), dtype="float32", fill_value=np.nan, compressors=None,
        attributes=attributes,
    )  # fmt: skip


def _layout(array):
    return {name: value for name, value in array.metadata.to_dict().items() if name != "attributes"}


def find_done(array: Any, path: Path, cut: Cut) -> set[tuple[int, int]]:
    """Chunks that are finished; refuses files that cannot be ours."""
    needed, done = 4 * cut.size**2, set()
    for chunk in cut.chunks():
        file = path / array.metadata.encode_chunk_key(chunk)
        if not file.exists():
            continue
        for copy in (chunk, chunk[::-1])[: 1 + cut.mirrored(chunk)]:
            file = path / array.metadata.encode_chunk_key(copy)
            found = file.stat().st_size if file.exists() else 0
            if found != needed:
                raise ValueError(
                    f"store={str(path)!r} is damaged: {file.relative_to(path)} has {found} bytes, needed {needed}; "
                    f"delete {array.metadata.encode_chunk_key(chunk)} and its distances are computed again"
                )
        done.add(chunk)
    return done


def write(array: Any, cut: Cut, chunk: tuple[int, int], values: np.ndarray) -> None:
    """Write a finished chunk; the copy that says so comes last."""
    rows, columns = cut.slices(chunk)
    if cut.mirrored(chunk):
        array[columns, rows] = np.ascontiguousarray(values.T)
    array[rows, columns] = values


def read_only(path: Path) -> Any:
    """Array for the caller to read."""
    import zarr

    return zarr.open_array(path, mode="r")
