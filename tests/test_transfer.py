import numpy as np
import pytest
import torch

from lib import datasets, models, recipes, skeletons, training, transfer, transforms


@pytest.fixture
def clips():
    recipe = recipes.get("synthetic", recipes.FOCUS_RECIPES, num_frames=8)
    return recipe.prepare(datasets.load("synthetic", split="train", limit=16, progress=False))


def network(name="stgcn", num_classes=20, seed=0, **options):
    return models.build(name, num_classes=num_classes, skeleton="ntu25", width=0.125, seed=seed, **options)


CONFIG = training.TrainConfig(epochs=1, warmup_epochs=0, batch_size=8, learning_rate=0.05)


def changed(before, model):
    return {name for name, value in model.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("name", ["stgcn", "msg3d", "stf"])
@pytest.mark.parametrize("num_tuned", [0, 1, 2])
def test_only_the_last_layers_change_statistics_included(clips, name, num_tuned):
    source, model = network(name, num_classes=5, dropout=0.5), network(name, seed=1, dropout=0.5)
    transfer.start(model, source, num_tuned)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    training.fit(model, clips, config=CONFIG, progress=False)
    tuned = ["classifier", *model.layer_names[len(model.layer_names) - num_tuned :]]
    assert changed(before, model)
    for key in changed(before, model):
        assert any(key.startswith(f"{layer}.") for layer in tuned), key
    assert any("running_mean" in key for key in changed(before, model)) == (num_tuned > 0)


def test_all_layers_include_the_normalisation_of_the_input(clips):
    model = transfer.start(network(seed=1), network(num_classes=5), 10)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    training.fit(model, clips, config=CONFIG, progress=False)
    assert {"input_norm.weight", "input_norm.running_mean", "layers.0.gcn.weight"} <= changed(before, model)


def test_a_start_has_the_features_of_its_source_and_a_classifier_of_its_own(clips):
    source, fresh = network(num_classes=5), network(seed=1)
    classifier = fresh.classifier.weight.clone()
    model = transfer.start(fresh, source, 3)
    torch.testing.assert_close(model.classifier.weight, classifier, rtol=0, atol=0)
    for name, value in source.state_dict().items():
        if not name.startswith("classifier"):
            assert torch.equal(value, model.state_dict()[name])
    assert all(parameter.requires_grad for parameter in source.parameters())


def test_frozen_layers_drop_nothing_while_others_learn(clips):
    """With everything but the classifier frozen, training sees the features that evaluation sees."""
    model = transfer.start(network(dropout=0.5), network(dropout=0.5), 0)
    seen = []
    model.classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    quiet = training.TrainConfig(epochs=2, batch_size=16, crop=1.0, turn=0.0, tilt=0.0, stretch=0.0)
    training.fit(model, clips, config=quiet, progress=False)
    first, second = (torch.sort(part, dim=0).values for part in seen)  # the order of clips differs
    torch.testing.assert_close(first, second)
    assert all(module.training for module in model.modules())


def test_a_checkpoint_of_another_depth_is_refused(clips, tmp_path):
    file = tmp_path / "one.pt"
    training.fit(transfer.start(network(), network(), 1), clips, config=CONFIG, checkpoint=file, progress=False)
    with pytest.raises(ValueError, match="made by another training"):
        training.fit(transfer.start(network(), network(), 2), clips, config=CONFIG, checkpoint=file, progress=False)


def test_depths_and_starts_have_their_own_checkpoints(clips, tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path))
    recipe = recipes.get("synthetic", recipes.FOCUS_RECIPES, epochs=1, width=0.0625, num_frames=8)
    recipe = recipes.focus_step(recipe, "stgcn")
    for num_tuned, seed in ((0, 1), (1, 1), (1, 2), (1, 1)):
        source = recipe.build(clips, seed)
        recipe.fit(clips, 0, model=transfer.start(recipe.build(clips, 0), source, num_tuned), progress=False)
    assert len(list((tmp_path / "checkpoints").glob("*.pt"))) == 3


def test_nothing_to_train_is_said(clips):
    model = network()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="every parameter is frozen"):
        training.fit(model, clips, config=CONFIG, progress=False)


def test_other_kinds_of_networks_are_refused():
    with pytest.raises(ValueError, match=r"differ in .* needed networks that differ in their classes only"):
        transfer.start(network("stgcn"), network("msg3d"), 0)
    with pytest.raises(ValueError, match="num_tuned=11; STGCN has 10 layers"):
        transfer.start(network(), network(), 11)


def test_depths_are_read_in_order():
    assert transfer.parse_depths("4, 0 10", 10) == [0, 4, 10]
    for text in ("", "a", "1 1", "-1", "11", "0.5"):
        with pytest.raises(ValueError, match="needed whole numbers from 0 to 10"):
            transfer.parse_depths(text, 10)
    names = network().layer_names
    assert [transfer.last_frozen(names, n) for n in (0, 1, 9, 10)] == ["layers.9", "layers.8", "layers.0", None]


# --- joints of another layout -------------------------------------------------------------------------------------


def test_kinect_joints_are_found_by_place(clips):
    target = skeletons.get("kinect20")
    joints = skeletons.joint_map(clips.skeleton, target)
    assert [clips.skeleton.joints[v] for v in joints[:4]] == ["spine_base", "spine_mid", "spine_shoulder", "head"]
    moved = clips.map(lambda clip: transforms.onto(clip, target))
    assert moved.skeleton is target
    np.testing.assert_array_equal(moved[3].x, clips[3].x[:, :, joints])
    np.testing.assert_array_equal(moved[3].truth, clips[3].truth[:, :, joints])


@pytest.mark.parametrize("name", sorted(skeletons.LAYOUTS))
def test_a_layout_maps_to_itself(name):
    skeleton = skeletons.get(name)
    np.testing.assert_array_equal(skeletons.joint_map(skeleton, skeleton), np.arange(len(skeleton)))


def test_missing_joints_are_named():
    with pytest.raises(ValueError, match=r"'kinect20' has no joints \['neck', .*'left_hand_tip'"):
        skeletons.joint_map(skeletons.get("kinect20"), skeletons.get("ntu25"))


def test_norms_are_the_sources_or_the_targets(clips):
    source = network()
    assert transfer.with_norms(source, "source", clips) is source
    before = {key: value.clone() for key, value in source.state_dict().items()}
    adapted = transfer.with_norms(source, "target", clips)
    assert not changed(before, source)
    moved = changed(before, adapted)
    assert {"input_norm.running_mean", "layers.9.tcn.norm.running_var"} & moved
    assert all("running_" in key or "num_batches" in key for key in moved)
    with pytest.raises(ValueError, match="norms='both'; choose 'source' or 'target'"):
        transfer.with_norms(source, "both", clips)
