"""Convolution of images whose slopes, and the slopes of these, are convolutions as fast as itself.

PyTorch's own second derivative swaps batch and channels and convolves images by images, which takes three times as long
for STF's losses. A convolution is bilinear: each of its slopes is a product of the other two kinds.
"""

import torch

from lib.models.layers import slopes_of_features

Stride = tuple[int, int]


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Stride = (1, 1),
    padding: Stride = (0, 0),
) -> torch.Tensor:
    """Images x (N, C, H, W) by weight (C', C, h, w), as `F.conv2d`, autocast included."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    return _Image.apply(x, weight, bias, stride, padding)


class _Image(torch.autograd.Function):
    """The convolution itself, bilinear in image and weight, and a bias."""

    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding):
        ctx.save_for_backward(x, weight)
        ctx.where = stride, padding
        return torch.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx, slope):
        x, weight = ctx.saved_tensors
        slope_x = slope_weight = slope_bias = None
        weights_too = not slopes_of_features.is_set()
        if weights_too and not torch.is_grad_enabled():  # all in one go
            return *_slopes(slope, x, weight, *ctx.where, ctx.needs_input_grad[:3]), None, None
        if ctx.needs_input_grad[0]:
            slope_x = _Source.apply(slope, weight, x, *ctx.where)
        if ctx.needs_input_grad[1] and weights_too:
            slope_weight = _Weight.apply(slope, x, weight, *ctx.where)
        if ctx.needs_input_grad[2] and weights_too:
            slope_bias = slope.sum(dim=(0, 2, 3))
        return slope_x, slope_weight, slope_bias, None, None


class _Source(torch.autograd.Function):
    """Slope of the convolution with respect to its image, bilinear in the result's slope and the weight."""

    @staticmethod
    def forward(ctx, slope, weight, like, stride, padding):
        ctx.save_for_backward(slope, weight)
        ctx.where = stride, padding
        return _slopes(slope, torch.empty_like(like), weight, stride, padding, (True, False, False))[0]

    @staticmethod
    def backward(ctx, x):
        slope, weight = ctx.saved_tensors
        slope_slope = slope_weight = None
        if ctx.needs_input_grad[0]:
            slope_slope = _Image.apply(x, weight, None, *ctx.where)
        if ctx.needs_input_grad[1]:
            slope_weight = _Weight.apply(slope, x, weight, *ctx.where)
        return slope_slope, slope_weight, None, None, None


class _Weight(torch.autograd.Function):
    """Slope of the convolution with respect to its weight, bilinear in the result's slope and the image."""

    @staticmethod
    def forward(ctx, slope, x, like, stride, padding):
        ctx.save_for_backward(slope, x)
        ctx.where = stride, padding
        return _slopes(slope, x, torch.empty_like(like), stride, padding, (False, True, False))[1]

    @staticmethod
    def backward(ctx, weight):
        slope, x = ctx.saved_tensors
        slope_slope = slope_x = None
        if ctx.needs_input_grad[0]:
            slope_slope = _Image.apply(x, weight, None, *ctx.where)
        if ctx.needs_input_grad[1]:
            slope_x = _Source.apply(slope, weight, x, *ctx.where)
        return slope_slope, slope_x, None, None, None


def _slopes(slope, x, weight, stride, padding, needed):
    sizes = [len(weight)]  # of a bias
    return torch.ops.aten.convolution_backward(
        slope, x, weight, sizes, stride, padding, (1, 1), False, (0, 0), 1, needed
    )
