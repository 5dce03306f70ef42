"""Pieces of both networks for feature maps (P, T, V, C), channels last in memory, as CPUs and GPUs multiply fastest.

P counts present persons over all clips of a batch.
"""

import torch
from torch import nn
from torch.nn import functional as F

from lib.models import layers
from lib.models.convolution import convolve

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
    y = convolve(x.reshape(P * T, V, 1, C).permute(0, 3, 1, 2), weight[:, :, None, None], bias)
    return y.permute(0, 2, 3, 1).reshape(P, T, V, -1)


class _TrainingNorm(torch.autograd.Function):
    """Batch normalisation of x (P, T, V, C) by its own mean and variance, which are returned too.

    `mask` (P, T, 1, 1) or None says which frames count for these. PyTorch's own, on a CPU with channels last, adds up
    all rows one after the other in float32: at 160,000 rows its variance is 1e-3 off, and at 6,400 logits are three
    times as far from float64 as the published network's. A few persons at a time stay in the processor's cache between
    operations, and need no memory of the size of x: two to three times as fast as all at once.
    """

    @staticmethod
    def _mean(term, mask, *tensors):
        """Mean of term(*parts) over all frames that count and all joints; parts are a few persons of each tensor."""
        persons = max(1, CACHED // tensors[0][0].numel())
        parts = list(zip(*(tensor.split(persons) for tensor in tensors), strict=True))
        if mask is None:
            sums = [term(*part).sum(dim=(0, 1, 2)) for part in parts]
            return torch.stack(sums).sum(dim=0) * (tensors[0].shape[3] / tensors[0].numel())
        sums = [(term(*part) * own).sum(dim=(0, 1, 2)) for part, own in zip(parts, mask.split(persons), strict=True)]
        return torch.stack(sums).sum(dim=0) / (mask.sum() * tensors[0].shape[2])

    @staticmethod
    def _moments(x, mask):
        mean = x.mean(dim=(0, 1, 2)) if mask is None else _TrainingNorm._mean(lambda part: part, mask, x)
        return mean, _TrainingNorm._mean(lambda part: (part - mean).square(), mask, x)

    @staticmethod
    def _by_pytorch(x, mask):
        return mask is None and (x.is_cuda or x.element_size() < 4)  # sums of 16 bits are off by less than rounding

    @staticmethod
    def forward(ctx, x, mask, weight, bias, eps):
        if _TrainingNorm._by_pytorch(x, mask):
            y, mean, deviation = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
            out = (y.permute(0, 3, 1, 2), mean, deviation)
            torch.native_batch_norm(x.permute(0, 3, 1, 2), weight, bias, None, None, True, 0.0, eps, out=out)
            variance = deviation.pow(-2) - eps
        else:
            exact = x.to(weight.dtype)
            mean, variance = _TrainingNorm._moments(exact, mask)
            deviation = torch.rsqrt(variance + eps)
            scale = weight * deviation
            y = torch.addcmul(bias - mean * scale, exact, scale).to(x.dtype)
        ctx.eps = eps
        ctx.save_for_backward(x, mask, weight, mean, deviation)
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx, slope, *_):
        x, mask, weight, mean, deviation = ctx.saved_tensors
        if layers.slopes_of_features.is_set():
            return slope * (weight * deviation).to(slope.dtype), None, None, None, None
        again = torch.is_grad_enabled()  # this slope will be differentiated: moments must know that they come from x
        if _TrainingNorm._by_pytorch(x, mask) and not again:
            image, slope = x.permute(0, 3, 1, 2), slope.permute(0, 3, 1, 2)
            given = (slope, image, weight, None, None, mean, deviation, True, ctx.eps, [True, True, True])
            slope_x, slope_weight, slope_bias = torch.ops.aten.native_batch_norm_backward(*given)
            return slope_x.permute(0, 2, 3, 1), None, slope_weight, slope_bias, None
        dtype, x, slope = x.dtype, x.to(weight.dtype), slope.to(weight.dtype)
        if again:
            mean, variance = _TrainingNorm._moments(x, mask)
            deviation = torch.rsqrt(variance + ctx.eps)
        count = x.numel() // x.shape[3]
        slope_bias = slope.sum(dim=(0, 1, 2))
        slope_weight = _TrainingNorm._mean(lambda part, own: (part - mean) * own, None, x, slope) * (count * deviation)
        scale = weight * deviation
        share = -scale / count if mask is None else -scale / (mask.sum() * x.shape[2]) * mask  # of each frame
        along = share * slope_weight * deviation
        slope_x = torch.addcmul(share * slope_bias - along * mean, slope, scale)
        return torch.addcmul(slope_x, x, along).to(dtype), None, slope_weight, slope_bias, None


class MaskedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose training statistics leave padded frames out; weights are those of `nn.BatchNorm2d`."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise x (P, T, V, C), `mask` (P, 1, T, 1) its true frames; channels stay last in memory."""
        if not self.training:
            return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        mask = None if mask is None else mask.permute(0, 2, 3, 1)
        y, mean, variance = _TrainingNorm.apply(x, mask, self.weight, self.bias, self.eps)
        with torch.no_grad():
            count = x.numel() // x.shape[3] if mask is None else mask.sum() * x.shape[2]
            unbiased = variance * (count / torch.as_tensor(count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        return y


def hide(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Zero the padded frames of x (P, T, V, C), which temporal kernels must not see."""
    return x if mask is None else x * mask.permute(0, 2, 3, 1).to(x.dtype)
