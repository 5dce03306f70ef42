"""MS-G3D module by module under the names of its published code; slow, plain, and nothing here imports lib."""

import numpy as np
import torch
from torch import nn


def k_hop(adjacency, k):
    """Nodes exactly k steps apart, and every node with itself, by powers of the adjacency with self-loops."""
    eye = np.eye(len(adjacency))
    if k == 0:
        return eye
    within = np.minimum(np.linalg.matrix_power(adjacency + eye, k), 1)
    nearer = np.minimum(np.linalg.matrix_power(adjacency + eye, k - 1), 1)
    return within - nearer + eye


def stacked_scales(adjacency, num_scales):
    """Normalised k-hop adjacencies of one graph, one above the other: (K V, V)."""
    blocks = []
    for k in range(num_scales):
        scale = k_hop(adjacency, k)
        root = np.diag(scale.sum(axis=1) ** -0.5)
        blocks.append(root @ scale @ root)
    return torch.tensor(np.concatenate(blocks), dtype=torch.float32)


class PublishedMSG3D(nn.Module):
    """MS-G3D as in the released ``model/msg3d.py``: same computation, same weight names; `links` is the 0-1 graph."""

    def __init__(
        self, in_channels, num_classes, links, channels=96, persons=2, gcn_scales=13, g3d_scales=6, windows=(3, 5)
    ):
        super().__init__()
        c1, c2, c3 = channels, 2 * channels, 4 * channels
        self.data_bn = nn.BatchNorm1d(persons * in_channels * len(links))
        plan = ((in_channels, c1, c1, 1), (c1, c1, c2, 2), (c2, c2, c3, 2))
        for number, (first, middle, last, stride) in enumerate(plan, start=1):
            embedded = last if number == 1 else first
            paths = [_WindowPath(first, embedded, last, links, g3d_scales, window, stride) for window in windows]
            self.add_module(f"gcn3d{number}", nn.Module())
            self.get_submodule(f"gcn3d{number}").gcn3d = nn.ModuleList(paths)
            spatial = _Aggregate(first, middle, links, gcn_scales, activate=True)
            steps = [spatial, _Temporal(middle, last, stride), _Temporal(last, last, 1, activate=False)]
            self.add_module(f"sgcn{number}", nn.Sequential(*steps))
            self.add_module(f"tcn{number}", _Temporal(last, last, 1))
        self.fc = nn.Linear(c3, num_classes)

    def forward(self, x):
        N, C, T, V, M = x.shape
        x = self.data_bn(x.permute(0, 4, 3, 1, 2).reshape(N, M * V * C, T))
        x = x.reshape(N * M, V, C, T).permute(0, 2, 3, 1).contiguous()
        for number in (1, 2, 3):
            spatial = self.get_submodule(f"sgcn{number}")(x)
            windows = sum(path(x) for path in self.get_submodule(f"gcn3d{number}").gcn3d)
            x = self.get_submodule(f"tcn{number}")(torch.relu(spatial + windows))
        return self.fc(x.reshape(N, M, x.shape[1], -1).mean(dim=3).mean(dim=1))


class _Aggregate(nn.Module):
    """Sum over neighbours at every scale, then one 1x1 convolution over all scales."""

    def __init__(self, channels, out, links, num_scales, activate):
        super().__init__()
        self.num_scales, self.activate = num_scales, activate
        self.scales = nn.Buffer(stacked_scales(links, num_scales), persistent=False)
        self.A_res = nn.Parameter(torch.empty_like(self.scales).uniform_(-1e-6, 1e-6))
        self.mlp = nn.Module()
        self.mlp.layers = nn.ModuleList([nn.Conv2d(channels * num_scales, out, 1), nn.BatchNorm2d(out)])

    def forward(self, x):
        P, C, T, V = x.shape
        x = torch.einsum("vu,nctu->nctv", self.scales + self.A_res, x).reshape(P, C, T, self.num_scales, V)
        x = x.permute(0, 3, 1, 2, 4).reshape(P, self.num_scales * C, T, V)
        for layer in self.mlp.layers:
            x = layer(x)
        return torch.relu(x) if self.activate else x


