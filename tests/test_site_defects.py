"""What is wrong with a page fails the build, also what MyST alone would let pass."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def build(tmp_path):
    """Build a book of one page, under the settings of this one."""
    from tools import site

    settings = yaml.safe_load((ROOT / "myst.yml").read_text())
    settings["project"]["toc"] = [{"file": "index.md"}]
    (tmp_path / "myst.yml").write_text(yaml.safe_dump(settings))
    (tmp_path / "references.bib").write_text((ROOT / "references.bib").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").touch()

    def build(text):
        (tmp_path / "index.md").write_text(f"# Page\n\n{text}\n", encoding="utf-8")
        site.build("offline", tmp_path)
        return (tmp_path / "_build" / "html" / "index.html").read_text(encoding="utf-8")

    return build


def test_a_sound_page_is_built_and_the_cache_of_themes_left_empty(build, tmp_path):
    html = build("See {cite:t}`yan2018` and $x^2$.")
    assert '<a class="reference" href="#cite-yan2018">Yan <em>et al.</em> (2018)</a>' in html
    assert "<math" in html
    assert not (tmp_path / "_build" / "templates" / "site" / "myst" / "book-theme").exists()


# Together, because each build takes a second or more. The first two sets stand apart: MyST alone exits with 0 for them.
DEFECTS = [
    {"directive": "```{gone-directive}\n```", "role": "{gone-role}`x`"},
    {"link": "[words](gone-link.ipynb)"},
    {
        "reference": "See [](#gone-reference).",
        "citation": "As {cite:t}`gone1900` says.",
        "image": "![](gone-image.png)",
        "formula": "$\\gonecommand{x}$",
        "label": "(gone-twice)=\n## One\n\n(gone-twice)=\n## Two",
    },
]


@pytest.mark.parametrize("defects", DEFECTS, ids=" ".join)
def test_defects_fail_the_build_and_are_named(build, defects):
    with pytest.raises((RuntimeError, ValueError)) as raised:
        build("\n\n".join(defects.values()))
    for text in defects.values():
        assert re.search(r"gone[\w-]*", text)[0] in str(raised.value)
