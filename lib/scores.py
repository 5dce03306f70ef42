"""What an evaluation reports, computed from logits alone."""

from typing import NamedTuple

import numpy as np
import pandas as pd


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


def honest(rows: pd.DataFrame) -> pd.Series:
    """Accuracy per row of a study: ``test_clean`` where a dataset has one, ``test`` elsewhere."""
    return rows["test_clean"].fillna(rows["test"]) if "test_clean" in rows else rows["test"]