class _WindowPath(nn.Module):
    """Unfold windows into one graph of window * V nodes, aggregate, collapse the window."""

    def __init__(self, channels, embedded, out, links, num_scales, window, stride):
        super().__init__()
        self.window = window
        unfold = nn.Unfold((window, 1), stride=(stride, 1), padding=((window - 1) // 2, 0))
        dense = np.tile(links + np.eye(len(links)), (window, window))
        self.gcn3d = nn.Sequential(unfold, _Aggregate(channels, embedded, dense, num_scales, activate=True))
        self.out_conv = nn.Conv3d(embedded, out, (1, window, 1))
        self.out_bn = nn.BatchNorm2d(out)

    def forward(self, x):
        P, C, _, V = x.shape
        unfold, aggregate = self.gcn3d
        x = unfold(x).reshape(P, C, self.window, -1, V).permute(0, 1, 3, 2, 4)  # (P, C, windows, window, V)
        x = aggregate(x.reshape(P, C, -1, self.window * V))
        x = self.out_conv(x.reshape(P, x.shape[1], -1, self.window, V))
        return self.out_bn(x.squeeze(3))


class _Temporal(nn.Module):
    """Six branches of a sixth of the channels each, side by side around a residual."""

    def __init__(self, channels, out, stride, activate=True):
        super().__init__()
        self.activate = activate
        part = out // 6
        self.branches = nn.ModuleList()
        for dilation in (1, 2, 3, 4):
            last = _TemporalConv(part, part, 3, stride, dilation)
            self.branches.append(nn.Sequential(nn.Conv2d(channels, part, 1), nn.BatchNorm2d(part), nn.ReLU(), last))
        pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        first = nn.Conv2d(channels, part, 1)
        self.branches.append(nn.Sequential(first, nn.BatchNorm2d(part), nn.ReLU(), pool, nn.BatchNorm2d(part)))
        self.branches.append(nn.Sequential(nn.Conv2d(channels, part, 1, (stride, 1)), nn.BatchNorm2d(part)))
        if channels != out or stride != 1:
            self.residual = _TemporalConv(channels, out, 1, stride, 1)

    def forward(self, x):
        skip = self.residual(x) if hasattr(self, "residual") else x
        y = torch.cat([branch(x) for branch in self.branches], dim=1) + skip
        return torch.relu(y) if self.activate else y


class _TemporalConv(nn.Module):
    def __init__(self, channels, out, size, stride, dilation):
        super().__init__()
        padding = dilation * (size - 1) // 2
        self.conv = nn.Conv2d(channels, out, (size, 1), (stride, 1), (padding, 0), (dilation, 1))
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x):
        return self.bn(self.conv(x))


def scale_conv(x, A, graph, mix, window_size, stride):
    """Graph convolution in windows, one product at a time: A (K, wV, wV) plus each clip's own graph (P, K, V, V).

    x (P, T, V, C) -> (P, T', V w, C'), nodes of the result in the order (joint, frame of the window).
    """
    P, T, V, C = x.shape
    rows = []
    for p in range(P):
        for centre in range(0, T, stride):
            frames = [centre + i - window_size // 2 for i in range(window_size)]
            nodes = torch.cat([x[p, t] if 0 <= t < T else x.new_zeros(V, C) for t in frames])  # (wV, C)
            own = graph[p].repeat(1, window_size, window_size)
            gathered = torch.cat([(A[k] + own[k]) @ nodes for k in range(len(A))], dim=1)  # (wV, KC)
            mixed = torch.nn.functional.linear(gathered, mix.weight, mix.bias).view(window_size, V, -1)
            rows.append(mixed.transpose(0, 1).reshape(V * window_size, -1))
    return torch.stack(rows).view(P, -1, V * window_size, mix.out_features)
