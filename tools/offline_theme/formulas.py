"""KaTeX's style sheet and fonts, for formulas that MyST has set already.

They come from the npm registry once and stay in ``_build``. Where that cannot be reached, the MathML beside each
formula is shown instead, which needs nothing, but looks only as good as the mathematical fonts of the reader.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

VERSION = "0.15.6"  # the one inside jupyter-book, whose markup the sheet must fit
SHEET = "package/dist/katex.min.css"
FONTS = "package/dist/fonts/"


def fetch(cache: Path) -> Path | None:
    """Return a folder with ``katex.min.css`` and ``fonts``, downloaded into `cache` if need be, or None."""
    folder = cache / f"katex-{VERSION}"
    if folder.is_dir():
        return folder
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        command = ["npm", "pack", "--silent", f"katex@{VERSION}"]
        try:
            subprocess.run(
                command, cwd=scratch, env=os.environ | {"PATH": path}, check=True, capture_output=True, timeout=60
            )
        except (OSError, subprocess.SubprocessError):
            return None
        parts = Path(scratch) / "parts"
        with tarfile.open(Path(scratch) / f"katex-{VERSION}.tgz") as archive:
            wanted = [m for m in archive if m.name == SHEET or (m.name.startswith(FONTS) and m.name.endswith(".woff2"))]
            for member in wanted:
                inside = PurePosixPath(member.name.removeprefix("package/dist/"))
                place = parts / ("fonts" if inside.suffix == ".woff2" else "") / inside.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive.extractfile(member).read())
        parts.rename(folder)
    return folder
