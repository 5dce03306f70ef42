"""Class feature pyramids by brute force: disturb one kernel, hold all other layers still, look who hears it."""

import math

import torch
from torch import nn

LAYERS = (nn.Conv3d, nn.ConvTranspose3d, nn.Linear)


def run(model, clip, replace=None):
    """Inputs and outputs of every layer by name, with some layers' outputs replaced, and the logits."""
    seen, handles = {}, []

    def hook(name):
        def keep(module, inputs, output):
            output = (replace or {}).get(name, output)
            seen[name] = inputs[0].clone(), output.clone()
            return output.clone()

        return keep

    for name, module in model.named_modules():
        if isinstance(module, LAYERS):
            handles.append(module.register_forward_hook(hook(name)))
    with torch.no_grad():
        logits = model(clip)
    for handle in handles:
        handle.remove()
    return seen, logits[0]


def channel_axis(module, x):
    return x.ndim - 1 if isinstance(module, nn.Linear) else 1


def connections(model, clip):
    """{(layer, input channel): set of (layer, kernel)} and {class: ...}: what changes when one kernel's output does.

    All other layers keep the outputs they had, so only what reaches a layer without another one between is found.
    """
    modules = dict(model.named_modules())
    clean, logits = run(model, clip)
    still = {name: output for name, (_, output) in clean.items()}
    found = {}
    for name, (x, _) in clean.items():
        for channel in range(x.shape[channel_axis(modules[name], x)]):
            found[name, channel] = set()
    outputs = {index: set() for index in range(len(logits))}
    for source, output in still.items():
        axis = channel_axis(modules[source], output)
        for kernel in range(output.shape[axis]):
            for size in (5.0, -5.0):  # large enough for one of both to pass any ReLU or maximum
                moved = output.clone()
                moved.select(axis, kernel).add_(size)
                seen, now = run(model, clip, still | {source: moved})
                for name, (x, _) in seen.items():
                    axis_in = channel_axis(modules[name], x)
                    for channel in range(x.shape[axis_in]):
                        if not torch.equal(x.select(axis_in, channel), clean[name][0].select(axis_in, channel)):
                            found[name, channel].add((source, kernel))
                for index in range(len(logits)):
                    if now[index] != logits[index]:
                        outputs[index].add((source, kernel))
    return found, outputs


def mean_outputs(model, clip, name):
    """(kernels, channels) how far the mean output of each kernel of a layer falls when an input channel is zeroed."""
    module, (x, _) = dict(model.named_modules())[name], run(model, clip)[0][name]
    axis = channel_axis(module, x)

    def means(x):
        with torch.no_grad():
            output = module.double()(x)
        return output.movedim(channel_axis(module, output), 0).flatten(1).mean(dim=1)

    x = x.double()
    whole, table = means(x), []
    for channel in range(x.shape[axis]):
        silent = x.clone()
        silent.select(axis, channel).zero_()
        table.append(whole - means(silent))
    module.float()
    return torch.stack(table, dim=1)


def published(model, clip, class_index, depth, threshold, shares):
    """The published rule in plain loops, as a set of (parent, child): 3D convolutions, linear classifier.

    `shares` of a channel's kernels {(layer, channel): {(layer, kernel): share}} scale its score, the greatest being 1.
    """
    modules = dict(model.named_modules())
    inputs, outputs = connections(model, clip)
    seen, _ = run(model, clip)
    (root,) = outputs[class_index]
    edges, explored = set(), {}

    def scores(name, kernel):
        module, x = modules[name], seen[name][0]
        if isinstance(module, nn.Linear):
            table = module.weight.tolist()
            flat = [value for row in table for value in row]
            return {j: (v - min(flat)) / (max(flat) - min(flat)) for j, v in enumerate(table[kernel])}
        groups, per = module.groups, x.shape[1] // module.groups
        group = kernel // (module.out_channels // groups)
        products = {}
        for inside in range(per):
            weights = module.weight[kernel, inside].flatten().tolist()
            values = x[0, group * per + inside].flatten().tolist()
            products[group * per + inside] = math.fsum(weights) / len(weights) * math.fsum(values) / len(values)
        low, high = min(products.values()), max(products.values())
        if low == high:
            return dict.fromkeys(products, float(high != 0))
        return {j: (value - low) / (high - low) for j, value in products.items()}

    def explore(node, left):
        if left == 0 or explored.get(node, 0) >= left:
            return
        explored[node] = left
        for channel, score in scores(*node).items():
            if score >= threshold:
                among = shares[node[0], channel]
                for child in inputs[node[0], channel]:
                    if score * max(among[child], 0) / max(among.values()) >= threshold:
                        edges.add((node, child))
                        explore(child, left - 1)

    explore(root, depth)
    return edges
