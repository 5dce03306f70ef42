"""Pages by name, and their parameters by type."""

import pytest

# Names


@pytest.mark.parametrize("name", ["07_probe", "07", "7", "07_pr", "07_probe.py", "07_probe.ipynb"])
def test_a_page_is_found_by_stem_number_start_or_file_name(write_page, name):
    from lib import pages

    page = write_page()
    assert pages.find(name) == page


def test_a_page_is_found_by_path_of_either_file(write_page, tmp_path):
    from lib import pages

    page = write_page()
    page.with_suffix(".ipynb").write_text("stale")
    elsewhere = tmp_path / "mine.py"
    elsewhere.write_text(page.read_text())
    assert pages.find(page.with_suffix(".ipynb")) == page
    assert pages.find(elsewhere) == elsewhere


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("07_prope", r"no page matches '07_prope'; did you mean '07_probe'\?\npages: 07_probe, 08_other, 08_twin"),
        ("08", "pages 08_other, 08_twin match '08'"),
        ("", "pages 07_probe, 08_other, 08_twin match ''"),
        ("nowhere/99.py", "no page matches '99'"),
    ],
)
def test_an_unknown_or_ambiguous_page_is_refused(write_page, name, message):
    from lib import pages

    for stem in ("07_probe", "08_other", "08_twin"):
        write_page(stem=stem)
    with pytest.raises(pages.PageError, match=message):
        pages.find(name)


# Parameters


def test_parameters_have_type_default_and_help(write_page):
    from lib import pages

    known = pages.parameters(write_page())
    assert known["rate"] == ("rate", "float", "0.5", "share of the whole")
    assert known["band"] == ("band", "int | None", "None", "no band when None")
    assert {name: parameter.value for name, parameter in known.items()} == {
        "count": 2,
        "rate": 0.5,
        "band": None,
        "layers": [1, 2],
        "name": "a b",
        "flag": True,
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "7", 7),
        ("count", "-7", -7),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("band", "none", None),
        ("band", "4", 4),
        ("layers", "3,4", [3, 4]),
        ("layers", "[3]", [3]),
        ("layers", "", []),
        ("name", "7", "7"),
        ("name", "it's", "it's"),
        ("flag", "false", False),
        ("flag", "Yes", True),
    ],
)
def test_a_value_takes_the_type_of_its_parameter(write_page, name, text, value):
    from lib import pages

    found = pages.resolve(write_page(), {name: text})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("count", "7.5", r"07_probe: parameter 'count' needs int, not '7.5' \(how many\)"),
        ("rate", "fast", "needs float, not 'fast'"),
        ("band", "wide", r"needs int \| None, not 'wide'"),
        ("layers", "1,b", r"needs list\[int\], not '1,b'"),
        ("flag", "2", "needs bool, not '2'"),
        ("widht", "7", r"07_probe has no parameter 'widht'\n  count   int "),
        ("cuont", "7", r"no parameter 'cuont'; did you mean 'count'\?\n  count   int         2       how many\n"),
    ],
)
def test_a_wrong_name_or_value_is_refused_before_anything_is_written(write_page, tmp_path, name, text, message):
    from lib import pages, runs

    page = write_page()
    with pytest.raises(pages.PageError, match=message):
        runs.run(page, {name: text})
    assert not (tmp_path / "build").exists()


def test_an_unannotated_parameter_takes_the_type_of_its_default(write_page):
    from lib import pages

    page = write_page('# %% tags=["parameters"]\nrate = 0.5\n')
    assert pages.resolve(page, {"rate": "2"}) == {"rate": 2.0}
    with pytest.raises(pages.PageError, match="needs float, not 'x'"):
        pages.resolve(page, {"rate": "x"})


def test_an_unannotated_expression_leaves_the_type_open(write_page):
    from lib import pages

    page = write_page('# %% tags=["parameters"]\ncount = 2 * 3  # how many\n')
    assert pages.resolve(page, {"count": "5"}) == {"count": 5}
    assert pages.resolve(page, {"count": "five"}) == {"count": "five"}


def test_pages_are_listed_with_their_parameters(write_page, capsys):
    from lib.__main__ import main

    write_page()
    assert main(["pages"]) == 0
    assert "07_probe\n  count   int         2       how many\n" in capsys.readouterr().out
