"""Figures are checked by what they hold: artists, labels, limits and text; pictures are not compared."""

import copy

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from plot_cases import (
    AX_NAMES,
    FIGURE_NAMES,
    NAMES,
    ax_calls,
    bones,
    class_rows,
    clip,
    figure_calls,
    gain_rows,
    history,
    ring,
    share_rows,
    smoothness_rows,
)
from scipy import sparse

pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.mark.parametrize("name", AX_NAMES)
def test_given_ax_is_returned_and_inputs_and_session_stay(plots, rng, skeleton, name):
    args, options = ax_calls(rng, skeleton)[name]
    before, settings = copy.deepcopy((args, options)), dict(mpl.rcParams)
    ax = plt.subplots()[1]
    assert getattr(plots, name)(*args, ax=ax, **options) is ax
    assert plt.get_fignums() == [1]
    assert dict(mpl.rcParams) == settings
    assert [flat(part) for part in before[0]] == [flat(part) for part in args]
    assert {k: flat(v) for k, v in before[1].items()} == {k: flat(v) for k, v in options.items()}
    ax.figure.canvas.draw()


def flat(value):
    if sparse.issparse(value):
        return value.toarray().tobytes()
    if isinstance(value, dict):
        return {key: flat(part) for key, part in value.items()}
    return value.tobytes() if isinstance(value, np.ndarray) else value.to_csv() if hasattr(value, "to_csv") else value


@pytest.mark.parametrize("name", [name for name in AX_NAMES if name != "graph_embedding"])
def test_axes_are_labelled(plots, rng, skeleton, name):
    args, options = ax_calls(rng, skeleton)[name]
    ax = getattr(plots, name)(*args, **options)
    assert len(plt.get_fignums()) == 1
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", FIGURE_NAMES)
def test_given_axes_are_used(plots, rng, skeleton, name):
    args, count = figure_calls(rng, skeleton)[name]
    before, settings = [flat(part) for part in args], dict(mpl.rcParams)
    figure, axes = plt.subplots(1, count)
    assert getattr(plots, name)(*args, axes=axes) is figure
    assert [flat(part) for part in args] == before
    assert dict(mpl.rcParams) == settings
    own = getattr(plots, name)(*args)
    assert isinstance(own, Figure)
    assert len([ax for ax in own.axes if ax.get_label() != "<colorbar>"]) == count
    assert plt.get_fignums() == [1, 2]
    with pytest.raises(ValueError, match=rf"{count + 1} given for {count} panels"):
        getattr(plots, name)(*args, axes=[*axes, axes[0]])


def test_units_reach_the_labels(plots, rng, skeleton):
    assert plots.pose(clip(rng)[0], skeleton).get_ylabel() == "vertical (m)"
    assert plots.pose(clip(rng, channels=2)[0], skeleton, units="px").get_xlabel() == "horizontal (px)"
    assert plots.pose_strip(clip(rng), skeleton, fps=30.0).get_xlabel() == "time (s)"
    assert plots.pose_strip(clip(rng), skeleton).get_xlabel() == "frame"
    assert plots.joint_trajectories(clip(rng), skeleton, fps=30).axes[2].get_ylabel() == "z (m)"
    panel = plots.smoothness_by_layer(smoothness_rows()).axes[0]
    assert panel.get_ylabel() == "interpolation error\n(lower: smoother)"
    assert [tick.get_text() for tick in panel.get_xticklabels()] == [str(layer) for layer in range(10)]


def test_confusion_colours_are_shares_of_rows(plots):
    ax = plots.confusion(np.array([[8, 2], [0, 0]]), ["a", "b"])
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.8, 0.2], [0.0, 0.0]])
    assert sorted(text.get_text() for text in ax.texts) == ["2", "8"]


