"""What a frozen embedding knows of classes: a nearest neighbour, and a linear probe, which is also put on a network."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from lib.clips import ClipSet
from lib.models.layers import evaluation_mode

STRENGTH = 0.01  # scikit-learn's C of the probe: a strong prior, because vectors are many and clips few


def embed(model: nn.Module, clips: ClipSet, *, batch_size: int = 128) -> Float[np.ndarray, "N D"]:
    """Return what the classifier of a skeleton network sees of each clip."""
    device = next(model.parameters()).device
    with torch.inference_mode(), evaluation_mode(model):
        parts = [model.embed(*batch.to(device)[:3]).float().cpu() for batch in clips.batches(batch_size)]
    return torch.cat(parts).numpy()


def nearest_neighbor(
    train: Float[np.ndarray, "N D"], labels: np.ndarray, test: Float[np.ndarray, "N2 D"]
) -> np.ndarray:
    """Label of the training vector with the largest cosine about the mean of all of them, the first of several.

    States of a GRU share a large mean, beside which all cosines look alike; Su et al. leave it in.
    """
    train, test = train - train.mean(axis=0), test - train.mean(axis=0)
    train, test = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (train, test))
    return labels[(test @ train.T).argmax(axis=1)]


def fit_probe(model: nn.Module, train: ClipSet) -> nn.Module:
    """Make the network's classifier the best linear one on its frozen embedding, in place; returns `model`.

    Multinomial logistic regression on standardised vectors, whose scale is put into the weights: labels of `train` are
    read here and nowhere before.
    """
    if len(np.unique(train.labels)) < 2:
        raise ValueError(f"train: {len(train)} clips of {len(np.unique(train.labels))} classes; needed two classes")
    scaler = StandardScaler().fit(vectors := embed(model, train))
    probe = LogisticRegression(C=STRENGTH, max_iter=1000).fit(scaler.transform(vectors), train.labels)
    two = len(probe.classes_) == 2  # scikit-learn keeps one row then
    rows, offsets = probe.coef_ / scaler.scale_, probe.intercept_
    weight = np.zeros((len(train.class_names), vectors.shape[1]))
    bias = np.full(len(weight), -1e4)  # a class without clips is never chosen
    known = probe.classes_[1:] if two else probe.classes_
    weight[known], bias[known] = rows, offsets - rows @ scaler.mean_
    if two:
        bias[probe.classes_[0]] = 0.0
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(weight))
        model.classifier.bias.copy_(torch.from_numpy(bias))
    return model


def recognise(model: nn.Module, train: ClipSet, tests: Mapping[str, ClipSet]) -> dict[str, dict[str, float]]:
    """{``"nearest_neighbor"`` or ``"linear_probe"``: {split: share of clips recognised}}; sets the probe."""
    fit_probe(model, train)
    known = embed(model, train)
    found = {"nearest_neighbor": {}, "linear_probe": {}}
    for split, clips in tests.items():
        vectors = embed(model, clips)
        guess = nearest_neighbor(known, train.labels, vectors)
        found["nearest_neighbor"][split] = float((guess == clips.labels).mean())
        with torch.inference_mode(), evaluation_mode(model):
            weight = model.classifier.weight
            logits = model.classifier(torch.from_numpy(vectors).to(weight.device, weight.dtype))
        found["linear_probe"][split] = float((logits.argmax(dim=1).cpu().numpy() == clips.labels).mean())
    return found
