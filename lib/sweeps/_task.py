"""What is to be run, wherever that will be."""

from pathlib import Path
from typing import NamedTuple


class Task(NamedTuple):
    """A page with the parameters given at one point of a grid."""

    page: Path
    given: dict[str, str]
    label: str  # the point, for people
    key: str  # the same for points that give the same run
