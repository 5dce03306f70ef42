"""Layer geometry in numbers: how smoothly labels vary on each layer's graph, and how many neighbours clips keep."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.plots.style import BLUE, VERMILION, figure_of, need_columns, new_axes, panels, spoken, styled

SPOKEN = {
    "interpolation_error": "interpolation error\n(lower: smoother)",
    "cross_class_mass": "cross-class mass\n(lower: smoother)",
    "laplacian": "Laplacian measure\n(lower: smoother)",
    "probe": "linear probe\n(accuracy)",
    "dimension": "intrinsic dimension\n(TwoNN)",
    "imbalance_to_last": "imbalance to the last layer\n(0: knows it)",
    "cka_last": "CKA with the last layer",
}
_NETWORKS = {"trained": (BLUE, "o", "-"), "untrained": (VERMILION, "s", "--")}
_OTHERS = (("#009E73", "D", "-."), ("#CC79A7", "^", ":"), ("#E69F00", "v", "-"))


def label_layers(ax: Axes, layers: Sequence) -> None:
    names = [str(layer) for layer in layers]
    long = max(len(name) for name in names) * len(names) > 40
    ax.set_xticks(range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center")
    if long:
        for tick in ax.get_xticklabels():
            tick.set_rotation_mode("anchor")
    ax.set_xlabel("layer")
    ax.set_xlim(-0.4, len(names) - 0.6)


def _in_order(rows: pd.DataFrame) -> list:
    """Layers by depth where the table has it; else numbers ascending and names as they come."""
    if "depth" in rows.columns:
        return list(rows.groupby("layer")["depth"].min().sort_values(kind="stable").index)
    found = list(pd.unique(rows["layer"]))
    return sorted(found) if all(isinstance(layer, int | float | np.number) for layer in found) else found


@styled
def smoothness_by_layer(
    rows: pd.DataFrame,
    *,
    measures: Sequence[str] | None = None,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    interval: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw label smoothness over layers, one panel per measure, against an untrained network and permuted labels.

    Parameters
    ----------
    rows
        What :func:`lib.smoothness.by_layer` returns, or one row per layer and measure (and network): ``layer`` (number
        or name; in order of ``depth`` where there is one), ``measure``, ``value``; optional ``low`` and ``high``
        (interval of the value), ``network`` (``"trained"``, ``"untrained"``, or your own names) or, in its stead,
        ``untrained`` (the other network's value), and ``permuted_mean``, ``permuted_low``, ``permuted_high`` (the same
        measure on shuffled labels; averaged where networks differ).
    measures
        Measures to draw, in this order; all of them when None.
    axes
        One per measure.
    interval
        What the bands are, for the legend: ``"95 % of bootstraps over clips"``.
    """
    need_columns(rows, ["layer", "measure", "value"], "rows")
    found = list(pd.unique(rows["measure"]))
    measures = found if measures is None else list(measures)
    unknown = [measure for measure in measures if measure not in found]
    if unknown or not measures:
        raise ValueError(f"measures {unknown} have no rows; choose from {found}")
    layers = _in_order(rows)
    place = {layer: i for i, layer in enumerate(layers)}
    wide = 6.6 if len(measures) == 1 else 3.9
    drawn = panels(axes, len(measures), columns=2 if len(measures) in (2, 4) else 3, size=(wide, 3.3))
    for ax, measure in zip(drawn, measures, strict=True):
        part = rows[rows["measure"] == measure]
        _permuted(ax, part, place)
        networks = list(pd.unique(part["network"])) if "network" in part.columns else [None]
        beside = "network" not in part.columns and "untrained" in part.columns
        spare = iter(_OTHERS * len(networks))
        for network in networks:
            line = part if network is None else part[part["network"] == network]
            line = line.assign(_x=line["layer"].map(place)).sort_values("_x")
            color, marker, dashes = _NETWORKS["trained"] if network is None else _NETWORKS.get(network) or next(spare)
            if {"low", "high"} <= set(line.columns):
                ax.fill_between(
                    line["_x"], line["low"].astype(float), line["high"].astype(float), color=color, alpha=0.2, lw=0
                )
            label = ("trained" if beside else None) if network is None else str(network)
            ax.plot(line["_x"], line["value"], color=color, marker=marker, ms=4.5, ls=dashes, label=label)
            if beside:
                color, marker, dashes = _NETWORKS["untrained"]
                ax.plot(line["_x"], line["untrained"], color=color, marker=marker, ms=4.5, ls=dashes, label="untrained")
        label_layers(ax, layers)
        ax.set_ylabel(SPOKEN.get(measure, str(measure).replace("_", " ")))
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
        ax.grid(axis="y")
    handles, _ = drawn[0].get_legend_handles_labels()
    if handles:
        note = None if interval is None else f"bands: {interval}"
        drawn[0].legend(loc="best", title=note, alignment="left", title_fontsize=8.5)
    if title:
        figure_of(drawn).suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure_of(drawn)


