"""Pages of the API reference from docstrings, those of a small package and those of lib."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SOURCE = '''\
"""Steps of a walk. Beside `measure`."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Step:
    """One step."""

    length: float = 0.7  # metres
    left: bool = False


class Pace(NamedTuple):
    """A pace.

    Attributes
    ----------
    steps
        Per minute.
    """

    steps: float

    def faster(self, by: float) -> "Pace":
        """Return a pace that is `by` faster; see :func:`pace.walk` and `Step`."""

    def _hidden(self):
        """Not shown."""


def walk(steps: list[Step], *, people: int = 1, rate: float | None = None, **more) -> float:
    """Walk on, as Lovelace (1843) did.

    Parameters
    ----------
    steps, people
        What is walked.
    rate
        Steps per second; None
        waits.

    Returns
    -------
    Metres, as long
    as it takes.

    Raises
    ------
    ValueError
        Nobody walks.

    Notes
    -----
    Slow (Lovelace 1843).

    Examples
    --------
    >>> walk([])
    0.0
    """


def _hidden():
    """Not shown."""
'''

BIBLIOGRAPHY = """\
@book{ada1843,
  author = {Lovelace, Ada},
  year   = {1843},
}
"""


@pytest.fixture
def page(tmp_path):
    from tools import api_reference

    package = tmp_path / "gait"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "pace.py").write_text(SOURCE, encoding="utf-8")
    (package / "_private.py").write_text("def f():\n    pass\n", encoding="utf-8")
    (tmp_path / "references.bib").write_text(BIBLIOGRAPHY, encoding="utf-8")
    assert api_reference.write(package, tmp_path / "api") == ["gait.pace"]
    assert sorted(path.name for path in (tmp_path / "api").iterdir()) == ["00_gait_pace.md", "api.md"]
    return (tmp_path / "api" / "00_gait_pace.md").read_text(encoding="utf-8")


def test_names_have_targets_and_private_ones_are_left_out(page):
    assert re.findall(r"^\((.+)\)=\n(#+ .+)", page, flags=re.MULTILINE) == [
        ("api-pace", "# gait.pace"),
        ("api-pace-step-class", "## Step"),
        ("api-pace-pace-class", "## Pace"),
        ("api-pace-walk", "## walk"),
    ]
    assert "idden" not in page


def test_a_signature_has_its_types_and_defaults(page):
    assert "    *,\n    people: int = 1,\n    rate: float | None = None,\n    **more,\n) -> float\n" in page


def test_fields_stand_as_in_the_source_with_their_remarks(page):
    assert "@dataclass\nclass Step:\n    length: float = 0.7  # metres\n    left: bool = False\n" in page
    assert "class Pace(NamedTuple):\n    steps: float\n" in page


def test_sections_become_definitions(page):
    assert (
        "**Parameters**\n\n`steps`, `people`\n: What is walked.\n\n`rate`\n: Steps per second; None\n  waits." in page
    )
    assert "**Returns**\n\nMetres, as long\nas it takes." in page
    assert "**Raises**\n\n`ValueError`\n: Nobody walks." in page
    assert "**Attributes**\n\n`steps`\n: Per minute." in page
    assert "```pycon\n>>> walk([])\n0.0\n```" in page


def test_names_are_linked_and_papers_cited(page):
    assert "as {cite:t}`ada1843` did" in page
    assert "Slow {cite:p}`ada1843`." in page
    assert "[`Step`](#api-pace-step-class)" in page
    assert "### `Pace.faster`" in page
    assert "Beside `measure`." in page


def test_every_public_function_of_lib_is_there_with_its_parameters(tmp_path):
    import lib.dtw
    from tools import api_reference

    modules = api_reference.write(ROOT / "lib", tmp_path)
    assert {"lib.clips", "lib.dtw", "lib.models.stgcn", "lib.plots"} <= set(modules)
    assert not any("._" in module for module in modules)
    (path,) = tmp_path.glob("*_lib_dtw.md")
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)", text, flags=re.MULTILINE) == lib.dtw.__all__
    for path in tmp_path.glob("*_lib*.md"):
        assert not re.search(r":(func|class|mod):", path.read_text(encoding="utf-8")), path.name
