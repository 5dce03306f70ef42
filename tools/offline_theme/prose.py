"""Nodes of MyST's tree as HTML: how any node finds its writer; text, formulas and references."""

import re
from collections.abc import Callable, Mapping
from html import escape

from tools.offline_theme.document import Document

Node = Mapping
WRITERS: dict[str, Callable[[Node, Document], str]] = {}

# Nodes that are one element around their children.
ELEMENTS = {
    "paragraph": "p",
    "strong": "strong",
    "emphasis": "em",
    "delete": "del",
    "underline": "u",
    "subscript": "sub",
    "superscript": "sup",
    "keyboard": "kbd",
    "blockquote": "blockquote",
    "definitionList": "dl",
    "definitionTerm": "dt",
    "definitionDescription": "dd",
    "caption": "figcaption",
    "legend": "div",
    "summary": "summary",
    "listItem": "li",
}
TRANSPARENT = {"root", "glossary", "include", "embed", "cardTitle", "span"}


class UnknownNodeError(ValueError):
    """A kind of node that the offline theme cannot show yet."""


class BadFormulaError(ValueError):
    """A formula that KaTeX does not understand."""


def writes(*kinds: str):
    """Register a function as the writer of nodes of these kinds."""

    def register(function):
        WRITERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def html(node: Node, page: Document) -> str:
    """Render a node and all below it."""
    kind = node["type"]
    if kind in WRITERS:
        return WRITERS[kind](node, page)
    if kind in ELEMENTS:
        return f"<{ELEMENTS[kind]}{page.anchor(node)}>{children(node, page)}</{ELEMENTS[kind]}>"
    if kind in TRANSPARENT:
        return children(node, page)
    raise UnknownNodeError(f"{page.slug}: the offline theme has no writer for {kind!r} (tools/offline_theme/prose.py)")


def children(node: Node, page: Document) -> str:
    """Render what is below a node."""
    return "".join(html(child, page) for child in node.get("children", ()))


def text(node: Node) -> str:
    """Words of a node, without markup."""
    return node.get("value", "") + "".join(text(child) for child in node.get("children", ()))


# Text


@writes("text")
def _text(node, page):
    return escape(node["value"], quote=False)


@writes("inlineCode")
def _inline_code(node, page):
    return f"<code>{escape(node['value'], quote=False)}</code>"


@writes("break")
def _break(node, page):
    return "<br>"


@writes("thematicBreak")
def _rule(node, page):
    return "<hr>"


@writes("comment", "mystTarget")
def _nothing(node, page):
    return ""


@writes("html")
def _raw(node, page):
    return node["value"]


@writes("abbreviation")
def _abbreviation(node, page):
    return f'<abbr title="{escape(node["title"])}">{children(node, page)}</abbr>'


@writes("heading")
def _heading(node, page):
    tag = f"h{node['depth']}"
    name = node.get("html_id")
    mark = f' <a class="here" href="#{escape(name)}" aria-label="link to this section">#</a>' if name else ""
    return f"<{tag}{page.anchor(node)}>{children(node, page)}{mark}</{tag}>"


@writes("list")
def _list(node, page):
    tag = "ol" if node.get("ordered") else "ul"
    start = f' start="{node["start"]}"' if node.get("start", 1) not in (1, None) else ""
    return f"<{tag}{start}>{children(node, page)}</{tag}>"


@writes("inlineMath", "math")
def _math(node, page):
    """Formulas as MyST has set them, in KaTeX's markup with MathML inside; the latter alone where KaTeX is missing."""
    found = re.search(r"<math.*</math>", node.get("html", ""), flags=re.DOTALL)
    if not found or "katex-error" in node["html"]:
        raise BadFormulaError(f"{page.slug}: formula cannot be set: {node['value']}")
    formula = node["html"] if page.has_katex else found[0]
    if node["type"] == "inlineMath":
        return formula
    number = f'<span class="number">({node["enumerator"]})</span>' if node.get("enumerator") else ""
    return f'<div class="equation"{page.anchor(node)}><div class="scroll">{formula}</div>{number}</div>'


# References


@writes("link")
def _link(node, page):
    return f'<a href="{escape(page.href(node["url"], node.get("html_id")))}">{children(node, page)}</a>'


@writes("crossReference")
def _cross_reference(node, page):
    target = page.href(node.get("url", ""), node["html_id"])
    return f'<a class="reference" href="{escape(target)}">{children(node, page)}</a>'


@writes("citeGroup")
def _citations(node, page):
    if node["kind"] == "narrative":
        return ", ".join(html(child, page) for child in node["children"])
    return "(" + "; ".join(html(child, page) for child in node["children"]) + ")"


@writes("cite")
def _citation(node, page):
    return f'<a class="reference" href="#cite-{escape(node["label"])}">{children(node, page)}</a>'


@writes("bibliography")
def references(node, page):
    """Works that the page cites, by name."""
    page.lists_references = True
    if not page.citations:
        return ""
    entries = sorted(page.citations.items(), key=lambda entry: re.sub(r"<[^>]+>", "", entry[1]).casefold())
    return (
        '<section class="references" aria-label="References">\n'
        + "\n".join(f'<p id="cite-{escape(key)}">{entry}</p>' for key, entry in entries)
        + "\n</section>"
    )


@writes("footnoteReference")
def _footnote_reference(node, page):
    name = escape(node["identifier"])
    return f'<sup><a href="#footnote-{name}" id="from-footnote-{name}">{node["enumerator"]}</a></sup>'


@writes("footnoteDefinition")
def _footnote(node, page):
    name = escape(node["identifier"])
    back = f'<a href="#from-footnote-{name}">{node["enumerator"]}</a>'
    return f'<aside class="footnote" id="footnote-{name}"><sup>{back}</sup>{children(node, page)}</aside>'
