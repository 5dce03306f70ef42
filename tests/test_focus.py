"""The terms that train STF-GCN modules."""

import copy

import numpy as np
import pytest
import torch
from focus_cases import ALL, network, passed, three_clips
from model_cases import disturbed

from lib import focus, gradcam, losses, models
from lib.focus import FocusLosses
from lib.models import msg3d


@pytest.fixture
def clips(rng):
    return three_clips(rng)


def test_the_two_paths_of_a_block_share_its_gradcam(small_stf, clips, monkeypatch):
    """Channel weights of both paths add up to those of what enters the block: a focus is GradCAM seen by one path."""
    batch = clips.batch([0, 1])
    weights = []
    monkeypatch.setattr(losses, "focus", lambda features, alpha, _: weights.append(alpha) or features[:, 0])
    logits, modules = passed(small_stf, batch)
    focus._focuses(logits, logits.argmax(dim=1), modules[-2:], again=0)
    maps = torch.einsum("pc,pctv->ptv", sum(weights), modules[-1].features)
    expected = gradcam.gradcam(small_stf, batch, layers=["layers.1"])["layers.1"][batch.present.numpy()]
    lengths = -(-batch.lengths.numpy() // 2)[[0, 1, 1]]
    for n, length in enumerate(lengths):
        np.testing.assert_allclose(maps[n, :length].detach(), expected[n, :length], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("term", ["divergence", "consistency", "exploration"])
def test_slopes_of_terms_are_those_of_finite_differences(clips, term):
    model = disturbed(network(), scale=0.05).double()
    batch = clips.batch([0, 1])
    batch = batch._replace(x=batch.x.double())

    def value():
        if term == "exploration":
            return focus.exploration(model, batch, ALL)
        logits, modules = passed(model, batch)
        return focus.terms(logits, batch, modules, ALL)[term]

    names = [
        "layers.2.focus.windows.beta.weight",
        "layers.2.windows.0.conv.mix.weight",
        "layers.2.after.taps",
        "classifier.weight",
    ]
    if term == "exploration":
        names[0] = "layers.0.spatial.mix.weight"
    weights = [model.get_parameter(name) for name in names]
    slopes = torch.autograd.grad(value(), weights)
    generator = torch.Generator().manual_seed(0)
    for name, weight, slope in zip(names, weights, slopes, strict=True):
        direction = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            weight += 1e-6 * direction
        above = value().item()
        with torch.no_grad():
            weight -= 2e-6 * direction
        below = value().item()
        with torch.no_grad():
            weight += 1e-6 * direction
        assert float((slope * direction).sum()) == pytest.approx((above - below) / 2e-6, rel=1e-3, abs=1e-8), name


def test_the_adjacency_term_teaches_beta_alone_unless_the_target_moves(clips):
    batch = clips.batch([0, 1, 2])
    for moving in (False, True):
        model = network().train()
        logits, modules = passed(model, batch)
        config = FocusLosses(adjacency=1.0, moving_target=moving)
        focus.terms(logits, batch, modules, config)["adjacency"].backward()
        assert model.layers[0].focus["joints"].beta.weight.grad.abs().sum() > 0
        after = model.layers[2].after.taps.grad  # behind all modules: reached by way of the focus alone
        assert (after is not None and bool(after.any())) == moving


def slopes_with_one_graph(score, modules, again):
    ends = [end for module in modules for end in focus._ends(module)]
    return torch.autograd.grad(score, ends, create_graph=True)


@pytest.mark.parametrize(
    "places",
    [
        msg3d.FOCUS_PLACES,
        ("layers.0.joints", "layers.1.windows", "layers.2.joints"),  # the last two lie in different blocks
        ("layers.1.joints", "layers.2.joints", "layers.2.windows"),
        ("layers.2.joints", "layers.2.windows"),
    ],
)
@pytest.mark.parametrize("names", [["divergence", "adjacency"], ["consistency", "adjacency"], ["adjacency"]])
def test_terms_teach_the_same_whether_early_slopes_have_a_graph_or_not(clips, monkeypatch, places, names):
    batch, found = clips.batch([0, 1, 2]), []
    for plain in (False, True):
        model = disturbed(network(focus_places=places), scale=0.05).train()
        with monkeypatch.context() as patched:
            if plain:
                patched.setattr(focus, "_slopes", slopes_with_one_graph)
            logits, modules = passed(model, batch)
            terms = focus.terms(logits, batch, modules, FocusLosses(**dict.fromkeys(names, 1.0)))
        sum(terms.values()).backward()
        found.append([p.grad for p in model.parameters()])
    for ours, theirs in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)


def test_slopes_have_a_graph_from_the_block_on_where_one_is_needed(clips):
    logits, modules = passed(network().train(), clips.batch([0]))
    per_block = sum(len(focus._ends(module)) for module in modules) // 3
    for again, blocks in ((0, 0), (1, 1), (2, 1), (3, 2), (6, 3)):
        slopes = focus._slopes(logits.sum(), modules, again)
        assert [slope.requires_grad for slope in slopes] == [False] * per_block * (3 - blocks) + [
            True
        ] * per_block * blocks


@pytest.mark.parametrize(
    ("names", "calls"),
    [
        (["divergence"], [(1, 1), (1, 1)]),
        (["adjacency"], [(6, 0)]),
        (["consistency"], [(2, 2)]),
        (["adjacency", "divergence"], [(6, 1), (1, 1)]),
        (["adjacency", "divergence", "consistency"], [(6, 2), (1, 1)]),
        (["adjacency", "moving_target"], [(6, 6)]),
        (["divergence", "moving_target"], [(1, 1), (1, 1)]),
    ],
)
def test_no_more_focuses_are_taught_than_terms_need(clips, monkeypatch, names, calls):
    batch, seen, focuses = clips.batch([0, 1]), [], focus._focuses

    def spy(logits, classes, modules, *, again):
        seen.append((len(modules), again))
        return focuses(logits, classes, modules, again=again)

    monkeypatch.setattr(focus, "_focuses", spy)
    config = FocusLosses(**dict.fromkeys(names, True))
    focus.terms(*_in_order(network(), batch), config)
    assert seen == calls


def test_adjacency_is_the_mean_over_all_modules(clips):
    model = disturbed(network(), scale=0.05)
    batch = clips.batch([1])
    logits, modules = passed(model, batch)
    found = focus.terms(logits, batch, modules, FocusLosses(adjacency=1.0))["adjacency"]
    focuses = focus._focuses(logits, logits.argmax(dim=1), modules, again=0)
    here = batch.present.flatten()
    own = [losses.adjacency(q[here], m.beta[here]) for q, m in zip(focuses, modules, strict=True)]
    assert len(own) == 6
    torch.testing.assert_close(found, torch.stack(own).mean())


def test_weights_bring_terms_to_the_classification_loss(clips):
    model, batch = network().train(), clips.batch([0, 1, 2])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights = focus.balanced(model, batch, FocusLosses(), classification=1.4)
    assert set(weights) == set(focus.TERMS)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    logits, modules = passed(model, batch)
    for name, value in focus.terms(logits, batch, modules, ALL).items():
        assert 1.4 / 10**0.51 < weights[name] * abs(value.item()) < 1.4 * 10**0.51


def test_focuses_of_other_strides_are_compared_at_the_same_frames(clips):
    model = disturbed(network(focus_places=("layers.1.windows", "layers.2.joints")), scale=0.05)
    batch = clips.batch([0, 1])
    logits, modules = passed(model, batch)
    first, last = focus._focuses(logits, logits.argmax(dim=1), modules, again=0)
    assert first.shape[1] == 12
    last = losses.resized(last, torch.tensor([6, 5, 5]) * 2 - torch.tensor([0, 1, 1]), 12, 2)
    found = focus.terms(logits, batch, modules, FocusLosses(consistency=1.0))["consistency"]
    torch.testing.assert_close(found, losses.consistency(first, last))


def test_one_class_or_frozen_modules_cannot_be_taught_a_focus(clips):
    batch = clips.batch([0])._replace(labels=torch.tensor([0]))
    alone = network(num_classes=1)
    with pytest.raises(ValueError, match="divergence compares the focus of two classes; this network knows one"):
        focus.terms(*_in_order(alone, batch), FocusLosses(divergence=1.0))
    frozen = network()
    for weights in [*frozen.input_norms.parameters(), *frozen.layers[0].parameters()]:
        weights.requires_grad_(False)
    with pytest.raises(ValueError, match="an STF-GCN module and all before it are frozen"):
        focus.terms(*_in_order(frozen, batch), FocusLosses(adjacency=1.0))
    assert "consistency" in focus.terms(*_in_order(frozen, batch), FocusLosses(consistency=1.0))


def _in_order(model, batch):
    logits, modules = passed(model, batch)
    return logits, batch, modules


def test_absent_persons_have_no_focus_that_counts(small_stf, clips):
    batch = clips.batch([0, 1])  # the second slot of the first clip is empty
    elsewhere = batch.x.clone()
    elsewhere[0, ..., 1] += 5.0
    first, second = (
        focus.terms(*_in_order(copy.deepcopy(small_stf), batch._replace(x=x)), ALL) for x in (batch.x, elsewhere)
    )
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)


