"""MS-G3D (Liu, Zhang, Chen, Wang, Ouyang; CVPR 2020): graphs of many scales, over joints and over windows of frames."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lib.models import layers
from lib.skeletons import Skeleton

CHANNELS = 96  # of the first block; twice and four times as many in the others
STRIDES = (1, 2, 2)
DILATIONS = (1, 2, 3, 4)
NUM_BRANCHES = len(DILATIONS) + 2
WIDE = 64  # channels from which a CPU mixes them as a convolution


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


def _pointwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Mix the channels of x (P, T, V, C), as `F.linear` does.

    On a CPU as a convolution, which is oneDNN's if 16 or more are in the batch: on a Zen 5 core this makes 200 billion
    float32 operations per second in all three directions, where `F.linear`, which is MKL's, makes 100. Few channels
    gain nothing, and PyTorch 2.13 corrupts memory in the convolution's backward pass for them (see `STGCNBlock`).
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
    """

    @staticmethod
    def _moments(x):
        mean = x.mean(dim=(0, 1, 2))
        centred = x - mean
        return mean, centred.square().mean(dim=(0, 1, 2)), centred

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        mean, variance, centred = _TrainingNorm._moments(x)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return centred.mul_(weight * torch.rsqrt(variance + eps)).add_(bias), mean, variance

    @staticmethod
    def backward(ctx, slope, *_):
        x, weight, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():  # this slope will be differentiated: moments must know that they come from x
            mean, variance, centred = _TrainingNorm._moments(x)
        else:
            centred = x - mean
        deviation = torch.rsqrt(variance + ctx.eps)
        slope_bias = slope.sum(dim=(0, 1, 2))
        slope_weight = (slope * centred).sum(dim=(0, 1, 2)) * deviation
        scale = weight * deviation
        share = -scale * x.shape[3] / x.numel()
        slope_x = torch.addcmul(share * slope_bias, slope, scale)
        return torch.addcmul(slope_x, centred, share * slope_weight * deviation), slope_weight, slope_bias, None


