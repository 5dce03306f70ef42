"""Pictures of pyramids and of videos are checked by what they hold."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_cases import ablation_rows, small_pyramid

pytestmark = pytest.mark.usefixtures("closed_figures")


def labels(ax):
    return {text.get_text() for text in ax.texts}


def test_a_pyramid_names_its_kernels_and_counts_the_rest(plots):
    ax = plots.pyramid(small_pyramid(), class_name="sit_down", num_shown=1)
    assert labels(ax) == {"head · 1", "two · 3", "one · 5", "and 1 more"}
    assert ax.get_title(loc="left") == "sit down, logit 2.5"
    assert ax.get_xticklabels()[1].get_text() == "1\n2 kernels in 1 layer"
    whole = plots.pyramid(small_pyramid())
    assert "two · 0" in labels(whole)
    way = whole.lines[0].get_xydata()
    np.testing.assert_array_equal(way, [[0, 0], [1, 0], [2, 0]])  # by way of kernel 3, the stronger one
    assert len(whole.collections[0].get_segments()) == 4
    with pytest.raises(ValueError, match="num_shown=0; needed at least 1"):
        plots.pyramid(small_pyramid(), num_shown=0)


def test_ablation_has_a_line_per_method_and_intervals(plots):
    figure = plots.ablation(ablation_rows(), unit="logit")
    ax, other = figure.axes
    assert [panel.get_title(loc="left") for panel in (ax, other)] == ["1 step back", "2 steps back"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["signed", "random"]
    assert ax.get_legend_handles_labels()[1] == ["signed", "random"]
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[10, 1], [20, 2]])
    assert ax.get_ylabel() == "logit"
    with pytest.raises(ValueError, match=r"rows: no column \['share'\]"):
        plots.ablation(ablation_rows().drop(columns="share"))


@pytest.fixture
def video():
    frames, heat = np.zeros((8, 6, 5, 3)), np.zeros((8, 6, 5))
    frames[:, 2:4] = 0.5
    heat[:, 0, 0] = np.arange(8)
    return frames, heat


def test_heat_colours_what_it_lies_on_and_leaves_the_rest(plots, video):
    frames, heat = video
    ax = plots.tube_strip(frames, heat, num_shown=4, fps=4.0)
    shown = ax.images[0].get_array()
    assert shown.shape == (6, 20, 3)
    np.testing.assert_allclose(shown[:, 16:], frames[0][:, 1:], atol=1e-12)
    np.testing.assert_allclose(shown[0, 15], plt.colormaps["magma"](1.0)[:3])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.00", "0.50", "1.25", "1.75"]
    assert ax.get_xlabel() == "time (s)"
    assert plots.tube_strip(frames, 0 * heat).get_xlabel() == "frame"


def test_a_film_shows_every_frame_once_per_map(plots, video):
    from PIL import Image

    frames, heat = video
    film = plots.tube_animation(frames, {"a < b": heat, "none": 0 * heat}, 4)
    assert film.num_frames == 8
    assert "a &lt; b" in str(film)
    assert "a < b" not in str(film)
    strips = [base64.b64decode(part) for part in re.findall(r"base64,([^\"]+)", str(film))]
    whole = [np.asarray(Image.open(io.BytesIO(strip)).convert("RGB")) / 255 for strip in strips]
    assert [strip.shape for strip in whole] == [(6, 40, 3)] * 2
    np.testing.assert_allclose(whole[1], np.concatenate(list(frames), axis=1), atol=0.01)


@pytest.mark.parametrize(
    ("heat", "message"),
    [
        (np.zeros((8, 6, 4)), r"frames \(8, 6, 5, 3\), heat \(8, 6, 4\)"),
        (np.full((8, 6, 5), np.nan), "needed finite values"),
        (np.full((8, 6, 5), -1.0), "-1 to -1; needed finite values of at least 0"),
    ],
)
def test_maps_that_do_not_fit_are_refused(plots, video, heat, message):
    with pytest.raises(ValueError, match=message):
        plots.tube_strip(video[0], heat)


def test_films_need_a_map_and_a_speed(plots, video):
    with pytest.raises(ValueError, match="0 maps, fps=4; needed at least one map"):
        plots.tube_animation(video[0], {}, 4)
    with pytest.raises(ValueError, match="fps=0"):
        plots.tube_animation(video[0], {"a": video[1]}, 0)
