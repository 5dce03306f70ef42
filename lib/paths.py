"""Folder roots of the book, each overridable by an environment variable."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
RESULTS = ROOT / "data" / "results"
PUBLISHED = ROOT / "data" / "published.csv"  # numbers of other people's papers, each with its source


def build() -> Path:
    """Folder of executed pages, figures and checkpoints (``LAYERS_BUILD``, default ``build/``)."""
    return Path(os.environ.get("LAYERS_BUILD", ROOT / "build"))


def data(root: str | Path | None = None) -> Path:
    """Folder of downloaded datasets: `root` if given, else ``SKELETON_DATA``, else ``data/raw/``."""
    return Path(root or os.environ.get("SKELETON_DATA") or ROOT / "data" / "raw")


def publish(partial: Path, folder: Path) -> None:
    """Give a finished temporary folder its name; mkdtemp's are for one user only, this one is as any other."""
    umask = os.umask(0)
    os.umask(umask)
    partial.chmod(0o777 & ~umask)
    partial.rename(folder)
