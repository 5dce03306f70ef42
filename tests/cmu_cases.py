"""The two CMU archives with random motion: text files of 117 columns, MATLAB files of 96 and their segments."""

import io

import numpy as np
import oracles_cmu
import scipy.io

TIPS = [6, 12, 19, 26, 28, 35, 37]  # nodes that are ends of bones
SEGMENTS = """3
1 walking
4 6 7
2 jump_up
10 12 13
3 walk
20
"""


def angles(rng, num_frames, num_maps, size=0.4):
    """Smooth exponential maps (T, V, 3)."""
    return size * np.cumsum(rng.normal(size=(num_frames, num_maps, 3)), axis=0) / np.sqrt(num_frames)


def action_rows(rng, num_frames=7, heading=0.0, turning=0.0):
    """Rest pose, then frames that turn by `turning` degrees each; and the rotations of the root that are meant."""
    euler = np.stack([rng.normal(size=num_frames), heading + turning * np.arange(num_frames), np.zeros(num_frames)], 1)
    rows = np.zeros((num_frames + 1, 117))
    rows[1:, :3] = np.cumsum(0.1 * rng.normal(size=(num_frames, 3)), axis=0) + np.array([1.0, 17.0, -3.0])
    rows[0, :3] = rows[1, :3]
    maps = rows[1:, 3:].reshape(num_frames, 38, 3)
    maps[:, :] = angles(rng, num_frames, 38)
    maps[:, TIPS] = 0
    maps[:, 1] = 0  # the left hip joint has no angles
    maps[:, 0] = [oracles_cmu.as_written(degrees) for degrees in euler]
    return rows, np.array([oracles_cmu.as_meant(degrees) for degrees in euler])


def text(rows):
    return "\n".join(",".join(f"{n:.9g}" for n in row) for row in rows).encode()


def mat(**variables):
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, do_compression=True)
    return stream.getvalue()


def trial_rows(rng, num_frames=20):
    rows = np.concatenate([17 + rng.normal(size=(num_frames, 3)), angles(rng, num_frames, 31).reshape(-1, 93)], axis=1)
    rows[:, 6:9] = 0
    return rows


def mocap_files(rng):
    return {
        f"{action}_{k}.txt": text(action_rows(rng)[0])
        for action in ("basketball", "basketball_signal", "walking")
        for k in (1, 2, 3)
    }


def subject86_files(rng):
    files = {"key.txt": b"Syntax of each ground truth file"}
    for trial in ("01", "09", "10", "11"):
        files[f"{trial}.mat"] = mat(expmapchannels=trial_rows(rng))
        files[f"{trial}_ground_truth.txt"] = SEGMENTS.replace("\n", "\r\n").encode()
    return files
