"""Every page keeps to the rules, and every rule is tested on a page that breaks it."""

import inspect
import re
from pathlib import Path

import page_rules
import pytest
import yaml
from page_rules import (
    HEADER,
    RULES,
    defines_nothing,
    has_no_absolute_path,
    has_no_relative_path,
    has_one_title,
    has_parameters_with_type_and_help,
    has_short_code_cells,
    is_finished,
    is_paired,
    is_small,
    is_the_text_jupytext_writes,
    labels_and_captions_its_figures,
    load,
    says_what_comes_before_and_how_long_it_takes,
    starts_with_its_label,
    stores_nothing_private_or_broken,
    was_run_from_top_to_bottom,
)

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_page(rule):
    complaints = [f"{path.stem}: {complaint}" for path in SOURCES for complaint in rule(load(path))]
    assert not complaints, "\n".join(complaints)


def listed_files(toc):
    """Files of a table of contents in reading order; a part may be a title alone, a pattern is for generated pages."""
    for entry in toc:
        if "file" in entry:
            yield entry["file"]
        yield from listed_files(entry.get("children", []))


def unlisted(folder, toc):
    """Pages of `folder` that `toc` lacks, or the other way round, or another order; the launcher of Lab is none."""
    found = [f"notebooks/{path.name}" for path in sorted(folder.glob("*.ipynb")) if path.name != "index.ipynb"]
    listed = [name for name in listed_files(toc) if name.startswith("notebooks/")]
    return [] if found == listed or not any(folder.glob("*.py")) else [found, listed]


def test_contents_list_exactly_the_pages_in_order():
    toc = yaml.safe_load((ROOT / "myst.yml").read_text())["project"]["toc"]
    assert not unlisted(ROOT / "notebooks", toc)
    written = [name for name in listed_files(toc) if not name.startswith("reference/api/")]
    assert [name for name in written if not (ROOT / name).is_file()] == []


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
    (has_no_absolute_path, {"edit": swap("# It is four.", "# See /srv/four.")}, "/srv/four"),
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
    (is_finished, {"edit": swap("# It is four.", "# TEXT-FAITHFUL")}, "TEXT-FAITHFUL waits"),
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
    rules = {value for value in vars(page_rules).values() if inspect.isgeneratorfunction(value)}
    assert rules == set(RULES) == {rule for rule, _, _ in BROKEN}


def test_a_derivation_may_define(write):
    page = write(lambda text: f'{text}\n# %% tags=["derivation"]\ndef helper():\n    pass\n')
    assert list(defines_nothing(page)) == []


def test_urls_base64_and_latex_are_not_absolute_paths(write):
    page = write(
        swap("# It is four.", "# See https://example.org/home/ada and $f:\\mathbb{R}/var$ and a/srv/b."),
        show("data:image/png;base64,AAAA/srv/BBBB"),
    )
    assert [*has_no_absolute_path(page), *stores_nothing_private_or_broken(page)] == []


def test_contents_that_lack_a_page_are_noticed(write, tmp_path):
    write()
    entry = {"file": "notebooks/07_small_example.ipynb"}
    assert unlisted(tmp_path, [{"file": "README.md"}])
    assert unlisted(tmp_path, [entry, {"file": "notebooks/99_gone.ipynb"}])
    assert not unlisted(tmp_path, [{"file": "README.md"}, entry])
    assert not unlisted(tmp_path, [{"file": "part.md", "children": [entry]}, {"title": "Reference", "children": []}])
