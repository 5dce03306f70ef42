"""Static rules for pages: each yields complaints about one."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

"""


class Page(NamedTuple):
    """A page as written (`source`, `text`) and as stored beside it (`stored`, None where there is none)."""

    path: Path
    text: str
    source: object
    stored: object

    @property
    def code(self):
        return [(i, cell) for i, cell in enumerate(self.source.cells) if cell.cell_type == "code"]

    @property
    def prose(self):
        return [(i, cell) for i, cell in enumerate(self.source.cells) if cell.cell_type == "markdown"]

    @property
    def outputs(self):
        cells = self.stored.cells if self.stored else []
        return [(i, cell, output) for i, cell in enumerate(cells) for output in cell.get("outputs", [])]


def load(path):
    import nbformat

    from lib import pages

    notebook = path.with_suffix(".ipynb")
    stored = nbformat.read(notebook, as_version=4) if notebook.is_file() else None
    return Page(path, path.read_text(encoding="utf-8"), pages.read(path), stored)


def tree(cell):
    """Syntax tree of a code cell; lines for IPython alone are blanked."""
    return ast.parse(re.sub(r"^\s*[%!].*$", "pass", cell.source, flags=re.MULTILINE))


def tags(cell):
    return cell.metadata.get("tags", [])


# Pairing


def is_the_text_jupytext_writes(page):
    from lib import pages

    if page.text != pages.source(page.source):
        yield ".py -> .ipynb -> .py changes the file (header of another page, or spacing around cells)"
    if page.stored and page.text != pages.source(page.stored):
        yield "the stored .ipynb does not give this .py back"


def is_paired(page):
    if page.stored is None:
        yield "no .ipynb: run `make notebooks`"
        return
    for name in ("source", "cell_type", "id"):
        if [cell[name] for cell in page.source.cells] != [cell[name] for cell in page.stored.cells]:
            yield f"{name} of cells differs between .py and .ipynb: run `make notebooks`"
    if [tags(cell) for cell in page.source.cells] != [tags(cell) for cell in page.stored.cells]:
        yield "tags of cells differ between .py and .ipynb: run `make notebooks`"


# Prose


def has_one_title(page):
    text = "\n".join(cell.source for _, cell in page.prose)
    titles = re.findall(r"^# .*", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE)
    if len(titles) != 1:
        yield f"needs one line starting with '# ', has {titles}"


def starts_with_its_label(page):
    label = "(nb-" + re.sub(r"^\d+_", "", page.path.stem).replace("_", "-") + ")="
    first = page.source.cells[0]
    if first.cell_type != "markdown" or first.source.splitlines()[:1] != [label]:
        yield f"the first line must be {label}"


def says_what_comes_before_and_how_long_it_takes(page):
    if not re.search(r"^\*\*Before:\*\* .+ · \*\*Time:\*\* \S+", page.source.cells[0].source, flags=re.MULTILINE):
        yield "the first cell needs a line '**Before:** ... · **Time:** ...'"


# Code


def has_parameters_with_type_and_help(page):
    from lib import pages

    cells = [cell for _, cell in page.code if "parameters" in tags(cell)]
    if len(cells) != 1:
        yield f"needs one cell tagged parameters, has {len(cells)}"
        return
    names = []
    for statement in tree(cells[0]).body:
        if not isinstance(statement, ast.AnnAssign) or statement.value is None:
            yield f"parameters cell: {ast.unparse(statement)!r} is not `name: type = default  # help`"
        else:
            names.append(ast.unparse(statement.target))
    known = pages.parameters(page.path)
    for name in names:
        if name not in known:
            yield f"parameters cell: papermill cannot read {name!r}; keep it on one line of plain type and value"
        elif not known[name].help:
            yield f"parameters cell: {name!r} needs a comment that says what it is"


def defines_nothing(page):
    for i, cell in page.code:
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and "derivation" not in tags(
                cell
            ):
                yield f"cell {i}: {node.name} belongs to lib (or tag the cell derivation where the page teaches it)"


def has_short_code_cells(page):
    for i, cell in page.code:
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#|")]
        if len(lines) > 15:
            yield f"cell {i}: {len(lines)} lines of code, at most 15"


RELATIVE = re.compile(r"\.{1,2}/.*|[\w.-]+/[\w./-]*\.(csv|json|npy|npz|pt|png|zip)", flags=re.DOTALL)
OPENERS = {"open", "Path", "read_csv", "to_csv", "savefig", "imread", "loadtxt", "savetxt", "chdir"}


def has_no_relative_path(page):
    for i, cell in page.code:
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and RELATIVE.fullmatch(node.value):
                yield f"cell {i}: relative path {node.value!r}; use lib.paths"
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in OPENERS:
                for argument in node.args[:1]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield f"cell {i}: relative path {argument.value!r}; use lib.paths"


def has_no_absolute_path(page):
    from lib import execution

    for i, cell in enumerate(page.source.cells):
        for match in execution.ABSOLUTE_PATH.findall(cell.source):
            yield f"cell {i}: absolute path {match}"


# Outputs


def was_run_from_top_to_bottom(page):
    if page.stored:
        counts = [cell.execution_count for cell in page.stored.cells if cell.cell_type == "code" and cell.source]
        if counts != list(range(1, len(counts) + 1)):
            yield f"cells were not run once each, in order: {counts}"


def stores_nothing_private_or_broken(page):
    from lib import execution

    if page.stored:
        yield from execution.problems(page.stored)


def labels_and_captions_its_figures(page):
    for i, cell, output in page.outputs:
        data = output.get("data", {})
        drawn = any(mime.startswith("image/") for mime in data) or re.search(
            r"<(img|video|svg)\b", data.get("text/html", "")
        )
        for option in ("label: fig-", "caption: "):
            if drawn and not re.search(rf"^#\| {option}\S", cell.source, flags=re.MULTILINE):
                yield f"cell {i}: a cell that draws needs '#| {option}...'"


# Pages are drafted around runs that take hours, with such a word where a finding will stand. This looks at prose and
# code of every page, so that none is published with the word still there; the linter would see marked comments alone.
UNWRITTEN = re.compile(r"\b(TODO|FIXME|FINDING|TBD|TEXT-\w+)\b")


def is_finished(page):
    for i, cell in page.prose + page.code:
        if mark := UNWRITTEN.search(cell.source):
            yield f"cell {i}: {mark[0]} waits to be written"


def is_small(page):
    if page.stored and (size := page.path.with_suffix(".ipynb").stat().st_size) >= 300_000:
        yield f"the .ipynb has {size / 1000:.0f} kB; keep it under 300 (fewer or smaller figures)"


RULES = [
    is_the_text_jupytext_writes,
    is_paired,
    has_one_title,
    starts_with_its_label,
    says_what_comes_before_and_how_long_it_takes,
    has_parameters_with_type_and_help,
    defines_nothing,
    has_short_code_cells,
    has_no_relative_path,
    has_no_absolute_path,
    was_run_from_top_to_bottom,
    stores_nothing_private_or_broken,
    labels_and_captions_its_figures,
    is_finished,
    is_small,
]
