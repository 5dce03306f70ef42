"""Kernels of networks on skeletons, back to joints and frames, and to their weights."""

import copy
import itertools

import numpy as np
import pytest
import torch
from pyramid_skeleton_cases import NAMES, batch, case_of, tiny


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    return case_of(request.param)


def test_joint_maps_are_what_kernels_give_everywhere(case):
    from lib import pyramids

    wanted = [(name, layer.num_kernels - 1) for name, layer in case.layers.items() if name != "classifier"]
    clip = batch(padding=float("nan"), absent=True)
    maps = pyramids.joint_maps(case.model, clip, wanted)
    assert list(maps) == wanted
    for (name, kernel), values in maps.items():
        assert values.shape == (3, 6, 5)
        assert not values[1].any()
        expected = case.nodes.outputs[name][:, kernel]  # (P, T', V), or (P, T', w V)
        if expected.ndim == 3 and expected.shape[2] > 5:
            expected = expected.unflatten(2, (-1, 5)).mean(dim=2)
        stride = {6: 1, 3: 2, 2: 4}[expected.shape[1]]
        np.testing.assert_allclose(values[[0, 2], ::stride], expected, rtol=1e-5, atol=1e-5)


def test_maps_of_kernels_of_a_network_on_video():
    from pyramid_cases import clip
    from pyramid_cases import tiny as on_video

    from lib import pyramids

    model = on_video("Plain")
    maps = pyramids.trace(model, clip(), kept=[("first", 3)]).maps
    assert list(maps) == [("first", 3)]
    with torch.no_grad():
        torch.testing.assert_close(maps["first", 3], model.first(clip())[:, 3])


def test_maps_of_a_pyramids_nodes(case):
    from lib import pyramids

    found = pyramids.class_feature_pyramid(case.model, case.clip, 0, 3)
    maps = pyramids.joint_maps(case.model, case.clip, found.nodes[1:])
    assert set(maps) == {node[:2] for node in found.nodes[1:]}


def test_a_kernel_without_its_weights_gives_nothing(case):
    from lib import pyramids

    model = copy.deepcopy(case.model)
    wanted = [(name, layer.num_kernels - 1) for name, layer in case.layers.items() if name != "classifier"]
    with pyramids.silenced(model, {layer: [kernel] for layer, kernel in wanted}):
        maps = pyramids.joint_maps(model, case.clip, wanted)
    assert not any(values.any() for values in maps.values())


def test_every_weight_is_one_kernels_own(case):
    from lib import pyramids

    model = copy.deepcopy(case.model)
    for value in model.state_dict().values():
        value.zero_()
    for name, layer in case.layers.items():
        assert len(pyramids.kernel_weights(model, name)) == layer.num_kernels
        for view in itertools.chain(*pyramids.kernel_weights(model, name)):
            view += 1
    for name, value in model.named_parameters():
        common = "norm" in name or "focus" in name or name.endswith(("mix.bias", "importance", "A_res"))
        assert bool((value == (0 if common else 1)).all()), name


def test_weights_of_grouped_and_transposed_kernels():
    from torch import nn

    from lib import pyramids

    for layer in (nn.Conv3d(4, 6, 1, groups=2), nn.ConvTranspose3d(4, 6, 2, groups=2)):
        model = nn.Sequential(layer)
        x = torch.randn((1, 4, 2, 2, 2), generator=torch.Generator().manual_seed(0))
        for kernel in range(6):
            with torch.no_grad(), pyramids.silenced(model, {"0": range(kernel + 1)}):
                silent = ~model(x).flatten(2).any(dim=2)[0]
            assert silent.tolist() == [index <= kernel for index in range(6)]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layers.9.gcn:0", r"no layer 'layers.9.gcn:0' in STGCN"),
        ("layers.0.gcn", r"no layer 'layers.0.gcn'; GraphConv has \['layers.0.gcn:0', 'layers.0.gcn:1', "),
        ("layers.0.gcn:3", r"no layer 'layers.0.gcn:3'; GraphConv has"),
        ("layers.0.gcn:-1", r"no layer 'layers.0.gcn:-1'; GraphConv has"),
        ("layers.0.tcn_norm", r"'layers.0.tcn_norm': MaskedBatchNorm holds no weights of kernels"),
    ],
)
def test_weights_of_no_layer_are_refused(layer, message):
    from lib import pyramids

    with pytest.raises(ValueError, match=message):
        pyramids.kernel_weights(tiny("stgcn"), layer)


@pytest.mark.parametrize(
    ("kernels", "message"),
    [
        ([("layers.0.gcn", 0)], r"no kernels \[\('layers.0.gcn', 0\)\]; layers .*'layers.0.gcn:0': 8"),
        ([("layers.0.tcn", 8), ("layers.0.tcn", 1)], r"no kernels \[\('layers.0.tcn', 8\)\]; "),
        ([("classifier", 0)], r"\[\('classifier', 0\)\] see no joints and frames any more"),
    ],
)
def test_kernels_without_a_map_are_refused(kernels, message):
    from lib import pyramids

    with pytest.raises(ValueError, match=message):
        pyramids.joint_maps(tiny("stgcn"), batch(), kernels)


def test_one_frame_is_enough(case):
    from lib import pyramids

    clip = batch(length=1, persons=1)
    found = pyramids.class_feature_pyramid(case.model, clip, 1, 9, rule="signed")
    maps = pyramids.joint_maps(case.model, clip, found.nodes[1:])
    assert {values.shape for values in maps.values()} == {(1, 1, 5)}
