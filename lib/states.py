"""What a network makes of windows of a recording: a vector per frame, errors of prediction, how both develop."""

from collections.abc import Callable, Iterator, Mapping, Sequence

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
        As the networks were trained on, see `scaled`.
    networks
        {name: network of `models.recurrent`}, of which the states of the last encoder layer are taken. One that
        predicts gives ``<name>_decoder``, the states that tell its target frames, as well.
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
        last = network.layer_names[-1]
        values[name] = features.extract(network, cut.clips, [last])[last], cut.start
        if hasattr(network, "predict"):
            values[f"{name}_decoder"] = decoder_states(network, cut), cut.start + network.source_frames
    places = list(zip(cut.owner, cut.start, ends, strict=True))
    values["pose"] = [found[i].channels[a:b] for i, a, b in places], cut.start
    values["pose_velocity"] = [fast[i][a:b] for i, a, b in places], cut.start
    return {
        name: [
            clustering.over_frames([states[n] for n in cut.of(i)], starts[cut.of(i)], len(one), summary=summary)
            for i, one in enumerate(found)
        ]
        for name, (states, starts) in values.items()
    }


def watcher(
    held_out: Sequence[Recording], *, size: int, stride: int, seed: int = 0
) -> Callable[[nn.Module], dict[str, float]]:
    """Make what `training.fit` measures after every epoch on recordings that are not trained on.

    ``separation`` is the mean silhouette of k-means clusters, which needs no label but their number; ``error`` the mean
    squared error of prediction; ``accuracy`` and ``ari`` need the annotation, and say what the other two are worth.
    Every fifth frame is clustered.
    """
    cut = windows.cut(recordings.as_clips(held_out), size, stride)

    def watch(network: nn.Module) -> dict[str, float]:
        last = network.layer_names[-1]
        states, rows = features.extract(network, cut.clips, [last])[last], []
        for i, one in enumerate(held_out):
            mine = cut.of(i)
            vectors = clustering.over_frames([states[n] for n in mine], cut.start[mine], len(one))[::5]
            count = len(one.segment_names)
            labels = clustering.cluster(vectors, count, method="kmeans", seed=seed)
            scores = clustering.frame_scores(labels, one.frame_labels()[::5])
            rows.append((clustering.separation(vectors, labels, seed=seed), scores.accuracy, scores.ari))
        measured = dict(zip(("separation", "accuracy", "ari"), np.mean(rows, axis=0).tolist(), strict=True))
        return measured | {"error": float(errors(network, cut).mean())}

    return watch


def decoder_states(model: nn.Module, cut: windows.Windows, *, batch_size: int = 128) -> list[np.ndarray]:
    """Per window the (L, D) states of a `Seq2Seq` that tell its last frames, which begin at ``source_frames``.

    Those of encoders come from `features.extract`.
    """
    return [states for states, _ in _predicted(model, cut, batch_size)]


def errors(model: nn.Module, cut: windows.Windows, *, batch_size: int = 128) -> Float[np.ndarray, " n"]:
    """Mean squared prediction error of every window, over its told frames and channels (`Seq2Seq`)."""
    return np.array([found.mean() for _, found in _predicted(model, cut, batch_size)])


def _predicted(model: nn.Module, cut: windows.Windows, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """States (L, D) and errors (L,) of every window's told frames."""
    device = next(model.parameters()).device
    with torch.inference_mode(), evaluation_mode(model):
        for batch in cut.clips.batches(batch_size):
            prediction = model.predict(batch.to(device))
            states, wrong = prediction.states.cpu().numpy(), prediction.errors.cpu().numpy()
            for n, length in enumerate((batch.lengths - model.source_frames).tolist()):
                yield states[n, :length], wrong[n, :length]
