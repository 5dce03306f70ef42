"""Claims of the papers about layers and transfer, put to recorded runs: numbers that should lie above 0; verdicts."""

import pandas as pd

from lib import damage, recipes, robustness, scores, transferability, trust

SLACK = 1.0  # points of accuracy up to which we call two ways of tuning alike


def geometry(rows: pd.DataFrame) -> pd.DataFrame:
    """Claims about label smoothness by layer, on clean clips and under joint noise.

    Parameters
    ----------
    rows
        The study of robustness, one row per run and condition, as for `damage.of_runs`.

    Returns
    -------
    A row per claim and dataset, see `_decided`. Differences of cross-class mass are shares of what neighbours drawn at
    random have.

    Raises
    ------
    ValueError
        Fewer than five layers: three at the end, and some before to compare them with.
    """
    layers = robustness.gather(rows[rows["step"] == 0]).drop_duplicates(["dataset", "seed", "layer"])
    names = list(dict.fromkeys(layers.sort_values("depth")["layer"]))
    shares = layers.assign(
        trained=layers["cross_class_mass"] / layers["chance_mass"],
        untrained=layers["untrained_cross_class_mass"] / layers["chance_mass"],
    ).pivot(index=["dataset", "seed"], columns="layer", values=["trained", "untrained"])
    trained, untrained = shares["trained"], shares["untrained"]
    if len(names) < 5:
        raise ValueError(f"rows: layers {names}; needed at least five, to tell the last three from those before")
    first, before, last = names[0], names[-4], names[-1]
    late, early = trained[before] - trained[last], trained[first] - trained[before]
    moved = trained[names[:-3]].sub(trained[first], axis=0).abs().max(axis=1)
    put = {
        f"labels are smoother in {last} than in {first}": trained[first] - trained[last],
        f"{last} is smoother than in the untrained network": untrained[last] - trained[last],
        "the last three layers do more of it than all before": late - early,
        f"up to {before} smoothness moves by less than a tenth": damage.LIMIT - moved,
    }
    harm = damage.of_runs(rows)
    noise = harm[(harm["corruption"] == "joint_noise") & (harm["series"] == "smoothness") & (harm["layer"] == last)]
    for level, part in noise.groupby("level"):
        claim = f"noise of {100 * level:g} cm takes less than a tenth of the smoothness of {last}"
        put[claim] = damage.LIMIT - part.set_index(["dataset", "seed"])["value"]
    return _decided(put)


def transfers(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the study of transfer that may be compared, with ``accuracy`` on clips that are no copies.

    These are the networks of `recipes.TRANSFER_RECIPES`, sources with real clips, five labelled clips of a class and
    graphs of five neighbours. ``norms`` says ``source`` also where rows are older than the choice.
    """
    rows = recipes.unchanged(rows, recipes.TRANSFER_RECIPES)
    rows = rows[(rows["per_class"] == 5) & (rows["num_neighbors"] == 5) & (rows["source"] != "synthetic")]
    return rows.assign(accuracy=scores.honest(rows), norms=rows["norms"].fillna("source"))


def transfer(rows: pd.DataFrame) -> pd.DataFrame:
    """Claims about how many layers to tune, and whether smoothness tells; in points of accuracy, but for the last.

    Parameters
    ----------
    rows
        The study of transfer, ST-GCN between datasets: ``dataset, source, seed, start, num_tuned, accuracy`` and the
        columns of `transferability.SCORES`.

    Returns
    -------
    A row per claim and target, see `_decided`; sources are averaged in each seed.
    """
    keys = ["dataset", "source", "seed"]
    wide = 100 * rows.pivot(index=keys, columns=["start", "num_tuned"], values="accuracy")
    trained, fresh = wide["trained"], wide["fresh"]
    depths = sorted(trained.columns)
    full = depths[-1]
    put = {"old movements help with new ones, all layers tuned": trained[full] - fresh[full]}
    put["old movements help with new ones, the classifier tuned"] = trained[depths[0]] - fresh[depths[0]]
    for depth in depths[1:-1]:
        claim = f"tuning the last {depth} layers is as good as tuning all {full}, within a point"
        put[claim] = SLACK - (trained[full] - trained[depth])
    told = transferability.judged(rows[rows["start"] == "trained"])
    smooth = told[told["predictor"] == "cross-class mass"].set_index(keys)["correlation"]
    put["smoother layers are better ones to tune from (rank correlation)"] = smooth
    return _decided(put)


def shift(rows: pd.DataFrame) -> pd.DataFrame:
    """STF against MS-G3D where the classifier alone is tuned: points of accuracy, a row per target, see `_decided`."""
    rows = rows[(rows["start"] == "trained") & (rows["num_tuned"] == 0)]
    wide = 100 * rows.pivot_table(index=["dataset", "seed"], columns="step", values="accuracy")
    return _decided({"STF's features transfer better than MS-G3D's, the classifier tuned": wide["stf"] - wide["msg3d"]})


def _decided(put: dict[str, pd.Series]) -> pd.DataFrame:
    """Mean, 95 % interval over seeds and verdict of values by dataset and seed; indexed by ``claim, dataset``."""
    rows = pd.concat({claim: values.rename("value").dropna() for claim, values in put.items()}, names=["claim"])
    return trust.decided(rows.reset_index(), ["claim", "dataset"])
