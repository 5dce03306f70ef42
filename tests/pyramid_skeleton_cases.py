"""Tiny networks on skeletons of five joints, and their plain forms."""

from functools import cache
from unittest.mock import patch

import oracles_pyramids_skeleton as oracle
import torch
from model_cases import disturbed

NAMES = ("stgcn", "msg3d", "stf")
SCALES, WINDOWS = (3, 2), (3,)
PLAN = ((8, 1), (8, 1), (16, 2))  # a block without residual, with the identity, with a convolution


def tiny(name, pooling="masked"):
    """Network in float64, where sums in another order agree to 1e-10."""
    from lib import models
    from lib.models import stgcn
    from lib.skeletons import Skeleton

    skeleton = Skeleton.from_edges([(0, 1), (1, 2), (2, 3), (1, 4)])
    options = {"width": 1.0, "strategy": "spatial"}
    if name != "stgcn":
        scales = {"num_gcn_scales": SCALES[0], "num_g3d_scales": SCALES[1]}
        options = scales | {"width": 1 / 16, "graph_window_sizes": WINDOWS}
    with patch.object(stgcn, "PLAN", PLAN):
        model = models.build(name, num_classes=3, skeleton=skeleton, seed=0, pooling=pooling, **options)
    return disturbed(model, scale=0.2).double()


def batch(padding=0.0, absent=False, length=6, persons=2):
    """One clip, its padding filled with a number; `absent` puts a slot of numbers between two persons."""
    from lib.clips import Batch

    generator = torch.Generator().manual_seed(0)
    x = torch.randn((1, 3, length, 5, persons), generator=generator)
    x = torch.cat([x, torch.full((1, 3, 3, 5, persons), padding)], dim=2)
    present = torch.ones(1, persons, dtype=torch.bool)
    if absent:
        x = torch.cat([x[..., :1], torch.full_like(x[..., :1], padding), x[..., 1:]], dim=4)
        present = torch.tensor([[True, False, True]])
    return Batch(x, torch.tensor([length]), present, torch.tensor([0]))


def plain(model, clip):
    """Plain form of a tiny network, whose graphs of the clip's own are taken as they are."""
    from lib.models.stf import FocusAdjacency

    if hasattr(model.layers[0], "gcn"):
        return oracle.STGCN(model, strides=[stride for _, stride in PLAN])
    graphs, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, FocusAdjacency):
            place = name.replace(".focus", "")
            handles.append(module.register_forward_hook(lambda *seen, place=place: graphs.update({place: seen[2][1]})))
    with torch.no_grad():
        model(clip.x.double()[:, :, : int(clip.lengths[0])], None, clip.present)
    for handle in handles:
        handle.remove()
    return oracle.MSG3D(model, scales=SCALES, windows=WINDOWS, graphs=graphs)


class Case:
    """A tiny network, its trace, and its plain form as it ran."""

    def __init__(self, name):
        from lib import pyramids

        self.name, self.model, self.clip = name, tiny(name), batch()
        self.clip = self.clip._replace(x=self.clip.x.double())
        self.trace = pyramids.trace(self.model, self.clip)
        self.layers = {layer.name: layer for layer in self.trace.layers}
        self.network, self.nodes = plain(self.model, self.clip), oracle.Nodes()
        self.logits = self.network.run(oracle.seen(self.clip), self.nodes)

    def shares(self):
        """{(layer, channel): {(layer, kernel): share}}."""
        names = [layer.name for layer in self.trace.layers]
        return {
            (layer.name, channel): {(names[source], kernel): value for (source, kernel), value in share.items()}
            for layer in self.trace.layers
            for channel, share in enumerate(layer.inputs)
        }


@cache
def case_of(name):
    """Case for all tests of a session, none of which changes it."""
    return Case(name)
