"""Explorers without a browser: what a control does to the picture."""

import re

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


def parts(box):
    """Widgets inside a box, however deep, from the top down."""
    for widget in box.children:
        yield widget
        if hasattr(widget, "children"):
            yield from parts(widget)


def named(box, description):
    """Find a control by the label that a reader sees."""
    found = [widget for widget in parts(box) if getattr(widget, "description", None) == description]
    assert len(found) == 1, f"{len(found)} controls {description!r}"
    return found[0]


def picture(box):
    import ipywidgets

    (image,) = (widget for widget in parts(box) if isinstance(widget, ipywidgets.Image))
    value = bytes(image.value)
    assert value.startswith(b"\x89PNG")
    return value


def texts(box):
    import ipywidgets

    return [widget.value for widget in parts(box) if isinstance(widget, ipywidgets.HTML)]


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
    assert any(clips.class_names[clips.labels[0]] in text for text in texts(box))
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


@pytest.fixture(scope="module")
def layers(clips):
    from lib import dtw, graphs

    distances = dtw.pairwise([clip.x[: clip.length, 0].reshape(clip.length, -1) for clip in clips])
    return {"0": graphs.knn(distances, 3), "1": graphs.nnk(distances, 5)}


def test_colours_mean_the_same_at_every_frame_as_in_the_map(model, clips, monkeypatch):
    from lib import attribution, widgets
    from lib.widgets import _canvas

    def against_at_one_frame(batch):
        found = np.ones((1, batch.x.shape[4], batch.x.shape[2], batch.x.shape[3]))
        found[:, :, 5, 3] = -1
        return found

    monkeypatch.setattr(attribution, "motion_energy", against_at_one_frame)
    box, shown = widgets.explore_gradcam(model, clips), []
    monkeypatch.setattr(_canvas.Canvas, "show", lambda self, moving: shown.append(moving))
    named(box, "method").value = "motion energy"
    for frame in (4, 5, 6):
        named(box, "frame").value = frame
    scales = [part for moving in shown for part in moving if getattr(part, "get_array", lambda: None)() is not None]
    scales.append(shown[-1][-1].axes.images[0])
    assert len(scales) >= 5
    assert len({(part.cmap.name, part.norm.vmin, part.norm.vmax) for part in scales}) == 1


def test_the_graph_explorer_moves_a_clip_and_its_neighbours(layers, clips):
    from lib import widgets

    box = widgets.explore_graph(layers, clips, num_shown=3)
    first = picture(box)
    assert not any(f"chosen: {clips.class_names[clips.labels[4]]}" in text for text in texts(box))
    named(box, "clip").value = 4
    (player,) = (text for text in texts(box) if "<figure" in text)
    assert player.count("<figure") == 1 + min(3, int((layers["1"].weights[4] > 0).sum()))
    assert f"chosen: {clips.class_names[clips.labels[4]]}" in player
    after = picture(box)
    named(box, "layer").value = "0"
    assert len({first, after, picture(box)}) == 3
    share = np.mean(clips.labels[layers["0"].indices[4]] == clips.labels[4])
    assert f"3 neighbours, {share:.0%} of the clip's own class" in texts(box)


def test_a_dot_of_the_graph_can_be_picked_where_it_is_drawn(layers, clips):
    import ipywidgets

    from lib import widgets

    box = widgets.explore_graph(layers, clips)
    (dots,) = (part for part in parts(box) if isinstance(part, ipywidgets.ToggleButtons))
    assert len(dots.options) == len(dots.tooltips) == len(clips)
    assert dots.tooltips[5] == f"{clips.names[5]}, {clips.class_names[clips.labels[5]]}"
    (image,) = (part for part in parts(box) if isinstance(part, ipywidgets.Image))
    (style,) = (text for text in texts(box) if "<style>.lom-dots" in text.replace("\n", "") and "<figure" not in text)
    places = np.array(re.findall(r"left:([\d.]+)%;top:([\d.]+)%", style), dtype=float) / 100
    assert places.shape == (len(clips), 2)
    before = pixels(image)
    dots.index = 5
    assert named(box, "clip").value == 5
    rows, columns = np.nonzero((pixels(image) != before).any(axis=2))
    height, width = before.shape[:2]
    changed = np.column_stack([columns / width, rows / height])
    nearest = np.linalg.norm(changed[:, None] - places, axis=2).argmin(axis=1)
    rings = {0, 5, *layers["1"].indices[0].tolist(), *layers["1"].indices[5].tolist()}
    assert {0, 5} <= set(nearest) <= rings


