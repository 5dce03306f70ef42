"""Networks on skeletons written out kernel by kernel, every partition for itself; nothing here imports lib.

A network is run with a `Nodes`, which sees every layer's input and output and may put another output in its place.
Feature maps are (P, C, T, V); float64 throughout.
"""

import torch
from torch.nn import functional as F


class Nodes:
    """What every layer was given and gave: weights (C', C, taps), the function from input to output, both maps."""

    def __init__(self, replaced=None):
        self.replaced, self.weights, self.kernels = replaced or {}, {}, {}
        self.inputs, self.outputs = {}, {}

    def __call__(self, name, x, weight, kernel):
        self.weights[name], self.kernels[name], self.inputs[name] = weight.flatten(2), kernel, x
        self.outputs[name] = self.replaced.get(name, kernel(x)).clone()
        return self.outputs[name].clone()


def seen(batch):
    """(P, C, T, V) true frames of present persons."""
    x = batch.x[0, :, : int(batch.lengths[0])].double()  # (C, T, V, M)
    return torch.stack([x[..., m] for m in range(x.shape[3]) if batch.present[0, m]])


class Network:
    def __init__(self, model, **options):
        self.state = {name: value.double() for name, value in model.state_dict().items()}
        self.buffers = {name: value.double() for name, value in model.named_buffers()}
        self.options = options

    def norm(self, name, y):
        of = {rest: self.state[f"{name}.{rest}"] for rest in ("running_mean", "running_var", "weight", "bias")}
        scale = of["weight"] / (of["running_var"] + 1e-5).sqrt()
        shape = (1, -1, 1, 1)
        return y * scale.view(shape) + (of["bias"] - of["running_mean"] * scale).view(shape)

    def input(self, name, x):
        P, C, T, V = x.shape
        x = x.permute(0, 3, 1, 2).reshape(P, V * C, T, 1)
        return self.norm(name, x).reshape(P, V, C, T).permute(0, 2, 3, 1)

    def conv(self, nodes, name, x, weight, bias, stride=1, dilation=1):
        """Kernels (C', C, taps) along time."""
        padding = dilation * (weight.shape[2] // 2)

        def kernel(x):
            return F.conv2d(x, weight[..., None], bias, (stride, 1), (padding, 0), (dilation, 1))

        return nodes(name, x, weight, kernel)

    def linear(self, nodes, name, x, stride=1):
        weight = self.state[f"{name}.weight"].flatten(1)
        return self.conv(nodes, name, x, weight[..., None], self.state[f"{name}.bias"], stride)

    def run(self, x, nodes):
        """Logits from persons x."""
        pooled = self.features(x, nodes).mean(dim=(0, 2, 3))[None, :, None, None]
        return self.linear(nodes, "classifier", pooled).flatten()


class STGCN(Network):
    """`strides` of the blocks."""

    def features(self, x, nodes):
        x = self.input("input_norm", x)
        for index, stride in enumerate(self.options["strides"]):
            name = f"layers.{index}"
            W, b = self.state[f"{name}.gcn.weight"], self.state[f"{name}.gcn.bias"]
            A = self.state[f"{name}.gcn.A"] * self.state[f"{name}.gcn.importance"]
            y = 0
            for k in range(len(A)):

                def kernel(x, k=k, W=W, b=b, A=A):
                    mixed = torch.einsum("oc,pctv->potv", W[k], x) + b[k].view(1, -1, 1, 1)
                    return torch.einsum("vw,potv->potw", A[k], mixed)

                y = y + nodes(f"{name}.gcn:{k}", x, W[k][..., None], kernel)
            y = torch.relu(self.norm(f"{name}.gcn_norm", y))
            weight, bias = self.state[f"{name}.tcn.weight"][..., 0], self.state[f"{name}.tcn.bias"]
            y = self.norm(f"{name}.tcn_norm", self.conv(nodes, f"{name}.tcn", y, weight, bias, stride))
            if f"{name}.residual.weight" in self.state:
                x = self.norm(f"{name}.residual_norm", self.linear(nodes, f"{name}.residual", x, stride))
            elif index == 0:
                x = 0
            x = torch.relu(y + x)
        return x


class MSG3D(Network):
    """`scales` of joints and of windows, `windows` sizes, and each person's `graphs` {path: (P, K, V, V)} if any."""

    def features(self, x, nodes):
        x = self.input("input_norms.0", x)
        for index, stride in enumerate((1, 2, 2)):
            name = f"layers.{index}"
            y = self.aggregate(nodes, f"{name}.spatial", x, 0, 1, 1, self.graph(f"{name}.joints"))
            y = torch.relu(self.norm(f"{name}.spatial_norm", y))
            y = self.temporal(nodes, f"{name}.temporal.0", y, stride)
            y = self.temporal(nodes, f"{name}.temporal.1", y, 1, activate=False)
            for i, size in enumerate(self.options["windows"]):
                path = f"{name}.windows.{i}"
                z = self.aggregate(nodes, f"{path}.conv", x, 1, size, stride, self.graph(f"{name}.windows"))
                z = torch.relu(self.norm(f"{path}.norm", z)).unflatten(3, (size, -1))  # (P, hidden, T', w, V)
                weight = self.state[f"{path}.collapse.weight"].unflatten(1, (size, -1)).transpose(1, 2)

                def collapse(z, weight=weight, path=path):
                    bias = self.state[f"{path}.collapse.bias"]
                    return torch.einsum("ohw,phtwv->potv", weight, z) + bias.view(1, -1, 1, 1)

                y = y + self.norm(f"{path}.out_norm", nodes(f"{path}.collapse", z, weight, collapse))
            x = self.temporal(nodes, f"{name}.after", torch.relu(y), 1)
        return x

    def graph(self, place):
        return self.options["graphs"].get(place)

    def aggregate(self, nodes, name, x, path, window, stride, graph):
        """Sum over scales; nodes of a window in the order (frame, joint)."""
        K, V = self.options["scales"][path], x.shape[3]
        A = (self.buffers[f"{name}.A"] + self.state[f"{name}.A_res"]).view(K, window * V, window * V)
        W = self.state[f"{name}.mix.weight"].unflatten(1, (K, -1))  # (C', K, C)
        y = self.state[f"{name}.mix.bias"].view(1, -1, 1, 1)
        for k in range(K):

            def kernel(x, k=k):
                maps = []
                for p in range(len(x)):
                    own = 0 if graph is None else graph[p, k].repeat(window, window)
                    frames = []
                    for centre in range(0, x.shape[2], stride):
                        there = range(centre - window // 2, centre + window // 2 + 1)
                        nothing = torch.zeros(x.shape[1], V, dtype=x.dtype)
                        part = torch.cat([x[p, :, t] if 0 <= t < x.shape[2] else nothing for t in there], dim=1)
                        frames.append(W[:, k] @ part @ (A[k] + own).T)
                    maps.append(torch.stack(frames, dim=1))
                return torch.stack(maps)

            y = y + nodes(f"{name}:{k}", x, W[:, k][..., None], kernel)
        return y

    def temporal(self, nodes, name, x, stride, activate=True):
        y = torch.relu(self.norm(f"{name}.enter_norm", self.linear(nodes, f"{name}.enter", x)))
        branches = y.chunk(5, dim=1)
        parts = []
        for d in range(4):
            taps, bias = self.state[f"{name}.taps"][d], self.state[f"{name}.taps_bias"][d]
            weight = taps.view(3, -1, taps.shape[1]).permute(2, 1, 0)
            parts.append(self.conv(nodes, f"{name}:{d}", branches[d], weight, bias, stride, d + 1))
        parts.append(F.max_pool2d(branches[4], (3, 1), (stride, 1), (1, 0)))
        parts.append(self.linear(nodes, f"{name}.point", x, stride))
        y = self.norm(f"{name}.out_norm", torch.cat(parts, dim=1))
        if f"{name}.residual.weight" in self.state:
            x = self.norm(f"{name}.residual_norm", self.linear(nodes, f"{name}.residual", x, stride))
        return torch.relu(y + x) if activate else y + x


def listeners(network, x, name, kernel):
    """{(layer, input channel)} that change when one kernel's output does and all other layers keep theirs."""
    clean = Nodes()
    network.run(x, clean)
    found = set()
    for size in (5.0, -5.0):  # large enough for one of both to pass any ReLU or maximum
        moved = clean.outputs[name].clone()
        moved[:, kernel] += size
        now = Nodes(clean.outputs | {name: moved})
        network.run(x, now)
        for layer, given in now.inputs.items():
            apart = (given != clean.inputs[layer]).transpose(0, 1).flatten(1).any(dim=1)
            found |= {(layer, channel) for channel in apart.nonzero().flatten().tolist()}
    return found


def silenced(nodes, name):
    """(kernels, channels) how far each kernel's mean output falls when it no longer sees a channel."""
    x, kernel = nodes.inputs[name], nodes.kernels[name]

    def means(x):
        return kernel(x).transpose(0, 1).flatten(1).mean(dim=1)

    columns = []
    for channel in range(x.shape[1]):
        without = x.clone()
        without[:, channel] = 0
        columns.append(means(x) - means(without))
    return torch.stack(columns, dim=1)


def published(nodes, name):
    """(kernels, channels) mean weight times mean activation."""
    means = nodes.inputs[name].transpose(0, 1).flatten(1).mean(dim=1)
    return nodes.weights[name].mean(dim=2) * means


def pyramid(tables, shares, root, depth, threshold):
    """Edges {(parent, child)}: what of `tables` {layer: (kernels, channels)}, from 0 to 1, reaches the threshold.

    `shares` {(layer, channel): {(layer, kernel): share}}; of kernels behind a channel the strongest has its score.
    """

    def children(layer, kernel):
        row = tables[layer][kernel]
        low, high = (tables[layer] if layer == "classifier" else row).aminmax()
        for channel, value in enumerate(row):
            score = float((value - low) / (high - low))
            behind = shares[layer, channel]
            for child, share in behind.items():
                if score >= threshold and score * max(share, 0) / max(behind.values()) >= threshold:
                    yield child

    return _walk(children, root, depth)


def signed_pyramid(tables, shares, root, depth, threshold):
    """The same for what kernels give, of which a sum's sides have their shares, as part of the greatest."""

    def children(layer, kernel):
        given = {}
        for channel, value in enumerate(tables[layer][kernel].tolist()):
            for child, share in shares[layer, channel].items():
                given[child] = given.get(child, 0) + share * value
        return [child for child, value in given.items() if 0 < value >= threshold * max(given.values())]

    return _walk(children, root, depth)


def _walk(children, root, depth):
    edges, reached, front = set(), {root}, {root}
    for _ in range(depth):
        found = {(parent, child) for parent in front for child in children(*parent)}
        edges |= found
        front = {child for _, child in found} - reached
        reached |= front
    return edges
