"""What an evaluation reports, computed from logits alone."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import log_softmax


class Scores(NamedTuple):
    """Evaluation on N clips of `num_classes` classes.

    top1, top5: shares of clips. per_class (classes,): recall, NaN for a class without clips. confusion (classes,
    classes): counts, rows are true classes. calibration_error: mean |confidence - accuracy| over 15 equal confidence
    bins, weighted by clips (Guo et al. 2017). reliability: one row per filled bin. logits (N, classes).
    """

    top1: float
    top5: float
    per_class: np.ndarray
    confusion: np.ndarray
    calibration_error: float
    reliability: pd.DataFrame
    logits: np.ndarray


def score(logits: np.ndarray, labels: np.ndarray) -> Scores:
    """Scores of logits (N, classes) against labels (N,)."""
    if not np.isfinite(logits).all():
        raise ValueError(
            f"logits of clip {int(np.argwhere(~np.isfinite(logits))[0, 0])} hold NaN or inf; needed numbers"
        )
    num_classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    clips_of = confusion.sum(axis=1)
    per_class = np.divide(np.diag(confusion), clips_of, out=np.full(num_classes, np.nan), where=clips_of > 0)
    own = logits[np.arange(len(labels)), labels][:, None]
    ahead = (logits > own) | (
        (logits == own) & (np.arange(num_classes) < labels[:, None])
    )  # ties as argmax breaks them
    rank = ahead.sum(axis=1)

    confidence = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidence = (confidence / confidence.sum(axis=1, keepdims=True)).max(axis=1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": predicted == labels, "clips": 1})
    bins = np.minimum((confidence * 15).astype(int), 14)
    reliability = table.groupby(bins).agg({"confidence": "mean", "accuracy": "mean", "clips": "sum"})
    gaps = (reliability["confidence"] - reliability["accuracy"]).abs()
    return Scores(
        top1=float((predicted == labels).mean()),
        top5=float((rank < 5).mean()),
        per_class=per_class,
        confusion=confusion,
        calibration_error=float((gaps * reliability["clips"]).sum() / len(labels)),
        reliability=reliability.reset_index(drop=True),
        logits=logits,
    )


def weightings(
    logits: Mapping[str, Float[np.ndarray, "N classes"]],
    labels: Int[np.ndarray, " N"],
    choices: Sequence[float] = (0, 1, 2),
) -> pd.DataFrame:
    """Score every way to weigh streams in their fusion (`models.fusion.Fusion`); to be asked of training subjects.

    Parameters
    ----------
    logits
        By stream, of the same clips.
    choices
        Weights that each stream may have, whole numbers; those that differ by a factor alone count once.

    Returns
    -------
    A row per weighting, best first: ``streams`` as `recipes.parse_streams` reads them, ``accuracy``, and ``loss``, the
    cross-entropy, which comes second.

    Raises
    ------
    ValueError
        Choices that are no whole numbers of at least 0, or all 0.
    """
    if not any(choices) or any(choice < 0 or not float(choice).is_integer() for choice in choices):
        raise ValueError(f"choices={tuple(choices)}; needed whole numbers of at least 0, one of them above")
    known = {name: log_softmax(part.astype(np.float64), axis=1) for name, part in logits.items()}
    drawn = (weights for weights in itertools.product(map(int, choices), repeat=len(known)) if any(weights))
    rows = []
    for weights in dict.fromkeys(tuple(w // math.gcd(*weights) for w in weights) for weights in drawn):
        used = {name: weight for name, weight in zip(known, weights, strict=True) if weight}
        fused = sum(weight * known[name] for name, weight in used.items()) / sum(weights)
        text = " + ".join(name if weight == 1 else f"{weight}*{name}" for name, weight in used.items())
        loss = -log_softmax(fused, axis=1)[np.arange(len(labels)), labels].mean()
        rows.append((text, score(fused, labels).top1, float(loss)))
    table = pd.DataFrame(rows, columns=["streams", "accuracy", "loss"])
    return table.sort_values(["accuracy", "loss"], ascending=[False, True], ignore_index=True)


def honest(rows: pd.DataFrame) -> pd.Series:
    """Accuracy per row of a study: ``test_clean`` where a dataset has one, ``test`` elsewhere."""
    return rows["test_clean"].fillna(rows["test"]) if "test_clean" in rows else rows["test"]
