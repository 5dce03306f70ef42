import numpy as np
import oracles
import pytest
import torch
from model_cases import clip, disturbed

from lib import models, skeletons
from lib.models import layers
from lib.skeletons import Skeleton


@pytest.fixture(scope="module")
def small():
    return disturbed(models.build("stgcn", num_classes=5, skeleton="kinect20", width=0.25, seed=0))


@pytest.mark.parametrize(("layout", "num_classes"), [("ntu25", 60), ("openpose18", 400)])
def test_published_weights_give_the_published_logits(layout, num_classes):
    skeleton = skeletons.get(layout)
    A = torch.tensor(skeleton.adjacency("spatial"), dtype=torch.float32)
    published = disturbed(oracles.PublishedSTGCN(3, num_classes, A))
    ours = models.build("stgcn", num_classes=num_classes, skeleton=layout, pooling="mean").eval()
    models.load_reference(ours, {f"module.{name}": value for name, value in published.state_dict().items()})
    x = torch.randn((2, 3, 30, len(skeleton), 2), generator=torch.Generator().manual_seed(1))
    x[1, ..., 1] = 0  # an absent person counts in the published network
    with torch.no_grad():
        expected, logits = published(x), ours(x)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_gradients_equal_the_published_networks():
    skeleton = skeletons.get("kinect20")
    A = torch.tensor(skeleton.adjacency("spatial"), dtype=torch.float64)
    published = disturbed(oracles.PublishedSTGCN(3, 4, A).double())
    ours = models.build("stgcn", num_classes=4, skeleton=skeleton, pooling="mean").double().eval()
    for block in ours.layers:
        block.gcn.A.copy_(A)
    models.load_reference(ours, published.state_dict())
    x = torch.randn((2, 3, 12, 20, 1), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for net in (published, ours):
        net(x).square().sum().backward()
    torch.testing.assert_close(ours.layers[4].gcn.importance.grad, published.edge_importance[4].grad)
    torch.testing.assert_close(
        ours.layers[7].gcn.weight.grad.reshape(-1), published.st_gcn_networks[7].gcn.conv.weight.grad.reshape(-1)
    )
    torch.testing.assert_close(ours.layers[2].tcn.weight.grad, published.st_gcn_networks[2].tcn[2].weight.grad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("fcn.bias"), r"missing \['classifier.bias'\]"),
        (lambda s: s.update(extra=torch.ones(1)), r"unknown \['extra'\]"),
        (lambda s: s.update({"fcn.weight": torch.ones(7, 256, 1, 1)}), r"classifier.weight \(7, 256\) instead of"),
        (lambda s: s.update(A=s["A"].transpose(1, 2)), "made for another adjacency"),
    ],
)
def test_weights_that_do_not_fit_are_named(change, message):
    A = torch.tensor(skeletons.get("kinect20").adjacency("spatial"), dtype=torch.float32)
    state = oracles.PublishedSTGCN(3, 5, A).state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        models.load_reference(models.build("stgcn", num_classes=5, skeleton="kinect20"), state)


def test_renamed_joints_give_the_same_logits():
    skeleton = skeletons.get("kinect20")
    order = np.random.default_rng(0).permutation(20)  # new joint i is old joint order[i]
    place = np.argsort(order)
    renamed = Skeleton.from_edges([(place[a], place[b]) for a, b in skeleton.edges], center=int(place[skeleton.center]))
    net = disturbed(models.build("stgcn", num_classes=5, skeleton=skeleton, width=0.25))
    twin = models.build("stgcn", num_classes=5, skeleton=renamed, width=0.25).eval()
    state = net.state_dict()
    for name, value in state.items():
        if name.startswith("input_norm") and value.ndim:
            state[name] = value.view(20, 3)[order].reshape(-1)
        elif name.endswith(("gcn.A", "importance")):
            state[name] = value[:, order][:, :, order]
    twin.load_state_dict(state)
    x = clip(16, 1)
    with torch.no_grad():
        torch.testing.assert_close(twin(x[:, :, :, order]), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_its_share(p):
    torch.manual_seed(0)
    y = layers.Dropout(p)(torch.ones(4, 16, 50, 20))
    assert float((y == 0).float().mean()) == pytest.approx(p, abs=0.01)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.03)
    assert len(y.unique()) == 2
    assert layers.Dropout(p).eval()(y) is y


def test_same_seed_same_weights_and_global_generator_untouched():
    state = torch.random.get_rng_state()
    a, b, c = (models.build("stgcn", num_classes=3, skeleton="coco17", width=0.125, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(a.layers[3].tcn.weight, b.layers[3].tcn.weight)
    assert not torch.equal(a.layers[3].tcn.weight, c.layers[3].tcn.weight)


def test_full_width_has_the_published_channels_and_strides():
    net = models.build("stgcn", num_classes=60, skeleton="ntu25")
    assert [block.tcn.out_channels for block in net.layers] == list(oracles.PublishedSTGCN.CHANNELS)
    assert list(net.layer_strides.values()) == [1, 1, 1, 1, 2, 2, 2, 4, 4, 4]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: models.build("gcn", num_classes=2, skeleton="coco17"),
            r"no model 'gcn'; choose one of \['adversarial_seq2seq', 'msg3d', 'predict_cluster', 'seq2seq', 'stf', ",
        ),
        (
            lambda: models.build("stgcn", num_classes=2, skeleton="coco17", widht=2),
            r"no option \['widht'\]; it has .*'width'",
        ),
        (lambda: models.build("stgcn", num_classes=2, skeleton="coco17", pooling="max"), "'max'; choose 'masked'"),
        (lambda: models.build("stgcn", num_classes=2, skeleton="coco17", dropout=1.0), "dropout=1.0, needed in"),
        (lambda: models.build("stgcn", num_classes=0, skeleton="coco17"), "num_classes=0"),
        (
            lambda: models.build("stgcn", num_classes=2, skeleton="coco17")(torch.zeros(1, 3, 4, 20, 1)),
            r"shape \(1, 3, 4, 20, 1\), needed \(N, C=3, T >= 1, V=17",
        ),
        (lambda: models.load_reference(torch.nn.Linear(1, 1), {}), "no published weights are known for Linear"),
    ],
)
def test_errors_say_what_was_found_and_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_clip_without_anyone_present_is_refused(small):
    with pytest.raises(ValueError, match=r"clips \[1\] of the batch have no present person"):
        small(torch.zeros(2, 3, 4, 20, 1), None, torch.tensor([[True], [False]]))
