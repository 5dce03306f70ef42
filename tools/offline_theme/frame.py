"""What stands around a page: contents with parts, headings of the page, previous and next."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.offline_theme.prose import text

LONG_PART = 12  # from here on a part stays folded until one of its pages is open


@dataclass
class Entry:
    """One line of the contents; a part need not be a page."""

    title: str
    slug: str | None
    parts: list["Entry"] = field(default_factory=list)

    def holds(self, slug: str) -> bool:
        """Whether the page is this one or below it."""
        return self.slug == slug or any(part.holds(slug) for part in self.parts)

    def is_open(self, slug: str) -> bool:
        """Whether what is below is shown on the page `slug`."""
        return len(self.parts) < LONG_PART or self.holds(slug)


def contents(project: dict) -> list[Entry]:
    """Nest MyST's flat list of pages by its levels."""
    top = Entry("", None)
    way = [top]  # way[k] is the last entry of level k
    for page in project["pages"]:
        entry = Entry(page.get("short_title") or page["title"], page.get("slug"))
        del way[page["level"] :]
        way[-1].parts.append(entry)
        way.append(entry)
    return top.parts


def order(project: dict) -> list[tuple[str, str]]:
    """Slugs and titles in reading order."""
    pages = [(page["slug"], page["title"]) for page in project["pages"] if page.get("slug")]
    return [("index", project["title"]), *pages]


def neighbours(pages: Sequence[tuple[str, str]], slug: str) -> tuple[tuple | None, tuple | None]:
    """Pages before and after."""
    here = [name for name, _ in pages].index(slug)
    return pages[here - 1] if here else None, pages[here + 1] if here + 1 < len(pages) else None


def headings(tree: dict) -> list[tuple[int, str, str]]:
    """Depth, anchor and words of the headings of a page, for the list beside it."""
    found = []
    for node in tree.get("children", ()):
        if node["type"] == "heading" and node["depth"] <= 3 and node.get("html_id"):
            found.append((node["depth"], node["html_id"], text(node)))
        elif node["type"] in ("root", "block"):
            found += headings(node)
    return found
