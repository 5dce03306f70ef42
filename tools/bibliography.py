"""``references.bib``: who wrote what when, as far as citations in prose need it."""

import re
from pathlib import Path
from typing import NamedTuple


class Work(NamedTuple):
    """An entry, without what only a reader of the reference list needs."""

    surnames: tuple[str, ...]
    year: int


def load(path: Path) -> dict[str, Work]:
    """Read the entries of a BibTeX file whose fields stand one per line, as ours do."""
    works = {}
    for entry in re.split(r"^@", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        key = re.match(r"\w+\{([^,\s]+),", entry)[1]
        authors = re.search(r"^\s*author\s*=\s*\{(.+)\},?$", entry, flags=re.MULTILINE)[1]
        year = re.search(r"^\s*year\s*=\s*\{(\d{4})\}", entry, flags=re.MULTILINE)[1]
        surnames = tuple(name.partition(",")[0].strip("{} ") for name in authors.split(" and "))
        works[key] = Work(surnames, int(year))
    return works


def citation_pattern(work: Work) -> str:
    """Pattern of the ways in which prose names a work.

    ``Yan et al. 2018``, ``Wang et al., CVPR 2014``, ``Sakoe & Chiba (1978)``, ``Yan, Xiong, Lin; AAAI 2018``.
    """
    first, *others = map(re.escape, work.surnames)
    names = "|".join([*others, "et al", "and", "&"])
    rest = rf"(?:[,;.]?\s+(?:{names})\b(?:'s)?|\s+&)*" if others else ""
    return rf"\b{first}(?:'s)?{rest}[.,;]*\s+(?:[A-Z]+\s+)?\(?{work.year}\)?(?![\d-])"
