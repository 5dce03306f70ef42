"""Static rules for pages: each rule yields complaints about a page, and is tested on a page that breaks it."""

import ast
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
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


def is_finished(page):
    for i, cell in page.prose + page.code:
        if mark := re.search(r"\b(TODO|FIXME|FINDING|TBD)\b", cell.source):
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


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_page(rule):
    complaints = [f"{path.stem}: {complaint}" for path in SOURCES for complaint in rule(load(path))]
    assert not complaints, "\n".join(complaints)


def unlisted(folder, toc):
    """Pages of `folder` that `toc` lacks, or the other way round, or another order."""
    found = [f"notebooks/{path.name}" for path in sorted(folder.glob("*.ipynb"))]
    listed = [entry["file"] for entry in toc if entry["file"].startswith("notebooks/")]
    return [] if found == listed or not any(folder.glob("*.py")) else [found, listed]


def test_contents_list_exactly_the_pages_in_order():
    toc = yaml.safe_load((ROOT / "myst.yml").read_text())["project"]["toc"]
    assert not unlisted(ROOT / "notebooks", toc)
    assert all((ROOT / entry["file"]).is_file() for entry in toc if not entry["file"].startswith("notebooks/"))


# Every rule can fail

GOOD = """\
# %% [markdown]
# (nb-small-example)=
# # A small example
# Is two and two four?
#
# **Before:** nothing · **Time:** 1 s on CPU

# %%
from pathlib import PurePath

# %% tags=["parameters"]
count: int = 2  # summands
names: list[str] = ["a"]  # who adds
limit: int | None = None  # stop here

# %% tags=["nbval-check-output"]
count + 2

# %%
#| label: fig-dot
#| caption: "One dot. 1 number, no unit, no seed."
print("drawn")

# %% [markdown]
# It is four.
"""
PICTURE = "iVBORw0KGgo="


@pytest.fixture
def write(tmp_path):
    """Write a page as if it had been executed: `edit` changes its text, `store` its notebook."""

    def write(edit=lambda text: text, store=lambda cells: None, stem="07_small_example"):
        import nbformat
        from nbformat import v4

        from lib import pages

        path = tmp_path / f"{stem}.py"
        path.write_text(edit(HEADER + GOOD), encoding="utf-8")
        notebook = pages.read(path)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for count, cell in enumerate(code, start=1):
            cell.execution_count = count
        if len(code) == 4:
            code[2].outputs = [v4.new_output("execute_result", {"text/plain": "4"}, execution_count=3)]
            code[3].outputs = [v4.new_output("display_data", {"image/png": PICTURE})]
        store(notebook.cells)
        nbformat.write(notebook, path.with_suffix(".ipynb"))
        return load(path)

    return write


def output(**data):
    from nbformat import v4

    return v4.new_output("display_data", {mime.replace("_", "/"): value for mime, value in data.items()})


def swap(old, new):
    def edit(text):
        assert old in text
        return text.replace(old, new, 1)

    return edit


def append(code):
    return lambda text: f"{text}\n# %%\n{code}\n"


def show(text):
    return lambda cells: cells[3].outputs.append(output(text_plain=text))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_page_passes(write, rule):
    assert list(rule(write())) == []


