"""The book's look, applied while a figure is drawn and never to the caller's session."""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_P, _R = ParamSpec("_P"), TypeVar("_R")

_RC = mpl.rc_params_from_file(Path(__file__).with_name("book.mplstyle"), use_default_template=False)

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, GRAY = "#E69F00", "#56B4E9", "#4D4D4D"
SIDE_COLORS = {"left": BLUE, "right": VERMILION, "center": GRAY}
LINE_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GRAY)

# Nine hues that colour-blind readers can tell apart, times a marker, stay distinct for 54 classes.
_HUES = ("#332288", "#DDAA33", "#44AA99", "#CC3311", "#88CCEE", "#882255", "#117733", "#EE7799", "#777777")
_MARKERS = ("o", "s", "^", "D", "v", "P")


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Draw in the book's style; the session's rcParams are afterwards what they were before."""

    @functools.wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with mpl.rc_context(_RC):
            drawn = draw(*args, **kwargs)
            interactive = mpl.is_interactive()
        mpl.interactive(interactive)  # the first figure loads Jupyter's backend, which turns this on for good
        return drawn

    return wrapper


def class_style(index: int) -> tuple[str, str]:
    """Colour and marker of class `index`; together distinct for the first 54 classes."""
    return _HUES[index % len(_HUES)], _MARKERS[index // len(_HUES) % len(_MARKERS)]


_SPOKEN = {
    "stgcn": "ST-GCN",
    "msg3d": "MS-G3D",
    "stf": "STF",
    "nw_ucla": "NW-UCLA",
    "utd_mhad": "UTD-MHAD",
    "msr_action3d": "MSR Action3D",
}


def spoken(names: Sequence) -> list[str]:
    """Names as people write them: networks and datasets by their own, and spaces for underscores."""
    return [re.sub(r"\w+", lambda word: _SPOKEN.get(word[0], word[0].replace("_", " ")), str(name)) for name in names]


def new_axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """`ax` itself, or the axes of a new figure of `size` inches."""
    return plt.subplots(figsize=size)[1] if ax is None else ax


def panels(
    axes: Axes | Sequence[Axes] | np.ndarray | None,
    count: int,
    *,
    columns: int,
    size: tuple[float, float],
    sharex: bool = False,
    sharey: bool = False,
) -> list[Axes]:
    """`count` axes: those given, or a new grid of at most `columns` columns whose panels measure `size` inches."""
    if axes is not None:
        given = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(given) != count:
            raise ValueError(f"axes: {len(given)} given for {count} panels; give {count}, or None for a new figure")
        return given
    return grid(count, columns=columns, size=size, sharex=sharex, sharey=sharey)


@styled
def grid(
    count: int,
    *,
    columns: int,
    size: tuple[float, float],
    sharex: bool = False,
    sharey: bool = False,
    titles: Sequence[str] = (),
) -> list[Axes]:
    """`count` axes of a new figure, row by row, for functions that take ``ax``; see `panels`.

    The first of them have `titles`, as people write them (`spoken`).
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    shape = {"figsize": (columns * size[0], rows * size[1]), "sharex": sharex, "sharey": sharey}
    drawn = plt.subplots(rows, columns, squeeze=False, **shape)[1].ravel()
    for spare in drawn[count:]:
        spare.remove()
    for ax, title in zip(drawn[:count], spoken(titles), strict=False):
        ax.set_title(title)
    return list(drawn[:count])


def figure_of(axes: Sequence[Axes]) -> Figure:
    """Figure that the first of `axes` belongs to."""
    return axes[0].get_figure(root=True)


def need_columns(frame: pd.DataFrame, needed: Sequence[str], name: str) -> None:
    """Refuse a table without rows or without the columns `needed`."""
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise ValueError(f"{name}: no column {missing}; found {list(frame.columns)}, needed {list(needed)}")
    if len(frame) == 0:
        raise ValueError(f"{name}: no rows; needed at least one")