def _permuted(ax, part, place):
    columns = ["permuted_mean", "permuted_low", "permuted_high"]
    if not set(columns) <= set(part.columns) or part[columns].isna().all(axis=None):
        return
    chance = part.groupby("layer", sort=False)[columns].mean()
    chance = chance.loc[sorted(chance.index, key=place.get)]
    spots = [place[layer] for layer in chance.index]
    mean, low, high = (chance[column].to_numpy(float) for column in columns)
    ax.fill_between(spots, low, high, color="#777777", alpha=0.25, lw=0)
    ax.plot(spots, mean, color="#777777", lw=1.2, ls=":", label="permuted labels")


@styled
def smoothness_by_class(
    rows: pd.DataFrame,
    class_names: Sequence[str] | None = None,
    *,
    measure: str = "interpolation_error",
    relative: bool = False,
    sort: bool = True,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a measure for every layer and class as colours, the smoothest class of the last layer on top.

    Parameters
    ----------
    rows
        What :func:`lib.smoothness.by_class` returns, or one row per layer, class and measure: ``layer``, ``class``,
        ``measure``, ``value`` and, for `relative`, ``permuted_mean``. A class without a value stays blank.
    class_names
        Names of classes that the table numbers.
    relative
        Divide by the value on shuffled labels, which is worse for rare classes by chance alone; 1 is chance.
    sort
        Order classes by the last layer; in order of appearance when False.
    """
    need_columns(rows, ["layer", "class", "measure", "value", *(["permuted_mean"] if relative else [])], "rows")
    part = rows[rows["measure"] == measure]
    if len(part) == 0:
        raise ValueError(f"measure={measure!r} has no rows; choose from {list(pd.unique(rows['measure']))}")
    value = part["value"] / part["permuted_mean"] if relative else part["value"]
    table = part.assign(_value=value.astype(float)).pivot(index="class", columns="layer", values="_value")
    table = table.loc[pd.unique(part["class"]), _in_order(part)]
    if sort:
        table = table.sort_values(table.columns[-1], kind="stable")
    if class_names is not None and max(table.index) >= len(class_names):
        raise ValueError(f"class_names: {len(class_names)} names, but the table has class {max(table.index)}")
    ax = new_axes(ax, (6.8, 1.3 + 0.25 * len(table)))
    image = ax.imshow(table.to_numpy(), aspect="auto", cmap="cividis", interpolation="nearest")
    bar = ax.get_figure().colorbar(image, ax=ax, pad=0.02, aspect=24)
    label = SPOKEN.get(measure, measure.replace("_", " "))
    bar.set_label(f"{label.splitlines()[0]}, share of chance\n(lower: smoother)" if relative else label)
    bar.outline.set_visible(False)
    label_layers(ax, list(table.columns))
    ax.set_xlim(-0.5, len(table.columns) - 0.5)
    ax.set_yticks(range(len(table)), spoken([c if class_names is None else class_names[c] for c in table.index]))
    ax.set_ylabel("class, smoothest in the last layer on top" if sort and len(table) > 7 else "class")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title)
    return ax


@styled
def neighbors_by_layer(
    counts: Mapping[str | int, Int[np.ndarray, " N"]],
    *,
    ax: Axes | None = None,
    candidates: int | None = None,
    title: str | None = None,
) -> Axes:
    """Draw how many neighbours clips keep at each layer: dots' area says how many clips, the line is the mean.

    Parameters
    ----------
    counts
        Neighbours of each clip by layer, in order: ``{layer: graph.num_neighbors}``.
    candidates
        k, the neighbours the graph could choose from; drawn as an upper line.
    """
    if len(counts) == 0 or any(len(values) == 0 for values in counts.values()):
        raise ValueError("counts: no layers or no clips; needed {layer: (N,) neighbours}")
    ax = new_axes(ax, (6.6, 3.3))
    most = max(np.bincount(values).max() / len(values) for values in counts.values())
    for i, values in enumerate(counts.values()):
        share = np.bincount(values) / len(values)
        kept = np.flatnonzero(share)
        ax.scatter(np.full(len(kept), i), kept, s=150 * share[kept] / most, color=BLUE, alpha=0.45, linewidths=0)
    means = [float(values.mean()) for values in counts.values()]
    ax.plot(range(len(means)), means, color=VERMILION, marker="_", ms=14, mew=2.2, lw=1.2, label="mean over clips")
    ax.scatter([], [], s=60, color=BLUE, alpha=0.45, linewidths=0, label="clips (area: how many)")
    if candidates is not None:
        ax.axhline(candidates, color="#777777", ls=":", lw=1.2, label=f"candidates, k = {candidates}")
    label_layers(ax, list(counts))
    ax.set_ylabel("neighbours per clip")
    ax.set_ylim(0, 1.07 * max(candidates or 0, *(values.max() for values in counts.values()), 1))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    if title:
        ax.set_title(title, pad=24)
    return ax
