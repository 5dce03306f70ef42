"""The offline theme, node by node: what MyST's trees become, and what is refused."""

import pytest


@pytest.fixture
def document(tmp_path):
    from tools.offline_theme.document import Document

    public = tmp_path / "public"
    public.mkdir()
    (public / "a.png").write_bytes(b"png")
    (public / "long.html").write_text("<b>long</b>", encoding="utf-8")
    return Document("page", {"index", "page", "other"}, public, {"ada1843": "Lovelace, A. (1843). <i>Notes</i>."})


@pytest.fixture
def html(document):
    """Render a node on a page called ``page``."""
    from tools.offline_theme import prose, site  # noqa: F401 (site knows all writers)

    return lambda node: prose.html(node, document)


def words(value="words"):
    return {"type": "text", "value": value}


def node(of, *children, **fields):
    return {"type": of, "children": list(children), **fields}


def output(**data):
    return {"type": "output", "jupyter_data": {"output_type": "execute_result", "data": data}}


def stored(content, **more):
    return {"content": content, **more}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (words("a < b & c"), "a &lt; b &amp; c"),
        (node("paragraph", node("strong", words())), "<p><strong>words</strong></p>"),
        ({"type": "inlineCode", "value": "x[0] < 1"}, "<code>x[0] &lt; 1</code>"),
        (node("link", words(), url="https://example.org/?a=1&b=2"), 'href="https://example.org/?a=1&amp;b=2"'),
        (node("link", words(), url="/other"), 'href="../other/index.html"'),
        (node("link", words(), url="/other", html_id="part"), 'href="../other/index.html#part"'),
        (node("link", words(), url="/"), 'href="../index.html"'),
        (node("link", words(), url="/a.png"), 'href="../files/a.png"'),
        (node("crossReference", words(), html_id="fig-x"), 'href="#fig-x"'),
        (node("crossReference", words(), html_id="fig-x", url="/other"), 'href="../other/index.html#fig-x"'),
        (node("list", node("listItem", words()), ordered=True, start=3), '<ol start="3"><li>words</li></ol>'),
        (node("image", url="/a.png", alt='a "b"'), '<img src="../files/a.png" alt="a &quot;b&quot;">'),
        (node("exercise", words(), enumerator="2", html_id="ex"), '<p class="title">Exercise 2</p>words'),
        (node("admonition", node("admonitionTitle", words("T")), kind="note"), '<p class="title">T</p>'),
        (
            node("admonition", node("admonitionTitle", words("T")), words(), kind="tip", **{"class": "dropdown"}),
            "<summary>T</summary>words</details>",
        ),
        (node("card", node("cardTitle", words("T")), url="/other"), '<a href="../other/index.html">T</a>'),
        (node("citeGroup", node("cite", words(), label="ada1843"), kind="parenthetical"), "(<a "),
        (node("cite", words(), label="ada1843"), 'href="#cite-ada1843"'),
        ({"type": "bibliography"}, '<p id="cite-ada1843">Lovelace, A. (1843). <i>Notes</i>.</p>'),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_node_becomes_html(html, given, expected):
    assert expected in html(given)


def test_a_table_has_its_header_rows_apart(html):
    def row(*texts, header=False):
        return node("tableRow", *(node("tableCell", words(text), header=header) for text in texts))

    shown = html(node("table", row("a", "b", header=True), row("1", "2")))
    assert "<thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody>" in shown


@pytest.mark.parametrize("url", ["/gone", "/gone.png", "gone"])
def test_a_link_to_nothing_is_refused(html, url):
    from tools.offline_theme.document import BrokenLinkError

    with pytest.raises(BrokenLinkError, match=r"page: no page 'gone"):
        html(node("link", words(), url=url))


def test_a_node_that_is_not_known_is_refused(html):
    from tools.offline_theme.prose import UnknownNodeError

    with pytest.raises(UnknownNodeError, match="page: the offline theme has no writer for 'mermaid'"):
        html(node("paragraph", {"type": "mermaid", "value": "graph"}))


def test_an_anchor_is_given_once(html):
    inner = node("container", kind="figure", html_id="fig-x")
    assert html(node("block", inner, html_id="fig-x")).count('id="fig-x"') == 1


# Formulas

MATHML = "<math><mi>x</mi></math>"
SET = f'<span class="katex"><span class="katex-mathml">{MATHML}</span><span class="katex-html">x</span></span>'


