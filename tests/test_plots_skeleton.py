"""Bodies as drawn: views, strips and animations, checked by the artists they hold."""

import re

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from plot_cases import bones, clip

pytestmark = pytest.mark.usefixtures("closed_figures")


def test_front_view_is_the_sensors_own(plots):
    front = plots.project(np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_allclose(front, [[-1.0, 2.0]], atol=1e-12)  # x to the sensor's left
    np.testing.assert_allclose(plots.project(np.array([[1.0, 2.0, 3.0]]), azimuth=90), [[3.0, 2.0]], atol=1e-12)
    np.testing.assert_allclose(plots.project(np.array([[1.0, 2.0, 3.0]]), elevation=90), [[-1.0, 3.0]], atol=1e-12)
    np.testing.assert_allclose(plots.project(np.array([[1.0, 2.0, 3.0]]), y_down=True), [[1.0, -2.0]], atol=1e-12)
    np.testing.assert_allclose(plots.project(np.array([[1.0, 2.0]])), [[1.0, 2.0]])
    np.testing.assert_allclose(plots.project(np.array([[1.0, 2.0]]), y_down=True), [[1.0, -2.0]])
    with pytest.raises(ValueError, match="C=4"):
        plots.project(np.zeros((1, 4)))


def test_projection_is_orthographic(plots):
    plane = plots.project(np.eye(3), azimuth=33, elevation=21)  # rows: where the axes point on the picture
    np.testing.assert_allclose(plane.T @ plane, np.eye(2), atol=1e-12)


def test_every_bone_is_drawn_once(plots, rng, skeleton):
    ax = plots.pose(clip(rng, persons=2)[0], skeleton)
    assert [len(line.get_segments()) for line in bones(ax)] == [len(skeleton.edges)] * 2
    strip = plots.pose_strip(clip(rng), skeleton, frames=[0, 4, 7])
    assert [len(line.get_segments()) for line in bones(strip)] == [len(skeleton.edges)] * 3


def test_absent_persons_and_missing_joints_are_not_drawn(plots, rng, skeleton):
    frame = clip(rng, persons=3)[0]
    frame[1] = 0.0
    assert len(bones(plots.pose(frame, skeleton))) == 2
    assert len(bones(plots.pose(frame, skeleton, present=np.array([True, True, False])))) == 1
    frame[0, 3] = np.nan  # the head, at the end of one bone
    assert sorted(len(line.get_segments()) for line in bones(plots.pose(frame, skeleton))) == [23, 24]


def test_sides_have_their_colours(plots, rng, skeleton):
    from lib.plots.view import bone_sides, joint_sides

    assert joint_sides(skeleton)[skeleton.joints.index("left_knee")] == "left"
    assert sorted(map(bone_sides(skeleton).count, ("left", "right", "center"))) == [4, 10, 10]
    colors = bones(plots.pose(clip(rng)[0], skeleton))[0].get_colors()
    assert len(np.unique(colors, axis=0)) == 3


def test_importance_sets_sizes_and_a_two_sided_scale(plots, rng, skeleton):
    importance = np.zeros(25)
    importance[7], importance[9] = 1.0, -0.5
    ax = plots.pose(clip(rng)[0], skeleton, importance=importance, largest=2, label="difference")
    assert ax.figure.axes[-1].get_ylabel() == "difference"
    dots = next(part for part in ax.collections if not isinstance(part, LineCollection))
    assert dots.get_sizes().argmax() == 7
    assert (dots.norm.vmin, dots.norm.vmax) == (-2.0, 2.0)


@pytest.mark.parametrize(("signed", "low"), [(None, 0.0), (False, 0.0), (True, -1.0)])
def test_a_frame_without_negative_importance_can_keep_a_two_sided_scale(plots, rng, skeleton, signed, low):
    ax = plots.pose(clip(rng)[0], skeleton, importance=np.ones(25), signed=signed)
    dots = next(part for part in ax.collections if not isinstance(part, LineCollection))
    assert (dots.norm.vmin, dots.norm.vmax) == (low, 1.0)


def test_strip_times_and_truth_rings(plots, rng, skeleton):
    truth = np.zeros((31, 25), bool)
    truth[15, [3, 4]] = True
    ax = plots.pose_strip(clip(rng, 31), skeleton, num_poses=3, fps=30.0, truth=truth)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.00", "0.50", "1.00"]
    rings = [part for part in ax.collections if len(part.get_facecolor()) == 0 and len(part.get_offsets())]
    assert [len(part.get_offsets()) for part in rings if not isinstance(part, LineCollection)] == [2]


def test_strip_takes_travel_out(plots, rng, skeleton):
    x = clip(rng)
    moved = x + np.linspace(0, 50, len(x))[:, None, None, None].astype(np.float32) * np.array([1, 0, 0], np.float32)
    ends = [plots.pose_strip(part, skeleton).get_xlim()[1] for part in (x, moved)]
    np.testing.assert_allclose(*ends, rtol=1e-4)  # float32 clips


def test_animation_is_selfcontained_and_repeatable(plots, rng, skeleton):
    x = clip(rng, 90, persons=1)
    player = plots.pose_animation(x, skeleton, 30.0, title="a <b>", importance=rng.normal(size=(90, 25)))
    plain = [plots.pose_animation(x, skeleton, 30.0, title="a <b>").html for _ in range(2)]
    assert plain[0] == plain[1]
    for text in (player.html, plain[0]):
        assert not re.search(r"https?:|//[a-z]|\bsrc=|@import|url\(|\bid=", text)
        assert "a &lt;b&gt;" in text
        assert "<b>" not in text
        assert len(text) < 40_000
        assert 'aria-label="a &lt;b&gt;: moving figure, 30 frames, 3.00 seconds"' in text
        assert "prefers-reduced-motion" in text
    assert len(repr(player)) < 80


@pytest.mark.parametrize(("frames", "asked", "shown"), [(90, 30, 30), (7, 30, 7), (90, 4, 4), (1, 30, 1)])
def test_animation_frames_and_bones(plots, rng, skeleton, frames, asked, shown):
    x = clip(rng, frames, persons=2)
    x[:, 1] = 0.0
    player = plots.pose_animation(x, skeleton, 30.0, max_frames=asked)
    assert player.num_frames == shown
    assert player.html.count('class="f"') == shown
    assert player.html.count('class="q"') == 0  # the absent second person
    paths = re.findall(r'<path(?: class="[lr]")? d="([^"]+)"/>', player.html)
    assert sum(text.count("l") for text in paths) == shown * len(skeleton.edges)
    assert ('type="range"' in player.html) == (shown > 1)


def test_animation_of_two_persons_stays_small(plots, rng, skeleton):
    assert len(plots.pose_animation(clip(rng, 90, persons=2), skeleton, 30.0).html) < 40_000


def test_animations_share_scale_style_and_script(plots, rng, skeleton):
    x = clip(rng, 9)
    grid = plots.pose_animations([x, 3 * x], skeleton, 30.0, titles=["one", "two"])
    assert grid.html.count("<style>") == grid.html.count("<script>") == 1
    assert len(set(re.findall(r'viewBox="[^"]+"', grid.html))) == 1
    with pytest.raises(ValueError, match="2 clips, 1 titles"):
        plots.pose_animations([x, x], skeleton, 30.0, titles=["one"])
