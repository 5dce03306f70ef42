"""One page while it is rendered: where its links lead, which anchors it has, what it cites."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from html import escape
from pathlib import Path


class BrokenLinkError(ValueError):
    """A link that leads to no page and no file of the site."""


@dataclass
class Document:
    """What nodes need to know of the page they stand on.

    Links are relative, so that the site works below any address and straight from a disk.
    """

    slug: str
    slugs: Set[str]  # of all pages
    public: Path  # files that MyST has collected for the site
    citations: Mapping[str, str]  # key -> entry of the reference list, as HTML
    has_katex: bool = False  # whether the site carries KaTeX's style sheet and fonts
    anchors: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)  # of `public`, that the page shows or links
    lists_references: bool = False  # where the author wants them, rather than at the end
    picture: str = ""  # text for readers who do not see the picture that is being rendered

    @property
    def root(self) -> str:
        """Way from this page to the top folder."""
        return "" if self.slug == "index" else "../"

    def page(self, slug: str) -> str:
        """Address of another page."""
        if slug in ("", "index"):
            return f"{self.root}index.html"
        if slug not in self.slugs:
            raise BrokenLinkError(f"{self.slug}: no page {slug!r}; put it into myst.yml or mend the link")
        return f"{self.root}{slug}/index.html"

    def href(self, url: str, anchor: str | None = None) -> str:
        """Address for a `url` of MyST's: ``/slug``, ``/file``, ``#anchor`` or one outside the site."""
        if re.match(r"[a-z]+:", url):
            return url
        url, _, fragment = url.partition("#")
        fragment = f"#{anchor or fragment}" if anchor or fragment else ""
        name = url.strip("/")
        if url and name and (self.public / name).is_file():
            self.files.add(name)
            return f"{self.root}files/{name}{fragment}"
        if not url and fragment:
            return fragment
        return self.page(name) + fragment

    def anchor(self, node: Mapping) -> str:
        """`` id="..."`` for a node with a name; MyST names a figure's cell like the figure, the outer one wins."""
        name = node.get("html_id")
        if not name or name in self.anchors:
            return ""
        self.anchors.add(name)
        return f' id="{escape(name)}"'

    def read(self, item: Mapping) -> str:
        """Text of a cell's output: in the tree itself, or in a file where it is long."""
        if "path" not in item:
            return item["content"]
        return (self.public / item["path"].strip("/")).read_text(encoding="utf-8")
