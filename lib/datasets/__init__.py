"""Datasets by name, one reader per format; ``synthetic`` needs no download."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lib.clips import ClipSet
from lib.datasets import cmu, msr_action3d, nw_ucla, synthetic, utd_mhad
from lib.datasets.archive import DatasetError

READERS = {reader.NAME: reader.load for reader in (nw_ucla, utd_mhad, msr_action3d)} | cmu.READERS
NAMES = ("synthetic", *READERS)

__all__ = ["NAMES", "READERS", "DatasetError", "load"]


def load(
    name: str,
    root: str | Path | None = None,
    split: str | None = None,
    protocol: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    *,
    progress: bool = True,
) -> ClipSet:
    """Clips of one dataset.

    Parameters
    ----------
    name
        ``"synthetic"`` (made on the spot, 1,000 clips unless limited), ``"nw_ucla"``, ``"utd_mhad"``,
        ``"msr_action3d"``, ``"cmu_mocap"`` (one action a recording) or ``"cmu_subject86"`` (several in each).
    root
        Folder with the archives as downloaded (zip or unpacked); default ``SKELETON_DATA``, else ``data/raw/``.
    split
        ``"train"``, ``"test"``, NW-UCLA also ``"test_clean"``; None for all clips.
    protocol
        How the splits are made; each reader's first protocol by default.
    limit
        At most this many clips, drawn by `seed`, classes as even as they go.
    seed
        Of the draw; for ``"synthetic"`` of the bodies and motions as well.

    Raises
    ------
    DatasetError
        The data are missing, damaged or something else; file and field are named.
    """
    if name not in NAMES:
        raise ValueError(f"no dataset {name!r}; choose one of {list(NAMES)}")
    if name == "synthetic":
        if protocol not in (None, "cross_subject_view"):
            raise ValueError(f"protocol={protocol!r}; synthetic has ['cross_subject_view']")
        return synthetic.make(1000 if limit is None else limit, seed=seed, split=split)
    clips = READERS[name](root, split, protocol, progress=progress)
    if limit is None or limit >= len(clips):
        return clips
    some = clips.subset(_balanced(clips.labels, limit, seed))
    return replace(some, report=replace(some.report, kept=len(some)))


def _balanced(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Positions of `limit` clips, dealt class by class in a random order, back in dataset order."""
    if limit < 1:
        raise ValueError(f"limit={limit}, needed at least 1")
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.zeros(len(labels), dtype=np.int64)  # how many clips of its class come before it
    for c in np.unique(labels):
        of_class = order[labels[order] == c]
        turn[of_class] = np.arange(len(of_class))
    dealt = order[np.argsort(turn[order], kind="stable")]
    return np.sort(dealt[:limit])
