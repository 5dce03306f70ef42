"""Terms that join a classification loss, one pure function each: STF's, and label smoothness of a batch's graph.

STF's are those of Ke, Peng, Lyu (AAAI 2022). A focus Q (P, T_l, V) says for every present person which joints and
frames speak for a class: the differentiable GradCAM of `focus`. All its terms are means over persons of Euclidean norms
over frames and joints, or of a probability; padded frames of every argument are zero and add nothing. What the paper
leaves open is a parameter or a note here. One departure holds for all: its formulas have Q as it is, distances here are
between focuses that are `scaled` to a largest entry of 1. A raw focus grows with the features and the logits, so that
no weight would fit the beginning and the end of a training, and the distance could grow for ever by scale alone.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

SCORES = ("probability", "logit")
TINY = 1e-12  # keeps roots and quotients differentiable where a focus is zero everywhere


def focus(
    features: Float[torch.Tensor, "P C T V"],
    alpha: Float[torch.Tensor, "P C"],
    mask: Float[torch.Tensor, "P 1 T 1"] | None = None,
) -> Float[torch.Tensor, "P T V"]:
    """ReLU of a layer's features, channels weighted by `alpha`: the mean slope of a class score over T and V.

    `mask` has ones on true frames; others have no focus. Z of the paper is T V, with true frames for T, and in `alpha`.
    """
    found = F.relu(torch.einsum("pc,pctv->ptv", alpha, features))
    return found if mask is None else found * mask[:, 0]


def scaled(q: Float[torch.Tensor, "P T V"]) -> Float[torch.Tensor, "P T V"]:
    """Divide each person's focus by its largest entry: into [0, 1], zeros stay zeros, all zero stays all zero."""
    return q / q.amax(dim=(1, 2), keepdim=True).clamp(min=TINY)


def resized(
    q: Float[torch.Tensor, "P T_l V"], lengths: Int[torch.Tensor, " P"], num_frames: int, stride: int
) -> Float[torch.Tensor, "P T V"]:
    """Stretch a focus in time to `num_frames`, each joint for itself; `lengths` (P,) are true frames there.

    Frame i of the focus stands at ``i * stride``; between these values run linearly, after a person's last one they
    stay, and padded frames are zero (as `gradcam.upsample_time`).
    """
    frames = torch.arange(num_frames, device=q.device)
    last = (lengths - 1).div(stride, rounding_mode="floor")[:, None]
    place = torch.minimum(frames / stride, last).to(q.dtype)  # (P, T)
    before = place.long()
    after = torch.minimum(before + 1, last)
    share = (place - before)[:, :, None]

    def at(index: torch.Tensor) -> torch.Tensor:
        return q.gather(1, index[:, :, None].expand(-1, -1, q.shape[2]))

    return (at(before) * (1 - share) + at(after) * share) * (frames < lengths[:, None])[:, :, None]


def masked_input(
    x: Float[torch.Tensor, "P C T V"], q: Float[torch.Tensor, "P T V"], centre: Float[torch.Tensor, "P C T 1"]
) -> Float[torch.Tensor, "P C T V"]:
    """X - Q * X about a centre: what the focus (from 0 to 1) points at moves to `centre`, the rest stays.

    The paper masks coordinates as they are; where these are metres from a camera, 0 is a place in front of it, so that
    they are taken from the body's centre here.
    """
    return x - q[:, None] * (x - centre)


def exploration(
    logits: Float[torch.Tensor, "N classes"], predicted: Int[torch.Tensor, " N"], *, score: str = "probability"
) -> torch.Tensor:
    """Mean score of the class first predicted, now that the input is masked (L_e); falls as the focus hides more.

    `score` is ``"probability"`` (default: bounded, and what the paper's figure says) or ``"logit"`` (its formula).
    """
    if score not in SCORES:
        raise ValueError(f"score={score!r}; choose 'probability' or 'logit'")
    values = logits.softmax(dim=1) if score == "probability" else logits
    return values.gather(1, predicted[:, None]).mean()


