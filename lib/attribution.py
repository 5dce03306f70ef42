"""Other answers to "which joints and frames?", beside GradCAM: captum's methods, and two that ignore the network.

All return (N, M, T, V) float32 at the input's frames; padded frames and absent persons are 0. Where a method needs
something to compare with, that is a body that holds still: every joint at its mean place over the clip.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from lib.clips import Batch
from lib.focus import focus_maps
from lib.gradcam import gradcam, upsample_time
from lib.models.layers import evaluation_mode, frame_mask


def of_layers(
    model: nn.Module,
    batch: Batch,
    target: torch.Tensor,
    rng: np.random.Generator,
    *,
    layers: Sequence[str] | None = None,
) -> dict[str, Float[np.ndarray, "N M T V"]]:
    """GradCAM of `layers` (all by default), brought to the input's frames, and what ignores the network, by name.

    A network with STF-GCN modules says itself where it looks: the last one's ``focus`` and ``beta`` stand beside them.
    """
    maps, lengths = gradcam(model, batch, layers, target), batch.lengths.cpu().numpy()
    found = {name: upsample_time(part, model.layer_strides[name], lengths) for name, part in maps.items()}
    if getattr(model, "focus_places", ()):
        own = focus_maps(model, batch, target)
        found |= {name: upsample_time(getattr(own, name), own.stride, lengths) for name in ("focus", "beta")}
    return found | {"motion energy": motion_energy(batch), "random": random(batch, rng)}


def every(
    model: nn.Module, batch: Batch, target: torch.Tensor, rng: np.random.Generator
) -> dict[str, Float[np.ndarray, "N M T V"]]:
    """Return what `of_layers` does for all layers, and all methods of this module, by name."""
    found = of_layers(model, batch, target, rng)
    ignorant = {name: found.pop(name) for name in ("motion energy", "random")}
    return found | {
        "integrated gradients": integrated_gradients(model, batch, target),
        "occlusion": occlusion(model, batch, target),
        **ignorant,
    }


def still(batch: Batch) -> torch.Tensor:
    """Coordinates without movement, (N, C, T, V, M): every joint stays at its mean over the clip's true frames."""
    mask = _frames(batch)
    mean = (batch.x * mask).sum(dim=2, keepdim=True) / mask.sum(dim=2, keepdim=True)
    return mean * mask


def integrated_gradients(
    model: nn.Module, batch: Batch, target: torch.Tensor, *, num_steps: int = 16
) -> Float[np.ndarray, "N M T V"]:
    """Integrate gradients from the still body to the clip (Sundararajan et al. 2017), by captum; channels added up."""
    from captum.attr import IntegratedGradients

    with evaluation_mode(model):
        found = IntegratedGradients(model).attribute(
            batch.x,
            baselines=still(batch),
            target=target,
            additional_forward_args=(batch.lengths, batch.present),
            n_steps=num_steps,
            internal_batch_size=4 * len(batch.labels),
        )
    return _by_joint(found, batch)


def occlusion(model: nn.Module, batch: Batch, target: torch.Tensor) -> Float[np.ndarray, "N M T V"]:
    """Loss of score when one joint of one person holds still, by captum's ablation; the same number in every frame."""
    from captum.attr import FeatureAblation

    V, M = batch.x.shape[3:]
    groups = torch.arange(V * M, device=batch.x.device).view(1, 1, 1, V, M)
    with evaluation_mode(model), torch.no_grad():
        found = FeatureAblation(model).attribute(
            batch.x,
            baselines=still(batch),
            target=target,
            additional_forward_args=(batch.lengths, batch.present),
            feature_mask=groups,
            perturbations_per_eval=V,
        )
    return _by_joint(found / batch.x.shape[1], batch)


def video_gradcam(
    model: nn.Module, clip: torch.Tensor, class_index: int, layer: str
) -> Float[np.ndarray, "frames height width"]:
    """Positive part of GradCAM of a layer of a network on video, by captum, over the frames and pixels of one clip.

    `clip` is (1, C, T, H, W), finite, and maps run linearly between the places of the layer.
    """
    from captum.attr import LayerGradCam

    if clip.ndim != 5 or len(clip) != 1 or not bool(torch.isfinite(clip).all()):
        raise ValueError(f"clip has shape {tuple(clip.shape)}; needed one clip (1, C, T, H, W) of finite numbers")
    if layer not in dict(model.named_modules()):
        raise ValueError(f"no layer {layer!r} in {type(model).__name__}")
    with torch.no_grad(), evaluation_mode(model):
        num_classes = model(clip.detach().clone()).shape[1]
    if not 0 <= class_index < num_classes:
        raise ValueError(f"class_index={class_index}, needed 0..{num_classes - 1}")
    with evaluation_mode(model):
        found = LayerGradCam(model, model.get_submodule(layer)).attribute(clip.detach().clone(), class_index).detach()
    found = torch.nn.functional.interpolate(found, clip.shape[2:], mode="trilinear", align_corners=False)
    return found[0, 0].clamp(min=0).cpu().numpy()


def motion_energy(batch: Batch) -> Float[np.ndarray, "N M T V"]:
    """Squared speed of every joint: what moves is important. Knows no network."""
    steps = torch.zeros_like(batch.x)
    mask = _frames(batch)
    steps[:, :, 1:] = batch.x.diff(dim=2) * mask[:, :, 1:]
    return _by_joint(steps.square(), batch)


def random(batch: Batch, rng: np.random.Generator) -> Float[np.ndarray, "N M T V"]:
    """Noise, one number per joint plus one per frame, so that neither ranking is an average of many."""
    N, _, T, V, M = batch.x.shape
    noise = rng.uniform(size=(N, M, 1, V)) + rng.uniform(size=(N, 1, T, 1))
    return _by_joint(torch.as_tensor(noise.transpose(0, 2, 3, 1), dtype=torch.float32)[:, None], batch)


def _frames(batch: Batch) -> torch.Tensor:
    """(N, 1, T, 1, 1) ones on true frames."""
    mask = frame_mask(batch.lengths, batch.x.shape[2])
    return batch.x.new_ones(len(batch.labels), 1, batch.x.shape[2], 1, 1) if mask is None else mask[..., None]


def _by_joint(values: torch.Tensor, batch: Batch) -> np.ndarray:
    """(N, C, T, V, M) added up over channels to (N, M, T, V), zero where nobody is."""
    values = values.detach().cpu() * _frames(batch).cpu() * batch.present.cpu()[:, None, None, None]
    return values.sum(dim=1).permute(0, 3, 1, 2).float().numpy()
