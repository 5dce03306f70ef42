import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib import trust


def rows(values):
    """{method: value per seed} as the tidy rows of a study."""
    parts = [pd.DataFrame({"seed": range(len(v)), "method": name, "value": v}) for name, v in values.items()]
    return pd.concat(parts, ignore_index=True)


def test_interval_over_seeds_is_students():
    found = trust.over_seeds(rows({"a": [1.0, 2.0, 4.0], "b": [5.0, 5.0, 5.0]}), ["method"])
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1, 2, 4]))
    np.testing.assert_allclose(found.loc["a"], [7 / 3, low, high, 3])
    np.testing.assert_allclose(found.loc["b"], [5, 5, 5, 3])


def test_clips_of_one_seed_are_one_unit():
    twice = pd.concat([rows({"a": [1.0, 3.0]}), rows({"a": [2.0, 4.0]})])
    pd.testing.assert_frame_equal(
        trust.over_seeds(twice, ["method"]), trust.over_seeds(rows({"a": [1.5, 3.5]}), ["method"])
    )


def test_one_seed_has_no_interval():
    assert np.isnan(trust.over_seeds(rows({"a": [1.0]}), ["method"]).loc["a", ["low", "high"]]).all()


def test_the_layer_of_a_seed_is_chosen_on_the_others():
    # "lucky" wins by far on seed 0 alone; chosen there by itself it would look good
    values = {"steady": [0.5, 0.6, 0.7], "lucky": [3.0, 0.1, 0.1], "other": [0.0, 0.0, 0.0]}
    found = trust.gaps_of_best(rows(values), ["steady", "lucky"], ["other"])
    own = [0.5, 0.1, 0.1]  # without seed 0 steady leads; without seed 1 or 2 lucky does, thanks to seed 0
    assert found.loc["other", "mean"] == pytest.approx(np.mean(own))
    assert found.loc["other", "layer"] == "lucky"


def test_where_lower_is_better_signs_turn():
    values = {"good": [0.1, 0.2], "bad": [0.8, 0.9], "other": [0.5, 0.5]}
    found = trust.gaps_of_best(rows(values), ["good", "bad"], ["other"], higher_is_better=False)
    assert found.loc["other", ["layer", "mean"]].tolist() == ["good", pytest.approx(0.35)]


def test_one_seed_is_refused():
    with pytest.raises(ValueError, match=r"seeds \[0\]; needed at least two"):
        trust.gaps_of_best(rows({"a": [1.0], "b": [2.0]}), ["a"], ["b"])


def test_gains_are_paired_by_seed():
    values = {"base": [0.5, 0.7, 0.6], "better": [0.6, 0.8, 0.7], "same": [0.5, 0.7, 0.6]}
    found = trust.paired_gains(rows(values), "base", by="method")
    assert list(found.index) == ["better", "same"]
    np.testing.assert_allclose(found.loc["better"], [0.1, 0.1, 0.1, 3, 3], rtol=1e-12)  # seeds differ, gains do not
    np.testing.assert_allclose(found.loc["same"], [0, 0, 0, 3, 0], atol=1e-12)


def test_gains_of_seeds_that_lack_one_are_left_out():
    values = {"base": [0.5, 0.7], "longer": [0.6, 0.9, 0.1], "once": [0.4]}
    found = trust.paired_gains(rows(values), "base", by="method")
    assert found["seeds"].to_dict() == {"longer": 2, "once": 1}
    assert found.loc["longer", "mean"] == pytest.approx(0.15)
    assert found.loc["longer", "low"] < 0.1  # two seeds say little
    assert np.isnan(found.loc["once", "low"])


def test_gains_need_a_baseline_and_one_row_per_seed():
    with pytest.raises(ValueError, match=r"no method 'other'; there are \['base'\]"):
        trust.paired_gains(rows({"base": [1.0]}), "other", by="method")
    with pytest.raises(ValueError, match=r"several for .*'method': 'base'"):
        trust.paired_gains(pd.concat([rows({"base": [1.0]})] * 2), "base", by="method")


def test_no_rows_give_no_intervals_but_their_columns():
    none = trust.over_seeds(pd.DataFrame({"step": [], "seed": [], "value": []}), ["step"])
    assert list(none.columns) == ["mean", "low", "high", "seeds"]
    assert len(none) == 0


def test_verdicts_follow_the_ends_of_the_interval():
    ends = ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))
    assert [trust.verdict(*one) for one in ends] == list(trust.VERDICTS)
    assert trust.verdict(np.nan, np.nan) == "not decided"


def test_decisions_stand_behind_the_numbers_that_they_rest_on():
    values = {"up": [1.0, 1.1, 1.2], "down": [-1.0, -1.1, -1.2], "open": [-1.0, 0.0, 1.0]}
    found = trust.decided(rows(values), ["method"])
    assert found["verdict"].tolist() == ["holds", "does not hold", "not decided"]
    assert trust.written(found, 1)["up"] == "+1.1 [+0.9, +1.3] holds"
    assert trust.written(found.drop(columns="verdict"), 2)["down"] == "-1.10 [-1.35, -0.85]"