BROKEN = [
    (is_the_text_jupytext_writes, {"edit": swap("# ---\n\n", "# ---\n\n\n")}, "changes the file"),
    (is_the_text_jupytext_writes, {"store": lambda cells: cells.pop()}, "does not give this .py back"),
    (is_paired, {"store": lambda cells: cells[3].update(source="count + 3")}, "source of cells differs"),
    (is_paired, {"store": lambda cells: cells[3].update(id="random")}, "id of cells differs"),
    (is_paired, {"store": lambda cells: cells[3].metadata.clear()}, "tags of cells differ"),
    (has_one_title, {"edit": swap("# Is two", "# # Is two")}, "needs one line"),
    (has_one_title, {"edit": swap("# # A small", "# ## A small")}, "needs one line"),
    (starts_with_its_label, {"edit": swap("nb-small-example", "nb-smal-example")}, r"\(nb-small-example\)="),
    (starts_with_its_label, {"edit": swap("# (nb-small-example)=\n", "")}, r"\(nb-small-example\)="),
    (says_what_comes_before_and_how_long_it_takes, {"edit": swap("**Time:** 1 s", "1 s")}, "Before"),
    (has_parameters_with_type_and_help, {"edit": swap('tags=["parameters"]', "")}, "has 0"),
    (has_parameters_with_type_and_help, {"edit": swap("count: int = 2", "count = 2")}, "'count = 2' is not"),
    (has_parameters_with_type_and_help, {"edit": swap("  # summands", "")}, "'count' needs a comment"),
    (has_parameters_with_type_and_help, {"edit": swap("count: int = 2", "count: 'a-b' = 2")}, "cannot read 'count'"),
    (defines_nothing, {"edit": append("def helper():\n    pass")}, "helper belongs to lib"),
    (defines_nothing, {"edit": append("class Helper:\n    pass")}, "Helper belongs to lib"),
    (has_short_code_cells, {"edit": append("count += 1\n" * 16)}, "16 lines"),
    (has_no_relative_path, {"edit": append('PurePath("../data")')}, r"'\.\./data'"),
    (has_no_relative_path, {"edit": append('PurePath("data/results/x.csv")')}, "'data/results/x.csv'"),
    (has_no_relative_path, {"edit": append('open("table.txt")')}, "'table.txt'"),
    (has_no_absolute_path, {"edit": append('PurePath("/home/ada/clips")')}, "/home/ada/clips"),
    (has_no_absolute_path, {"edit": swap("# It is four.", "# See /tmp/four.")}, "/tmp/four"),
    (was_run_from_top_to_bottom, {"store": lambda cells: cells[3].update(execution_count=None)}, "not run"),
    (was_run_from_top_to_bottom, {"store": lambda cells: cells[3].update(execution_count=9)}, "not run"),
    (stores_nothing_private_or_broken, {"store": show("saved /Users/ada/x.npz")}, "absolute path /Users/ada/x.npz"),
    (stores_nothing_private_or_broken, {"store": show(f"in {ROOT}/x")}, f"absolute path {ROOT}"),
    (stores_nothing_private_or_broken, {"store": show("<Axes object at 0x7f00aa11bb22>")}, "object address"),
    (labels_and_captions_its_figures, {"edit": swap("#| label: fig-dot\n", "")}, "label: fig-"),
    (labels_and_captions_its_figures, {"edit": swap("#| caption:", "# caption:")}, "caption: "),
    (
        labels_and_captions_its_figures,
        {"store": lambda cells: cells[3].outputs.append(output(text_html="<div><img src=x></div>"))},
        "cell 3: a cell that draws",
    ),
    (is_finished, {"edit": swap("# It is four.", "# FINDING")}, "FINDING waits"),
    (is_small, {"store": show("x" * 300_000)}, "302 kB"),
]


@pytest.mark.parametrize(("rule", "change", "complaint"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_page_that_breaks_the_rule_is_named(write, rule, change, complaint):
    complaints = list(rule(write(**change)))
    assert any(re.search(complaint, text) for text in complaints), complaints


def test_a_stored_traceback_is_named(write):
    from nbformat import v4

    error = v4.new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])
    page = write(store=lambda cells: cells[3].outputs.append(error))
    assert list(stores_nothing_private_or_broken(page)) == ["cell 3: traceback of ValueError: no"]


def test_a_page_without_notebook_is_named(write):
    page = write()
    page.path.with_suffix(".ipynb").unlink()
    assert list(is_paired(load(page.path))) == ["no .ipynb: run `make notebooks`"]


def test_every_rule_is_tested():
    rules = {
        value for value in globals().values() if inspect.isgeneratorfunction(value) and value.__module__ == __name__
    }
    assert rules == set(RULES) == {rule for rule, _, _ in BROKEN}


def test_a_derivation_may_define(write):
    page = write(lambda text: f'{text}\n# %% tags=["derivation"]\ndef helper():\n    pass\n')
    assert list(defines_nothing(page)) == []


def test_urls_base64_and_latex_are_not_absolute_paths(write):
    page = write(
        swap("# It is four.", "# See https://example.org/home/ada and $f:\\mathbb{R}/var$ and a/tmp/b."),
        show("data:image/png;base64,AAAA/tmp/BBBB"),
    )
    assert [*has_no_absolute_path(page), *stores_nothing_private_or_broken(page)] == []


def test_contents_that_lack_a_page_are_noticed(write, tmp_path):
    write()
    entry = {"file": "notebooks/07_small_example.ipynb"}
    assert unlisted(tmp_path, [{"file": "README.md"}])
    assert unlisted(tmp_path, [entry, {"file": "notebooks/99_gone.ipynb"}])
    assert not unlisted(tmp_path, [{"file": "README.md"}, entry])
