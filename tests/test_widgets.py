"""Explorers without a browser: what a control does to the picture."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def clips():
    from lib import datasets

    return datasets.load("synthetic", split="test", limit=12)


@pytest.fixture(scope="module")
def model(clips):
    from lib import models

    return models.build(
        "stgcn", num_classes=len(clips.class_names), skeleton=clips.skeleton, in_channels=3, width=0.125, seed=0
    )


def named(box, description):
    """Find a control by the label that a reader sees."""
    stack = list(box.children)
    while stack:
        widget = stack.pop()
        if getattr(widget, "description", None) == description:
            return widget
        stack += getattr(widget, "children", [])
    raise AssertionError(f"no control {description!r}")


def picture(box):
    import ipywidgets

    (image,) = (widget for widget in box.children if isinstance(widget, ipywidgets.Image))
    value = bytes(image.value)
    assert value.startswith(b"\x89PNG")
    return value


def told(box):
    import ipywidgets

    return next(widget for widget in box.children if isinstance(widget, ipywidgets.HTML)).value


def test_every_control_of_the_clip_explorer_changes_the_picture(clips):
    from lib import widgets

    box = widgets.explore_clips(clips)
    seen = {picture(box)}
    for description, value in (("frame", 20), ("turn (°)", 90), ("clip", 3)):
        named(box, description).value = value
        assert picture(box) not in seen, description
        seen.add(picture(box))


def test_choosing_a_class_leaves_its_clips_only(clips):
    from lib import widgets

    box = widgets.explore_clips(clips)
    label = int(clips.labels[5])
    named(box, "show").value = label
    offered = [place for _, place in named(box, "clip").options]
    assert offered == np.flatnonzero(clips.labels == label).tolist()
    assert named(box, "clip").value == offered[0]


def test_the_frame_stays_inside_a_shorter_clip(clips):
    from lib import widgets

    box = widgets.explore_clips(clips)
    longest, shortest = int(clips.lengths.argmax()), int(clips.lengths.argmin())
    named(box, "clip").value = longest
    named(box, "frame").value = int(clips.lengths[longest]) - 1
    named(box, "clip").value = shortest
    assert named(box, "frame").value == named(box, "frame").max == clips.lengths[shortest] - 1


def test_every_control_of_the_gradcam_explorer_changes_the_picture(model, clips):
    from lib import widgets

    box = widgets.explore_gradcam(model, clips)
    assert clips.class_names[clips.labels[0]] in told(box)
    seen = {picture(box)}
    changes = [("method", "layers.2"), ("method", "motion energy"), ("method", "occlusion"), ("method", "layers.9")]
    for description, value in [("frame", 9), *changes, ("class", 4), ("clip", 2)]:
        if (description, value) == ("method", "layers.9"):
            named(box, description).value = value
            assert picture(box) in seen, "back where it was"
            continue
        named(box, description).value = value
        assert picture(box) not in seen, (description, value)
        seen.add(picture(box))


def test_the_gradcam_explorer_shows_what_gradcam_finds(model, clips, monkeypatch):
    from lib import gradcam, plots, widgets

    shown = {}
    monkeypatch.setattr(plots, "joints_over_time", lambda maps, *_, **__: shown.update(maps))
    box = widgets.explore_gradcam(model, clips)
    shown.clear()
    named(box, "class").value = 7
    ((title, found),) = shown.items()
    assert title == f"GradCAM, layers.9, for {clips.class_names[7]}"
    batch = clips.batch([0])
    wanted = gradcam.gradcam(model, batch, ["layers.9"], target=7)["layers.9"]
    wanted = gradcam.upsample_time(wanted, model.layer_strides["layers.9"], batch.lengths.numpy())[0]
    assert any(np.array_equal(found, person) for person in wanted)


def test_the_graph_explorer_moves_a_clip_and_its_neighbours(clips):
    from lib import dtw, graphs, widgets

    distances = dtw.pairwise([clip.x[: clip.length, 0].reshape(clip.length, -1) for clip in clips])
    layers = {"0": graphs.knn(distances, 3), "1": graphs.nnk(distances, 5)}
    box = widgets.explore_graph(layers, clips, num_shown=3)
    player = box.children[-1]
    before = picture(box), player.value
    named(box, "clip").value = 4
    assert player.value != before[1]
    assert player.value.count("<figure") == 1 + min(3, int((layers["1"].weights[4] > 0).sum()))
    assert f"chosen: {clips.class_names[clips.labels[4]]}" in player.value
    after = picture(box)
    named(box, "layer").value = "0"
    assert picture(box) not in (before[0], after)
    share = np.mean(clips.labels[layers["0"].indices[4]] == clips.labels[4])
    assert told(box) == f"3 neighbours, {share:.0%} of the clip's own class"


def test_what_cannot_be_explored_is_refused(model, clips):
    from lib import graphs, widgets

    none = clips.subset([])
    for explore in (widgets.explore_clips, lambda part: widgets.explore_gradcam(model, part)):
        with pytest.raises(ValueError, match="there are none"):
            explore(none)
    with pytest.raises(ValueError, match=r"\{'a': 4\} nodes for 12 clips"):
        widgets.explore_graph({"a": graphs.knn(1 - np.eye(4), 2)}, clips)


def test_no_figure_is_left_open(clips):
    import matplotlib.pyplot as plt

    from lib import widgets

    before = plt.get_fignums()
    widgets.explore_clips(clips)
    assert plt.get_fignums() == before
