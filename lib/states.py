"""What a network makes of windows of a recording: a vector per frame, errors of prediction, how both develop."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from lib import clustering, features, recordings, windows
from lib.datasets.cmu_recordings import Recording
from lib.models.layers import evaluation_mode


def views(
    found: Sequence[Recording], networks: Mapping[str, nn.Module], *, size: int, stride: int, summary: str = "moments"
) -> dict[str, list[Float[np.ndarray, "T D"]]]:
    """Give every frame of every recording a vector, in several ways from the same windows (`clustering.over_frames`).

    Parameters
    ----------
    found
        As the networks were trained on, see `recordings.prepared`.
    networks
        {name: network of `models.recurrent`}, of which the states of the last encoder layer are taken. One that
        predicts gives ``<name>_decoder``, the states that tell its target frames, as well, and ``<name>_target``, those
        of the encoder when it reads the same frames: the decoder's are to be compared with these.
    size, stride
        Frames of a window, and between windows.
    summary
        What a window gives to its frames, see `clustering.over_frames`.

    Returns
    -------
    {name: (T, D) per recording}, and beside the networks' ``pose``, the channels as they are, and ``pose_velocity``.
    """
    cut = windows.cut(recordings.as_clips(found), size, stride)
    fast = [clustering.pose_velocity(one.channels, every=max(1, round(found[0].fps / 10))) for one in found]
    ends = cut.start + cut.clips.lengths
    values = {}
    for name, network in networks.items():
        states = encoder_states(network, cut)
        values[name] = states, cut.start
        if hasattr(network, "predict"):
            read = network.source_frames
            values[f"{name}_decoder"] = decoder_states(network, cut), cut.start + read
            values[f"{name}_target"] = [one[read:] for one in states], cut.start + read
    places = list(zip(cut.owner, cut.start, ends, strict=True))
    values["pose"] = [found[i].channels[a:b] for i, a, b in places], cut.start
    values["pose_velocity"] = [fast[i][a:b] for i, a, b in places], cut.start
    return {name: _over_frames(states, starts, cut, found, summary) for name, (states, starts) in values.items()}


def _over_frames(states, starts: np.ndarray, cut: windows.Windows, found, summary: str) -> list[np.ndarray]:
    return [
        clustering.over_frames([states[n] for n in cut.of(i)], starts[cut.of(i)], len(one), summary=summary)
        for i, one in enumerate(found)
    ]


@dataclass(frozen=True, eq=False)
class Watcher:
    """Measures a network on recordings that are not trained on, after every epoch of `training.fit`.

    ``separation`` is the mean silhouette of the clusters, which needs no label but their annotated number; ``error``
    the mean squared error of prediction; ``accuracy`` and ``ari`` need the annotation, and say what the other two are
    worth. Vectors, clusters and segments are made as `views` and `clustering.segmentations` make them.

    Attributes
    ----------
    held_out
        As the network is trained on, with segments.
    size, stride, summary
        As in `views`.
    method, least, seed
        As in `clustering.segmentations`.
    """

    held_out: Sequence[Recording]
    size: int
    stride: int
    summary: str = "moments"
    method: str = "kmeans"
    least: int = 1
    seed: int = 0

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Means over the recordings, of the error over their windows; the network is left as it was."""
        cut, rows = windows.cut(recordings.as_clips(self.held_out), self.size, self.stride), []
        vectors = _over_frames(encoder_states(network, cut), cut.start, cut, self.held_out, self.summary)
        for one, frames in zip(self.held_out, vectors, strict=True):
            labels = clustering.cluster(frames, len(one.segment_names), method=self.method, seed=self.seed)
            scores = clustering.frame_scores(clustering.merge_short(labels, self.least), one.frame_labels())
            rows.append((clustering.separation(frames, labels, seed=self.seed), scores.accuracy, scores.ari))
        measured = dict(zip(("separation", "accuracy", "ari"), np.mean(rows, axis=0).tolist(), strict=True))
        return measured | {"error": float(errors(network, cut).mean())}

    def digest(self) -> str:
        """Tell this watcher from others: its recordings, their annotation, and its settings."""
        own = [self.size, self.stride, self.summary, self.method, self.least, self.seed]
        found = hashlib.sha256(json.dumps([*own, recordings.as_clips(self.held_out).digest()]).encode())
        for one in self.held_out:
            found.update(one.frame_labels().astype(np.int64).tobytes())
        return found.hexdigest()


def encoder_states(model: nn.Module, cut: windows.Windows) -> Sequence[np.ndarray]:
    """Per window the (L, D) states of the last layer that reads."""
    last = model.layer_names[-1]
    return features.extract(model, cut.clips, [last])[last]


def decoder_states(model: nn.Module, cut: windows.Windows) -> list[np.ndarray]:
    """Per window the (L, D) states of a `Seq2Seq` that tell its last frames, which begin at ``source_frames``."""
    return [states for states, _ in _predicted(model, cut)]


def errors(model: nn.Module, cut: windows.Windows) -> Float[np.ndarray, " n"]:
    """Mean squared prediction error of every window, over its told frames and channels (`Seq2Seq`)."""
    return np.array([found.mean() for _, found in _predicted(model, cut)])


def simple_errors(cut: windows.Windows, source_frames: int) -> dict[str, Float[np.ndarray, " n"]]:
    """Mean squared errors of every window, as `errors`, of two predictors that need no training.

    ``mean_pose`` tells zeros, which is the mean pose of the training recordings in scaled channels
    (`recordings.prepared`); ``last_frame`` repeats the last frame read, the zero velocity of Martinez et al. (2017).
    """
    found = {"mean_pose": [], "last_frame": []}
    for clip in cut.clips:
        frames = clip.x[: clip.length].astype(np.float64)
        told = frames[source_frames:]
        found["mean_pose"].append(np.square(told).mean())
        found["last_frame"].append(np.square(told - frames[source_frames - 1]).mean())
    return {name: np.array(values) for name, values in found.items()}


def _predicted(model: nn.Module, cut: windows.Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """States (L, D) and errors (L,) of every window's told frames."""
    device = next(model.parameters()).device
    with torch.inference_mode(), evaluation_mode(model):
        for batch in cut.clips.batches(128):
            prediction = model.predict(batch.to(device))
            if len(prediction.told) != len(batch.labels):
                raise ValueError(
                    f"{len(prediction.told)} persons in {len(batch.labels)} windows; needed one in each, to tell whose "
                    "states and errors these are"
                )
            states, wrong = prediction.states.cpu().numpy(), prediction.errors.cpu().numpy()
            for n, length in enumerate((batch.lengths - model.source_frames).tolist()):
                yield states[n, :length], wrong[n, :length]
