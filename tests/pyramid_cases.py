"""Tiny networks, each with one way in which layers can follow each other."""

import torch
from torch import nn
from torch.nn import functional as F


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(3, 4, 3, stride=(1, 2, 2), padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.second = nn.Conv3d(4, 5, (1, 3, 3), padding=(0, 2, 2), dilation=(1, 2, 2), bias=False)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.norm(self.first(x))), (1, 2, 2), 1)
        return self.head(self.second(x).mean(dim=(2, 3, 4)))


class Grouped(nn.Module):
    """Groups, depthwise, and channels shuffled between them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(3, 6, 3, padding=1)
        self.grouped = nn.Conv3d(6, 4, 3, padding=1, groups=2)
        self.depthwise = nn.Conv3d(4, 8, 3, padding=1, groups=4)
        self.last = nn.Conv3d(8, 4, 1, groups=4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.depthwise(F.relu(self.grouped(F.relu(self.first(x)))))
        N, C, *size = x.shape
        x = x.view(N, 4, C // 4, *size).transpose(1, 2).reshape(N, C, *size)
        return self.head(F.adaptive_avg_pool3d(self.last(F.silu(x)), 1).flatten(1))


class Branched(nn.Module):
    """Branches of unequal length and width, one through a pooling, side by side and added in part."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 3, padding=1)
        self.a = nn.Conv3d(4, 2, 1)
        self.b = nn.Sequential(nn.Conv3d(4, 3, 1), nn.ReLU(inplace=True), nn.Conv3d(3, 4, 3, padding=1))
        self.c = nn.Sequential(nn.MaxPool3d(3, 1, 1), nn.Conv3d(4, 3, 1))
        self.after = nn.Conv3d(9, 4, 1)
        self.head = nn.Conv3d(8, 3, 1)

    def forward(self, x):
        x = F.relu(self.stem(x))
        y = self.after(torch.cat([self.a(x), self.b(x), self.c(x)], dim=1))
        return self.head(torch.cat([y[:, ::2] + y[:, 1::2], y[:, :2], x], dim=1)).mean(dim=(2, 3, 4))


class Residual(nn.Module):
    """Sums with the identity and with a strided shortcut, in place and not."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 3, padding=1)
        self.one = nn.Conv3d(4, 4, 3, padding=1)
        self.two = nn.Conv3d(4, 4, 3, padding=1)
        self.three = nn.Conv3d(4, 6, 3, stride=2, padding=1)
        self.shortcut = nn.Conv3d(4, 6, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm3d(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        x = F.relu(self.one(x) + x)
        y = self.two(x)
        y += x
        y.relu_()
        x = F.relu(self.norm(self.three(y)) + self.shortcut(y))
        return self.head(x.flatten(2).mean(dim=2))


class Fiber(nn.Module):
    """A multiplexer in front of fibres, beside an identity; pre-activated."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm3d(8)
        self.into = nn.Conv3d(8, 2, 1)
        self.out = nn.Conv3d(2, 8, 1)
        self.first = nn.Conv3d(8, 8, 3, padding=1, groups=4)
        self.second = nn.Conv3d(8, 8, (1, 3, 3), padding=(0, 1, 1), groups=4)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        fibers = x + self.out(F.relu(self.into(F.relu(self.norm(x)))))
        return self.head(F.relu(self.second(F.relu(self.first(F.relu(fibers)))) + x).mean(dim=(2, 3, 4)))


class Gated(nn.Module):
    """Channels scaled by what two small matrices make of their means; gates and maps meet in a product."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 3, padding=1)
        self.down = nn.Linear(4, 2)
        self.up = nn.Linear(2, 4)
        self.last = nn.Conv3d(4, 3, 1)
        self.head = nn.Linear(3 * 2, 3)

    def forward(self, x):
        x = F.hardswish(self.stem(x))
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean(dim=(2, 3, 4))))))
        x = self.last(x * gate[:, :, None, None, None])
        return self.head(F.adaptive_avg_pool3d(x, (2, 1, 1)).flatten(1))


class Dense(nn.Module):
    """Every layer sees all before it; the number of layers comes from the clip, which torch.fx cannot follow."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv3d(3 + 2 * n, 2, 3, padding=1) for n in range(4))
        self.up = nn.ConvTranspose3d(4, 4, 2, stride=2, groups=2)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        parts = [x]
        for layer in self.layers[: x.shape[2]]:
            if float(x.sum()) != 0:
                parts.append(F.relu(layer(torch.cat(parts, dim=1))))
        x = torch.zeros(1, 4, *x.shape[2:])
        x[:, :2], x[:, 2:] = parts[-1], parts[-2]
        return self.head(F.relu(self.up(x)).amax(dim=(2, 3, 4)))


CASES = {case.__name__: case for case in (Plain, Grouped, Branched, Residual, Fiber, Gated, Dense)}


def tiny(name, seed=0):
    """Build a case in evaluation mode, with running statistics of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CASES[name]()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def clip(seed=0, T=3, size=5):
    return torch.randn((1, 3, T, size, size), generator=torch.Generator().manual_seed(seed))
