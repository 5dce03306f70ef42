"""Layerwise ST-GradCAM: which joints and frames raise a class score, at every layer from one pass.

For a layer with feature maps F_c(t, v) and the score y of one class, before softmax,

    alpha_c = mean over t, v of dy / dF_c(t, v),    map(t, v) = sum over c of alpha_c F_c(t, v)

(Selvaraju et al. 2017; Das et al. 2023 apply it to ST-GCN). Maps stay signed, without the final ReLU, and are not
rescaled: positive parts speak for the class, negative ones against it, and layers and clips can be compared.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from lib.clips import Batch
from lib.features import capture, present_rows
from lib.models.layers import evaluation_mode, frame_mask, strided_lengths


def gradcam(
    model: nn.Module,
    batch: Batch,
    layers: Sequence[str] | None = None,
    target: str | int | Sequence | np.ndarray | torch.Tensor | None = None,
) -> dict[str, Float[np.ndarray, "N M T_l V"]]:
    """Map every clip and person of a batch at every layer, by one forward and one backward pass.

    Parameters
    ----------
    model
        A skeleton network of `lib.models`. Used where it is, in evaluation mode; modes, weights and their gradients
        are afterwards what they were.
    batch
        Clips, as `ClipSet.batch` pads them.
    layers
        Names from ``model.layer_names``; all by default.
    target
        The class whose score is explained: None the predicted one, ``"true"`` the label's, a number for all clips, or
        one per clip.

    Returns
    -------
    {layer: (N, M, T_l, V) float32}, signed, in units of the score; T_l frames of the layer. Padded frames and absent
    persons are exactly 0.

    Raises
    ------
    ValueError
        A layer or class that the model does not have.

    Notes
    -----
    Departures from the authors' released code: weights alpha are means over the true frames and joints of each person
    for itself, where theirs mix the persons of a clip and count padding; channels are summed as in Selvaraju et al.,
    where theirs are averaged. Without padding and for one person this is captum's ``LayerGradCam``.
    """
    names = (layers,) if isinstance(layers, str) else model.layer_names if layers is None else tuple(layers)
    if not names:
        raise ValueError(f"layers: none given; choose from {list(model.layer_strides)}")
    if unknown := [name for name in names if name not in model.layer_strides]:
        raise ValueError(f"no layers {unknown} in {type(model).__name__}; it has {list(model.layer_strides)}")
    batch = batch.to(next(model.parameters()).device)
    with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(model), _backward_through_states(model):
        # a leaf that needs a gradient joins the layers to the graph even where all weights are frozen
        x = batch.x.detach().clone().requires_grad_(True)
        with capture(model, names, guard=True) as outputs:
            scores = model(x, batch.lengths, batch.present)
        index = _targets(target, scores, batch.labels).clone()  # it may come from inference mode
        chosen = scores.gather(1, index[:, None]).sum()
        found = [outputs[name] for name in names]
        slopes = torch.autograd.grad(chosen, found)
    with torch.no_grad():
        return {
            name: _maps(features, slope, batch, model.layer_strides[name])
            for name, features, slope in zip(names, found, slopes, strict=True)
        }


def _backward_through_states(model: nn.Module) -> AbstractContextManager:
    """Without cuDNN where there are recurrent layers: it refuses their backward pass in evaluation mode."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    return torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()