def consistency(first: Float[torch.Tensor, "P T V"], second: Float[torch.Tensor, "P T V"]) -> torch.Tensor:
    """Mean distance between the scaled focuses of two modules (L_c), of the same frames (`resized`)."""
    return _distance(scaled(first), scaled(second))


def divergence(first: Float[torch.Tensor, "P T V"], second: Float[torch.Tensor, "P T V"]) -> torch.Tensor:
    """Minus the mean distance between the scaled focuses of the two classes that score highest (L_d)."""
    return -_distance(scaled(first), scaled(second))


def adjacency(q: Float[torch.Tensor, "P T V"], beta: Float[torch.Tensor, "P T V"]) -> torch.Tensor:
    """Mean distance between a module's own guess `beta` of its focus and the scaled focus (L_Gk)."""
    return _distance(scaled(q), beta)


def smoothness(
    features: Float[torch.Tensor, "N D"],
    labels: Int[torch.Tensor, " N"],
    *,
    num_neighbors: int,
    sigma_scale: float = 1.0,
) -> torch.Tensor:
    """Label smoothness of the graph that a batch's own features make: from 0, all links within classes, to 2.

    Parameters
    ----------
    features
        One vector per clip, in float32 at least.
    num_neighbors
        Nearest others that each clip is linked to; all others where a batch has fewer.
    sigma_scale
        Kernel width as a share of the mean distance to the last neighbour. At a third, the rule of the book's graphs,
        a clip has hardly more than one neighbour to learn from.

    Returns
    -------
    sum w_ij |y_i - y_j|² / sum w_ij over one-hot labels, twice the share of link weight between classes; 0 for a batch
    of one clip, which has no links.

    Notes
    -----
    The term of latent geometry graphs (Lassance, Gripon, Ortega 2020), whose sum over links between classes is divided
    by the sum over all: this is ``lib.smoothness.label_smoothness(graph, labels).laplacian`` of
    ``graphs.knn(distances, k, kernel="gaussian", sigma=...)`` over Euclidean distances, as a torch function. The width
    follows the features, also in the slope, so that their scale changes nothing. Who is linked to whom is found anew in
    every batch and has no slope. A batch without two clips of one class is at 2 whatever its features are, and teaches
    nothing.
    """
    if num_neighbors < 1 or not sigma_scale > 0:
        raise ValueError(f"num_neighbors={num_neighbors}, sigma_scale={sigma_scale}; needed at least 1, and positive")
    k = min(num_neighbors, len(features) - 1)
    if k == 0:
        return features.sum() * 0.0
    squared = (features[:, None] - features[None]).square().sum(dim=2)  # (N, N)
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    near = squared.detach().masked_fill(itself, math.inf).argsort(dim=1, stable=True)[:, :k]
    width = sigma_scale * (squared.gather(1, near[:, -1:]) + TINY).sqrt().mean()
    linked = torch.zeros_like(itself).scatter_(1, near, True)
    weights = torch.exp(-squared / (2 * width.square())) * (linked | linked.T)
    between = labels[:, None] != labels[None]
    return 2 * (weights * between).sum() / weights.sum()


def balanced_weights(terms: Mapping[str, float], to: float) -> dict[str, float]:
    """Weights (powers of ten) that bring each term to the order of magnitude of `to`, the classification loss.

    The paper chooses weights so, at the start of training; its numbers are not known. A term that is 0 gets 1.
    """
    if not to > 0:
        raise ValueError(f"to={to}; needed a positive loss")
    return {
        name: 10.0 ** round(float(torch.log10(torch.tensor(to / abs(value))))) if value else 1.0
        for name, value in terms.items()
    }


def _distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return ((first - second).square().sum(dim=(1, 2)) + TINY).sqrt().mean()
