"""Clusters of vectors, their number, and a view of them in two or three dimensions."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

METHODS = ("agglomerative", "agglomerative_cosine", "kmeans", "hdbscan")
CRITERIA = ("silhouette", "bic")
SAMPLED = 2000  # vectors that a silhouette is measured on at most: it takes all pairs
COMPONENTS = 20  # principal components that mixtures are fitted to: covariances of more are not determined


def cluster(
    vectors: Float[np.ndarray, "N D"],
    num_clusters: int | str = "silhouette",
    *,
    method: str = "agglomerative",
    candidates: Iterable[int] = range(2, 16),
    seed: int = 0,
) -> Int[np.ndarray, " N"]:
    """Cluster of every vector, numbered by first appearance.

    Parameters
    ----------
    num_clusters
        How many, or the criterion that chooses it among `candidates` (`choose_number`). HDBSCAN finds its own.
    method
        ``"agglomerative"``: Ward's, by Euclidean distance. ``"agglomerative_cosine"``: single linkage by cosine
        distance, as in Su & Shlizerman's released code; one bridge of in-between frames joins two clusters there.
        ``"kmeans"``: the best of ten starts. ``"hdbscan"``: clusters of at least a fiftieth of the vectors; those it
        calls noise join the nearest cluster's mean.
    seed
        Of k-means and of the criterion's sample.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r}; choose one of {list(METHODS)}")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors: hold NaN or inf; needed numbers")
    if method == "hdbscan":
        return _by_appearance(_by_density(vectors))
    if isinstance(num_clusters, str):
        num_clusters = choose_number(vectors, candidates, criterion=num_clusters, method=method, seed=seed)
    if not 1 <= num_clusters <= len(vectors):
        raise ValueError(f"num_clusters={num_clusters}, needed 1..{len(vectors)}, the number of vectors")
    return _by_appearance(_of_number(vectors, num_clusters, method, seed))


def choose_number(
    vectors: Float[np.ndarray, "N D"],
    candidates: Iterable[int] = range(2, 16),
    *,
    criterion: str = "silhouette",
    method: str = "agglomerative",
    seed: int = 0,
) -> int:
    """Return the number of clusters among `candidates` that a criterion likes best, without labels.

    ``"silhouette"`` clusters by `method` with every number and takes the largest mean silhouette (Rousseeuw 1987), on
    at most 2000 vectors. ``"bic"`` takes the smallest Bayesian information criterion of Gaussian mixtures with diagonal
    covariances in the 20 largest principal components; it counts vectors as independent, which frames of a movement are
    not, and so likes many clusters.
    """
    numbers = sorted(n for n in set(candidates) if 2 <= n < len(vectors))
    if criterion not in CRITERIA:
        raise ValueError(f"num_clusters: criterion {criterion!r}; choose a number or one of {list(CRITERIA)}")
    if not numbers:
        raise ValueError(f"candidates: none between 2 and {len(vectors) - 1}, the number of vectors less one")
    if criterion == "silhouette":
        found = [separation(vectors, _of_number(vectors, n, method, seed), seed=seed) for n in numbers]
        return numbers[int(np.argmax(found))]
    scores = principal(vectors, COMPONENTS)
    models = [GaussianMixture(n, covariance_type="diag", reg_covar=1e-4, random_state=seed) for n in numbers]
    return numbers[int(np.argmin([model.fit(scores).bic(scores) for model in models]))]


def separation(vectors: Float[np.ndarray, "N D"], labels: Int[np.ndarray, " N"], *, seed: int = 0) -> float:
    """Mean silhouette of clusters, from -1 to 1: how far they lie apart, without labels.

    On at most 2000 vectors drawn by `seed`; -1 where there are not two clusters.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(vectors))[:SAMPLED])
    vectors, labels = vectors[some], labels[some]
    return float(silhouette_score(vectors, labels)) if 1 < len(np.unique(labels)) < len(labels) else -1.0


def principal(vectors: Float[np.ndarray, "N D"], dims: int) -> Float[np.ndarray, "N K"]:
    """Scores on the `dims` largest principal components, or on as many as there are; the largest entry is positive."""
    pca = PCA(min(dims, *vectors.shape), svd_solver="covariance_eigh")  # LAPACK's SVD may not converge
    scores = pca.fit_transform(vectors)
    largest = np.take_along_axis(scores, np.abs(scores).argmax(axis=0)[None], axis=0)
    return scores * np.where(largest < 0, -1.0, 1.0)


def _of_number(vectors: np.ndarray, number: int, method: str, seed: int) -> np.ndarray:
    if number == 1:  # scikit-learn's agglomerative clustering refuses one vector
        return np.zeros(len(vectors), dtype=np.int64)
    if method == "kmeans":
        return KMeans(number, n_init=10, random_state=seed).fit_predict(vectors)
    kind = {"linkage": "ward"} if method == "agglomerative" else {"linkage": "single", "metric": "cosine"}
    return AgglomerativeClustering(number, **kind).fit_predict(vectors)


def _by_density(vectors: np.ndarray) -> np.ndarray:
    labels = HDBSCAN(min_cluster_size=max(5, len(vectors) // 50), copy=True).fit_predict(vectors)
    known = np.unique(labels[labels >= 0])
    if len(known) == 0:
        return np.zeros(len(vectors), dtype=np.int64)
    means = np.stack([vectors[labels == one].mean(axis=0) for one in known])
    lost = labels < 0
    gaps = np.linalg.norm(vectors[lost][:, None] - means[None], axis=2)
    labels[lost] = known[gaps.argmin(axis=1)]
    return labels


def _by_appearance(labels: np.ndarray) -> np.ndarray:
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[place].astype(np.int64)
