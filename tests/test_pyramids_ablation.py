"""Silent kernels, and what a class loses without its strongest ones."""

import copy

import numpy as np
import pyramid_skeleton_cases
import pytest
import torch
from pyramid_cases import CASES, clip, tiny

METHODS = ["published", "signed", "magnitude", "random"]


@pytest.fixture
def planted():
    """Plain network whose class 1 hears kernel 3 of the last convolution only, however small its weights are."""
    model = tiny("Plain")
    with torch.no_grad():
        model.head.weight[1] = torch.tensor([0.0, 0.0, 0.0, 1e4, 0.0])
        model.second.weight[3] = 1e-3 * model.second.weight[3].abs()
    return model


def ablation(model, clip, **options):
    from lib import pyramids

    return pyramids.ablation(model, clip, 1, **{"rng": np.random.default_rng(0), "num_draws": 2} | options)


@pytest.mark.parametrize("name", sorted(CASES))
def test_silent_kernels_give_zero_and_afterwards_all_is_as_before(name):
    from lib import pyramids

    model = tiny(name)
    before = copy.deepcopy(model.state_dict())
    for layer in pyramids.trace(model, clip()).layers:
        last = layer.num_kernels - 1
        with pyramids.silenced(model, {layer.name: [last]}):
            found = pyramids.trace(model, clip(), kept=[(layer.name, last)])
            assert not found.maps[layer.name, last].any()
        with pytest.raises(KeyError), pyramids.silenced(model, {layer.name: [last]}):
            raise KeyError
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("kernels", [{"second": [5]}, {"second": [0, -1]}, {"nowhere": [0]}])
def test_kernels_that_are_not_there_are_refused(kernels):
    from lib import pyramids

    model = tiny("Plain")
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"needed 0\.\.4|no layer 'nowhere'"), pyramids.silenced(model, kernels):
        pass
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Functional(torch.nn.Module):
    """Two convolutions in one module."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(4, 3, 1, 3, 3))
        self.other = torch.nn.Parameter(torch.randn(4, 4, 1, 3, 3))

    def forward(self, x):
        return torch.nn.functional.conv3d(torch.nn.functional.conv3d(x, self.weight).relu(), self.other)


@pytest.mark.parametrize("how", ["parametrized", "weight_norm", "functional"])
def test_layers_whose_modules_do_not_hold_their_weights_are_refused(how):
    model = tiny("Plain")
    if how == "parametrized":
        torch.nn.utils.parametrizations.weight_norm(model.second)
    elif how == "weight_norm":
        with pytest.warns(FutureWarning):
            torch.nn.utils.weight_norm(model.second)
    else:
        model = torch.nn.Sequential(
            Functional(), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(4, 3)
        )
    with pytest.raises(ValueError, match="do not run with the weights that their modules hold"):
        ablation(model, clip())


def test_the_kernel_that_a_class_lives_on_is_found_where_large_weights_are_not(planted):
    rows = ablation(planted, clip(), depth=1, shares=[0.2]).set_index("method")
    assert rows["num_kernels"].tolist() == [1] * 4
    with torch.no_grad():
        logits = planted(clip())[0].double()
        planted.second.weight[3] = 0
        without = planted(clip())[0].double()
    lost = (logits[1] - logits.mean()) - (without[1] - without.mean())
    assert rows.loc[["published", "signed"], "logit_drop"].tolist() == pytest.approx([lost.item()] * 2)
    lost = logits.softmax(0)[1] - without.softmax(0)[1]
    assert rows.loc["signed", "probability_drop"] == pytest.approx(lost.item())
    assert abs(rows.loc["magnitude", "logit_drop"]) < rows.loc["signed", "logit_drop"]


@pytest.mark.parametrize("name", ["Residual", "Grouped"])
def test_every_order_silences_equally_many_of_each_layer(name, monkeypatch):
    from lib.pyramids import _ablation

    seen, silenced = [], _ablation.silenced

    def watched(model, kernels):
        seen.append({layer: len(set(chosen)) for layer, chosen in kernels.items()})
        return silenced(model, kernels)

    monkeypatch.setattr(_ablation, "silenced", watched)
    rows = ablation(tiny(name), clip(), depth=3, shares=[0.5])
    seen = seen[1:]  # the first looks whether kernels can be silenced at all
    each = 3 + 2  # orders, and draws of the random one
    for level in range(len(seen) // each):
        same = seen[each * level : each * (level + 1)]
        assert same == [same[0]] * each
        assert set(rows["num_kernels"].iloc[4 * level : 4 * level + 4]) == {sum(same[0].values())}
    assert rows["method"].tolist() == METHODS * rows["level"].nunique()


@pytest.mark.parametrize("name", ["stgcn", "msg3d"])
def test_networks_on_skeletons_are_ablated_alike(name):
    model, batch = pyramid_skeleton_cases.tiny(name), pyramid_skeleton_cases.batch()
    before = copy.deepcopy(model.state_dict())
    rows = ablation(model, batch, depth=2, shares=[0.3])
    assert rows.equals(ablation(model, batch, depth=2, shares=[0.3])), "the same generator, the same rows"
    assert set(rows["level"]) == {1, 2}
    assert np.isfinite(rows["logit_drop"]).all()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": []}, r"shares=\[\], num_draws=2; needed shares in \(0, 1\]"),
        ({"shares": [0.0]}, r"shares=\[0.0\]"),
        ({"shares": [1.5]}, r"shares=\[1.5\]"),
        ({"num_draws": 0}, "at least one draw"),
        ({"depth": 0}, "depth=0"),
    ],
)
def test_hostile_input_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ablation(tiny("Plain"), clip(), **options)
