"""Pieces of MS-G3D (Liu et al., CVPR 2020): graph convolutions over many scales and windows, temporal ones in branches.

Feature maps are (P, T, V, C) here, channels last in memory: P counts present persons over all clips of a batch.
"""

import torch
from torch import nn
from torch.nn import functional as F

from lib.models.channels_last import MaskedBatchNorm, hide, pointwise
from lib.models.convolution import convolve

DILATIONS = (1, 2, 3, 4)
NUM_BRANCHES = len(DILATIONS) + 2
PART = 4_000_000  # numbers between two products, computed at once: memory in pieces of 32 MB and more costs page faults


class _Taps(torch.autograd.Function):
    """Frames t - d, t and t + d side by side for every dilation d: (P, T, V, D b) -> (P, ceil(T / s), V, D, 3, b).

    Each dilation has b channels of its own; frames outside the clip are zero.
    """

    @staticmethod
    def _pairs(num_frames: int, stride: int):
        """Yield dilation's and tap's index with the slices of frames in x and in the result that they join."""
        for d, dilation in enumerate(DILATIONS):
            for tap, shift in enumerate((-dilation, 0, dilation)):
                first = max(-(shift // stride), 0)  # ceil(-shift / stride)
                end = min(-(-(num_frames - shift) // stride), -(-num_frames // stride))
                if first < end:
                    source = slice(first * stride + shift, (end - 1) * stride + shift + 1, stride)
                    yield d, tap, source, slice(first, end)

    @staticmethod
    def forward(ctx, x, stride):
        P, T, V, channels = x.shape
        ctx.stride, ctx.num_frames = stride, T
        x = x.unflatten(3, (len(DILATIONS), -1))
        y = x.new_zeros(P, -(-T // stride), V, len(DILATIONS), 3, channels // len(DILATIONS))
        for d, tap, source, target in _Taps._pairs(T, stride):
            y[:, target, :, d, tap] = x[:, source, :, d]
        return y

    @staticmethod
    def backward(ctx, slope):
        P, _, V, D, _, channels = slope.shape
        slope_x = slope.new_zeros(P, ctx.num_frames, V, D, channels)
        for d, tap, source, target in _Taps._pairs(ctx.num_frames, ctx.stride):
            slope_x[:, source, :, d] += slope[:, target, :, d, tap]
        return slope_x.flatten(3), None


class ScaleConv(nn.Module):
    """Graph convolution over K scales of hops, in every window of frames (sections 3.2 and 3.3, before the collapse).

    Parameters
    ----------
    adjacency
        (K, w V, w V), nodes in the order (frame of the window, joint).
    window_size, stride
        w, odd, and the step from one window to the next.

    Notes
    -----
    ``A`` plus the learnable ``A_res`` has one row per target and one column per source, as published. Where it is not
    larger than the input, the output's channels are mixed before joints: once per frame instead of once per window.
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: torch.Tensor, window_size: int, stride: int):
        super().__init__()
        self.num_scales, self.window_size, self.stride = len(adjacency), window_size, stride
        self.register_buffer("A", adjacency.flatten(0, 1), persistent=False)
        self.A_res = nn.Parameter(torch.empty_like(self.A).uniform_(-1e-6, 1e-6))
        self.mix = nn.Linear(self.num_scales * in_channels, out_channels)
        self.mix_first = out_channels <= in_channels

    def forward(self, x: torch.Tensor, graph: torch.Tensor | None = None) -> torch.Tensor:
        """(P, T, V, C) -> (P, ceil(T / stride), V w, C'), nodes in the order (joint, frame of the window).

        `graph` (P, K, V, V) adds each person's own graph, target joints by source joints, between all frames of a
        window.
        """
        P, T, V, C = x.shape
        K, w = self.num_scales, self.window_size
        A = (self.A + self.A_res).view(K, w, V, w, V)  # (scale, target frame and joint, source frame and joint)
        if self.mix_first:
            weight = self.mix.weight.unflatten(1, (K, C)).transpose(0, 1).flatten(0, 1)  # (KC', C)
            kernel = A.permute(2, 1, 4, 0, 3).reshape(V * w, V * K, w, 1)
            own = None if graph is None else graph.permute(0, 2, 3, 1).flatten(2)  # (P, V, VK)
            persons = P if x.is_cuda else max(1, PART // (T * V * len(weight)))
            starts = range(0, P, persons)
            parts = [slice(start, start + persons) for start in starts]
            y = [self._mixed(x[part], weight, kernel, None if own is None else own[part]) for part in parts]
            y = torch.cat(y)
            return y + self.mix.bias.to(y.dtype)
        A = A.permute(3, 4, 2, 1, 0).reshape(w * V, -1)  # columns (target joint, its frame, scale)
        windows = F.pad(x, (0, 0, 0, 0, w // 2, w // 2)).unfold(1, w, self.stride)  # (P, T', V, C, w)
        y = (windows.permute(0, 1, 3, 4, 2).reshape(-1, w * V) @ A).view(P, -1, C, V * w, K)
        if graph is not None:
            own = self._over_windows(x).transpose(2, 3).flatten(1, 2)  # (P, T'C, V)
            own = torch.bmm(own, graph.permute(0, 3, 2, 1).flatten(2).to(own.dtype)).view(P, -1, C, V, 1, K)
            y = (y.unflatten(3, (V, w)) + own).flatten(3, 4)
        y = y.permute(0, 1, 3, 4, 2).reshape(P, -1, V * w, K * C)
        return pointwise(y, self.mix.weight, self.mix.bias)

    def _mixed(
        self, x: torch.Tensor, weight: torch.Tensor, kernel: torch.Tensor, own: torch.Tensor | None
    ) -> torch.Tensor:
        """Mix channels by weight (KC', C), then joints and frames by kernel (Vw, VK, w, 1) and each own (P, V, VK)."""
        P, T, V, _ = x.shape
        K, w = self.num_scales, self.window_size
        y = pointwise(x, weight).view(P, T, V * K, -1)
        if own is not None:
            own = own.to(y.dtype)
        if w == self.stride == 1:
            kernel = kernel.flatten(1).to(y.dtype)
            kernel = kernel.expand(P, T, -1, -1) if own is None else (kernel + own)[:, None].expand(-1, T, -1, -1)
            return torch.bmm(kernel.flatten(0, 1), y.flatten(0, 1)).unflatten(0, (P, T))
        # joints and scales as channels, last in memory, of an image of frames and features
        y = y.transpose(2, 3).contiguous()  # (P, T, C', VK)
        found = convolve(y.permute(0, 3, 1, 2), kernel, stride=(self.stride, 1), padding=(w // 2, 0))
        found = found.permute(0, 2, 1, 3)  # (P, T', Vw, C')
        if own is None:
            return found.contiguous()
        own = torch.bmm(y.flatten(1, 2), own.transpose(1, 2)).view(P, T, -1, V)
        own = self._over_windows(own).transpose(2, 3).unsqueeze(3)  # (P, T', V, 1, C')
        return (found.unflatten(2, (V, w)) + own).flatten(2, 3)

    def mean_slope(self, slope: torch.Tensor, graph: torch.Tensor | None, lengths: torch.Tensor) -> torch.Tensor:
        """(P, C): the input's slope, summed over the true frames and all joints, from the output's (P, T', Vw, C').

        What GradCAM weighs channels by, without the input's slope itself: channels are mixed the same everywhere, so
        that joints and frames can be added up first. `lengths` (P,) are the input's.
        """
        K, w = self.num_scales, self.window_size
        frames = self.stride * torch.arange(slope.shape[1], device=slope.device)[:, None]
        frames = frames + torch.arange(w, device=slope.device) - w // 2  # (T', w) that windows look at
        seen = ((frames >= 0) & (frames < lengths[:, None, None])).to(slope.dtype)  # (P, T', w)
        A = self.A + self.A_res
        V = A.shape[1] // w
        columns = A.view(K, w, V, w, V).sum(dim=4).to(slope.dtype)  # over source joints
        gathered = torch.einsum("pti,kjvi->ptvjk", seen, columns)  # all that a node of a window takes from each scale
        if graph is not None:
            own = graph.sum(dim=3).transpose(1, 2)[:, None, :, None].to(slope.dtype)  # (P, 1, V, 1, K)
            gathered = gathered + seen.sum(dim=2)[:, :, None, None, None] * own
        gathered = torch.bmm(gathered.flatten(1, 3).transpose(1, 2), slope.flatten(1, 2))  # (P, K, C')
        return torch.einsum("pkc,ckd->pd", gathered, self.mix.weight.unflatten(1, (K, -1)).to(slope.dtype))

    def _over_windows(self, x: torch.Tensor) -> torch.Tensor:
        """Sum the frames of each window: (P, T, ., .) -> (P, ceil(T / stride), ., .)."""
        centres = torch.arange(0, x.shape[1], self.stride, device=x.device)[:, None]
        inside = (torch.arange(x.shape[1], device=x.device) - centres).abs() <= self.window_size // 2
        # PyTorch's pooling, and its unfolding's slope, are far slower
        return torch.matmul(inside.to(x.dtype), x.flatten(2)).unflatten(2, x.shape[2:])


class G3D(nn.Module):
    """One window size: graph convolution in windows, then all frames of a window collapse into one (section 3.3)."""

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        adjacency: torch.Tensor,
        window_size: int,
        stride: int,
    ):
        super().__init__()
        self.conv = ScaleConv(in_channels, hidden_channels, adjacency, window_size, stride)
        self.norm = MaskedBatchNorm(hidden_channels)
        self.collapse = nn.Linear(window_size * hidden_channels, out_channels)
        self.out_norm = MaskedBatchNorm(out_channels)

    def forward(self, x: torch.Tensor, graph: torch.Tensor | None, mask_out: torch.Tensor | None) -> torch.Tensor:
        """(P, T, V, C) and each person's own graph -> (P, ceil(T / stride), V, C'), without activation."""
        y = F.relu_(self.norm(self.conv(x, graph), mask_out))
        y = y.reshape(*y.shape[:2], x.shape[2], -1)  # (P, T', V, w hidden)
        return self.out_norm(pointwise(y, self.collapse.weight, self.collapse.bias), mask_out)


class TemporalConv(nn.Module):
    """Six branches around a residual: kernels of three frames at four dilations, a maximum of three, and one frame."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, *, activate: bool = True):
        super().__init__()
        self.stride, self.activate = stride, activate
        part = out_channels // NUM_BRANCHES
        self.enter = nn.Linear(in_channels, (NUM_BRANCHES - 1) * part)  # of all branches with a kernel
        self.enter_norm = MaskedBatchNorm((NUM_BRANCHES - 1) * part)
        bound = (3 * part) ** -0.5  # as PyTorch begins a convolution
        self.taps = nn.Parameter(torch.empty(len(DILATIONS), 3 * part, part).uniform_(-bound, bound))
        self.taps_bias = nn.Parameter(torch.empty(len(DILATIONS), part).uniform_(-bound, bound))
        self.point = nn.Linear(in_channels, part)
        self.out_norm = MaskedBatchNorm(out_channels)
        self.residual = self.residual_norm = None
        if in_channels != out_channels or stride != 1:
            self.residual = nn.Linear(in_channels, out_channels)
            self.residual_norm = MaskedBatchNorm(out_channels)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None, mask_out: torch.Tensor | None) -> torch.Tensor:
        """(P, T, V, C) -> (P, ceil(T / stride), V, C')."""
        y = hide(F.relu_(self.enter_norm(pointwise(x, self.enter.weight, self.enter.bias), mask)), mask)
        dilated, pooled = y.split((len(DILATIONS) * self.taps.shape[2], self.taps.shape[2]), dim=3)
        taps = _Taps.apply(dilated, self.stride)  # (P, T', V, D, 3, b)
        shape = taps.shape[:3]
        dilated = torch.bmm(taps.view(-1, *self.taps.shape[:2]).transpose(0, 1), self.taps)  # (D, PT'V, b)
        dilated = dilated.transpose(0, 1) + self.taps_bias.to(dilated.dtype)
        # nothing is below zero after ReLU, so that zeros beyond the clip never win
        pooled = F.max_pool2d(pooled.permute(0, 3, 1, 2), (3, 1), (self.stride, 1), (1, 0)).permute(0, 2, 3, 1)
        x = x[:, :: self.stride]
        y = torch.cat([dilated.reshape(*shape, -1), pooled, self.point(x)], dim=3)
        y = self.out_norm(y, mask_out)
        if self.residual is not None:
            x = self.residual_norm(pointwise(x, self.residual.weight, self.residual.bias), mask_out)
        y = y + x
        return F.relu_(y) if self.activate else y
