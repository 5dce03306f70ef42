"""Notebooks that `execute` stores: repeatable, and nothing private in them."""

import re

import pytest

# Runs
from book_cases import shell


def test_a_stored_notebook_is_repeatable_and_gives_its_source_back(write_page):
    import nbformat

    from lib import execution, pages

    page = write_page()
    before = page.read_bytes()
    done = shell("execute", "--store", page, "-q")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"07_probe: \d+ kB\n", done.stdout)
    stored = page.with_suffix(".ipynb").read_bytes()
    notebook = nbformat.reads(stored.decode(), as_version=4)
    assert pages.source(notebook).encode() == before == page.read_bytes()
    assert [cell.id for cell in notebook.cells] == [f"07_probe-{i:03d}" for i in range(7)]
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(range(1, 7))
    assert {tuple(cell.metadata) for cell in notebook.cells} == {(), ("tags",)}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert [cell.outputs for cell in notebook.cells if "inner bar" in cell.source] == [[]]
    assert execution.refresh(page).read_bytes() == stored


def test_what_must_not_be_published_is_not_stored(write_page):
    from lib import execution, pages

    page = write_page("# %%\nfrom lib import paths\n\nprint(paths.ROOT)\n\n# %%\nobject()\n")
    page.with_suffix(".ipynb").write_text("old")
    with pytest.raises(pages.PageError, match=r"cell 0: absolute path .*\n  cell 1: object address <object at"):
        execution.refresh(page)
    page = write_page("# %%\n1 / 0\n")
    with pytest.raises(execution.PageFailed, match=r"^ZeroDivisionError in cell"):
        execution.refresh(page)
    assert page.with_suffix(".ipynb").read_text() == "old"


def test_execute_goes_on_after_a_page_that_fails_and_names_it(write_page, monkeypatch, capsys):
    from lib import execution
    from lib.__main__ import main

    write_page(stem="07_bad"), write_page(stem="08_good")

    def refresh(page, *, progress):
        if page.stem == "07_bad":
            raise execution.PageFailed("ZeroDivisionError in cell [1]")
        return page

    monkeypatch.setattr(execution, "refresh", refresh)
    assert main(["execute", "--store"]) == 1
    printed = capsys.readouterr()
    assert re.fullmatch(r"07_bad: not stored\n08_good: \d+ kB\n", printed.out)
    assert printed.err.endswith("not stored: 07_bad\n")


def test_progress_bars_are_left_out_of_stored_outputs_and_warnings_are_kept():
    from nbformat import v4

    from lib import execution

    bar = "\rfit:   0%|          | 0/2 [00:00<?, ?it/s]\rfit: 100%|##########| 2/2 [00:00<00:00, 19.8it/s]\n"
    streams = [
        v4.new_output("stream", name="stderr", text=bar),
        v4.new_output("stream", name="stderr", text="UserWarning: few clips\n"),
        v4.new_output("stream", name="stdout", text="accuracy 50% | 3 clips\n"),
    ]
    kept = execution.publishable(streams)
    assert [(output.name, output.text) for output in kept] == [
        ("stderr", "UserWarning: few clips"),
        ("stdout", "accuracy 50% | 3 clips\n"),
    ]
    assert execution.publishable(streams[:1]) == []
    assert streams[0].text == bar, "outputs given are left alone"


def test_the_book_is_executed_as_runs_that_find_nothing_trained_before(write_page, tmp_path, monkeypatch, capsys):
    from lib import commands
    from lib.__main__ import main

    (tmp_path / "build" / "checkpoints").mkdir(parents=True)
    write_page("# %%\nfrom lib import paths\n\nassert not (paths.build() / 'checkpoints').exists()\n")
    assert main(["execute", "-q"]) == 0
    assert re.fullmatch(r"07_probe: \d+ s\n1 pages: \d+ s; .* 600 s on two cores\n", capsys.readouterr().out)
    assert not list((tmp_path / "book").glob("*.ipynb")), "stored notebooks are left alone"
    assert len(list((tmp_path / "build" / "runs").iterdir())) == 1
    assert main(["execute", "--store", "-q"]) == 0, "what is stored is what a new reader gets, too"
    monkeypatch.setattr(commands, "LIMIT", 0)
    assert main(["execute", "-q"]) == 1
