"""MS-G3D (Liu, Zhang, Chen, Wang, Ouyang; CVPR 2020): graphs of many scales, over joints and over windows of frames."""

import torch
from torch import nn
from torch.nn import functional as F

from lib.models import layers
from lib.models.channels_last import MaskedBatchNorm, hide
from lib.models.multiscale import G3D, NUM_BRANCHES, ScaleConv, TemporalConv
from lib.models.network import SkeletonNetwork
from lib.models.stf import FocusAdjacency
from lib.skeletons import Skeleton

CHANNELS = 96  # of the first block; twice and four times as many in the others
STRIDES = (1, 2, 2)
FOCUS_PLACES = tuple(f"layers.{block}.{path}" for block in range(len(STRIDES)) for path in ("joints", "windows"))


class STGCBlock(nn.Module):
    """Joints at many scales, then time, beside windows of several sizes; then time. Features only, for hooks.

    `scales` counts those over one frame and those over a window. With `grow`, windows have the output's channels from
    the start, otherwise those of the input until they collapse. Paths that get a module in `focus`, ``"joints"`` or
    ``"windows"``, have a graph of each clip's own as well; those named in `replaced` have no fixed one.
    """

    def __init__(
        self,
        in_channels: int,
        middle_channels: int,
        out_channels: int,
        skeleton: Skeleton,
        scales: tuple[int, int],
        graph_window_sizes: tuple[int, ...],
        stride: int,
        *,
        grow: bool,
        replaced: tuple[str, ...],
    ):
        super().__init__()
        num_scales = dict(zip(("joints", "windows"), scales, strict=True))

        def adjacency(path: str, window_size: int) -> torch.Tensor:
            hops = torch.tensor(skeleton.hop_scales(num_scales[path], window_size=window_size), dtype=torch.float32)
            return torch.zeros_like(hops) if path in replaced else hops

        self.focus = nn.ModuleDict()
        self.spatial = ScaleConv(in_channels, middle_channels, adjacency("joints", 1), 1, 1)
        self.spatial_norm = MaskedBatchNorm(middle_channels)
        first = TemporalConv(middle_channels, out_channels, stride)
        self.temporal = nn.ModuleList([first, TemporalConv(out_channels, out_channels, activate=False)])
        hidden = out_channels if grow else in_channels
        self.windows = nn.ModuleList(
            G3D(in_channels, hidden, out_channels, adjacency("windows", size), size, stride)
            for size in graph_window_sizes
        )
        self.after = TemporalConv(out_channels, out_channels)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, mask_out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(P, C, T, V) -> (P, C', ceil(T / stride), V); masks mark the true frames before and after the stride."""
        entering, graph = self._entering("joints", x, mask)
        y = F.relu_(self.spatial_norm(self.spatial(entering, graph), mask))
        y = self.temporal[1](self.temporal[0](y, mask, mask_out), mask_out, mask_out)
        entering, graph = self._entering("windows", x, mask)
        entering = hide(entering, mask)
        for windows in self.windows:
            y = y + windows(entering, graph, mask_out)
        return self.after(F.relu_(y), mask_out, mask_out).permute(0, 3, 1, 2)

    def _entering(
        self, path: str, x: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what a path takes in, (P, T, V, C) as it lies in memory, and each person's own graph (P, K, V, V)."""
        graph = self.focus[path](x, mask)[1] if path in self.focus else None
        return x.permute(0, 2, 3, 1), graph

    def convs(self, path: str) -> list[ScaleConv]:
        """Graph convolutions of a path, ``"joints"`` or ``"windows"``."""
        return [self.spatial] if path == "joints" else [windows.conv for windows in self.windows]


class MSG3D(SkeletonNetwork):
    """MS-G3D for any skeleton, any number of frames and persons; with STF-GCN modules it is STF.

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
    graph_window_sizes
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
    focus_places
        Which graph convolutions are STF-GCN modules: any of `FOCUS_PLACES`. ``"layers.2.windows"`` is the third block's
        path over windows; its window sizes share one graph, which holds for every pair of frames in a window. STF's
        figure has six in a row and does not say which they are; a joints' and a windows' path in three blocks make six.
    focus_replaces
        The clip's graph stands in the fixed one's place there (what is learnt beside that stays), instead of adding.

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
        graph_window_sizes: tuple[int, ...] = (3, 5),
        dropout: float = 0.0,
        pooling: str = "masked",
        stream: str = "joint",
        num_persons: int | None = None,
        focus_places: tuple[str, ...] = (),
        focus_replaces: bool = False,
    ):
        super().__init__(
            num_classes, skeleton, in_channels=in_channels, width=width, dropout=dropout, pooling=pooling, stream=stream
        )
        if num_gcn_scales < 1 or num_g3d_scales < 1:
            raise ValueError(f"num_gcn_scales={num_gcn_scales}, num_g3d_scales={num_g3d_scales}; needed at least 1")
        if not graph_window_sizes or any(size < 1 or size % 2 == 0 for size in graph_window_sizes):
            raise ValueError(f"graph_window_sizes={graph_window_sizes}; needed odd numbers of frames, at least one")
        if num_persons is not None and num_persons < 1:
            raise ValueError(f"num_persons={num_persons}; needed None or at least 1")
        if unknown := [place for place in focus_places if place not in FOCUS_PLACES]:
            raise ValueError(f"focus_places: no {unknown}; choose from {list(FOCUS_PLACES)}")
        self.num_persons, self.focus_places = num_persons, tuple(p for p in FOCUS_PLACES if p in focus_places)
        self.input_norms = nn.ModuleList(
            MaskedBatchNorm(self.num_joints * in_channels) for _ in range(num_persons or 1)
        )
        first = NUM_BRANCHES * max(1, round(CHANNELS * width / NUM_BRANCHES))
        plan = ((in_channels, first, first), (first, first, 2 * first), (2 * first, 2 * first, 4 * first))
        scales = (num_gcn_scales, num_g3d_scales)
        places = [place.split(".") for place in self.focus_places]
        blocks = [
            STGCBlock(
                *channels,
                skeleton,
                scales,
                tuple(graph_window_sizes),
                stride,
                grow=index == 0,
                replaced=tuple(p[-1] for p in places if p[1] == str(index)) if focus_replaces else (),
            )
            for index, (channels, stride) in enumerate(zip(plan, STRIDES, strict=True))
        ]
        self._stack(blocks, STRIDES)
        self.dropout = layers.Dropout(dropout)
        self.classifier = nn.Linear(4 * first, num_classes)
        for _, index, path in places:  # last, so that with one seed everything else starts as it does without them
            num_scales = num_gcn_scales if path == "joints" else num_g3d_scales
            module = FocusAdjacency(plan[int(index)][0], num_scales, 1.0 if focus_replaces else 0.0)
            blocks[int(index)].focus[path] = module

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N, classes) from x (N, C, T, V, M), true lengths (N,) and present persons (N, M)."""
        if self.num_persons is not None and x.ndim == 5 and self.num_persons < x.shape[4]:
            raise ValueError(f"x has M={x.shape[4]} person slots, this network num_persons={self.num_persons}")
        return super().forward(x, lengths, present)

    def _classified(self, pooled: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.dropout(pooled))

    def _normalised(self, x: torch.Tensor, slot_of: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Normalise every joint's coordinates, over all persons or slot by slot."""
        P, C, T, V = x.shape
        x = x.permute(0, 2, 3, 1).reshape(P, T, 1, V * C)
        if len(self.input_norms) == 1:
            y = self.input_norms[0](x, mask)
        else:
            y = torch.empty_like(x)
            for slot, norm in enumerate(self.input_norms):
                here = (slot_of == slot).nonzero().flatten()
                if len(here):
                    part = norm(x[here], None if mask is None else mask[here])
                    y = y.index_copy(0, here, part)
        return y.reshape(P, T, V, C).permute(0, 3, 1, 2)
