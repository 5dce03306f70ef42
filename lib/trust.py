"""Which differences to trust, from the rows that runs with several seeds have left.

Networks of different seeds are the units: clips of one network share its weights, so that intervals over clips say
nothing about the next network. Intervals hold 95 %; they are Student's where nothing else is said.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from lib.smoothness import bootstrap_interval

VERDICTS = ("holds", "does not hold", "not decided")


def over_seeds(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean and interval of ``value`` over the seeds of every combination of `by`: columns mean, low, high, seeds."""
    grouped = rows.groupby([*by, "seed"], sort=False)["value"].mean().groupby(level=list(by), sort=False)
    columns = ["mean", "low", "high", "seeds"]
    return pd.DataFrame([_interval(part) for _, part in grouped], index=grouped.mean().index, columns=columns)


def paired_gains(rows: pd.DataFrame, baseline: str, *, by: str = "step") -> pd.DataFrame:
    """How far ``value`` is ahead of `baseline`'s in the same seed, for every other entry of column `by`.

    Seeds that lack one of the two are left out.

    Returns
    -------
    A row per entry of `by`, in order of appearance: ``mean``, ``low``, ``high``, ``seeds``, ``ahead`` (seeds in which
    it is ahead). Intervals are bootstrap ones over seeds, widened for their small number
    (`smoothness.bootstrap_interval`); one seed has none.

    Raises
    ------
    ValueError
        The baseline has no rows, or a seed several of one entry.
    """
    if baseline not in set(rows[by]):
        raise ValueError(f"rows: no {by} {baseline!r}; there are {sorted(set(rows[by]))}")
    if rows.duplicated(["seed", by]).any():
        twice = rows.loc[rows.duplicated(["seed", by]), ["seed", by]].iloc[0].to_dict()
        raise ValueError(f"rows: several for {twice}; needed one per seed")
    wide = rows.pivot(index="seed", columns=by, values="value")
    found = {}
    for name in dict.fromkeys(rows[by]):
        if name == baseline:
            continue
        gain = (wide[name] - wide[baseline]).dropna().to_numpy()
        ends = (np.nan, np.nan)
        if len(gain) > 1:
            ends = bootstrap_interval(gain, rng=np.random.default_rng(0), num_resamples=5000)[1:]
        mean = gain.mean() if len(gain) else np.nan
        found[name] = {
            "mean": mean,
            "low": ends[0],
            "high": ends[1],
            "seeds": len(gain),
            "ahead": int((gain > 0).sum()),
        }
    columns = ["mean", "low", "high", "seeds", "ahead"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns).rename_axis(by)


def decided(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Do as `over_seeds`, with the ``verdict`` whether the mean of a combination is above 0."""
    table = over_seeds(rows, by)
    return table.assign(verdict=[verdict(low, high) for low, high in zip(table["low"], table["high"], strict=True)])


def written(table: pd.DataFrame, digits: int) -> pd.Series:
    """Text of a table's rows, ``+1.2 [-0.3, +2.7]``, and behind it the ``verdict`` where there is one."""
    ends = zip(table["mean"], table["low"], table["high"], strict=True)
    text = pd.Series(
        [f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]" for mean, low, high in ends], table.index
    )
    return text + " " + table["verdict"] if "verdict" in table else text


def verdict(low: float, high: float) -> str:
    """Is a value above 0? One of `VERDICTS`, by the ends of its interval; NaN decides nothing."""
    if low > 0:
        return VERDICTS[0]
    return VERDICTS[1] if high < 0 else VERDICTS[2]


def gaps_of_best(
    rows: pd.DataFrame, layers: Sequence[str], against: Sequence[str], *, higher_is_better: bool = True
) -> pd.DataFrame:
    """How far the best layer is ahead of other methods, paired over seeds; positive is in favour of the layer.

    Parameters
    ----------
    rows
        Columns ``seed``, ``method``, ``value``, one row per seed and method.
    layers, against
        Methods of which the best counts, and methods to compare it with.

    Returns
    -------
    A row per method of `against`: ``layer`` (the one chosen most often), ``mean``, ``low``, ``high``, ``seeds``. For
    every seed the layer is chosen on the other seeds, so that its luck on this one does not count.

    Raises
    ------
    ValueError
        Fewer than two seeds: nothing to choose on; a method without rows; several rows for a seed and method.
    """
    if missing := sorted({*layers, *against} - set(rows["method"])):
        raise ValueError(f"rows: no method {missing}; there are {sorted(set(rows['method']))}")
    wide = rows.pivot(index="seed", columns="method", values="value")
    wide = wide if higher_is_better else -wide
    if len(wide) < 2:
        raise ValueError(f"rows: seeds {list(wide.index)}; needed at least two, one to choose the layer on")
    chosen = pd.Series({seed: wide.drop(index=seed)[list(layers)].mean().idxmax() for seed in wide.index})
    own = pd.Series({seed: wide.loc[seed, layer] for seed, layer in chosen.items()})
    return pd.DataFrame(
        [{"layer": chosen.mode()[0], **_interval(own - wide[method])} for method in against],
        index=pd.Index(against, name="against"),
    )


def _interval(values: pd.Series) -> dict[str, float]:
    values = values.dropna()
    half = stdtrit(len(values) - 1, 0.975) * values.sem() if len(values) > 1 else np.nan
    return {"mean": values.mean(), "low": values.mean() - half, "high": values.mean() + half, "seeds": len(values)}
