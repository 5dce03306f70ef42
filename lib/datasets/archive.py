"""Bytes out of an archive as downloaded, or out of the folder it was unpacked to, believing nothing it says."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tqdm.auto import tqdm

from lib import paths

MAX_BYTES = 8_000_000  # per file; the largest genuine one has half a megabyte

_DAMAGE = (  # what zipfile lets through on damaged or encrypted archives
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


class DatasetError(ValueError):
    """A dataset that is missing, damaged or not what it claims to be; the message names file and field."""


def locate(
    archive: str, pattern: re.Pattern, root: str | Path | None, download: str, *, folder: str | None = None
) -> Path:
    """Zip file or folder that holds the files matching `pattern`.

    Looks for ``<root>/<archive>.zip``, ``<root>/<archive>/``, ``<root>/<folder>/`` (what is in the zip, where that has
    another name) and for such files in `root` itself.
    """
    root = paths.data(root)
    folders = [(root / name, "**/*") for name in (archive, folder) if name]
    for path, children in ((root / f"{archive}.zip", "*"), *folders, (root, "*")):
        if path.is_file() or (path.is_dir() and any(pattern.fullmatch(child.name) for child in path.glob(children))):
            return path
    raise DatasetError(
        f"{root}: found neither {archive}.zip nor a folder {archive}/ with its files; "
        f"download it from {download} and pass root= or set SKELETON_DATA to the folder that holds it"
    )


def members(path: Path, pattern: re.Pattern, *, progress: bool = True) -> Iterator[tuple[re.Match, bytes]]:
    """Yield the matching files of a zip or folder in name order, as (match of the bare file name, contents).

    Nothing is unpacked, so no member can leave its folder; a file over `MAX_BYTES` is refused before it is inflated,
    and a name that stands twice is refused.
    """
    files = _zip_files(path) if path.is_file() else _folder_files(path)
    found = []
    for name, read in sorted((name.rsplit("/", 1)[-1], read) for name, read in files):
        if match := pattern.fullmatch(name):
            found.append((match, read))
        elif path.is_file():
            read()  # a zip checks a name only on reading: damage must not turn a clip into some other file
    if not found:
        raise DatasetError(f"{path}: no file is named like {pattern.pattern}; is this the right archive?")
    for (first, _), (second, _) in pairwise(found):
        if first[0] == second[0]:
            raise DatasetError(f"{path}: {first[0]} stands in it more than once")
    for match, read in tqdm(found, desc=f"reading {path.name}", unit="file", disable=not progress, leave=False):
        yield match, read()


class _Reader:
    """Deferred read of one file; orders as equal so that sorting goes by name alone."""

    def __init__(self, source: zipfile.ZipFile | Path, info: zipfile.ZipInfo | None = None):
        self.source, self.info = source, info

    def __lt__(self, other: "_Reader") -> bool:
        return False

    def __call__(self) -> bytes:
        name = self.info.filename if self.info else self.source.name
        size = self.info.file_size if self.info else self.source.stat().st_size
        if size > MAX_BYTES:
            raise DatasetError(f"{name}: {size} bytes, needed at most {MAX_BYTES}")
        try:
            with self.source.open(self.info) if self.info else self.source.open("rb") as stream:
                contents = stream.read(MAX_BYTES + 1)  # the size in a zip's index may lie
        except _DAMAGE as error:
            raise DatasetError(f"{name}: cannot be read from its archive ({error}); download it again") from error
        if len(contents) > MAX_BYTES:
            raise DatasetError(f"{name}: more than {MAX_BYTES} bytes")
        return contents


def _zip_files(path: Path) -> list[tuple[str, _Reader]]:
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise DatasetError(f"{path}: not a readable zip archive ({error}); download it again") from error
    return [(info.filename, _Reader(archive, info)) for info in archive.infolist() if not info.is_dir()]


def _folder_files(path: Path) -> list[tuple[str, _Reader]]:
    inside = path.resolve()
    files = (file for file in path.rglob("*") if file.is_file() and file.resolve().is_relative_to(inside))
    return [(file.name, _Reader(file)) for file in files]
