"""Papers that the book names are in references.bib, and on the literature page."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A surname, perhaps others, perhaps a venue, a year: how docstrings and pages name a paper.
NAMED = re.compile(
    r"\b([A-Z][\w'’-]+)(?:,? (?:and |& )?[A-Z][\w-]+(?:'s)?|,? et al\.?)*"
    r"[,;]?\s\(?(?:[A-Z]{4,} )?((?:19|20)\d\d)\b(?!-)"
)


@pytest.fixture(scope="module")
def works():
    from tools import bibliography

    return bibliography.load(ROOT / "references.bib")


def docstrings():
    for path in sorted((ROOT / "lib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                yield path.name, text


def prose():
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.py")):
        lines = [line[2:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
        yield path.name, "\n".join(lines)


def named(texts):
    return {(match[1].split("'")[0], int(match[2])) for _, text in texts for match in NAMED.finditer(text)}


def test_every_paper_that_is_named_is_in_the_bibliography(works):
    known = {(surname, work.year) for work in works.values() for surname in work.surnames}
    found = named([*docstrings(), *prose()])
    assert len(found) >= 20
    assert found - known == set()


def test_every_paper_of_the_bibliography_is_on_the_literature_page(works):
    page = (ROOT / "reference" / "literature.md").read_text(encoding="utf-8")
    cited = re.findall(r"\{cite:t\}`([^`]+)`", page)
    assert sorted(cited) == sorted(works)


@pytest.mark.parametrize(
    "text",
    [
        "Yan et al. 2018",
        "Yan et al., 2018",
        "Yan et al., AAAI 2018",
        "Yan, Xiong, Lin; AAAI 2018",
        "Yan, Xiong and Lin (2018)",
        "Yan et al.\n(2018)",
    ],
)
def test_a_citation_is_found_as_prose_spells_it(works, text):
    from tools import bibliography

    assert re.fullmatch(bibliography.citation_pattern(works["yan2018"]), text)


@pytest.mark.parametrize("text", ["Sakoe & Chiba (1978)", "Sakoe and Chiba 1978"])
def test_two_authors_are_found(works, text):
    from tools import bibliography

    assert re.fullmatch(bibliography.citation_pattern(works["sakoe1978"]), text)


@pytest.mark.parametrize("text", ["Yan et al. 2017", "Wang et al. 2018", "Yan went home. In 2018"])
def test_another_paper_is_not_taken_for_it(works, text):
    from tools import bibliography

    assert not re.search(bibliography.citation_pattern(works["yan2018"]), text)
