"""Pieces of both networks for feature maps (P, T, V, C), channels last in memory, as CPUs and GPUs multiply fastest.

P counts present persons over all clips of a batch.
"""

import torch
from torch.nn import functional as F

from lib.models import layers

WIDE = 64  # channels from which a CPU mixes them as a convolution
CACHED = 250_000  # numbers that one operation leaves in a core's cache for the next


def pointwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Mix the channels of x (P, T, V, C), as `F.linear` does.

    On a CPU as a convolution, which is oneDNN's if 16 or more are in the batch: on a Zen 5 core this makes 200 billion
    float32 operations per second in all three directions, where `F.linear`, which is MKL's, makes 100. Few channels
    gain nothing.
    """
    if x.is_cuda or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu") or min(weight.shape) < WIDE:
        return F.linear(x, weight, bias)
    P, T, V, C = x.shape
    y = F.conv2d(x.reshape(P * T, V, 1, C).permute(0, 3, 1, 2), weight[:, :, None, None], bias)
    return y.permute(0, 2, 3, 1).reshape(P, T, V, -1)


class _TrainingNorm(torch.autograd.Function):
    """Batch normalisation of x (P, T, V, C) by its own mean and variance, which are returned too.

    PyTorch's own, on a CPU with channels last, adds up all rows one after the other in float32: at 160,000 rows its
    variance is 1e-3 off, and at 6,400 logits are three times as far from float64 as the published network's.
    A few persons at a time stay in the processor's cache between operations, and need no memory of the size of x: two
    to three times as fast as all at once.
    """

    @staticmethod
    def _sum(term, *tensors):
        """Sum term(*parts) over all but channels; parts are a few persons of each tensor."""
        persons = max(1, CACHED // tensors[0][0].numel())
        parts = zip(*(tensor.split(persons) for tensor in tensors), strict=True)
        return torch.stack([term(*part).sum(dim=(0, 1, 2)) for part in parts]).sum(dim=0)

    @staticmethod
    def _moments(x):
        mean = x.mean(dim=(0, 1, 2))
        return mean, _TrainingNorm._sum(lambda part: (part - mean).square(), x) * (x.shape[3] / x.numel())

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        mean, variance = _TrainingNorm._moments(x)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        scale = weight * torch.rsqrt(variance + eps)
        return torch.addcmul(bias - mean * scale, x, scale), mean, variance

    @staticmethod
    def backward(ctx, slope, *_):
        x, weight, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():  # this slope will be differentiated: moments must know that they come from x
            mean, variance = _TrainingNorm._moments(x)
        deviation = torch.rsqrt(variance + ctx.eps)
        scale = weight * deviation
        slope_bias = slope.sum(dim=(0, 1, 2))
        slope_weight = _TrainingNorm._sum(lambda part, there: (part - mean) * there, x, slope) * deviation
        share = -scale * (x.shape[3] / x.numel())
        along = share * slope_weight * deviation
        slope_x = torch.addcmul(share * slope_bias - along * mean, slope, scale).addcmul_(x, along)
        return slope_x, slope_weight, slope_bias, None


def normalise(norm: layers.MaskedBatchNorm, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Normalise x (P, T, V, C); channels stay last in memory."""
    # sums of 16 bits are off by less than their rounding
    if mask is not None or not norm.training or x.is_cuda or x.element_size() < 4:
        return norm(x.permute(0, 3, 1, 2), mask).permute(0, 2, 3, 1)
    y, mean, variance = _TrainingNorm.apply(x, norm.weight, norm.bias, norm.eps)
    with torch.no_grad():
        count = x.numel() // x.shape[3]
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / max(count - 1, 1)), norm.momentum)
        norm.num_batches_tracked += 1
    return y


def hide(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Zero the padded frames of x (P, T, V, C), which temporal kernels must not see."""
    return x if mask is None else x * mask.permute(0, 2, 3, 1).to(x.dtype)