def test_reliability_writes_the_mean_gap(plots):
    bins = pd.DataFrame({"confidence": [0.5, 0.9, 0.1], "accuracy": [0.4, 0.9, 0.0], "clips": [1, 3, 0]})
    labels = plots.reliability(bins).get_legend_handles_labels()[1]
    assert any("mean 0.025" in label for label in labels)


def test_seeds_become_thin_lines_and_a_mean(plots):
    loss, accuracy = plots.learning_curves(history()).axes
    assert len(loss.lines) == 3 + 1
    assert len(accuracy.lines) == 2 * (3 + 1)
    assert accuracy.get_legend_handles_labels()[1] == ["training", "validation"]
    assert (
        len(plots.learning_curves(history().drop(columns="validation_accuracy").query("seed == 0")).axes[1].lines) == 1
    )


def test_learning_curves_of_several_networks_are_called_by_their_names(plots):
    past = pd.DataFrame({"epoch": [0, 1], "stf accuracy": [0.1, 0.5], "msg3d accuracy": [0.2, 0.6]})
    (axis,) = plots.learning_curves(past).axes
    assert set(axis.get_legend_handles_labels()[1]) == {"STF", "MS-G3D"}


def test_smoothness_lines_have_intervals_and_chance(plots):
    figure = plots.smoothness_by_layer(smoothness_rows(), measures=["laplacian"])
    names = figure.axes[0].get_legend_handles_labels()[1]
    assert names == ["permuted labels", "trained", "untrained"]
    assert len(figure.axes[0].collections) == 3  # three bands
    wide = smoothness_rows().query("network == 'trained'").drop(columns="network").assign(untrained=0.5)
    names = plots.smoothness_by_layer(wide).axes[0].get_legend_handles_labels()[1]
    assert names == ["permuted labels", "trained", "untrained"]
    plain = smoothness_rows()[["layer", "measure", "value"]].iloc[:10]
    assert len(plots.smoothness_by_layer(plain).axes[0].collections) == 0