def test_absent_persons_that_the_pooling_counts_have_no_focus_either(clips):
    model = disturbed(network(pooling="mean"), scale=0.05)
    batch = clips.batch([0, 1])
    logits, modules = passed(model, batch)
    found = focus.terms(logits, batch, modules, ALL)
    focuses = focus._focuses(logits, logits.argmax(dim=1), modules[-2:], again=0)
    kept = [q[batch.present.flatten()] for q in focuses]
    torch.testing.assert_close(found["consistency"], losses.consistency(*kept))
    assert float(losses.consistency(*focuses).detach()) != pytest.approx(float(found["consistency"].detach()))


@pytest.mark.parametrize("known", [True, False])
def test_the_label_may_be_explained_instead_of_the_prediction(small_stf, clips, known):
    batch = clips.batch([0])
    logits, modules = passed(small_stf, batch)
    best, second = logits.topk(2).indices[0]
    batch = batch._replace(labels=best[None] if known else logits.argmin(dim=1))
    config = FocusLosses(divergence=1.0, explained="label")
    found = focus.terms(logits, batch, modules, config)["divergence"]
    one, other = (
        focus._focuses(logits, torch.tensor([int(c)]), modules[-1:], again=0)[0]
        for c in (batch.labels[0], second if known else best)
    )
    torch.testing.assert_close(found, losses.divergence(one, other))


