"""CMU motion capture (mocap.cs.cmu.edu): recordings of seven actions, and segmented ones of subject 86.

`recordings` gives the channels that a sequence-to-sequence network reads, ``datasets.load`` the joints' positions. The
files of the actions come from Li et al. 2018, those of subject 86 from Su & Shlizerman 2020, and the segments, made by
hand, from Barbič et al. 2004.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lib.clips import ClipSet, LoadReport
from lib.datasets import _cmu_bodies, _cmu_files, archive, splits
from lib.datasets._cmu_bodies import SKELETON
from lib.datasets.archive import DatasetError
from lib.datasets.cmu_recordings import Recording, Segment
from lib.datasets.expmaps import chain, rotations

__all__ = ["ACTIONS", "FPS", "READERS", "Recording", "Segment", "drop_constant", "joint_positions", "recordings"]

FPS = 120.0
STILL = 1e-4  # standard deviation of a channel that does not move
ACTIONS = ("basketball", "basketball_signal", "directing_traffic", "jumping", "running", "soccer", "walking")
_ACTION_FILE = re.compile(rf"({'|'.join(ACTIONS)})_([1-9])\.txt")  # walking_extra has two digits
_TRIAL_FILE = re.compile(r"(\d\d)(\.mat|_ground_truth\.txt)")
_FOLDER = "cmu_mocap"  # in both zip files
_HELD_OUT_TRIALS = ("86_10", "86_11")


def recordings(
    name: str,
    root: str | Path | None = None,
    *,
    split: str | None = None,
    protocol: str | None = None,
    fps: float = FPS,
    progress: bool = False,
) -> list[Recording]:
    """Read recordings, with the channels of their files.

    ``"cmu_mocap"``: 117 channels, the root's position and 38 nodes of three angles, of which seven are ends of bones
    that do not turn; ``"cmu_subject86"``: 96 channels, position and 31 bones, each about axes of its own.

    Parameters
    ----------
    name
        ``"cmu_mocap"`` or ``"cmu_subject86"``.
    root
        Folder with the archives, as for ``datasets.load``.
    split
        ``"train"`` or ``"test"``; None for all. Whole recordings are held out: of each action the last one, of subject
        86 trials 10 and 11. With protocol ``"selection"`` the same is done within the training recordings: ``test`` is
        the last of each action that has two, and trial 09. No frame is in two recordings. A performer can be in both
        parts, as files do not name theirs; trials 10 and 11 hold actions that the others lack.
    fps
        At most 120. Channels and segments are resampled, linearly; a whole fraction of 120 takes every k-th frame.

    Raises
    ------
    DatasetError
        The data are missing, damaged or something else; file and field are named.

    Notes
    -----
    Left out or set right, compared with the files: the rest pose that begins each file of ``cmu_mocap`` (a leftover of
    its conversion); the root's rotation there, whose Euler angles had been put together in another order than they
    were taken apart, so that bodies leaned over when they turned; jumps of a whole turn in the root's map. Rotations
    act on rows: a bone turns by the negative of its map.
    """
    if name not in _READ:
        raise ValueError(f"no recordings {name!r}; choose one of {list(_READ)}")
    found, _, members = _read(name, root, protocol, progress=progress)
    kept = splits.mask(members, split, name) if split is not None else np.ones(len(found), dtype=bool)
    return [found[i].resampled(fps) for i in np.flatnonzero(kept)]


def drop_constant(recordings: Sequence[Recording], train: Sequence[Recording]) -> list[Recording]:
    """Leave out the channels that stand still in `train`.

    A channel goes when its standard deviation over all frames of `train` is below 1e-4 (in the channel's unit), as in
    Martinez et al. 2017; what it does in `recordings` is not looked at. Of the 117 channels of ``cmu_mocap`` 68 are
    left (two more would move only between the rest pose and the rest), of the 96 of subject 86 62.
    """
    if not train:
        raise ValueError("train: no recordings; give those that the network is trained on")
    names = train[0].channel_names
    for recording in (*train, *recordings):
        if recording.channel_names != names:
            raise ValueError(
                f"{recording.name}: {len(recording.channel_names)} channels, but {train[0].name} has {len(names)}, or "
                "others; needed the same ones"
            )
    moves = np.concatenate([r.channels for r in train]).std(axis=0, dtype=np.float64) >= STILL
    names = tuple(name for name, kept in zip(names, moves, strict=True) if kept)
    return [replace(r, channels=r.channels[:, moves], channel_names=names) for r in recordings]


def joint_positions(recording: Recording) -> Float[np.ndarray, "T 31 3"]:
    """Positions of the joints of layout ``cmu31`` in metres, y up, by forward kinematics.

    A joint is the end of the bone of its name: ``lfemur`` is the left knee. Subject 86 has bones of its own. The seven
    actions, done by several people, share one body, so that no class can be told by its bones; the root keeps the
    height it had, which leaves the balls of the feet 6 cm below the floor to 10 cm above it.
    """
    if recording.dataset not in _CHANNELS:
        raise ValueError(f"{recording.name}: of {recording.dataset!r}; needed one of {list(_CHANNELS)}")
    if recording.channel_names != _CHANNELS[recording.dataset]:
        raise ValueError(
            f"{recording.name}: {len(recording.channel_names)} channels, needed all {len(_CHANNELS[recording.dataset])}"
            " (before drop_constant)"
        )
    channels = recording.channels.astype(np.float64)
    turned = rotations(-channels[:, 3:].reshape(len(channels), -1, 3))
    if recording.dataset == "cmu_mocap":
        turned, offsets = turned[:, _cmu_files.IS_BONE], _cmu_bodies.ACTIONS_OFFSETS
    else:
        axes, offsets = _cmu_bodies.SUBJECT_86_AXES, _cmu_bodies.SUBJECT_86_OFFSETS
        turned = axes @ turned @ axes.swapaxes(1, 2)
    return chain(_cmu_bodies.METRES * channels[:, :3], turned, offsets, SKELETON.parents).astype(np.float32)


def _channel_names(nodes: Sequence[str]) -> tuple[str, ...]:
    return ("root.tx", "root.ty", "root.tz", *(f"{node}.{axis}" for node in nodes for axis in "xyz"))


_CHANNELS = {"cmu_mocap": _channel_names(_cmu_files.NODES), "cmu_subject86": _channel_names(SKELETON.joints)}


def _read(
    name: str, root: str | Path | None, protocol: str | None, *, progress: bool
) -> tuple[list[Recording], LoadReport, dict[str, np.ndarray]]:
    """Return the recordings of a protocol, a report on the archive, and masks over the recordings by split."""
    official = "cross_recording" if name == "cmu_mocap" else "cross_trial"
    protocol = splits.check_protocol(protocol, [official, "selection"], name)
    found, report = _READ[name](root, progress)
    last = _last_of_each(found)
    if protocol == "selection":
        found = [recording for recording, held_out in zip(found, last, strict=True) if not held_out]
        last = _last_of_each(found)
    return found, report, {"train": ~last, "test": last}


def _last_of_each(found: Sequence[Recording]) -> np.ndarray:
    """Mask of the last recording of each action that has two; of subject 86 the held-out trials, or else the last."""
    names = [recording.name for recording in found]
    if any(name in _HELD_OUT_TRIALS for name in names):
        return np.isin(names, _HELD_OUT_TRIALS)
    of_action = defaultdict(list)
    for i, recording in enumerate(found):
        of_action[recording.action].append(i)
    last = [of[-1] for of in of_action.values() if len(of) > 1]
    return np.isin(np.arange(len(found)), last)


def _read_actions(root: str | Path | None, progress: bool) -> tuple[list[Recording], LoadReport]:
    name = "cmu_mocap"
    download = "the repository of Li et al. 2018 (its folder data/cmu_mocap/train)"
    source = archive.locate("cmu_mocap_expmap_actions", _ACTION_FILE, root, download, folder=_FOLDER)
    found, rests, frozen = [], 0, 0
    for match, contents in archive.members(source, _ACTION_FILE, progress=progress):
        channels, rest = _cmu_files.action_channels(contents, match[0])
        rests += rest
        frozen += int((np.diff(channels, axis=0) == 0).all(axis=1).sum())
        found.append(Recording(name, f"{match[1]}_{match[2]}", match[1], channels, _CHANNELS[name], FPS))
    notes = f"{rests} recordings begin with a rest pose, left out", f"{frozen} frames repeat the one before"
    return found, splits.report(len(found), 32, [], *notes)


def _read_subject86(root: str | Path | None, progress: bool) -> tuple[list[Recording], LoadReport]:
    name = "cmu_subject86"
    download = "the repository of Su & Shlizerman 2020 (subject_86 and segmentation_ground-truth)"
    source = archive.locate(f"{_FOLDER}_subject86", _TRIAL_FILE, root, download, folder=_FOLDER)
    files = {match[0]: contents for match, contents in archive.members(source, _TRIAL_FILE, progress=progress)}
    found, dropped = [], []
    for trial in sorted({file[:2] for file in files}):
        captured, segmented = f"{trial}.mat", f"{trial}_ground_truth.txt"
        if captured not in files:
            dropped.append((f"86_{trial}", f"segmented, but {captured} is not there"))
            continue
        if segmented not in files:
            raise DatasetError(f"{source}: {captured} is there, but {segmented} is missing; needed both")
        channels = _cmu_files.trial_channels(files[captured], captured)
        ends = _cmu_files.transitions(files[segmented], segmented, len(channels))
        starts = [0, *(best for _, _, best, _ in ends[:-1])]
        segments = tuple(
            Segment(action, start, best, earliest, latest)
            for start, (action, earliest, best, latest) in zip(starts, ends, strict=True)
        )
        found.append(Recording(name, f"86_{trial}", None, channels, _CHANNELS[name], FPS, segments))
    if not found:
        raise DatasetError(f"{source}: {len(dropped)} segmented trials and none of their .mat files; needed both")
    return found, splits.report(len(found), 7, [], *(f"{what}: {why}" for what, why in dropped))


def _load(name: str, root: str | Path | None, split: str | None, protocol: str | None, *, progress: bool) -> ClipSet:
    """Joint positions of each recording as one clip."""
    found, report, members = _read(name, root, protocol, progress=progress)
    actions = name == "cmu_mocap"
    clips = ClipSet.from_arrays(
        [joint_positions(recording) for recording in found],
        [ACTIONS.index(recording.action) if actions else 0 for recording in found],
        SKELETON,
        names=[recording.name for recording in found],
        class_names=ACTIONS if actions else ("several actions",),
        subjects=None if actions else [86] * len(found),
        fps=FPS,
        dataset=name,
        report=report,
    )
    return splits.pick_split(clips, members, split, name)


_READ = {"cmu_mocap": _read_actions, "cmu_subject86": _read_subject86}
READERS = {name: partial(_load, name) for name in _READ}