def test_classes_are_sorted_by_the_last_layer(plots):
    rows = class_rows(np.array([[1.0, 2.0, 3.0], [0.3, 0.1, np.nan]]))
    ax = plots.smoothness_by_class(rows, NAMES)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["kick", "wave", "sit down"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["block0", "block1"]
    chance = plots.smoothness_by_class(rows, relative=True, sort=False).images[0].get_array()
    np.testing.assert_allclose(chance[:, 0], [1 / 0.5, 2 / 1.5, 3 / 2.5])


def test_classes_look_different(plots):
    assert len({plots.class_style(c) for c in range(54)}) == 54


def test_layers_follow_their_depth(plots):
    rows = smoothness_rows().query("layer < 3").assign(depth=lambda table: table["layer"])
    rows["layer"] = rows["layer"].map({0: "stem", 1: "middle", 2: "end"})
    ax = plots.smoothness_by_layer(rows.iloc[::-1]).axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["stem", "middle", "end"]


def test_links_join_the_middles_of_windows(plots):
    x, y = np.arange(9.0), np.arange(7.0)
    ax = plots.warped_pair(x, y, np.array([[0, 0], [2, 1]]), window_size=3, stride=2)
    np.testing.assert_allclose([link[:, 0] for link in bones(ax)[0].get_segments()], [[1, 1], [5, 3]])


@pytest.mark.parametrize(
    ("x", "y"), [([1.0, 2.0], [0.0, 1.0]), ([1 / 3, 1 / 3], [0.0, 1.0]), ([1e6, 1e6 + 0.5], [0.31, 0.33])]
)
def test_each_warped_curve_has_ticks_of_its_own_values(plots, x, y):
    x, y = np.array(x), np.array(y)
    ax = plots.warped_pair(x, y, np.array([[0, 0], [1, 1]]))
    for curve, values in zip(ax.lines, (x, y), strict=True):
        lift = curve.get_ydata()[0] - values[0]
        own = [label for label in ax.get_yticklabels() if label.get_color() == curve.get_color()]
        assert len(own) >= min(2, len(set(values)))
        for label in own:
            assert label.get_position()[1] - lift == pytest.approx(float(label.get_text()), rel=1e-9, abs=1e-9)


def test_layout_is_repeatable_and_separates_clusters(plots, rng):
    labels = np.repeat([0, 1], 20)
    near = np.where(labels[:, None] == labels, 1.0, 0.0) * (rng.uniform(size=(40, 40)) < 0.4)
    near[0, 20] = 0.05
    graph = sparse.csr_array(np.triu(near, 1) + np.triu(near, 1).T)
    laplacian = sparse.csgraph.laplacian(graph)
    spots = plots.spectral_layout(graph)
    np.testing.assert_allclose(spots, plots.spectral_layout(laplacian), atol=1e-9)  # signs and diagonal are ignored
    centers = np.stack([spots[labels == c].mean(axis=0) for c in (0, 1)])
    spread = max(np.linalg.norm(spots[labels == c] - centers[c], axis=1).max() for c in (0, 1))
    assert np.linalg.norm(centers[0] - centers[1]) > spread
    assert np.isfinite(plots.spectral_layout(sparse.csr_array((5, 5)))).all()  # five nodes, no links


def test_embedding_draws_each_link_once_and_each_class(plots):
    ax = plots.graph_embedding(ring(9), np.arange(9) % 3, NAMES)
    assert len(bones(ax)[0].get_segments()) == 9
    assert len(ax.collections) == 1 + 3
    legend = ax.figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == list(NAMES)


def test_errors_say_what_was_needed_and_leave_no_figure(plots, rng, skeleton):
    x = clip(rng)
    table = smoothness_rows()
    for match, call in [
        (r"shape \(12, 1, 24, 3\).*V=25", lambda: plots.pose_strip(x[:, :, :24], skeleton)),
        (
            r"importance: shape \(6, 25\); needed \(12, 1, 25\)",
            lambda: plots.pose_strip(x, skeleton, importance=x[:6, 0, :, 0]),
        ),
        (r"frames=\[12\].*0\.\.11", lambda: plots.pose_strip(x, skeleton, frames=[12])),
        ("nobody is present", lambda: plots.pose_strip(np.zeros_like(x), skeleton)),
        ("nobody is present", lambda: plots.pose_animation(np.zeros_like(x), skeleton, 30.0)),
        ("fps=0", lambda: plots.pose_animation(x, skeleton, 0.0)),
        ("present: 2 entries for 1", lambda: plots.pose(x[0], skeleton, present=np.ones(2, bool))),
        ("'tail'.*choose from.*left_knee", lambda: plots.joint_trajectories(x, skeleton, ["tail"])),
        (r"no column \['value'\]", lambda: plots.smoothness_by_layer(table.drop(columns="value"))),
        ("no rows", lambda: plots.smoothness_by_layer(table.iloc[:0])),
        (r"\['speed'\].*interpolation_error", lambda: plots.smoothness_by_layer(table, measures=["speed"])),
        ("no column with 'loss'", lambda: plots.learning_curves(pd.DataFrame({"epoch": [1]}))),
        (r"labels: .*0\.\.2", lambda: plots.class_counts(np.array([0, 3]), NAMES)),
        ("2 names for 3 rows", lambda: plots.confusion(np.eye(3), NAMES[:2])),
        ("not finite", lambda: plots.warped_pair(np.ones(2), np.array([0, np.nan]), np.array([[0, 0], [1, 1]]))),
        (r"path: reaching \[4, 4\]", lambda: plots.alignment(np.ones((4, 4)), np.array([[4, 4]]))),
        ("both None", lambda: plots.graph_embedding(None, np.zeros(3, int), NAMES)),
        (r"shape \(9, 9\) for 3 labels", lambda: plots.graph_embedding(ring(9), np.zeros(3, int), NAMES)),
        ("no layers", lambda: plots.graph_layers({}, np.zeros(3, int), NAMES)),
        (
            "no clips in any",
            lambda: plots.reliability(pd.DataFrame({"confidence": [0.5], "accuracy": [0.5], "clips": [0]})),
        ),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    assert plt.get_fignums() == []


def test_no_torch_is_imported():
    import subprocess
    import sys

    code = "import sys, lib.plots; sys.exit('torch' in sys.modules or 'lib.clips' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_are_written_as_people_do(plots):
    names = ["stgcn", "nw_ucla test_clean", "stf 0.01", "half, trained", "left_hand", 3]
    written = ["ST-GCN", "NW-UCLA test clean", "STF 0.01", "half, trained", "left hand", "3"]
    assert plots.spoken(names) == written


def test_a_grid_has_the_books_look_and_as_many_panels_as_asked_for(plots):
    settings = dict(mpl.rcParams)
    drawn = plots.grid(3, columns=2, size=(4.0, 3.0), titles=["nw_ucla", "as it is"])
    assert [ax.get_title(loc="left") for ax in drawn] == ["NW-UCLA", "as it is", ""]
    assert len(drawn) == len(drawn[0].figure.axes) == 3
    assert drawn[0].figure.get_size_inches().tolist() == [8.0, 6.0]
    assert not drawn[0].spines["top"].get_visible()
    assert dict(mpl.rcParams) == settings


def test_gains_stand_in_order_beside_published_ones(plots):
    ax = plots.gains(gain_rows(), published={"stf": 2.6, "unknown": 9.0})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["STF", "modules"]
    squares = next(line for line in ax.lines if line.get_label() == "published")
    np.testing.assert_array_equal(squares.get_xydata(), [[2.6, 1.0]])
    single = pd.DataFrame({"stf": [1.0, None], "unknown": [8.0, 8.0], "modules": [3.0, 4.0]})
    ax = plots.gains(gain_rows(), per_seed=single)
    dots = np.concatenate([line.get_xydata() for line in ax.lines if line.get_markersize() == 3])
    np.testing.assert_allclose(dots[~np.isnan(dots).any(axis=1)], [[1.0, 0.82], [3.0, -0.18], [4.0, -0.18]])
    assert "single seeds" in ax.get_legend_handles_labels()[1]
    with pytest.raises(ValueError, match=r"found: no column \['low', 'high'\]"):
        plots.gains(gain_rows()[["mean"]])


def test_shares_are_percent_on_a_log_axis(plots):
    ax = plots.by_share(share_rows(), ["stf"])
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "100"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.6, 0.95])
    with pytest.raises(ValueError, match=r"names \['gcn'\] have no rows"):
        plots.by_share(share_rows(), ["gcn"])


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_name_keeps_its_colour_in_several_panels(plots):
    rows = pd.DataFrame({"num_tuned": [0, 2], "start": "fresh", "mean": 0.5, "low": 0.4, "high": 0.6})
    ax = plots.by_depth(rows, {"fresh": "#123456"})
    assert [line.get_color() for line in ax.get_lines()] == ["#123456"]


def test_settings_share_their_rows_and_intervals_end_at_one(plots, closed_figures):
    from plot_cases import sensitivity_tables

    overlap, correlation = sensitivity_tables()
    left, right = plots.sensitivity(overlap, correlation.iloc[::-1]).axes[:2]
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["window size 8", "plain DTW", "untrained"]
    np.testing.assert_allclose(right.lines[1].get_xdata(), correlation["mean"])
    ends = np.concatenate([line[:, 0] for line in right.collections[0].get_segments() if len(line)])
    assert ends.min() == -1
    assert ends.max() == 1
    with pytest.raises(ValueError, match=r"no rows \['untrained'\]"):
        plots.sensitivity(overlap, correlation.iloc[:2])
    with pytest.raises(ValueError, match=r"shape \(3, 4\); needed as many rows"):
        plots.between_layers(overlap)
