"""The six 3D networks as their releases write them: functions of a state dict with published names; no modules."""

import torch
from torch.nn import functional as F


class Weights(dict):
    """A state dict that remembers which of its entries were used."""

    def __init__(self, state):
        super().__init__(state)
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)

    def norm(self, x, name, eps=1e-5):
        parts = (self[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=eps)


def resnet(weights, x, blocks, groups=1):
    x = F.conv3d(x, weights["conv1.weight"], stride=(1, 2, 2), padding=3)
    x = F.max_pool3d(F.relu(weights.norm(x, "bn1")), 3, 2, 1)
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            place, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = F.relu(weights.norm(F.conv3d(x, weights[f"{place}.conv1.weight"]), f"{place}.bn1"))
            y = F.conv3d(y, weights[f"{place}.conv2.weight"], stride=stride, padding=1, groups=groups)
            y = F.relu(weights.norm(y, f"{place}.bn2"))
            y = weights.norm(F.conv3d(y, weights[f"{place}.conv3.weight"]), f"{place}.bn3")
            if block == 0:
                x = F.conv3d(x, weights[f"{place}.downsample.0.weight"], stride=stride)
                x = weights.norm(x, f"{place}.downsample.1")
            x = F.relu(x + y)
    x = F.avg_pool3d(x, x.shape[2:]).flatten(1)
    return x @ weights["fc.weight"].T + weights["fc.bias"]


def mfnet(weights, x, groups):
    def pre(x, name, **options):
        return F.conv3d(F.relu(weights.norm(x, f"{name}.bn")), weights[f"{name}.conv.weight"], **options)

    x = F.conv3d(x, weights["conv1.conv.weight"], stride=(1, 2, 2), padding=(1, 2, 2))
    x = F.max_pool3d(F.relu(weights.norm(x, "conv1.bn")), (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for stage, count in zip((2, 3, 4, 5), (3, 4, 6, 3), strict=True):
        for unit in range(1, count + 1):
            place = f"conv{stage}.B{unit:02d}"
            stride = ((2, 1, 1) if stage == 2 else (1, 2, 2)) if unit == 1 else 1
            y = x + pre(pre(x, f"{place}.conv_i1"), f"{place}.conv_i2")
            y = pre(y, f"{place}.conv_m1", stride=stride, padding=1, groups=groups)
            if unit == 1:
                x = pre(y, f"{place}.conv_m2") + pre(x, f"{place}.conv_w1", stride=stride)
            else:
                x = pre(y, f"{place}.conv_m2", padding=(0, 1, 1), groups=groups) + x
    x = F.relu(weights.norm(x, "tail.bn"))
    x = F.avg_pool3d(x, x.shape[2:]).flatten(1)
    return x @ weights["classifier.weight"].T + weights["classifier.bias"]


def same(x, kernel, stride):
    """Paddings of the release for even sizes: kernel - stride zeros, or kernel - size % stride where that is not 0."""
    pads = []
    for size, k, s in list(zip(x.shape[2:], kernel, stride, strict=True))[::-1]:
        total = max(k - (size % s or s), 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def i3d(weights, x):
    def unit(x, name, kernel=(1, 1, 1), stride=(1, 1, 1)):
        x = F.conv3d(same(x, kernel, stride), weights[f"{name}.conv3d.weight"], stride=stride)
        return F.relu(weights.norm(x, f"{name}.batch3d", eps=1e-3))

    def pool(x, kernel, stride):
        return F.max_pool3d(same(x, kernel, stride), kernel, stride)

    x = pool(unit(x, "conv3d_1a_7x7", (7, 7, 7), (2, 2, 2)), (1, 3, 3), (1, 2, 2))
    x = unit(unit(x, "conv3d_2b_1x1"), "conv3d_2c_3x3", (3, 3, 3))
    x = pool(x, (1, 3, 3), (1, 2, 2))
    for stage, letters in (("3", "bc"), ("4", "bcdef"), ("5", "bc")):
        for letter in letters:
            place = f"mixed_{stage}{letter}"
            branches = [unit(x, f"{place}.branch_0")]
            for branch in ("branch_1", "branch_2"):
                branches.append(unit(unit(x, f"{place}.{branch}.0"), f"{place}.{branch}.1", (3, 3, 3)))
            branches.append(unit(pool(x, (3, 3, 3), (1, 1, 1)), f"{place}.branch_3.1"))
            x = torch.cat(branches, dim=1)
        if stage != "5":
            x = pool(x, *{"3": ((3, 3, 3), (2, 2, 2)), "4": ((2, 2, 2), (2, 2, 2))}[stage])
    x = F.avg_pool3d(x, (2, *x.shape[3:]), stride=1)
    x = F.conv3d(x, weights["conv3d_0c_1x1.conv3d.weight"], weights["conv3d_0c_1x1.conv3d.bias"])
    return x.squeeze(4).squeeze(3).mean(2)


def resnet_parameters(blocks, classes, groups=None):
    """Count of weights from the published table, layer by layer: kernels, two numbers per normalised channel."""
    total, channels = 64 * 3 * 7**3 + 2 * 64, 64
    for planes, count in zip((64, 128, 256, 512), blocks, strict=True):
        middle, out = (planes, 4 * planes) if groups is None else (2 * planes, 4 * planes)
        for block in range(count):
            total += channels * middle + 2 * middle
            total += middle * (middle // (groups or 1)) * 27 + 2 * middle
            total += middle * out + 2 * out
            if block == 0:
                total += channels * out + 2 * out
            channels = out
    return total + channels * classes + classes
