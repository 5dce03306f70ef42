"""Archives in their owners' layout, made with random motion."""

import io
import json
import zipfile

import cmu_cases
import numpy as np
import scipy.io

from lib import datasets
from lib.datasets import nw_ucla

UCLA_ACTIONS = list(nw_ucla.CLASSES)


def ucla_files(rng):
    """Ten actions, two subjects, three views; the third view of action 2 repeats the second's coordinates."""
    files = {}
    for a in UCLA_ACTIONS:
        for s in (1, 2):
            for v in (1, 2, 3):
                x = rng.normal(size=(int(rng.integers(4, 9)), 20, 3)).round(4).tolist()
                clip = {"file_name": "any", "skeletons": x, "label": UCLA_ACTIONS.index(a) + 1}
                if (a, v) == (2, 3):
                    clip = json.loads(files[f"a02_s{s:02}_e00_v02.json"])
                files[f"a{a:02}_s{s:02}_e00_v{v:02}.json"] = json.dumps(clip).encode()
    return files


def utd_files(rng):
    files = {}
    for a in (1, 13, 27):
        for s in (1, 2, 3):
            stream = io.BytesIO()
            scipy.io.savemat(stream, {"d_skel": rng.normal(size=(20, 3, 5 + s))}, do_compression=True)
            files[f"a{a}_s{s}_t1_skeleton.mat"] = stream.getvalue()
    return files


def msr_files(rng):
    files, used = {}, []
    for a in (1, 9, 20):
        for s in (1, 2, 3):
            rows = np.concatenate([rng.normal(size=(100, 3)), rng.random((100, 1))], axis=1)
            if (a, s) == (9, 1):
                rows[20:40, :3] = 0  # the body is lost in the second frame
            name = f"a{a:02}_s{s:02}_e01"
            files[f"{name}_skeleton3D.txt"] = "\n".join(" ".join(f"{n:.6f}" for n in row) for row in rows).encode()
            used.append(name)
    files["a13_s09_e03_skeleton3D.txt"] = files["a01_s01_e01_skeleton3D.txt"]
    files["files_used_in_cvpr12_paper.txt"] = "\n".join(used).encode()
    return files


READERS = {
    "nw_ucla": ("all_sqe", ucla_files, "a05_s01_e00_v01.json"),
    "utd_mhad": ("Skeleton", utd_files, "a13_s2_t1_skeleton.mat"),
    "msr_action3d": ("MSRAction3DSkeletonReal3D", msr_files, "a09_s02_e01_skeleton3D.txt"),
    "cmu_mocap": ("cmu_mocap_expmap_actions", cmu_cases.mocap_files, "walking_2.txt"),
    "cmu_subject86": ("cmu_mocap_subject86", cmu_cases.subject86_files, "09.mat"),
}


def write_zip(path, files, folder=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in files.items():
            archive.writestr(f"{folder}{name}", contents)


def read(name, root, **options):
    return datasets.load(name, root=root, progress=False, **options)


def same(a, b):
    return a.names == b.names and np.array_equal(a.frames, b.frames) and np.array_equal(a.labels, b.labels)
