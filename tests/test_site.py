"""The site as a reader's browser shows it, every page of it, on a desk and on a phone, light and dark."""

import re
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
import site_cases
from site_cases import NARROW


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return site_cases.build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def address(site):
    with site_cases.served(site.folder) as address:
        yield address


@pytest.fixture(scope="module")
def visits(site, browser, address):
    from lib import paths

    pictures = paths.build() / "site"
    pictures.mkdir(parents=True, exist_ok=True)
    return site_cases.look(browser, address, site.slugs, pictures)


@pytest.fixture
def page(browser):
    with browser.new_context(viewport=NARROW) as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def once(visits):
    """One visit per page, for what no window and no scheme changes."""
    return {visit.slug: visit for visit in visits if visit.window == NARROW and visit.scheme == "light"}


def where(address, url):
    """Slug of the page at a URL of the site, and its fragment; None for files and other hosts."""
    plain, fragment = urldefrag(url)
    if not plain.startswith(address) or not plain.endswith("index.html"):
        return None
    return plain.removeprefix(address).removesuffix("index.html").strip("/"), unquote(fragment)


def test_the_command_says_where_the_site_is_and_which_theme_it_has(site):
    assert site.printed.startswith("_build/html/index.html, with the offline theme")


def test_every_page_of_the_book_is_on_the_site(site):
    from lib import pages

    slugs = {re.sub(r"^\d+_", "", page.stem).replace("_", "-") for page in pages.found()}
    assert slugs <= set(site.slugs)
    assert {"", "glossary", "literature", "cite", "api", "lib-dtw"} <= set(site.slugs)


def test_no_page_asks_another_host_for_anything(visits, address):
    elsewhere = {url for visit in visits for url in visit.requests if not url.startswith((address, "data:", "blob:"))}
    assert elsewhere == set()
    assert all(visit.requests for visit in visits)


def test_no_page_lacks_a_file_or_raises_an_error(visits):
    assert [(visit.slug, visit.errors) for visit in visits if visit.errors] == []


def test_no_image_is_broken_or_without_a_text(once):
    images = [(slug, image) for slug, visit in once.items() for image in visit.seen["images"]]
    assert len(images) >= 20
    assert [(slug, i) for slug, i in images if not (i["width"] and i["shown"] and i["alt"])] == []


def test_every_link_leads_to_a_page_and_an_anchor_that_are_there(site, once, address):
    broken = []
    for slug, visit in once.items():
        for url in visit.seen["links"] + visit.seen["files"]:
            if not url.startswith(address):
                if urlsplit(url).scheme != "https":
                    broken.append((slug, url))
                continue
            target = where(address, url)
            if target is None:
                known = (site.folder / unquote(urldefrag(url)[0].removeprefix(address))).is_file()
            else:
                known = target[0] in once and (not target[1] or target[1] in once[target[0]].seen["ids"])
            if not known:
                broken.append((slug, url))
    assert broken == []
    internal = [url for visit in once.values() for url in visit.seen["links"] if url.startswith(address)]
    assert len(internal) > 1000


def test_no_anchor_is_given_twice_on_a_page(once):
    twice = {slug: sorted({i for i in v.seen["ids"] if v.seen["ids"].count(i) > 1}) for slug, v in once.items()}
    assert {slug: ids for slug, ids in twice.items() if ids} == {}


def reading_order(site, once):
    """Visits in the order of the book, which the links to the next page give."""
    text = (site.folder / "index.html").read_text(encoding="utf-8")
    order = [""]
    while found := re.search(r'rel="next" href="(?:\.\./)?([^"]+)/index\.html"', text):
        order.append(found[1])
        text = (site.folder / found[1] / "index.html").read_text(encoding="utf-8")
    return [once[slug] for slug in order]


def test_next_leads_through_all_pages(site, once):
    assert sorted(visit.slug for visit in reading_order(site, once)) == sorted(once)


@pytest.mark.parametrize(("kind", "name"), [("figures", "Figure\u00a0{}:"), ("equations", "({})")])
def test_figures_and_equations_are_numbered_through_the_book(site, once, kind, name):
    numbers = [item["number"].strip() for visit in reading_order(site, once) for item in visit.seen[kind]]
    assert numbers == [name.format(1 + i) for i in range(len(numbers))]
    assert len(numbers) >= 4


