"""Northwestern-UCLA (Wang et al., CVPR 2014): ``all_sqe.zip`` with one JSON file per clip."""

import json
import re
from pathlib import Path

import numpy as np

from lib.clips import ClipSet
from lib.datasets import archive, kinect, splits
from lib.datasets.archive import DatasetError

NAME = "nw_ucla"
FILE = re.compile(r"a(\d\d)_s(\d\d)_e(\d\d)_v(\d\d)\.json")
DOWNLOAD = "the NW-UCLA skeletons (all_sqe.zip) that CTR-GCN's README links to"
CLASSES = {  # action number in the file name -> class; the numbers skip 7 and 10
    1: "pick up with one hand",
    2: "pick up with two hands",
    3: "drop trash",
    4: "walk around",
    5: "sit down",
    6: "stand up",
    8: "donning",
    9: "doffing",
    11: "throw",
    12: "carry",
}
_ACTIONS = list(CLASSES)


def load(root: str | Path | None, split: str | None, protocol: str | None, *, progress: bool) -> ClipSet:
    """Read the archive; splits ``train`` (views 1, 2), ``test`` (view 3) and ``test_clean``.

    Protocol ``selection`` keeps to the training views, for choosing settings without the test clips: ``train`` is view
    1, ``test`` is view 2.

    One test clip in five is byte for byte a training clip (seen from "another view"); ``test_clean`` leaves these out.
    They are found by comparing coordinates, not by name. Eight of the ten classes are left in it: all test clips of
    "pick up with two hands" and "drop trash" are copies.
    """
    protocol = splits.check_protocol(protocol, ["cross_view", "selection"], NAME)
    source = archive.locate("all_sqe", FILE, root, DOWNLOAD)
    arrays, names, numbers, mended = [], [], [], 0
    for match, contents in archive.members(source, FILE, progress=progress):
        action, subject, _, view = map(int, match.groups())
        if action not in CLASSES or not 1 <= subject <= 10 or not 1 <= view <= 3:
            raise DatasetError(f"{match[0]}: needed action in {_ACTIONS}, subject 1-10, view 1-3")
        x, lost = kinect.without_lost_frames(_parse(contents, match[0], _ACTIONS.index(action) + 1), match[0])
        arrays.append(x)
        mended += lost
        names.append(match[0].removesuffix(".json"))
        numbers.append((_ACTIONS.index(action), subject, view))
    labels, subjects, views = np.array(numbers).T

    train = views != 3
    seen = {x.tobytes() for x, in_train in zip(arrays, train, strict=True) if in_train}
    twin = np.array([x.tobytes() in seen for x in arrays]) & ~train
    short = sum(len(x) < 10 for x in arrays)
    report = splits.report(
        len(arrays),
        1484,
        [],
        f"{twin.sum()} of {(~train).sum()} test clips equal a training clip coordinate by coordinate",
        f"{short} clips have fewer than 10 frames",
        f"{mended} lost frames interpolated",
    )
    clips = ClipSet.from_arrays(
        arrays,
        labels,
        "kinect20",
        names=names,
        class_names=list(CLASSES.values()),
        subjects=subjects,
        views=views,
        fps=30.0,
        dataset=NAME,
        report=report,
    )
    if protocol == "selection":
        members = {"train": views[train] == 1, "test": views[train] == 2}
        return splits.pick_split(clips.subset(train), members, split, NAME)
    return splits.pick_split(clips, {"train": train, "test": ~train, "test_clean": ~train & ~twin}, split, NAME)


def _parse(contents: bytes, file: str, label: int) -> np.ndarray:
    try:
        clip = json.loads(contents)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file}: not JSON ({error})") from error
    if not isinstance(clip, dict) or not {"skeletons", "label"} <= clip.keys():
        raise DatasetError(f"{file}: needed an object with the fields skeletons and label")
    if clip["label"] != label or isinstance(clip["label"], bool):
        raise DatasetError(f"{file}: label is {clip['label']!r:.40}, but the file name says class {label}")
    if b"true" in contents or b"false" in contents:  # NumPy would read them as 1 and 0
        raise DatasetError(f"{file}: holds true or false, needed numbers")
    return kinect.checked_coordinates(clip["skeletons"], file, "skeletons")