@pytest.fixture(scope="module")
def recording():
    from lib import recordings

    return recordings.load("synthetic", num_recordings=2, num_segments=3)[1][0]


def explorer_of(recording, unnamed=0):
    from lib import clustering, recordings, widgets

    poses, skeleton = recordings.bodies(recording)
    places = {
        "pose": clustering.principal(recording.channels, 2),
        "slow": clustering.principal(recording.channels[:, :6], 2),
    }
    labels = recording.frame_labels()
    rows = {"annotated": labels, "one cluster": np.full_like(labels, unnamed)}
    return widgets.explore_recording(places, rows, recording.segment_names, poses, skeleton, fps=recording.fps)


def test_every_control_of_the_recording_explorer_changes_the_picture(recording):
    box = explorer_of(recording)
    seen = {picture(box)}
    for description, value in (("frame", 40), ("states", "slow"), ("colours", "one cluster")):
        named(box, description).value = value
        assert picture(box) not in seen, description
        seen.add(picture(box))
    named(box, "states").value, named(box, "colours").value = "pose", "annotated"
    named(box, "frame").value = 0
    assert picture(box) in seen  # what moved is off the picture again


def test_a_cluster_without_a_name_is_grey_in_the_embedding_as_on_the_timeline(recording):
    import matplotlib.pyplot as plt

    from lib import plots

    labels, names = recording.frame_labels(), recording.segment_names[:-1]
    assert labels.max() == len(names)
    ax = plots.frame_embedding(np.random.default_rng(0).normal(size=(len(labels), 2)), labels, names)
    colors = [tuple(dots.get_facecolor()[0, :3].round(3)) for dots in ax.collections]
    assert len(set(colors)) == len(names) + 1
    assert len(set(colors[-1])) == 1
    bars = plots.timeline({"found": labels}, names, fps=30)
    assert colors[-1] in {tuple(bar.get_facecolor()[0, :3].round(3)) for bar in bars.collections}
    plt.close("all")


def test_the_recording_explorer_leaves_a_cluster_without_a_name_to_the_plot(recording, monkeypatch):
    from lib import plots

    seen, original = [], plots.frame_embedding
    monkeypatch.setattr(
        plots, "frame_embedding", lambda x, labels, *a, **k: seen.append(labels) or original(x, labels, *a, **k)
    )
    box = explorer_of(recording, unnamed=len(recording.segment_names) + 3)
    named(box, "colours").value = "one cluster"
    assert set(seen[-1]) == {len(recording.segment_names) + 3}


def pixels(image):
    import io

    from matplotlib.image import imread

    return imread(io.BytesIO(bytes(image.value)), format="png")


def test_a_picture_depends_on_the_controls_and_not_on_their_order(clips):
    from lib import widgets

    box = widgets.explore_clips(clips)
    named(box, "turn (°)").value = 30
    named(box, "frame").value = 7
    once = picture(box)
    again = widgets.explore_clips(clips)
    named(again, "frame").value = 7
    named(again, "turn (°)").value = 30
    assert picture(again) == once


def test_what_cannot_be_explored_is_refused(model, clips):
    from lib import graphs, widgets

    none = clips.subset([])
    for explore in (widgets.explore_clips, lambda part: widgets.explore_gradcam(model, part)):
        with pytest.raises(ValueError, match="there are none"):
            explore(none)
    with pytest.raises(ValueError, match=r"\{'a': 4\} nodes for 12 clips"):
        widgets.explore_graph({"a": graphs.knn(1 - np.eye(4), 2)}, clips)
    with pytest.raises(ValueError, match=r"\{'a': 4\} frames, poses have 5"):
        widgets.explore_recording({"a": np.zeros((4, 2))}, {}, (), np.zeros((5, 25, 3)), clips.skeleton, fps=30)


def test_no_figure_is_left_open(clips):
    import matplotlib.pyplot as plt

    from lib import widgets

    before = plt.get_fignums()
    widgets.explore_clips(clips)
    assert plt.get_fignums() == before
