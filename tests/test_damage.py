"""How much is lost on the way to chance, and verdicts over seeds."""

import numpy as np
import oracles_corruptions as oracles
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lib import damage, graphs, robustness, smoothness


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30))
def test_chance_mass_matches_the_oracle(labels):
    assert damage.chance_mass(np.array(labels)) == pytest.approx(oracles.chance_mass(labels), abs=1e-12)


def test_chance_mass_is_that_of_permuted_labels(rng):
    labels = rng.integers(3, size=40)
    points = rng.normal(size=(40, 2))
    graph = graphs.knn(cdist(points, points), 5)
    permuted = smoothness.permutation_baseline(graph, labels, rng=rng, num_permutations=2000).total.cross_class_mass
    assert permuted.mean() == pytest.approx(damage.chance_mass(labels), abs=4 * permuted.std() / np.sqrt(2000))


@given(st.floats(0, 0.4), st.floats(0.5, 1), st.floats(0, 1))
def test_damage_is_0_at_the_clean_value_and_1_at_chance(clean, chance, share):
    assert damage.share_lost(clean, clean + share * (chance - clean), chance) == pytest.approx(share, abs=1e-9)
    assert damage.share_lost(1 - clean, 1 - chance, 1 - chance) == pytest.approx(1)  # accuracy falls towards chance


def runs_of(clean_accuracy, accuracy, clean_mass, mass, untrained, seeds=(0, 1, 2)):
    """Rows of runs in which noise changes accuracy and mass alike in all seeds, but for a little."""
    steps = ({"corruption": "none", "step": 0, "level": 0.0}, {"corruption": "joint_noise", "step": 2, "level": 0.02})
    rows = []
    for seed in seeds:
        for step, right, share, bare in zip(
            steps, (clean_accuracy, accuracy), (clean_mass, mass), (0.5, untrained), strict=True
        ):
            row = {"dataset": "utd_mhad", "unit": "m", "num_classes": 10, "chance_mass": 0.9, "seed": seed} | step
            row["test"] = right + 0.001 * seed
            for layer, value in {"0": share + 0.1 * (step["step"] > 0), "9": share + 0.001 * seed}.items():
                row |= {f"{measure} layers.{layer}": np.nan for measure in robustness.MEASURES}
                row[f"cross_class_mass layers.{layer}"] = value
                row[f"untrained_cross_class_mass layers.{layer}"] = bare
            rows.append(row)
    return pd.DataFrame(rows)


def test_damages_are_shares_of_the_way_to_chance_in_each_run():
    found = damage.of_runs(runs_of(0.9, 0.5, 0.1, 0.3, 0.6, seeds=[0]))
    early, late = found["layer"] == "layers.0", found["layer"] != "layers.0"
    assert found[early].set_index("series")["value"].round(9)["smoothness"] == 0.375
    assert found[late].set_index("series")["value"].round(9).to_dict() == {
        "accuracy": 0.5,
        "smoothness": 0.25,
        "smoothness, untrained": 0.25,
    }
    assert set(found["step"]) == {2}


def test_the_honest_test_set_counts_where_there_are_two():
    rows = runs_of(0.9, 0.5, 0.1, 0.3, 0.6, seeds=[0])
    found = damage.of_runs(rows.assign(test_clean=[0.6, 0.1]))
    assert found.loc[found["series"] == "accuracy", "value"].item() == pytest.approx(1)


def test_the_plain_change_stands_beside_the_damage():
    found = damage.of_runs(runs_of(0.9, 0.5, 0.1, 0.3, 0.6, seeds=[0]))
    late = found[found["layer"] != "layers.0"].set_index("series")["change"].round(9)
    assert late.to_dict() == {"accuracy": -0.4, "smoothness": 0.2, "smoothness, untrained": 0.1}
    plain = damage.claims(found.assign(value=found["change"]), "layers.9").reset_index().set_index("claim")["mean"]
    assert plain["untrained, smoothness suffers more"] == pytest.approx(0.1 - 0.2)
    assert plain["in the first layer, smoothness suffers more"] == pytest.approx(0.3 - 0.2)


@pytest.mark.parametrize("step", [0, 2])
def test_rows_of_other_settings_are_refused_and_repeated_clean_rows_are_not(step):
    rows = runs_of(0.9, 0.5, 0.1, 0.3, 0.6, seeds=[0])
    clean = rows[rows["step"] == 0]
    again = pd.concat([rows, clean], ignore_index=True)
    pd.testing.assert_frame_equal(damage.of_runs(again), damage.of_runs(rows))
    for change in ({"test": 0.4}, {"num_classes": 5}, {"chance_mass": 0.5}):
        other = rows[rows["step"] == step].assign(**change)
        with pytest.raises(
            ValueError, match=f"several that differ for .*'step': {step}.*; needed one per run and condit"
        ):
            damage.of_runs(pd.concat([rows, other], ignore_index=True))


def test_a_run_without_clean_clips_or_at_chance_with_them_is_refused():
    rows = runs_of(0.9, 0.5, 0.1, 0.3, 0.6, seeds=[0, 1])
    with pytest.raises(ValueError, match=r"'seed': 1, 'clean': nan.*needed a row of step 0"):
        damage.of_runs(rows[(rows["seed"] == 0) | (rows["step"] > 0)])
    with pytest.raises(ValueError, match=r"'layer': 'layers.0', 'clean': 0.9, 'chance': 0.9.*away from chance"):
        damage.of_runs(runs_of(0.9, 0.5, 0.9, 0.9, 0.6, seeds=[0]))


def test_errors_say_what_was_found_and_needed():
    with pytest.raises(ValueError, match=r"no layer 'layers\.99'; there are \['layers\.0', 'layers\.9'\]"):
        damage.claims(damage.of_runs(runs_of(0.9, 0.5, 0.1, 0.3, 0.6)), "layers.99")
    with pytest.raises(ValueError, match="1 clips; needed at least 2"):
        damage.chance_mass(np.array([3]))


def test_claims_are_decided_by_seeds():
    found = damage.of_runs(runs_of(0.9, 0.5, 0.1, 0.3, 0.5))
    table = damage.claims(found, "layers.9").droplevel(["dataset", "corruption", "step", "level"])
    assert table["verdict"].to_dict() == dict(
        zip(damage.CLAIMS, ["holds", "does not hold", "holds", "does not hold", "holds"], strict=True)
    )
    assert table["seeds"].tolist() == [3] * 5
    mild = damage.claims(damage.of_runs(runs_of(0.9, 0.9, 0.1, 0.11, 0.6)), "layers.9")
    assert mild["verdict"].tolist() == ["holds", "holds", "does not hold", "holds", "holds"]
    alone = damage.claims(damage.of_runs(runs_of(0.9, 0.5, 0.1, 0.3, 0.5, seeds=[0])), "layers.9")
    assert set(alone["verdict"]) == {"not decided"}
