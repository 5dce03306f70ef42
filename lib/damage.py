"""How much of what a network could do is lost, on one scale for any measure, and the questions put to that."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from lib import robustness, scores, trust

LIMIT = 0.1  # share of the way to chance up to which we call an effect limited
CLAIMS = {
    "smoothness suffers": "any",
    "by less than a tenth": "limit",
    "accuracy suffers more": "accuracy",
    "untrained, smoothness suffers more": "untrained",
    "in the first layer, smoothness suffers more": "first",
}
"""What is asked about a corruption; each is a damage, or a difference from one, that should lie above 0."""


def chance_mass(labels: Int[np.ndarray, " N"]) -> float:
    """Cross-class mass to expect of neighbours drawn at random: the share of pairs of clips that differ in class."""
    if len(labels) < 2:
        raise ValueError(f"{len(labels)} clips; needed at least 2 to draw neighbours from")
    count = np.bincount(labels)
    return float(1 - (count * (count - 1)).sum() / (len(labels) * (len(labels) - 1)))


def share_lost(clean: pd.Series | float, spoiled: pd.Series | float, chance: pd.Series | float) -> pd.Series | float:
    """Share of the way from the clean value to chance: 0 unharmed, 1 nothing left; one scale for any measure.

    Negative where the spoiled value is the better one.
    """
    return (spoiled - clean) / (chance - clean)


def of_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """Damage of every run to accuracy and to the smoothness of each layer, one long table.

    Parameters
    ----------
    rows
        One row per run and condition: ``dataset, seed, corruption, step, level, unit, num_classes``, the accuracy,
        ``test_clean`` where a dataset has it, else ``test``, ``chance_mass``, and `robustness.spread`'s columns of
        layers. A run's row of step 0 holds the clean clips; runs of other corruptions may repeat it.

    Returns
    -------
    ``dataset, seed, corruption, step, level, unit, series, layer, value, change``; series are ``accuracy`` (layer is
    NaN), ``smoothness`` and ``smoothness, untrained``. ``value`` is the damage, ``change`` the plain difference of
    accuracy or cross-class mass to the clean one.

    Raises
    ------
    ValueError
        Rows of one run and condition differ, as those of runs with different settings do; a run without clean clips, or
        at chance with them.
    """
    ids = ["dataset", "seed", "corruption", "step", "level", "unit"]
    answered = rows.assign(now=scores.honest(rows), chance=1 / rows["num_classes"], layer=np.nan)
    seen = robustness.gather(rows)
    parts = [_damage(answered, ["dataset", "seed"]).assign(series="accuracy")]
    for series, column in (("smoothness", "cross_class_mass"), ("smoothness, untrained", "untrained_cross_class_mass")):
        part = seen.assign(now=seen[column], chance=seen["chance_mass"])
        parts.append(_damage(part, ["dataset", "seed", "layer"]).assign(series=series))
    return pd.concat(parts, ignore_index=True)[[*ids, "series", "layer", "value", "change"]]


def _damage(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    condition = [*by, "corruption", "step"]
    rows = rows.drop_duplicates([*condition, "now", "chance"])  # clean clips come once per sweep
    if (twice := rows.duplicated(condition)).any():
        found = rows.loc[twice, condition].iloc[0].to_dict()
        raise ValueError(f"rows: several that differ for {found}; needed one per run and condition")
    clean = rows[rows["step"] == 0].set_index(by)["now"].rename("clean")
    rows = rows[rows["step"] > 0].join(clean, on=by)
    if (wrong := rows["clean"].isna() | (rows["clean"] == rows["chance"])).any():
        found = rows.loc[wrong, [*by, "clean", "chance"]].iloc[0].to_dict()
        raise ValueError(f"rows: {found}; needed a row of step 0, away from chance, to tell what was lost")
    value = share_lost(rows["clean"], rows["now"], rows["chance"])
    return rows.assign(value=value, change=rows["now"] - rows["clean"])


def claims(found: pd.DataFrame, layer: str) -> pd.DataFrame:
    """Put the five `CLAIMS` about one layer to the runs; one row per dataset, corruption, level and claim.

    Parameters
    ----------
    found
        As from `of_runs`; its first layer is the one that stands first. With ``change`` as ``value``, the last two
        claims are about the plain rise of cross-class mass.

    Returns
    -------
    Indexed by ``dataset, corruption, step, level, claim``: ``mean, low, high`` over seeds (95 %, Student's) of the
    layer's damage, of what is left of `LIMIT` below it, or of the other damage less this one, in the same seed;
    ``seeds``, and the ``verdict`` whether that is above 0.
    """
    keys = ["dataset", "corruption", "step", "level", "seed"]
    known = found["layer"].dropna().unique()
    if layer not in known:
        raise ValueError(f"no layer {layer!r}; there are {list(known)}")
    part = found[found["layer"].isna() | (found["layer"] == layer)]
    wide = part.pivot(index=keys, columns="series", values="value")
    smooth = wide["smoothness"]
    trained = found[found["series"] == "smoothness"]
    first = trained[trained["layer"] == trained["layer"].iloc[0]].set_index(keys)["value"]
    put = {
        "any": smooth,
        "limit": LIMIT - smooth,
        "accuracy": wide["accuracy"] - smooth,
        "untrained": wide["smoothness, untrained"] - smooth,
        "first": first - smooth,
    }
    rows = pd.concat(
        {claim: put[kind].rename("value").reset_index() for claim, kind in CLAIMS.items()}, names=["claim"]
    )
    return trust.decided(rows.reset_index("claim"), [*keys[:-1], "claim"])