def test_every_figure_is_drawn(once):
    figures = [(slug, figure) for slug, visit in once.items() for figure in visit.seen["figures"]]
    assert [(slug, figure) for slug, figure in figures if not figure["drawn"]] == []


def test_references_name_the_number_of_their_target(once, address):
    numbers = {
        (slug, item["id"]): item["number"].strip(" :")
        for slug, visit in once.items()
        for item in visit.seen["figures"] + visit.seen["equations"]
    }
    named = [
        (reference["text"], numbers[where(address, reference["url"])])
        for visit in once.values()
        for reference in visit.seen["references"]
        if where(address, reference["url"]) in numbers
    ]
    assert len(named) >= 8
    assert [pair for pair in named if pair[0] != pair[1]] == []


def test_formulas_are_drawn(site, once):
    formulas = [(slug, f) for slug, visit in once.items() for f in visit.seen["formulas"]]
    assert len(formulas) >= 15
    assert [(slug, f) for slug, f in formulas if f["width"] < 4 or f["height"] < 8] == []
    if (site.folder / "katex").is_dir():
        assert any("KaTeX" in family for family in once["geometry"].seen["fonts"])


def test_no_page_is_wider_than_the_window(visits):
    assert [(v.slug, v.seen["width"]) for v in visits if v.seen["width"] > v.window["width"]] == []


def test_no_text_is_small_on_a_phone(visits):
    small = {
        (visit.slug, text["text"], text["size"])
        for visit in visits
        for text in visit.seen["texts"]
        if text["size"] < 15 and visit.window == NARROW
    }
    assert small == set()


def test_text_stands_out_from_its_background_in_both_schemes(visits):
    faint, schemes = set(), set()
    for visit in visits:
        for text in visit.seen["texts"]:
            schemes.add((visit.scheme, text["colours"][1] if text["colours"] else None))
            if text["colours"] and site_cases.contrast(text["colours"]) < 4.5:
                faint.add((visit.slug, visit.scheme, text["text"], *text["colours"]))
    assert faint == set()
    assert ("light", "rgb(255, 255, 255)") in schemes
    assert ("dark", "rgb(255, 255, 255)") not in schemes


def test_animations_show_another_picture_a_moment_later(site, page, address):
    moving = [s for s in site.slugs if 'class="lom-film"' in (site.folder / s / "index.html").read_text("utf-8")]
    assert moving
    for slug in moving:
        page.goto(f"{address}{slug}/index.html")
        for figure in page.locator(".lom-pose").all():
            figure.scroll_into_view_if_needed()
            drawing = figure.locator("svg")
            first = drawing.screenshot()
            page.wait_for_timeout(400)
            assert drawing.screenshot() != first, f"{slug}: an animation stands still"


def test_the_choice_of_light_or_dark_holds_on_the_next_page(page, address):
    page.emulate_media(color_scheme="light")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    page.goto(f"{address}index.html")
    before = page.evaluate(background)
    page.locator("#scheme").click()
    after = page.evaluate(background)
    assert after != before
    page.locator('main a[rel="next"]').click()
    assert page.evaluate(background) == after
    page.locator("#scheme").click()
    assert page.evaluate(background) == before


def test_contents_open_on_a_phone_and_show_where_one_is(page, address):
    page.goto(f"{address}layer-geometry/index.html")
    contents = page.locator("#contents")
    assert not contents.is_visible()
    page.get_by_role("button", name="Contents").click()
    assert contents.is_visible()
    assert contents.locator('[aria-current="page"]').inner_text() == "Layer geometry"
    contents.get_by_role("link", name="GradCAM at every layer").click()
    assert page.url == f"{address}gradcam/index.html"


def test_pages_can_be_read_straight_from_the_disk(site, page):
    page.goto((site.folder / "index.html").as_uri())
    page.locator("main").get_by_role("link", name="Layer geometry").first.click()
    assert page.url == (site.folder / "layer-geometry" / "index.html").as_uri()
    assert page.locator("main img").first.evaluate("image => image.naturalWidth") > 0


def test_pages_can_be_read_without_scripts(browser, address):
    with browser.new_context(viewport=NARROW, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}geometry/index.html")
        assert page.locator("#contents").is_visible()
        assert page.locator(".equation").first.is_visible()
