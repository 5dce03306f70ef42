"""Rows of runs: written into the tables of studies, listed, filtered and compared."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock

from lib import execution, pages, paths, runs
from lib.runs import Run

NOT_COMPARED = {"status", "started", "given", "parameters", "process", "error", "seed"}  # seed is a parameter as well


def check_saved(studies: Iterable[str], finished: Iterable[Run]) -> None:
    """Refuse to record tables that a run did not save."""
    for item in finished:
        if missing := [repr(study) for study in studies if study not in item.tables]:
            raise pages.PageError(
                f"{item.folder.name} saved no table {', '.join(missing)}; it saved {list(item.tables)}"
            )


def record(study: str, finished: Sequence[Run]) -> Path:
    """Write the table called `study` of each run into ``data/results/<study>.csv``, and return that file.

    Every row carries the run's parameters, commit, versions, date and seconds. Rows of an earlier run of the same page
    with the same parameters given are replaced, also where defaults or recipes have changed since; all others stay.
    """
    parts = []
    check_saved([study], finished)
    for item in finished:
        parameters = {n: "" if v is None else str(v) for n, v in item.record["parameters"].items()}
        given = item.record.get("given", parameters)
        key = json.dumps([item.record["page"], given], sort_keys=True, default=str)
        origin = {
            name: item.record[name] for name in ("commit", "dirty", "lib", "torch", "numpy", "platform", "started")
        }
        part = item.tables[study]
        clash = [n for n in parameters if n in part and parameters[n] and not _may_be(part[n], parameters[n])]
        if clash:
            raise pages.PageError(
                f"table {study!r} has columns {clash} that are not the page's parameters; rename them"
            )
        extra = {name: value for name, value in {**parameters, **origin}.items() if name not in part}
        part = part.copy().assign(  # a copy is in one piece, to which columns are added without a warning
            **extra, run_seconds=item.record["seconds"], run=hashlib.sha256(key.encode()).hexdigest()[:10]
        )
        parts.append(part)
    fresh = pd.concat(parts, ignore_index=True)
    path = paths.RESULTS / f"{study}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{study}.lock")):  # two sweeps may end at once
        if path.exists():
            old = runs.read_study(path)
            if "run" not in old:
                raise pages.PageError(f"{path.name} was not recorded from runs (no column 'run'); choose another name")
            fresh = pd.concat([old[~old["run"].isin(fresh["run"])], fresh], ignore_index=True)
        execution.write_whole(path, fresh.to_csv(index=False))
    return path


def listing(items: Iterable[Run]) -> pd.DataFrame:
    """One row per run: id, page, status, seconds, commit, then its parameters."""
    columns = ("page", "status", "seconds", "commit")
    rows = [
        {"id": item.folder.name, **{name: item.record[name] for name in columns}, **item.record["parameters"]}
        for item in items
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["id", *columns])
    frame["commit"] = frame["commit"].str[:8]
    return frame


def pick(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Only the columns named, or all where none is."""
    if missing := [name for name in columns if name not in frame]:
        raise pages.PageError(f"no column {', '.join(missing)}; columns: {', '.join(map(str, frame.columns))}")
    return frame[list(columns)] if columns else frame


def keep(frame: pd.DataFrame, filters: Iterable[str]) -> pd.DataFrame:
    """Rows of `frame` that satisfy every ``column=value``; numbers compare as numbers."""
    for text in filters:
        column, sign, value = text.partition("=")
        if not sign or column not in frame:
            raise pages.PageError(f"filter {text!r} is not column=value; columns: {', '.join(map(str, frame.columns))}")
        frame = frame[_equals(frame[column], value)]
    return frame


def _may_be(values: pd.Series, text: str) -> bool:
    """Tell whether a column may be a parameter's: its value, or nothing or 0 where it does not hold."""
    return bool((_equals(values, text) | values.isna() | values.eq(0)).all())


def _equals(values: pd.Series, text: str) -> pd.Series:
    """Where values are what a text says; numbers compare as numbers."""
    numbers = pd.to_numeric(values, errors="coerce")
    wanted = pd.to_numeric(pd.Series([text]), errors="coerce")[0]
    return (values.astype(str) == text) | (numbers.notna() & (numbers == wanted))