def test_a_formula_is_katex_where_the_site_has_it_and_mathml_elsewhere(html, document):
    formula = {"type": "math", "value": "x", "html": SET, "enumerator": "4", "html_id": "eq-x"}
    assert f'<div class="scroll">{MATHML}</div><span class="number">(4)</span>' in html(formula)
    document.has_katex = True
    assert f'<div class="scroll">{SET}</div>' in html(formula)


@pytest.mark.parametrize("broken", [{}, {"html": '<span class="katex-error">\\x</span>'}])
def test_a_formula_that_cannot_be_set_is_refused(html, broken):
    from tools.offline_theme.prose import BadFormulaError

    with pytest.raises(BadFormulaError, match=r"page: formula cannot be set: \\x"):
        html({"type": "inlineMath", "value": r"\x", **broken})


def test_katex_that_cannot_be_fetched_is_done_without(tmp_path, monkeypatch):
    from tools.offline_theme import formulas

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(formulas.sys, "executable", str(tmp_path / "python"))
    assert formulas.fetch(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f"katex-{formulas.VERSION}").mkdir()
    assert formulas.fetch(tmp_path) == tmp_path / f"katex-{formulas.VERSION}"


# Cells


def test_code_is_coloured_and_escaped(html):
    shown = html({"type": "code", "lang": "python", "value": "if a < b:\n    pass"})
    assert '<span class="k">if</span>' in shown
    assert "&lt;" in shown
    assert "</span>\n</code>" not in shown


def test_an_output_is_shown_as_rich_as_it_can_be(html):
    text = stored("plain")
    picture = stored("", path="/a.png")
    assert '<div class="rich scroll"><i>x</i></div>' in html(
        output(**{"text/plain": text, "text/html": stored("<i>x</i>")})
    )
    assert '<img src="../files/a.png"' in html(output(**{"text/plain": text, "image/png": picture}))
    assert ">plain</pre>" in html(output(**{"text/plain": text}))


def test_a_long_output_is_read_from_its_file(html):
    assert "<b>long</b>" in html(output(**{"text/html": {"path": "/long.html"}}))


def test_what_a_cell_prints_is_text(html):
    jupyter = {"output_type": "stream", "name": "stdout", "text": "\x1b[31m<red>\x1b[0m"}
    shown = html({"type": "output", "jupyter_data": jupyter})
    assert '<pre class="stream stdout" tabindex="0">&lt;red&gt;</pre>' in shown


def test_cells_are_hidden_and_left_out_by_their_tags(html):
    code = {"type": "code", "lang": "python", "value": "secret"}
    assert "<summary>Show the code</summary>" in html(code | {"visibility": "hide"})
    assert html(code | {"visibility": "remove"}) == ""
    assert html(node("block", code, visibility="remove")) == ""


def test_a_picture_in_a_figure_points_to_the_caption(html):
    shown = html(node("container", output(**{"image/png": {"path": "/a.png"}}), kind="figure", enumerator="7"))
    assert 'alt="Figure 7, described by its caption"' in shown


# Frame

PAGES = [
    {"title": "First", "slug": "first", "level": 1},
    {"title": "Below", "slug": "below", "level": 2},
    {"title": "Words alone", "level": 1},
    {"title": "Deep", "slug": "deep", "level": 2},
]


def test_contents_are_nested_by_level():
    from tools.offline_theme import frame

    first, words_alone = frame.contents({"pages": PAGES})
    assert [entry.slug for entry in first.parts] == ["below"]
    assert (words_alone.slug, [entry.slug for entry in words_alone.parts]) == (None, ["deep"])
    assert first.holds("below")
    assert not first.holds("deep")


def test_neighbours_pass_over_titles_that_are_no_pages():
    from tools.offline_theme import frame

    order = frame.order({"pages": PAGES, "title": "Book"})
    assert frame.neighbours(order, "index") == (None, ("first", "First"))
    assert frame.neighbours(order, "deep") == (("below", "Below"), None)


def test_a_long_part_is_folded_unless_one_is_in_it():
    from tools.offline_theme import frame

    parts = [frame.Entry(str(i), f"page-{i}") for i in range(frame.LONG_PART)]
    part = frame.Entry("Part", None, parts)
    assert not part.is_open("elsewhere")
    assert part.is_open("page-3")
    assert frame.Entry("Part", None, parts[:3]).is_open("elsewhere")
