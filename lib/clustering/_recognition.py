"""What a frozen embedding knows of classes that it was not told: a nearest neighbour and a linear probe."""

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def nearest_neighbor(
    train: Float[np.ndarray, "N D"], labels: Int[np.ndarray, " N"], test: Float[np.ndarray, "N2 D"]
) -> Int[np.ndarray, " N2"]:
    """Label of the training vector with the largest cosine, the first of several."""
    train, test = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (train, test))
    return labels[(test @ train.T).argmax(axis=1)]


def linear_probe(
    train: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    test: Float[np.ndarray, "N2 D"],
    *,
    strength: float = 0.01,
) -> Int[np.ndarray, " N2"]:
    """Labels by multinomial logistic regression on standardised vectors; `strength` is scikit-learn's C."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    return probe.fit(train, labels).predict(test)
