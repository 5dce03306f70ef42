"""Pages of the book: where they are, what they say, which parameters they have.

A page is a ``notebooks/NN_name.py`` (percent format, what people edit) with an executed ``NN_name.ipynb`` beside it
(what readers and the site see). jupytext and papermill belong to the ``book`` extra and load slowly, so the functions
that need them import them: a page's own ``from lib import runs`` stays light.
"""

import ast
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lib import paths

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class PageError(ValueError):
    """A page, or a parameter of a page, that is not there or cannot be used."""


class Parameter(NamedTuple):
    """One line of a page's parameters cell, as written there."""

    name: str
    type: str  # the annotation; "" where there is none
    default: str
    help: str  # the comment

    @property
    def value(self) -> object:
        """The default as a Python value, or its source text when it is an expression."""
        return _literal(self.default)


def found() -> list[Path]:
    """List the sources of all pages in the book's order."""
    return sorted(paths.NOTEBOOKS.glob("[0-9]*.py"))


def find(name: str | Path) -> Path:
    """Find the source of the page called `name`: a stem, the start of one, a number (``5``, ``05``) or a path.

    A path to an ``.ipynb`` means the ``.py`` beside it, where there is one.
    """
    name = str(name)
    if name.endswith((".py", ".ipynb")):
        path = Path(name).resolve()
        for source in (path.with_suffix(".py"), path):
            if source.is_file():
                return source
        name = path.stem
    stems = {page.stem: page for page in found()}
    if name in stems:
        return stems[name]
    number = name.lstrip("0") if name.isdecimal() else None
    matches = [stem for stem in stems if stem.startswith(name) or stem.partition("_")[0].lstrip("0") == number]
    if len(matches) == 1:
        return stems[matches[0]]
    problem = f"pages {', '.join(matches)} match" if matches else "no page matches"
    raise PageError(f"{problem} {name!r}{_suggest(name, stems)}\npages: {', '.join(stems) or 'none'}")


def read(page: Path):
    """Read a page's source as a notebook: no outputs, cell ids made from the page's name and the cell's position."""
    import jupytext

    dialect = "py:percent" if page.suffix == ".py" else "ipynb"
    notebook = jupytext.reads(page.read_text(encoding="utf-8"), fmt=dialect, as_version=4)
    notebook.metadata = {"kernelspec": dict(KERNELSPEC), "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        cell.id = f"{re.sub(r'[^A-Za-z0-9_-]', '-', page.stem)[:56]}-{position:03d}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def source(notebook) -> str:
    """Return the text of a notebook as a page's ``.py``, under the project's jupytext settings."""
    import jupytext
    from jupytext.config import load_jupytext_configuration_file

    settings = load_jupytext_configuration_file(str(paths.ROOT / "pyproject.toml"))
    return jupytext.writes(notebook, fmt="py:percent", config=settings)


def parameters(page: Path) -> dict[str, Parameter]:
    """Return a page's parameters by name, as papermill reads them from the cell tagged ``parameters``."""
    import papermill

    notebook = read(page)
    for cell in notebook.cells:  # papermill 2.7 skips a line whose annotation holds a "|"
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(
                r"^(\w+\s*:\s*)([^=#]+?) \| None\b", r"\1Optional[\2]", cell.source, flags=re.MULTILINE
            )
    known = {}
    for item in papermill.inspect_notebook(notebook).values():
        kind = re.sub(r"^Optional\[(.+)\]$", r"\1 | None", item["inferred_type_name"])
        kind = "" if kind == "None" else kind
        known[item["name"]] = Parameter(item["name"], kind, item["default"], item["help"])
    return known


def resolve(page: Path, given: Mapping[str, str]) -> dict[str, object]:
    """Turn parameters `given` as text into values, checked against the page's names and types."""
    known = parameters(page)
    values = {}
    for name, text in given.items():
        if name not in known:
            raise PageError(f"{page.stem} has no parameter {name!r}{_suggest(name, known)}\n{describe(page)}")
        value = known[name].value
        is_expression = value == known[name].default  # its type is not known before it runs
        kind = known[name].type or ("" if is_expression else type(value).__name__)
        try:
            values[name] = _parse(kind, text)
        except ValueError:
            raise PageError(
                f"{page.stem}: parameter {name!r} needs {kind}, not {text!r} ({known[name].help})"
            ) from None
    return values


def describe(page: Path) -> str:
    """Lay out a page's parameters as an aligned list: name, type, default, help."""
    rows = list(parameters(page).values())
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row.help]) for row in rows]
    return "\n".join(f"  {line}" for line in lines) or "  no parameters"


def _suggest(name: str, known) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _parse(kind: str, text: str) -> object:
    if kind.endswith(" | None"):
        return None if text.lower() == "none" else _parse(kind.removesuffix(" | None"), text)
    if kind == "bool":
        choices = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in choices:
            raise ValueError(text)
        return choices[text.lower()]
    if kind in {"int", "float", "str"}:
        return {"int": int, "float": float, "str": str}[kind](text)
    if items := re.fullmatch(r"list(?:\[(.+)\])?", kind):
        parts = [part.strip().strip("'\"") for part in text.strip().strip("[]").split(",")]
        return [_parse(items[1] or "", part) for part in parts if part]
    return _literal(text)


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
