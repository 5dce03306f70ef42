"""Figures of spoiled clips: what their lines and labels say."""

import numpy as np
import pandas as pd
import pytest
from plot_cases import clip, layer_level_rows, level_rows

pytestmark = pytest.mark.usefixtures("closed_figures")


def test_levels_stand_at_equal_steps_with_their_unit(plots):
    figure = plots.by_level(level_rows(), series=["smoothness", "accuracy"][::-1][:1])
    noise, turn = figure.axes
    assert (noise.get_title(loc="left"), noise.get_xlabel(), turn.get_xlabel()) == ("noise", "m", "degrees")
    assert [tick.get_text() for tick in turn.get_xticklabels()] == ["30", "60"]
    np.testing.assert_allclose(turn.lines[-1].get_xdata(), [0, 1])
    np.testing.assert_allclose(turn.lines[-1].get_ydata(), level_rows()["mean"][4:])


def test_series_are_drawn_in_the_order_asked_for(plots):
    figure = plots.by_level(level_rows(), series=["smoothness", "accuracy"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["smoothness", "accuracy"]
    with pytest.raises(ValueError, match=r"series \['speed'\] have no rows; choose from \['accuracy', 'smoothness'\]"):
        plots.by_level(level_rows(), series=["speed"])


def test_every_level_is_a_line_over_layers(plots):
    rows = layer_level_rows()
    noise, turn = plots.layers_by_level(rows, value="overlap", zero="chance").axes
    assert [line.get_label() for line in turn.lines] == ["30", "60", "nothing left"]
    found = rows[(rows["corruption"] == "noise") & (rows["level"] == 0.2)].sort_values("depth")["overlap"]
    np.testing.assert_allclose(noise.lines[1].get_ydata(), found)
    np.testing.assert_allclose(noise.lines[2].get_ydata(), 0.05)
    assert noise.get_ylabel() == "overlap"
    assert [tick.get_text() for tick in noise.get_xticklabels()] == ["0", "1", "2"]


def test_clean_clips_are_a_line_in_every_panel(plots):
    rows = layer_level_rows()
    clean = rows[(rows["corruption"] == "noise") & (rows["level"] == 0.2)]
    panels = plots.layers_by_level(pd.concat([clean.assign(corruption="none"), rows]), value="overlap").axes
    assert len(panels) == 2
    for ax in panels:
        line = next(line for line in ax.lines if line.get_label() == "clean")
        np.testing.assert_allclose(line.get_ydata(), clean.sort_values("depth")["overlap"])
    with pytest.raises(ValueError, match="rows of spoiled clips: no rows"):
        plots.layers_by_level(clean.assign(corruption="none"), value="overlap")


def test_means_over_seeds_are_drawn(plots):
    rows = layer_level_rows()
    doubled = pd.concat([rows, rows.assign(overlap=rows["overlap"] + 1)])
    once, twice = (plots.layers_by_level(part, value="overlap").axes[0].lines[0] for part in (rows, doubled))
    np.testing.assert_allclose(twice.get_ydata(), once.get_ydata() + 0.5)


def test_poses_share_their_scale_and_say_their_name(plots, rng, skeleton):
    frames = {"clean": clip(rng)[0], "joint_noise": 3 * clip(rng)[1]}
    one, two = plots.poses(frames, skeleton).axes
    assert (one.get_title(loc="left"), two.get_title(loc="left")) == ("clean", "joint noise")
    assert one.get_xlim() == two.get_xlim()
    assert one.get_ylim() == two.get_ylim()
    with pytest.raises(ValueError, match="frames: none given"):
        plots.poses({}, skeleton)


def test_tables_without_a_column_are_refused(plots):
    with pytest.raises(ValueError, match=r"rows: no column \['unit'\]"):
        plots.by_level(level_rows().drop(columns="unit"))
    with pytest.raises(ValueError, match=r"rows: no column \['chance'\]"):
        plots.layers_by_level(layer_level_rows().drop(columns="chance"), value="overlap", zero="chance")