def find(items: Sequence[Run], text: str) -> Run:
    """Find the one run whose id is `text`, or starts or ends with it."""
    names = [item.folder.name for item in items]
    exact = [item for item in items if item.folder.name == text]
    found = exact or [item for item in items if item.folder.name.startswith(text) or item.folder.name.endswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise pages.PageError(f"{len(found)} runs match {text!r}: {', '.join(item.folder.name for item in found[-5:])}")
    close = difflib.get_close_matches(text, names, n=1)
    raise pages.PageError(f"no run {text!r}{f'; did you mean {close[0]!r}?' if close else ''}")


def compare_runs(items: Sequence[Run]) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return what differs in the records of runs, and their tables side by side; column ``[2]`` is the second run."""
    facts = []
    for item in items:
        own = {name: value for name, value in item.record.items() if name not in NOT_COMPARED}
        facts.append({"run": item.folder.name, **item.record["parameters"], **own})
    tables = [item.tables for item in items]
    common = [name for name in tables[0] if all(name in each for each in tables)]
    return _differing(facts), {name: side_by_side([each[name] for each in tables]) for name in common}


def compare_study(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Do as `compare_runs` with rows of a study, which carry the name of their run in the column ``run``."""
    if "run" not in frame:
        raise pages.PageError("this study has no column 'run', so there are no runs in it to compare")
    parts = [frame[frame["run"] == name] for name in names]
    if missing := [name for name, part in zip(names, parts, strict=True) if part.empty]:
        raise pages.PageError(f"no run {', '.join(missing)} in this study; runs: {', '.join(frame['run'].unique())}")
    fixed = [name for name in frame if all(part[name].nunique(dropna=False) == 1 for part in parts)]
    facts = _differing([{"run": part["run"].iloc[0], **part[fixed].iloc[0].to_dict()} for part in parts])
    return facts, side_by_side([part.drop(columns=fixed) for part in parts])


def side_by_side(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables on the columns that tell their rows apart.

    These are the columns of text, then as many of whole numbers, from the left, as it takes; without any, rows are
    joined by position. A column that agrees everywhere stays one; of another there is one for each table, and the
    difference where two tables hold numbers. Tables of one row are turned: a row for each column that differs.
    """
    if all(len(frame) == 1 for frame in frames):
        return _differing([frame.iloc[0].to_dict() for frame in frames])
    keys = _keys(frames)
    if keys:
        frames = [frame.fillna({name: "" for name in keys if _is_text(frame[name])}) for frame in frames]
    frames = [frame.set_index(keys) if keys else frame.reset_index(drop=True) for frame in frames]
    index = frames[0].index
    for frame in frames[1:]:
        index = index.append(frame.index[~frame.index.isin(index)])
    columns = {}
    for name in dict.fromkeys(name for frame in frames for name in frame):
        values = [frame[name].reindex(index) if name in frame else pd.Series(index=index) for frame in frames]
        if all(each.equals(values[0]) for each in values):
            columns[name] = values[0]
            continue
        columns |= {f"{name} [{number}]": each for number, each in enumerate(values, start=1)}
        if len(values) == 2 and all(pd.api.types.is_numeric_dtype(each) for each in values):
            columns[f"{name} [2]-[1]"] = values[1] - values[0]
    joined = pd.DataFrame(columns, index=index)
    return joined.reset_index() if keys else joined


def _keys(frames: Sequence[pd.DataFrame]) -> list[str]:
    common = [name for name in frames[0] if all(name in frame for frame in frames)]
    keys = [name for name in common if all(_is_text(frame[name]) for frame in frames)]
    whole = [name for name in common if all(pd.api.types.is_integer_dtype(frame[name]) for frame in frames)]
    for name in [None, *whole]:
        keys = keys if name is None else [*keys, name]
        if keys and not any(frame.duplicated(keys).any() for frame in frames):
            return keys
    return []


def _is_text(values: pd.Series) -> bool:
    return pd.api.types.is_string_dtype(values) or pd.api.types.is_object_dtype(values)


def _differing(facts: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """One row per fact that is not the same everywhere, one column per run."""
    names = dict.fromkeys(name for each in facts for name in each)
    rows = {name: [each.get(name) for each in facts] for name in names}
    rows = {name: values for name, values in rows.items() if len({str(value) for value in values}) > 1}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=[f"[{n}]" for n in range(1, len(facts) + 1)])
    return frame.rename_axis("").reset_index()
