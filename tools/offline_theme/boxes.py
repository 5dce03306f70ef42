"""Nodes of MyST's tree as HTML: what is set apart from the text. Figures, tables, admonitions, exercises, cards."""

from html import escape

from tools.offline_theme.prose import children, html, writes

TITLES = {"admonitionTitle", "summary"}


@writes("container")
def _container(node, page):
    page.picture = f"{node['kind'].capitalize()} {node.get('enumerator', '')}, described by its caption"
    inside = children(node, page)
    if source := node.get("source"):
        inside += (
            f'<p class="source">From <a href="{escape(page.href(source["url"]))}">{escape(source["title"])}</a></p>'
        )
    page.picture = ""
    return f'<figure class="{escape(node["kind"])}"{page.anchor(node)}>{inside}</figure>'


@writes("captionNumber")
def _caption_number(node, page):
    return f'<span class="number">{children(node, page)}</span> '


@writes("image")
def _image(node, page):
    alt = node.get("alt") or page.picture
    width = f' style="width:{escape(node["width"])}"' if node.get("width") else ""
    return f'<img src="{escape(page.href(node["url"]))}" alt="{escape(alt)}"{width}>'


@writes("table")
def _table(node, page):
    rows = node["children"]
    top = 0
    while top < len(rows) and all(cell.get("header") for cell in rows[top]["children"]):
        top += 1
    head, body = ("".join(html(row, page) for row in part) for part in (rows[:top], rows[top:]))
    head = f"<thead>{head}</thead>" if head else ""
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


@writes("tableRow")
def _row(node, page):
    return f"<tr>{children(node, page)}</tr>"


@writes("tableCell")
def _cell(node, page):
    tag = "th" if node.get("header") else "td"
    side = f' style="text-align:{escape(node["align"])}"' if node.get("align") else ""
    span = "".join(f' {name}="{node[name]}"' for name in ("colspan", "rowspan") if node.get(name))
    return f"<{tag}{side}{span}>{children(node, page)}</{tag}>"


# Boxes


@writes("admonition", "exercise", "solution", "proof", "details")
def _box(node, page):
    """Draw a box with a title, folded where the page says so."""
    kind = node["type"]
    given = [child for child in node["children"] if child["type"] in TITLES]
    inside = "".join(html(child, page) for child in node["children"] if child not in given)
    title = "".join(children(child, page) for child in given)
    if kind in ("exercise", "proof"):
        name = node.get("kind", kind).capitalize() + (f" {node['enumerator']}" if node.get("enumerator") else "")
        title = f"{name}: {title}" if title else name
    look = escape(f"box {kind} {node.get('kind', '')}".strip())
    if kind == "details" or "dropdown" in node.get("class", "").split():
        return f'<details class="{look}"{page.anchor(node)}><summary>{title}</summary>{inside}</details>'
    return f'<aside class="{look}"{page.anchor(node)}><p class="title">{title}</p>{inside}</aside>'


@writes("grid")
def _grid(node, page):
    return f'<div class="grid" style="--columns:{int(node["columns"][-1])}">{children(node, page)}</div>'


@writes("card")
def _card(node, page):
    title = "".join(html(child, page) for child in node["children"] if child["type"] == "cardTitle")
    inside = "".join(html(child, page) for child in node["children"] if child["type"] != "cardTitle")
    if node.get("url"):
        title = f'<a href="{escape(page.href(node["url"]))}">{title}</a>'
    return f'<section class="card"><p class="title">{title}</p>{inside}</section>'


@writes("div")
def _division(node, page):
    return f'<div class="{escape(node.get("class", ""))}">{children(node, page)}</div>'
