"""Networks by name. Every model: ``forward(x, lengths, present) -> logits``, `.layer_names`, `.layer_strides`.

Those on video are in `conv3d`; ``video_...`` are these behind a drawing of the skeleton, with no `.layer_strides`.
``seq2seq``, ``adversarial_seq2seq`` and ``predict_cluster`` learn without labels (`recurrent`).
"""

import inspect
from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from lib import skeletons
from lib.models import conv3d, msg3d, msg3d_weights, predict_cluster, rendered, seq2seq, stgcn
from lib.skeletons import Skeleton

MODELS = {
    "adversarial_seq2seq": seq2seq.AdversarialSeq2Seq,
    "msg3d": msg3d.MSG3D,
    "predict_cluster": predict_cluster.PredictCluster,
    "seq2seq": seq2seq.Seq2Seq,
    "stf": partial(msg3d.MSG3D, focus_places=msg3d.FOCUS_PLACES),
    "stgcn": stgcn.STGCN,
    **{f"video_{name}": partial(rendered.RenderedNetwork, name) for name in conv3d.NETWORKS},
}


def build(name: str, *, num_classes: int, skeleton: Skeleton | str, seed: int | None = None, **options) -> nn.Module:
    """Network with fresh weights.

    Parameters
    ----------
    name
        ``"stgcn"``, ``"msg3d"``, ``"stf"``, which is MS-G3D with STF-GCN modules in all six places; ``"seq2seq"``,
        ``"adversarial_seq2seq"`` or ``"predict_cluster"``, which learn without labels; or ``"video_"`` and one of
        `conv3d.NETWORKS`, which sees stick figures (`rendered.RenderedNetwork`).
    num_classes, skeleton
        Output size, and the joints with their graph (a layout's name will do).
    seed
        Fixes the initial weights and leaves the global generator alone; None draws from the global generator.
    options
        Keyword arguments of the network's class, listed when one is misspelt.
    """
    if name not in MODELS:
        raise ValueError(f"no model {name!r}; choose one of {sorted(MODELS)}")
    known = [p.name for p in inspect.signature(MODELS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    if unknown := sorted(options.keys() - set(known)):
        raise ValueError(f"{name} has no option {unknown}; it has {known}")
    skeleton = skeletons.get(skeleton) if isinstance(skeleton, str) else skeleton
    with torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return MODELS[name](num_classes, skeleton, **options)


def load_reference(model: nn.Module, state_dict: Mapping[str, torch.Tensor]) -> None:
    """Load weights published for the original code into `model`, in place.

    Names are mapped, shapes checked, an adjacency that is stored compared with the model's; nothing may be missing or
    left over. Read the file with ``torch.load(path, weights_only=True)``. Published scores need ``pooling="mean"``, and
    MS-G3D ``num_persons=2``.

    Raises
    ------
    ValueError
        Lists missing, unknown and wrongly shaped weights, or says that the adjacency is another one.
    """
    own = model.state_dict()
    plain = {name.removeprefix("module."): value for name, value in state_dict.items()}
    if isinstance(model, stgcn.STGCN):
        given = stgcn.from_reference(plain, num_partitions=len(model.layers[0].gcn.A))
    elif isinstance(model, msg3d.MSG3D):
        given = msg3d_weights.from_reference(plain, model)
    elif isinstance(model, conv3d.VideoNetwork):
        given = conv3d.from_reference(plain, model)
    else:
        raise ValueError(f"no published weights are known for {type(model).__name__}")
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # absent from files of old PyTorch
    missing = sorted(own.keys() - given.keys() - counters)
    unknown = sorted(given.keys() - own.keys())
    shapes = sorted(
        f"{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own.keys() & given.keys()
        if given[name].shape != own[name].shape
    )
    if missing or unknown or shapes:
        raise ValueError(f"published weights do not fit: missing {missing}, unknown {unknown}, wrong shape {shapes}")
    for name, value in given.items():
        if name.endswith("gcn.A") and not torch.allclose(value, own[name], atol=1e-6):
            raise ValueError(
                f"{name}: the weights were made for another adjacency; check skeleton, strategy and max_hop"
            )
    model.load_state_dict(own | given)
