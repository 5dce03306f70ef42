"""Kernels of networks on skeletons, back to joints and frames."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from lib.clips import Batch
from lib.gradcam import upsample_time
from lib.models.network import SkeletonNetwork
from lib.pyramids._clips import num_frames, persons, prepared
from lib.pyramids._trace import trace


def joint_maps(
    model: SkeletonNetwork, clip: Batch, kernels: Iterable[tuple]
) -> dict[tuple[str, int], Float[np.ndarray, "M T V"]]:
    """Where kernels of a network on skeletons are active: what each gives at every joint and frame of every person.

    Parameters
    ----------
    model, clip
        As for `class_feature_pyramid`.
    kernels
        (layer's name, kernel), or nodes of a pyramid; not those of the classifier, which sees no joints.

    Returns
    -------
    {(layer, kernel): map} at the true frames of the clip (all frames where the network counts all), 0 for absent
    persons. Values are the kernel's output before normalisation, with its bias, signed; between the frames of a layer
    with a stride they run as in `gradcam.upsample_time`. At the layer's own frames a kernel's mean over frames, joints
    and present persons is the sum of its ``"signed"`` contributions and the bias. In a window every frame has an output
    of its own, of which the mean stands at the window's centre.

    Raises
    ------
    ValueError
        A kernel that the network does not have or that sees no joints, or a clip that it cannot take.
    """
    clip = prepared(model, clip)
    wanted = list(dict.fromkeys((layer, kernel) for layer, kernel, *_ in kernels))
    found = trace(model, clip, kept=wanted)
    if missing := [key for key in wanted if key not in found.maps]:
        sizes = {layer.name: layer.num_kernels for layer in found.layers}
        raise ValueError(f"no kernels {missing}; layers and their number of kernels: {sizes}")
    if blind := [key for key in wanted if found.maps[key].ndim == 1]:
        raise ValueError(f"{blind} see no joints and frames any more; leave them out")
    length, there = num_frames(model, clip), persons(model, clip).cpu().numpy()
    maps = {}
    for key in wanted:
        values = found.maps[key].reshape(int(there.sum()), -1, model.num_joints).float().cpu().numpy()
        # of strides that lead to as many frames any will do: that is one frame
        strides = (1, *model.layer_strides.values())
        stride = next(stride for stride in strides if -(-length // stride) == values.shape[1])
        maps[key] = np.zeros((len(there), length, model.num_joints), dtype=np.float32)
        maps[key][there] = upsample_time(values[None], stride, [length])[0]
    return maps
