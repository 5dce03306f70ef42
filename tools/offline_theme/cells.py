"""Cells of notebooks as HTML: code in colours, outputs as rich as a browser can show them."""

import re
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES

from tools.offline_theme.prose import children, html, writes

LIGHT, DARK = "xcode", "github-dark"  # legible on the theme's backgrounds; tests measure the contrast
PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
ANSI_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@writes("block")
def _block(node, page):
    inside = _unless_hidden(node, children(node, page))
    if not inside:
        return ""
    return f'<div class="block {escape(node.get("kind", ""))}"{page.anchor(node)}>{inside}</div>\n'


@writes("code")
def _code(node, page):
    lexer = get_lexer_by_name(node.get("lang") or "text", stripnl=False)
    coloured = highlight(node["value"], lexer, HtmlFormatter(nowrap=True)).rstrip("\n")
    # A block that scrolls must be reachable by keyboard.
    return _unless_hidden(node, f'<pre class="code"{page.anchor(node)} tabindex="0"><code>{coloured}</code></pre>')


@writes("outputs")
def _outputs(node, page):
    inside = "".join(html(child, page) for child in node["children"])
    return _unless_hidden(node, f'<div class="outputs"{page.anchor(node)}>{inside}</div>') if inside else ""


@writes("output")
def _output(node, page):
    output = node["jupyter_data"]
    kind = output["output_type"]
    if kind == "stream":
        shown = page.read({"content": output["text"], **output})
        return _printed(shown, f"stream {output['name']}")
    if kind == "error":
        return _printed("\n".join(output["traceback"]), "stream stderr")
    data = output["data"]
    if "text/html" in data:
        return f'<div class="rich scroll">{page.read(data["text/html"])}</div>'
    for mime in PICTURES:
        if mime in data:
            source = escape(page.href(data[mime]["path"]))
            picture = f'<img src="{source}" alt="{escape(page.picture or "output of the cell")}">'
            return f'<div class="scroll"><a href="{source}">{picture}</a></div>'
    return _printed(page.read(data["text/plain"]), "value")


def _printed(shown: str, kind: str) -> str:
    return f'<pre class="{escape(kind)}" tabindex="0">{escape(ANSI_COLOURS.sub("", shown), quote=False)}</pre>'


def _unless_hidden(node, inside: str) -> str:
    """Follow the tags ``hide-*`` and ``remove-*`` of a cell."""
    if node.get("visibility") == "remove":
        return ""
    if node.get("visibility") == "hide" and inside:
        name = {"outputs": "output", "code": "code"}.get(node["type"], "cell")
        return f'<details class="box"><summary>Show the {name}</summary>{inside}</details>'
    return inside


def colours() -> str:
    """Style sheet of code in both schemes: one rule per kind of token, the browser picks the side."""
    light, dark = (dict(get_style_by_name(name)) for name in (LIGHT, DARK))
    rules = []
    for token, short in STANDARD_TYPES.items():
        if not short:
            continue
        sides = [f"#{style[token]['color']}" if style[token]["color"] else "currentColor" for style in (light, dark)]
        weight = ";font-weight:600" if light[token]["bold"] else ""
        rules.append(f".code .{short}{{color:light-dark({sides[0]},{sides[1]}){weight}}}")
    return "\n".join(rules)
