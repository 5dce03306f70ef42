import pytest


@pytest.fixture
def readme():
    from tools import readme

    return readme


def test_table_and_figure_are_those_of_the_rows(readme, capsys):
    assert readme.main(["--check"]) == 0, f"run `python -m tools.readme`: {capsys.readouterr().out}"


def test_a_change_of_rows_is_noticed_and_written_once(readme, capsys, tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text(f"# Title\n{readme.BEGIN}\nold\n{readme.END}\nrest\n", encoding="utf-8")
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(readme, "FIGURE", tmp_path / "layers.png")
    monkeypatch.setattr(readme.paths, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "table", lambda: "| new |")
    assert readme.main(["--check"]) == 1
    assert "README.md: out of date" in capsys.readouterr().out
    assert "old" in page.read_text(encoding="utf-8")
    assert readme.main([]) == 0
    assert page.read_text(encoding="utf-8") == f"# Title\n{readme.BEGIN}\n| new |\n{readme.END}\nrest\n"
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert readme.main(["--check"]) == 0


def test_marks_must_be_there(readme, tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text("# Title\n", encoding="utf-8")
    monkeypatch.setattr(readme, "README", page)
    with pytest.raises(ValueError, match=r"README.md: needs a line '<!-- results"):
        readme.text()
