"""What is published: never the offline theme, never a build that complained, and one version in every file."""

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def workflow():
    return yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text())


@pytest.fixture(scope="module")
def steps(workflow):
    return workflow["jobs"]["build"]["steps"]


def commands(steps):
    return [step["run"] for step in steps if "run" in step]


def test_only_a_job_that_runs_no_code_of_the_project_may_publish(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["build"]
    publish = workflow["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert not commands(publish["steps"])
    assert all(step["uses"].startswith("actions/") for step in publish["steps"])


def test_the_workflow_asks_for_the_book_theme(steps):
    assert 'make site ARGS="--theme book"' in commands(steps)


def test_the_workflow_looks_at_the_pages_before_it_uploads_them(steps):
    names = [step.get("name") or step.get("uses", "").partition("@")[0] for step in steps]
    assert names.index("Refuse the offline theme") < names.index("actions/upload-pages-artifact")


@pytest.mark.parametrize("offline", [True, False])
def test_the_workflow_stops_at_a_page_of_the_offline_theme(steps, tmp_path, offline):
    from tools import offline_theme

    page = tmp_path / "_build" / "html" / "index.html"
    page.parent.mkdir(parents=True)
    generator = offline_theme.GENERATOR if offline else "MyST"
    page.write_text(f'<meta name="generator" content="{generator}">')
    guard = next(step["run"] for step in steps if step.get("name") == "Refuse the offline theme")
    assert subprocess.run(["bash", "-e", "-c", guard], cwd=tmp_path, check=False).returncode == int(offline)


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Folder of a book for which the test says what MyST prints, how it ends, and which theme made its pages."""
    from tools import site

    monkeypatch.setattr(site.api_reference, "write", lambda package, folder: [])

    def myst(prints, *, code=0, generator="MyST"):
        def run(command, *, cwd, **options):
            assert command[:3] == ["jupyter-book", "build", "--html"]
            (cwd / "_build" / "html").mkdir(parents=True, exist_ok=True)
            (cwd / "_build" / "html" / "index.html").write_text(f'<meta name="generator" content="{generator}">')
            return subprocess.CompletedProcess(command, code, stdout=prints)

        monkeypatch.setattr(site.subprocess, "run", run)
        return tmp_path

    return myst


@pytest.mark.parametrize("prints", ["⚠️ notebooks/05.ipynb unknown key", "📖 Built\n⛔ unknown directive"])
def test_a_warning_of_myst_fails_the_build(book, prints):
    from tools import site

    with pytest.raises(site.SiteError, match=prints.splitlines()[-1]):
        site.build("book", book(prints))


def test_a_build_that_fails_shows_what_myst_said(book):
    from tools import site

    with pytest.raises(site.SiteError, match="no such file"):
        site.build("book", book("no such file", code=1))


def test_the_book_theme_is_not_taken_for_granted(book):
    from tools import offline_theme, site

    assert site.build("book", book("📖 Built")) == "book"
    with pytest.raises(site.SiteError, match="pages are of the offline theme"):
        site.build("book", book("📖 Built", generator=offline_theme.GENERATOR))


UNREACHED = "request to https://example.org/book-theme failed, reason: getaddrinfo ENOTFOUND"


def test_the_book_theme_is_taken_where_it_can_be_had(book, monkeypatch):
    from tools import site

    monkeypatch.setattr(site, "_build_with_offline_theme", lambda root, output: None)
    assert site.build("auto", book("📖 Built")) == "book"
    assert site.build("auto", book(UNREACHED, code=1)) == "offline"
    with pytest.raises(site.NoThemeError, match="ENOTFOUND"):
        site.build("book", book(UNREACHED, code=1))


def test_a_defect_is_not_taken_for_a_missing_theme(book):
    from tools import site

    with pytest.raises(site.SiteError, match="no such figure"):
        site.build("auto", book("⛔ no such figure", code=1))


def test_every_file_names_the_same_version_and_title():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    book = yaml.safe_load((ROOT / "myst.yml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == project["version"]
    assert citation["title"] == f"{book['title']}: {book['description'][0].lower()}{book['description'][1:]}"
    assert project["description"] == book["description"]
    assert project["license"] == citation["license"] == book["license"]
    for name in ("README.md", "reference/cite.md"):
        text = (ROOT / name).read_text()
        assert f"version = {{{project['version']}}}" in text, name
        assert f"title   = {{{citation['title']}}}" in text, name
