"""UTD-MHAD (Chen et al., ICIP 2015): ``Skeleton.zip`` with one MATLAB file per clip."""

import re
from pathlib import Path

import numpy as np

from lib.clips import ClipSet
from lib.datasets import archive, kinect, matlab, splits
from lib.datasets.archive import DatasetError

NAME = "utd_mhad"
FILE = re.compile(r"a(\d{1,2})_s(\d)_t(\d)_skeleton\.mat")
DOWNLOAD = "the UTD-MHAD site (Skeleton.zip)"
CLASSES = (
    "swipe left",
    "swipe right",
    "wave",
    "clap",
    "throw",
    "arm cross",
    "basketball shoot",
    "draw X",
    "draw circle clockwise",
    "draw circle counter-clockwise",
    "draw triangle",
    "bowling",
    "boxing",
    "baseball swing",
    "tennis swing",
    "arm curl",
    "tennis serve",
    "push",
    "knock",
    "catch",
    "pick up and throw",
    "jog",
    "walk",
    "sit to stand",
    "stand to sit",
    "lunge",
    "squat",
)
# Head to hip centre come first and downwards here, hip centre upwards in kinect20; limbs agree.
TO_KINECT20 = np.array([3, 2, 1, 0, *range(4, 20)])


def load(root: str | Path | None, split: str | None, protocol: str | None, *, progress: bool) -> ClipSet:
    """Read the archive; splits ``train`` (odd subjects) and ``test`` (even subjects).

    Protocol ``selection`` keeps to the training subjects, for choosing settings without the test clips: ``test`` is
    subject 7, ``train`` the others.
    """
    protocol = splits.check_protocol(protocol, ["cross_subject", "selection"], NAME)
    source = archive.locate("Skeleton", FILE, root, DOWNLOAD)
    arrays, names, numbers, mended = [], [], [], 0
    for match, contents in archive.members(source, FILE, progress=progress):
        action, subject, _ = map(int, match.groups())
        if not 1 <= action <= len(CLASSES) or not 1 <= subject <= 8:
            raise DatasetError(f"{match[0]}: needed action 1-{len(CLASSES)}, subject 1-8")
        x, lost = kinect.without_lost_frames(_parse(contents, match[0])[:, TO_KINECT20], match[0])
        arrays.append(x)
        mended += lost
        names.append(match[0].removesuffix("_skeleton.mat"))
        numbers.append((action - 1, subject))
    labels, subjects = np.array(numbers).T
    clips = ClipSet.from_arrays(
        arrays,
        labels,
        "kinect20",
        names=names,
        class_names=CLASSES,
        subjects=subjects,
        fps=30.0,
        dataset=NAME,
        report=splits.report(len(arrays), 861, [], f"{mended} lost frames interpolated"),
    )
    return splits.pick_split(*kinect.cross_subject(clips, protocol == "selection"), split, NAME)


def _parse(contents: bytes, file: str) -> np.ndarray:
    try:
        skeleton = matlab.read(contents, "d_skel")
    except ValueError as error:
        raise DatasetError(f"{file}: d_skel cannot be read: {error}") from error
    if skeleton.ndim != 3 or skeleton.shape[:2] != (20, 3):
        raise DatasetError(f"{file}: d_skel has shape {skeleton.shape}, needed (20, 3, T)")
    return kinect.checked_coordinates(skeleton.transpose(2, 0, 1), file, "d_skel")  # (T, V, C)
