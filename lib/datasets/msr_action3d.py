"""MSR Action3D (Li et al., CVPRW 2010): ``MSRAction3DSkeletonReal3D.zip`` with one text file per clip."""

import re
from pathlib import Path

import numpy as np

from lib.clips import ClipSet
from lib.datasets import archive, kinect, splits
from lib.datasets.archive import DatasetError

NAME = "msr_action3d"
FILE = re.compile(r"a(\d\d)_s(\d\d)_e(\d\d)_skeleton3D\.txt")
LIST = "files_used_in_cvpr12_paper.txt"
FILE_OR_LIST = re.compile(f"{FILE.pattern}|{re.escape(LIST)}")
DOWNLOAD = "the MSR Action3D site (MSRAction3DSkeletonReal3D.zip)"
CLASSES = (
    "high arm wave",
    "horizontal arm wave",
    "hammer",
    "hand catch",
    "forward punch",
    "high throw",
    "draw x",
    "draw tick",
    "draw circle",
    "hand clap",
    "two hand wave",
    "side-boxing",
    "bend",
    "forward kick",
    "side kick",
    "jogging",
    "tennis swing",
    "tennis serve",
    "golf swing",
    "pickup & throw",
)
# File order: left and right shoulder, neck, spine, left and right hip, hip centre, then both arms and legs in
# alternation, head last. Sides were checked on the data: one-armed actions are the right arm's.
TO_KINECT20 = np.array([6, 3, 2, 19, 0, 7, 9, 11, 1, 8, 10, 12, 4, 13, 15, 17, 5, 14, 16, 18])


def load(root: str | Path | None, split: str | None, protocol: str | None, *, progress: bool) -> ClipSet:
    """Read the archive; splits ``train`` (odd subjects) and ``test`` (even subjects).

    Protocols ``cross_subject_557`` (the clips of Wang et al. 2012, named in the archive's own list) and
    ``cross_subject_567`` (all; a clip without any body is dropped). Protocol ``selection`` keeps to the training
    subjects of the 557 clips, for choosing settings without the test clips: ``test`` is subject 9, ``train`` the
    others. Lost frames are interpolated.
    """
    protocol = splits.check_protocol(protocol, ["cross_subject_557", "cross_subject_567", "selection"], NAME)
    source = archive.locate("MSRAction3DSkeletonReal3D", FILE, root, DOWNLOAD)
    files = {
        match[0]: (match, contents) for match, contents in archive.members(source, FILE_OR_LIST, progress=progress)
    }
    _, listed = files.pop(LIST, (None, b""))
    used = _used(listed) if protocol != "cross_subject_567" else None
    arrays, names, numbers, dropped, lost, mended = [], [], [], [], 0, 0
    for match, contents in files.values():
        action, subject, _ = map(int, match.groups())
        if not 1 <= action <= len(CLASSES) or not 1 <= subject <= 10:
            raise DatasetError(f"{match[0]}: needed action 1-{len(CLASSES)}, subject 1-10")
        name = match[0].removesuffix("_skeleton3D.txt")
        if used is not None and name not in used:
            dropped.append((name, "not among the 557 clips of the CVPR 2012 paper"))
            continue
        x = _parse(contents, match[0])[:, TO_KINECT20]
        if used is None and not x.any():
            dropped.append((name, "every frame is zero"))
            continue
        x, count = kinect.without_lost_frames(x, match[0])
        lost, mended = lost + count, mended + (count > 0)
        arrays.append(x)
        names.append(name)
        numbers.append((action - 1, subject))
    if used is not None and (missing := used - set(names)):
        raise DatasetError(f"{source}: {len(missing)} clips of its list are missing, first {min(missing)}")
    labels, subjects = np.array(numbers).T
    clips = ClipSet.from_arrays(
        arrays,
        labels,
        "kinect20",
        names=names,
        class_names=CLASSES,
        subjects=subjects,
        fps=15.0,
        dataset=NAME,
        report=splits.report(len(arrays), 567, dropped, f"{lost} lost frames in {mended} clips interpolated"),
    )
    return splits.pick_split(*kinect.cross_subject(clips, protocol == "selection"), split, NAME)


def _used(listed: bytes) -> set[str]:
    names = set(listed.decode("ascii", errors="replace").split())
    if not names or not all(FILE.fullmatch(f"{name}_skeleton3D.txt") for name in names):
        raise DatasetError(
            f"{LIST}: {len(names)} names, needed lines like a01_s01_e01 (or the protocol with all clips)"
        )
    return names


def _parse(contents: bytes, file: str) -> np.ndarray:
    lines = contents.decode("ascii", errors="replace").splitlines()
    try:
        rows = np.array([line.split() for line in lines if line.strip()], dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{file}: not rows of four numbers ({str(error)[:80]})") from error
    if rows.ndim != 2 or rows.shape[1] != 4 or len(rows) % 20 or len(rows) == 0:
        raise DatasetError(f"{file}: {rows.shape} numbers, needed 20 rows of `x y z confidence` per frame")
    confidence = rows[:, 3]
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise DatasetError(f"{file}: confidence outside 0..1; needed rows of `x y z confidence`")
    return kinect.checked_coordinates(rows[:, :3].reshape(-1, 20, 3), file, "coordinates")