def _targets(target, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    count, num_classes = scores.shape
    if target is None:
        return scores.argmax(dim=1)
    if isinstance(target, str):
        if target != "true":
            raise ValueError(f"target={target!r}; choose None (predicted), 'true', a class, or one class per clip")
        return _checked(labels, num_classes)
    try:
        chosen = torch.as_tensor(target, device=scores.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"target: {target!r} cannot be read as classes ({error})") from None
    if chosen.is_floating_point() or chosen.dtype == torch.bool or chosen.shape not in [(), (count,)]:
        raise ValueError(f"target: {chosen.dtype} of shape {tuple(chosen.shape)}, needed one class or {count} of them")
    return _checked(chosen, num_classes).long().expand(count)


def _checked(chosen: torch.Tensor, num_classes: int) -> torch.Tensor:
    if int(chosen.min()) < 0 or int(chosen.max()) >= num_classes:
        raise ValueError(f"target: classes {int(chosen.min())}..{int(chosen.max())}, needed 0..{num_classes - 1}")
    return chosen


def _maps(features: torch.Tensor, slopes: torch.Tensor, batch: Batch, stride: int) -> np.ndarray:
    """(P, C, T_l, V) features of present persons and their slopes to (N, M, T_l, V) maps."""
    N, M = batch.present.shape
    features, slopes = present_rows(features, batch.present), present_rows(slopes, batch.present)
    lengths = strided_lengths(batch.lengths, stride)[batch.present.nonzero()[:, 0]]
    mask = frame_mask(lengths, features.shape[2])
    if mask is None:
        weights = slopes.mean(dim=(2, 3))
    else:  # padded frames must not count, whether their slopes are zero (masked pooling) or not
        weights = (slopes * mask).sum(dim=(2, 3)) / (mask.sum(dim=(2, 3)) * features.shape[3])
    maps = torch.einsum("pc,pctv->ptv", weights, features)
    if mask is not None:
        maps = maps * mask[:, 0]
    out = maps.new_zeros(N, M, *maps.shape[1:])
    out[batch.present] = maps
    return out.float().cpu().numpy()


def upsample_time(
    maps: Float[np.ndarray, "N M T_l V"], stride: int, lengths: Sequence[int] | np.ndarray
) -> Float[np.ndarray, "N M T V"]:
    """Bring a layer's maps to the frames of the input, along time alone; T is the longest of `lengths`.

    Frame i of a layer is centred on input frame ``i * stride``; between these values run linearly, after the last one
    they stay, and frames past a clip's length are 0. Joints are never mixed: neighbours in the array are no neighbours
    on the body.
    """
    lengths = np.asarray(lengths)
    out = np.zeros((*maps.shape[:2], int(lengths.max()), maps.shape[3]), maps.dtype)
    for n, length in enumerate(lengths):
        last = -(-int(length) // stride) - 1
        place = np.minimum(np.arange(length) / stride, last)
        before = np.minimum(place.astype(int), max(last - 1, 0))
        weight = (place - before)[None, :, None].astype(maps.dtype)
        after = np.minimum(before + 1, last)
        out[n, :, :length] = maps[n][:, before] * (1 - weight) + maps[n][:, after] * weight
    return out


def by_class(
    maps: Float[np.ndarray, "N M T_l V"], labels: np.ndarray, num_classes: int, lengths: np.ndarray, present: np.ndarray
) -> Float[np.ndarray, "classes V"]:
    """Mean positive importance of every joint for every class, over true frames, present persons and clips.

    `lengths` count the layer's own frames. Rows of classes without clips are NaN.
    """
    joints = np.maximum(maps, 0).sum(axis=(1, 2)) / (np.asarray(lengths) * present.sum(axis=1))[:, None]  # (N, V)
    total = np.zeros((num_classes, maps.shape[3]))
    np.add.at(total, labels, joints)
    count = np.bincount(labels, minlength=num_classes)[:, None]
    with np.errstate(invalid="ignore"):
        return total / np.where(count > 0, count, np.nan)


def contrast(importance: Float[np.ndarray, "classes V"]) -> Float[np.ndarray, "classes classes"]:
    """How differently two classes use the joints: half the absolute difference of shares, 0 (alike) to 1 (disjoint)."""
    shares = importance / importance.sum(axis=1, keepdims=True)
    return 0.5 * np.abs(shares[:, None] - shares[None]).sum(axis=2)


def shares(maps: Float[np.ndarray, "N M T V"]) -> Float[np.ndarray, "N M T V"]:
    """Positive part of every clip's map as shares of its sum, so that layers of any scale compare; 0 if none."""
    positive = np.maximum(maps, 0)
    total = positive.sum(axis=(1, 2, 3), keepdims=True)
    return np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
