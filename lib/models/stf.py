"""STF-GCN modules (Ke, Peng, Lyu; AAAI 2022): graphs over joints that follow the clip at hand.

`lib.models.msg3d` puts them into MS-G3D's blocks, `lib.focus` trains them.
"""

import torch
from torch import nn

NUM_SPANS = 8  # equal shares of a clip that a joint's focus is averaged over
RANK = 8  # of each scale's affinity between joints


class FocusAdjacency(nn.Module):
    """An STF-GCN module's own graph: features to a focus over frames and joints, the focus to a graph over joints.

    ``beta`` scores every frame and joint from 0 to 1. ``alpha`` describes each joint by its focus in equal spans of the
    clip and joins the joints whose descriptions match, scale by scale, with a learnable size.

    Notes
    -----
    The paper gives beta: (C, T, V) to (T, V) and alpha: (T, V) to (V, V) by their shapes alone. Here beta is a linear
    map of the channels and a sigmoid; alpha is a softmax over source joints of a product of two learnt projections, for
    any number of frames. `size` is where each scale's factor starts: at 0 training starts from MS-G3D itself.
    """

    def __init__(self, in_channels: int, num_scales: int, size: float):
        super().__init__()
        self.beta = nn.Linear(in_channels, 1)
        self.source = nn.Linear(NUM_SPANS, num_scales * RANK)
        self.target = nn.Linear(NUM_SPANS, num_scales * RANK)
        self.size = nn.Parameter(torch.full((num_scales,), size))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """(P, C, T, V) and mask (P, 1, T, 1) -> the guessed focus (P, T, V) and the graph (P, K, V, V)."""
        exact = torch.promote_types(x.dtype, torch.float32)
        scores = self.beta(x.permute(0, 2, 3, 1)).squeeze(3).to(exact).sigmoid()
        beta = scores if mask is None else scores * mask[:, 0]
        with torch.autocast(x.device.type, enabled=False):  # small products; their slopes are gone down twice
            spans = torch.bmm(_spans(beta, mask), beta).transpose(1, 2)  # (P, V, spans)
            P, V, _ = spans.shape
            source, target = (
                project(spans).view(P, V, -1, RANK).transpose(1, 2) for project in (self.source, self.target)
            )
            affinity = target @ source.transpose(2, 3) * RANK**-0.5  # (P, K, V, V), target joints by source joints
            return beta, affinity.softmax(dim=3) * self.size[:, None, None]

    def mean_slope(self, slope: torch.Tensor, beta: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(P, C): mean slope over true frames and joints by way of the graph, from beta's slope (P, T, V)."""
        inner = (slope * beta * (1 - beta)).sum(dim=(1, 2)) / num_cells(beta, mask)
        return inner[:, None] * self.beta.weight


def num_cells(beta: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """(P,): true frames times joints."""
    P, T, V = beta.shape
    return beta.new_full((P,), T * V) if mask is None else mask.sum(dim=(1, 2, 3)).to(beta.dtype) * V


def _spans(beta: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """(P, spans, T): weights that average true frames over equal shares of each clip; a frame may lie in two."""
    P, T, _ = beta.shape
    lengths = beta.new_full((P,), T) if mask is None else mask.sum(dim=(1, 2, 3)).to(beta.dtype)
    width = lengths[:, None, None] / NUM_SPANS
    begin = torch.arange(NUM_SPANS, device=beta.device)[:, None] * width  # (P, spans, 1)
    frame = torch.arange(T, device=beta.device)
    overlap = torch.minimum(frame + 1, begin + width) - torch.maximum(frame, begin)
    return overlap.clamp(min=0) / width
