"""environment.yml and the Makefile install what pyproject.toml declares, and declare nothing themselves."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def declared(project):
    """Distribution names of all requirements in pyproject.toml."""
    requirements = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        requirements += extra
    return [re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements]


def conda_requirements(environment):
    return [item for item in environment["dependencies"] if isinstance(item, str)]


def pip_lines(environment):
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    return pip


def test_python_of_the_environment_is_supported(project, environment):
    (python,) = [item for item in conda_requirements(environment) if item.startswith("python=")]
    oldest = re.fullmatch(r">=(\d+)\.(\d+)", project["project"]["requires-python"]).groups()
    assert tuple(map(int, python.partition("=")[2].split("."))) >= tuple(map(int, oldest))


def test_extras_of_the_environment_are_all_the_project_has(project, environment):
    (editable,) = [line for line in pip_lines(environment) if line.startswith("-e ")]
    extras = re.fullmatch(r"-e \.\[(.+)\]", editable)[1].split(",")
    assert sorted(extras) == sorted(project["project"]["optional-dependencies"])


def test_nothing_is_declared_twice(project, environment):
    names = declared(project)
    assert len(names) == len(set(names))
    others = {re.match(r"[\w-]+", item)[0].lower() for item in conda_requirements(environment)}
    assert others == {"python", "pip"}
    assert all(line.startswith("-") for line in pip_lines(environment)), "requirements belong to pyproject.toml"


def test_torch_comes_from_the_cpu_index_by_default(environment):
    (index,) = [line for line in pip_lines(environment) if line.startswith("--extra-index-url ")]
    assert index.endswith("/whl/cpu")
    default = re.search(r"^TORCH_INDEX \?= (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert default[1] == index.split()[1]


def test_the_makefile_takes_the_version_of_torch_from_pyproject(project):
    text = (ROOT / "Makefile").read_text()
    assert "torch==" not in text
    pattern = re.search(r"sed -n '(.*)' pyproject\.toml", text)[1].replace(r"\(", "(").replace(r"\)", ")")
    expression = re.fullmatch(r"s/(.*)/\\1/p", pattern)[1]
    found = re.findall(expression, (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert found == [item for item in project["project"]["optional-dependencies"]["nn"] if item.startswith("torch")]


def test_every_dependency_has_a_reason_in_contributing(project):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    reasons = set(re.findall(r"^\| `([\w.-]+)` \|", text, flags=re.MULTILINE))
    assert reasons == set(declared(project))
