"""From windows to frames, and from labels of frames to segments."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

SUMMARIES = {
    "moments": lambda states: np.concatenate([states.mean(axis=0), states.std(axis=0)]),
    "mean": lambda states: states.mean(axis=0),
    "state": lambda states: states,
}


def over_frames(
    values: Sequence[np.ndarray] | np.ndarray, starts: np.ndarray, num_frames: int, *, summary: str = "moments"
) -> Float[np.ndarray, "T D"]:
    """Give every frame of a recording one vector: the mean over the windows that cover it.

    Parameters
    ----------
    values
        Per window the (L, D) states of its frames.
    starts
        First frame of each window in the recording.
    num_frames
        T; a frame that no window covers takes the vector of the nearest one that is covered, the earlier of two.
    summary
        What a window gives to its frames. ``"moments"``: to all alike the mean of its states and their standard
        deviation, 2 D numbers, because the mean alone does not know a movement to and fro from one that stands still
        half-way. ``"mean"``: the mean alone. ``"state"``: to each its own state, which tells of the pose more than of
        the movement.
    """
    if summary not in SUMMARIES:
        raise ValueError(f"summary={summary!r}; choose one of {list(SUMMARIES)}")
    if len(values) != len(starts) or len(values) == 0:
        raise ValueError(f"values: {len(values)} windows for {len(starts)} starts; needed as many, at least one")
    total = np.zeros((num_frames, values[0].shape[1] * (1 + (summary == "moments"))))
    count = np.zeros(num_frames)
    for start, states in zip(starts, values, strict=True):
        stop = start + len(states)
        if start < 0 or stop > num_frames:
            raise ValueError(f"window of frames {start} to {stop}; the recording has 0 to {num_frames}")
        total[start:stop] += SUMMARIES[summary](states)
        count[start:stop] += 1
    covered = np.flatnonzero(count)
    frames = np.arange(num_frames)
    after = np.minimum(np.searchsorted(covered, frames), len(covered) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(covered[before] - frames) <= np.abs(covered[after] - frames)
    nearest = np.where(nearer, covered[before], covered[after])
    return total[nearest] / count[nearest, None]


def boundaries(labels: Shaped[np.ndarray, " T"]) -> Int[np.ndarray, " B"]:
    """First frame of every run of equal labels but the first."""
    return np.flatnonzero(labels[1:] != labels[:-1]) + 1


def merge_short(labels: Int[np.ndarray, " T"], least: int) -> Int[np.ndarray, " T"]:
    """Labels without runs of fewer than `least` frames.

    The shortest run goes first, the earlier of two alike, and joins the longer of its neighbours, the earlier of two
    alike; one run always stays.
    """
    labels = labels.copy()
    while True:
        edges = np.r_[0, boundaries(labels), len(labels)]
        sizes = np.diff(edges)
        short = int(sizes.argmin())
        if len(sizes) == 1 or sizes[short] >= least:
            return labels
        before = sizes[short - 1] if short > 0 else -1
        after = sizes[short + 1] if short + 1 < len(sizes) else -1
        source = edges[short] - 1 if before >= after else edges[short + 1]
        labels[edges[short] : edges[short + 1]] = labels[source]
