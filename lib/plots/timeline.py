"""What a recording was cut into, beside what people say is in it; and its frames in a plane."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.plots.skeleton import pose
from lib.plots.style import GRAY, class_style, new_axes, spoken, styled
from lib.skeletons import Skeleton


@styled
def timeline(
    rows: Mapping[str, Int[np.ndarray, " _"]],
    class_names: Sequence[str],
    *,
    fps: float | int,
    transitions: Int[np.ndarray, "B 3"] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a bar per row over time, its frames coloured by class; the first row is the annotation.

    Parameters
    ----------
    rows
        {name: (T,) classes}, clusters renamed by `clustering.matched`; those beyond `class_names` are grey.
    transitions
        Earliest, best and latest frames of the annotated changes, drawn over all rows as a band and a line.
    """
    lengths = {name: len(labels) for name, labels in rows.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"rows: {lengths} frames; needed as many in every row, and at least one row")
    ax = new_axes(ax, (7.4, 0.9 + 0.34 * len(rows)))
    for place, labels in enumerate(rows.values()):
        edges = np.r_[0, np.flatnonzero(np.diff(labels)) + 1, len(labels)]
        for start, stop in pairwise(edges):
            label = int(labels[start])
            color = _style(label, class_names)[0]
            ax.broken_barh(
                [(start / fps, (stop - start) / fps)], (-place - 0.4, 0.8), color=color, lw=0.4, edgecolor="white"
            )
    for earliest, best, latest in [] if transitions is None else transitions / fps:
        ax.axvspan(earliest, latest, color=GRAY, alpha=0.22, lw=0)
        ax.axvline(best, color="black", lw=0.7)
    ax.set_yticks(-np.arange(len(rows)), spoken(list(rows)))
    ax.tick_params(axis="y", length=0)
    ax.set(
        xlabel="time (s)", ylabel="found by", xlim=(0, next(iter(lengths.values())) / fps), ylim=(-len(rows) + 0.5, 0.5)
    )
    ax.spines[:].set_visible(False)
    patches = [Patch(color=class_style(c)[0], label=name) for c, name in enumerate(spoken(class_names))]
    ax.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.05), fontsize=8)
    if title:
        ax.set_title(title, fontsize=10)
    return ax


@styled
def frame_embedding(
    coordinates: Float[np.ndarray, "T 2"],
    labels: Int[np.ndarray, " T"],
    class_names: Sequence[str],
    *,
    poses: Float[np.ndarray, "T V 3"] | None = None,
    skeleton: Skeleton | None = None,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Draw a dot per frame, joined in time by a faint line, and a skeleton beside the middle frame of each class.

    Clusters beyond `class_names` are grey, as in `timeline`, and have no skeleton.
    """
    if len(coordinates) != len(labels) or (poses is not None and len(poses) != len(labels)):
        raise ValueError(f"coordinates: {len(coordinates)} frames, {len(labels)} labels; needed as many of each")
    ax = new_axes(ax, (6.8, 4.6))
    ax.plot(*coordinates.T, color=GRAY, lw=0.5, alpha=0.35, zorder=1)
    for label in np.unique(labels):
        color, marker = _style(int(label), class_names)
        ax.scatter(*coordinates[labels == label].T, s=9, c=color, marker=marker, lw=0, alpha=0.8, zorder=2)
    ax.set(xlabel="first component", ylabel="second component")
    ax.margins(0.18)
    named = labels < len(class_names)
    if poses is not None and skeleton is not None and named.any():
        ax.margins(0.34)
        ax.autoscale_view()
        _thumbnails(ax, coordinates[named], labels[named], poses[named], skeleton)
    if legend:
        shown = [
            Line2D([], [], ls="", marker=class_style(c)[1], color=class_style(c)[0], ms=6, label=name)
            for c, name in enumerate(spoken(class_names))
        ]
        ax.legend(handles=shown, loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=8)
    return ax


def _style(label: int, class_names: Sequence[str]) -> tuple[str, str]:
    """Colour and marker; of a cluster without a name a grey dot."""
    return class_style(label) if label < len(class_names) else ("#d9d9d9", "o")


def _thumbnails(ax: Axes, coordinates, labels, poses, skeleton: Skeleton) -> None:
    """Put the middle pose of every class on a ring around all dots, at like distances, each near its own dots."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    spots = (coordinates - low) / (high - low)
    classes = np.unique(labels)
    middles = np.stack([spots[labels == label].mean(axis=0) for label in classes])
    angles = np.arctan2(*(middles - middles.mean(axis=0))[:, ::-1].T)
    order = np.argsort(angles)
    turns = 2 * np.pi * np.arange(len(classes)) / len(classes)
    shift = np.angle(np.exp(1j * (angles[order] - turns)).mean())  # the least turning away from the own dots
    for place, i in enumerate(order):
        mine = np.flatnonzero(labels == classes[i])
        frame = mine[np.linalg.norm(spots[mine] - middles[i], axis=1).argmin()]
        at = 0.5 + 0.4 * np.array([np.cos(turns[place] + shift), np.sin(turns[place] + shift)])
        small = ax.inset_axes([at[0] - 0.09, at[1] - 0.12, 0.18, 0.24])
        pose(poses[frame], skeleton, ax=small)
        small.set(xlabel="", ylabel="", xticks=[], yticks=[])
        small.patch.set_alpha(0.0)
        small.spines[:].set_visible(False)
        line = {"arrowstyle": "-", "color": class_style(int(classes[i]))[0], "lw": 1.2}
        ax.annotate("", spots[frame], at, "axes fraction", "axes fraction", arrowprops=line)