def _normalise(norm: layers.MaskedBatchNorm, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
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


def _hide(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Zero the padded frames of x (P, T, V, C), which temporal kernels must not see."""
    return x if mask is None else x * mask.permute(0, 2, 3, 1).to(x.dtype)


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(P, T, V, C) -> (P, ceil(T / stride), V w, C'), nodes in the order (joint, frame of the window)."""
        P, T, V, C = x.shape
        K, w = self.num_scales, self.window_size
        A = (self.A + self.A_res).view(K, w, V, w, V)  # (scale, target frame and joint, source frame and joint)
        if self.mix_first:
            weight = self.mix.weight.unflatten(1, (K, C)).transpose(0, 1).flatten(0, 1)  # (KC', C)
            y = _pointwise(x, weight).view(P, T, V * K, -1)
            kernel = A.permute(2, 1, 4, 0, 3).reshape(V * w, V * K, w, 1)
            if w == self.stride == 1:
                y = torch.bmm(kernel.flatten(1).expand(P * T, -1, -1), y.flatten(0, 1)).unflatten(0, (P, T))
            else:  # joints and scales as channels of an image of frames and features: (P, VK, T, C') -> (P, Vw, T', C')
                y = y.transpose(1, 2).contiguous()
                y = F.conv2d(y, kernel, stride=(self.stride, 1), padding=(w // 2, 0)).transpose(1, 2).contiguous()
            return y + self.mix.bias.to(y.dtype)
        A = A.permute(3, 4, 2, 1, 0).reshape(w * V, -1)  # columns (target joint, its frame, scale)
        x = F.pad(x, (0, 0, 0, 0, w // 2, w // 2)).unfold(1, w, self.stride)  # (P, T', V, C, w)
        x = x.permute(0, 1, 3, 4, 2).reshape(-1, w * V) @ A  # (PT'C, VwK)
        x = x.view(P, -1, C, V * w, K).permute(0, 1, 3, 4, 2).reshape(P, -1, V * w, K * C)
        return _pointwise(x, self.mix.weight, self.mix.bias)


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
        self.norm = layers.MaskedBatchNorm(hidden_channels)
        self.collapse = nn.Linear(window_size * hidden_channels, out_channels)
        self.out_norm = layers.MaskedBatchNorm(out_channels)

    def forward(self, x: torch.Tensor, mask_out: torch.Tensor | None) -> torch.Tensor:
        """(P, T, V, C) -> (P, ceil(T / stride), V, C'), without activation."""
        y = F.relu_(_normalise(self.norm, self.conv(x), mask_out))
        y = y.reshape(*y.shape[:2], x.shape[2], -1)  # (P, T', V, w hidden)
        return _normalise(self.out_norm, _pointwise(y, self.collapse.weight, self.collapse.bias), mask_out)


class TemporalConv(nn.Module):
    """Six branches around a residual: kernels of three frames at four dilations, a maximum of three, and one frame."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, *, activate: bool = True):
        super().__init__()
        self.stride, self.activate = stride, activate
        part = out_channels // NUM_BRANCHES
        self.enter = nn.Linear(in_channels, (NUM_BRANCHES - 1) * part)  # of all branches with a kernel
        self.enter_norm = layers.MaskedBatchNorm((NUM_BRANCHES - 1) * part)
        bound = (3 * part) ** -0.5  # as PyTorch begins a convolution
        self.taps = nn.Parameter(torch.empty(len(DILATIONS), 3 * part, part).uniform_(-bound, bound))
        self.taps_bias = nn.Parameter(torch.empty(len(DILATIONS), part).uniform_(-bound, bound))
        self.point = nn.Linear(in_channels, part)
        self.out_norm = layers.MaskedBatchNorm(out_channels)
        self.residual = self.residual_norm = None
        if in_channels != out_channels or stride != 1:
            self.residual = nn.Linear(in_channels, out_channels)
            self.residual_norm = layers.MaskedBatchNorm(out_channels)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None, mask_out: torch.Tensor | None) -> torch.Tensor:
        """(P, T, V, C) -> (P, ceil(T / stride), V, C')."""
        y = _hide(F.relu_(_normalise(self.enter_norm, _pointwise(x, self.enter.weight, self.enter.bias), mask)), mask)
        dilated, pooled = y.split((len(DILATIONS) * self.taps.shape[2], self.taps.shape[2]), dim=3)
        taps = _Taps.apply(dilated, self.stride)  # (P, T', V, D, 3, b)
        shape = taps.shape[:3]
        dilated = torch.bmm(taps.view(-1, *self.taps.shape[:2]).transpose(0, 1), self.taps)  # (D, PT'V, b)
        dilated = dilated.transpose(0, 1) + self.taps_bias.to(dilated.dtype)
        # nothing is below zero after ReLU, so that zeros beyond the clip never win
        pooled = F.max_pool2d(pooled.permute(0, 3, 1, 2), (3, 1), (self.stride, 1), (1, 0)).permute(0, 2, 3, 1)
        x = x[:, :: self.stride]
        y = torch.cat([dilated.reshape(*shape, -1), pooled, self.point(x)], dim=3)
        y = _normalise(self.out_norm, y, mask_out)
        if self.residual is not None:
            x = _normalise(self.residual_norm, _pointwise(x, self.residual.weight, self.residual.bias), mask_out)
        y = y + x
        return F.relu_(y) if self.activate else y


class STGCBlock(nn.Module):
    """Joints at many scales, then time, beside windows of several sizes; then time. Features only, for hooks.

    `scales` counts those over one frame and those over a window. With `grow`, windows have the output's channels from
    the start, otherwise those of the input until they collapse.
    """

    def __init__(
        self,
        in_channels: int,
        middle_channels: int,
        out_channels: int,
        skeleton: Skeleton,
        scales: tuple[int, int],
        window_sizes: tuple[int, ...],
        stride: int,
        *,
        grow: bool,
    ):
        super().__init__()

        def adjacency(num_scales: int, window_size: int) -> torch.Tensor:
            return torch.tensor(skeleton.hop_scales(num_scales, window_size=window_size), dtype=torch.float32)

        self.spatial = ScaleConv(in_channels, middle_channels, adjacency(scales[0], 1), 1, 1)
        self.spatial_norm = layers.MaskedBatchNorm(middle_channels)
        first = TemporalConv(middle_channels, out_channels, stride)
        self.temporal = nn.ModuleList([first, TemporalConv(out_channels, out_channels, activate=False)])
        hidden = out_channels if grow else in_channels
        self.windows = nn.ModuleList(
            G3D(in_channels, hidden, out_channels, adjacency(scales[1], size), size, stride) for size in window_sizes
        )
        self.after = TemporalConv(out_channels, out_channels)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, mask_out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(P, C, T, V) -> (P, C', ceil(T / stride), V); masks mark the true frames before and after the stride."""
        x = x.permute(0, 2, 3, 1)  # (P, T, V, C), as it lies in memory
        y = F.relu_(_normalise(self.spatial_norm, self.spatial(x), mask))
        y = self.temporal[1](self.temporal[0](y, mask, mask_out), mask_out, mask_out)
        x = _hide(x, mask)
        for windows in self.windows:
            y = y + windows(x, mask_out)
        return self.after(F.relu_(y), mask_out, mask_out).permute(0, 3, 1, 2)


class MSG3D(nn.Module):
    """MS-G3D for any skeleton, any number of frames and persons.

    Parameters
    ----------
    num_classes
        Size of the output.
    skeleton
        Gives V and the hops between joints.
    in_channels
        C of the clips.
    width
        Multiplies the published 96, 192 and 384 channels (the first rounded to a multiple of 6).
    num_gcn_scales, num_g3d_scales
        Scales over joints of one frame, and of a window: 0 hops, 1 hop and so on. 8 and 8 for Kinetics as published.
    window_sizes
        Frames of the windows, odd; one G3D path each.
    dropout
        Before the classifier; the published network has none.
    pooling
        ``"masked"``: means over true frames and present persons, so that padding and empty person slots change
        nothing. ``"mean"``: the published plain mean over all frames and slots.
    stream
        What the network makes of the joints that it is given: ``"joint"``, ``"bone"``, ``"joint_motion"`` or
        ``"bone_motion"`` (`layers.as_stream`).
    num_persons
        None: one input normalisation for all persons, who may then trade places and be of any number. A number: one
        per slot, as published (2), and clips have no more slots; published weights need it.

    Notes
    -----
    One layer per block, after its last temporal convolution. Departures from the released code: the input
    normalisation above; the windows' path of the first block has the block's output channels whatever `in_channels`
    is, where theirs tests for 3 and 8. Biases, and the initial weights, are theirs.

    The same numbers are computed with fewer operations: channels are last in memory, so that 1x1 convolutions are plain
    products; where channels do not grow they are mixed before windows are looked at, and joints, scales and windows are
    one convolution along time, without a copy of any window (`ScaleConv`); branches of equal kind share one product and
    one normalisation (`TemporalConv`).
    """

    def __init__(
        self,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        num_gcn_scales: int = 13,
        num_g3d_scales: int = 6,
        window_sizes: tuple[int, ...] = (3, 5),
        dropout: float = 0.0,
        pooling: str = "masked",
        stream: str = "joint",
        num_persons: int | None = None,
    ):
        super().__init__()
        if pooling not in ("masked", "mean"):
            raise ValueError(f"pooling={pooling!r}; choose 'masked' or 'mean'")
        if num_classes < 1 or in_channels < 1 or width <= 0:
            raise ValueError(
                f"num_classes={num_classes}, in_channels={in_channels}, width={width}; needed positive ones"
            )
        if num_gcn_scales < 1 or num_g3d_scales < 1:
            raise ValueError(f"num_gcn_scales={num_gcn_scales}, num_g3d_scales={num_g3d_scales}; needed at least 1")
        if not window_sizes or any(size < 1 or size % 2 == 0 for size in window_sizes):
            raise ValueError(f"window_sizes={window_sizes}; needed odd numbers of frames, at least one")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}, needed in [0, 1)")
        if stream not in layers.STREAMS:
            raise ValueError(f"stream={stream!r}; choose one of {list(layers.STREAMS)}")
        if num_persons is not None and num_persons < 1:
            raise ValueError(f"num_persons={num_persons}; needed None or at least 1")
        self.pooling, self.stream = pooling, stream
        self.in_channels, self.num_joints, self.num_persons = in_channels, len(skeleton), num_persons
        self.register_buffer("parents", torch.as_tensor(np.array(skeleton.parents)), persistent=False)
        self.input_norms = nn.ModuleList(
            layers.MaskedBatchNorm(self.num_joints * in_channels) for _ in range(num_persons or 1)
        )
        first = NUM_BRANCHES * max(1, round(CHANNELS * width / NUM_BRANCHES))
        plan = ((in_channels, first, first), (first, first, 2 * first), (2 * first, 2 * first, 4 * first))
        scales = (num_gcn_scales, num_g3d_scales)
        self.layers = nn.ModuleList(
            STGCBlock(*channels, skeleton, scales, tuple(window_sizes), stride, grow=index == 0)
            for index, (channels, stride) in enumerate(zip(plan, STRIDES, strict=True))
        )
        self.dropout = layers.Dropout(dropout)
        self.classifier = nn.Linear(4 * first, num_classes)
        self.layer_names = tuple(f"layers.{index}" for index in range(len(STRIDES)))
        strides = torch.tensor(STRIDES).cumprod(0).tolist()
        self.layer_strides = dict(zip(self.layer_names, strides, strict=True))

    def extra_repr(self) -> str:
        """Name what the weights do not tell; checkpoints compare it."""
        return f"pooling={self.pooling!r}" + (f", stream={self.stream!r}" if self.stream != "joint" else "")

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N, classes) from x (N, C, T, V, M), true lengths (N,) and present persons (N, M)."""
        if x.ndim != 5 or x.shape[1] != self.in_channels or x.shape[3] != self.num_joints or 0 in x.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, needed (N, C={self.in_channels}, T >= 1, V={self.num_joints}, M >= 1)"
            )
        N, _, T, _, M = x.shape
        if self.num_persons is not None and self.num_persons < M:
            raise ValueError(f"x has M={M} person slots, this network num_persons={self.num_persons}")
        x = layers.as_stream(x, self.stream, self.parents, lengths)
        x = x.permute(0, 4, 2, 3, 1)  # (N, M, T, V, C)
        if present is None or self.pooling == "mean":
            present = x.new_ones(N, M, dtype=torch.bool)
        if lengths is None or self.pooling == "mean":
            lengths = torch.full((N,), T, device=x.device)
        if not bool(present.any(dim=1).all()):
            empty = (~present.any(dim=1)).nonzero().flatten().tolist()
            raise ValueError(f"clips {empty} of the batch have no present person; leave them out")
        x = x[present]  # (P, T, V, C)
        clip_of, slot_of = present.nonzero().unbind(1)
        person_lengths = lengths[clip_of]

        mask = layers.frame_mask(person_lengths, T)
        x = self._normalised_input(x, slot_of, mask).permute(0, 3, 1, 2)  # (P, C, T, V)
        for block, stride in zip(self.layers, self.layer_strides.values(), strict=True):
            frames_out = -(-T // stride)
            mask_out = (
                None if mask is None else layers.frame_mask(layers.strided_lengths(person_lengths, stride), frames_out)
            )
            x = block(x, mask, mask_out)
            mask = mask_out
        pooled = layers.average_persons(layers.pool(x, mask), clip_of, N)
        return self.classifier(self.dropout(pooled))

    def _normalised_input(self, x: torch.Tensor, slot_of: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Normalise every joint's coordinates (P, T, V, C), over all persons or slot by slot."""
        P, T, V, C = x.shape
        x = x.reshape(P, T, 1, V * C)
        if len(self.input_norms) == 1:
            return _normalise(self.input_norms[0], x, mask).reshape(P, T, V, C)
        y = torch.empty_like(x)
        for slot, norm in enumerate(self.input_norms):
            here = (slot_of == slot).nonzero().flatten()
            if len(here):
                part = _normalise(norm, x[here], None if mask is None else mask[here])
                y = y.index_copy(0, here, part)
        return y.view(P, T, V, C)


def from_reference(state: dict[str, torch.Tensor], model: MSG3D) -> dict[str, torch.Tensor]:
    """Rename the weights of the published code (``model/msg3d.py``) to ours, joining what we compute at once.

    Unknown names, and pieces of which others are missing, pass through unchanged.
    """
    left = dict(state)
    norms = len(model.input_norms)
    if norms == 1 and "data_bn.weight" in left and len(left["data_bn.weight"]) != len(model.input_norms[0].weight):
        persons = len(left["data_bn.weight"]) / len(model.input_norms[0].weight)
        raise ValueError(
            f"data_bn.weight {tuple(left['data_bn.weight'].shape)} normalises {persons:g} persons, each for itself; "
            f"build the network with num_persons={persons:g}, and pooling='mean' for published scores"
        )
    renamed = {}
    for name in [name for name in left if name.startswith("data_bn.")]:
        value, rest = left.pop(name), name.removeprefix("data_bn.")
        parts = value.chunk(norms) if value.ndim else [value] * norms
        renamed |= {f"input_norms.{slot}.{rest}": part for slot, part in enumerate(parts)}
    for ours, theirs in _correspondence(model).items():
        for rest in ("", ".weight", ".bias", ".running_mean", ".running_var", ".num_batches_tracked"):
            names = [f"{piece}{rest}" for piece in theirs]
            pieces = [left[name] for name in names if name in left]
            if len(pieces) < len(names) or len({piece.shape for piece in pieces}) > 1:
                continue
            for name in names:
                del left[name]
            if ours.endswith(".taps"):
                renamed[ours + {".weight": "", ".bias": "_bias"}[rest]] = _stacked_taps(pieces)
                continue
            value = torch.cat(pieces) if pieces[0].ndim else pieces[0]
            if value.ndim == 5:
                value = value.transpose(1, 3)  # (C', C, 1, w, 1): frames of the window before channels
            renamed[ours + rest] = value.flatten(1) if value.ndim > 2 else value
    return renamed | left


def _stacked_taps(pieces: list[torch.Tensor]) -> torch.Tensor:
    """Bring kernels (b', b, 3, 1), one per dilation, to (D, 3 b, b'); biases (b',) to (D, b')."""
    stacked = torch.stack(pieces)
    return stacked.permute(0, 3, 2, 1, 4).flatten(3).flatten(1, 2) if stacked.ndim == 5 else stacked


def _correspondence(model: MSG3D) -> dict[str, list[str]]:
    """Name the published modules whose weights, one after the other, are each of ours."""
    table = {"classifier": ["fc"]}
    for index, block in enumerate(model.layers):
        ours, number = f"layers.{index}", index + 1
        table[f"{ours}.spatial.A_res"] = [f"sgcn{number}.0.A_res"]
        table[f"{ours}.spatial.mix"] = [f"sgcn{number}.0.mlp.layers.0"]
        table[f"{ours}.spatial_norm"] = [f"sgcn{number}.0.mlp.layers.1"]
        for size in range(len(block.windows)):
            path, there = f"{ours}.windows.{size}", f"gcn3d{number}.gcn3d.{size}"
            table[f"{path}.conv.A_res"] = [f"{there}.gcn3d.1.A_res"]
            table[f"{path}.conv.mix"] = [f"{there}.gcn3d.1.mlp.layers.0"]
            table[f"{path}.norm"] = [f"{there}.gcn3d.1.mlp.layers.1"]
            table[f"{path}.collapse"] = [f"{there}.out_conv"]
            table[f"{path}.out_norm"] = [f"{there}.out_bn"]
        temporal = {"temporal.0": f"sgcn{number}.1", "temporal.1": f"sgcn{number}.2", "after": f"tcn{number}"}
        for name, there in temporal.items():
            path, dilated = f"{ours}.{name}", range(len(DILATIONS))
            kernels, last = range(NUM_BRANCHES - 1), NUM_BRANCHES - 1
            table[f"{path}.enter"] = [f"{there}.branches.{branch}.0" for branch in kernels]
            table[f"{path}.enter_norm"] = [f"{there}.branches.{branch}.1" for branch in kernels]
            table[f"{path}.taps"] = [f"{there}.branches.{branch}.3.conv" for branch in dilated]
            table[f"{path}.point"] = [f"{there}.branches.{last}.0"]
            ends = [f"{branch}.3.bn" for branch in dilated] + [f"{last - 1}.4", f"{last}.1"]
            table[f"{path}.out_norm"] = [f"{there}.branches.{end}" for end in ends]
            table[f"{path}.residual"] = [f"{there}.residual.conv"]
            table[f"{path}.residual_norm"] = [f"{there}.residual.bn"]
    return table
