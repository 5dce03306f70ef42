"""What all readers have in common: protocols, splits, a report."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lib.clips import ClipSet, LoadReport
from lib.datasets.archive import DatasetError


def pick_split(clips: ClipSet, members: dict[str, np.ndarray], split: str | None, name: str) -> ClipSet:
    """Sub-set of one split; `members` maps split names to bool masks over the clips."""
    if split is None:
        return replace(clips, report=replace(clips.report, kept=len(clips)))
    picked = clips.subset(mask(members, split, name))
    return replace(picked, dataset=f"{name}/{split}", report=replace(picked.report, kept=len(picked)))


def mask(members: dict[str, np.ndarray], split: str, name: str) -> np.ndarray:
    """Mask of one split, which is known and has clips."""
    if split not in members:
        raise ValueError(f"split={split!r}; {name} has {sorted(members)} (or None for all clips)")
    if not members[split].any():
        count = len(members[split])
        raise DatasetError(f"{name}: none of its {count} clips is of split {split!r}; is the archive complete?")
    return members[split]


def check_protocol(protocol: str | None, choices: Sequence[str], name: str) -> str:
    """Protocol by name, the first of `choices` by default."""
    if protocol is not None and protocol not in choices:
        raise ValueError(f"protocol={protocol!r}; {name} has {list(choices)}")
    return protocol or choices[0]


def report(kept: int, official: int, dropped: Sequence[tuple[str, str]], *notes: str) -> LoadReport:
    """Report on a whole archive of `official` clips, without the notes that count nothing."""
    missing = official - kept - len(dropped)
    notes = (f"{missing} of the {official} official clips are missing", *notes)
    return LoadReport(kept, tuple(dropped), tuple(f"archive: {note}" for note in notes if not note.startswith("0 ")))