@pytest.mark.gpu
def test_a_focus_in_training_is_the_same_on_a_gpu(clips):
    found = []
    for device in ("cpu", "cuda"):
        logits, modules = passed(network().train().to(device), clips.batch([0, 1]).to(device))
        found.append(focus._focuses(logits, logits.argmax(dim=1), modules, again=0))
    for cpu, cuda in zip(*found, strict=True):
        torch.testing.assert_close(cuda.cpu(), cpu, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"divergence": -1.0}, r"\{'divergence': -1.0\}, needed finite weights"),
        ({"explained": "best"}, "explained='best'; choose 'predicted' or 'label'"),
        ({"score": "odds"}, "score='odds'; choose one of"),
        ({"exploration_every": 0}, "exploration_every=0, needed at least 1"),
    ],
)
def test_configuration_errors(options, message):
    with pytest.raises(ValueError, match=message):
        FocusLosses(**options)


def test_networks_without_modules_are_refused_by_name(clips):
    plain = models.build("msg3d", num_classes=4, skeleton="kinect20", width=0.0625)
    with pytest.raises(ValueError, match="MSG3D has no STF-GCN modules; build 'stf'"), focus.watch(plain):
        pass
    one = network(focus_places=msg3d.FOCUS_PLACES[-1:])
    logits, modules = passed(one, clips.batch([0]))
    with pytest.raises(ValueError, match="consistency joins two"):
        focus.terms(logits, clips.batch([0]), modules, ALL)
