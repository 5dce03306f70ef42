"""The site built once, in a copy of the checkout, and what Chromium finds on each of its pages."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ["myst.yml", "index.md", "references.bib", "parts", "reference", "notebooks", "lib", "tools"]
NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
AS_PAGES = [(scheme, window) for window in (NARROW, WIDE) for scheme in ("light", "dark")]
AS_API_PAGES = [AS_PAGES[0], AS_PAGES[-1]]

# What is on a page, as the browser has laid it out. Folded parts are opened first.
SEEN = """() => {
  document.querySelectorAll("main details").forEach(part => (part.open = true));
  const UNREAD = "svg, .katex, math, sup, sub, style, script, .skip";
  const own = node => [...node.childNodes].some(c => c.nodeType === 3 && c.textContent.trim());
  const shown = node => node.checkVisibility({opacityProperty: true, visibilityProperty: true});
  return {
    ids: [...document.querySelectorAll("[id]")].map(e => e.id),
    links: [...document.querySelectorAll("a[href]")].map(a => a.href),
    files: [...document.querySelectorAll("link[href]")].map(l => l.href).filter(h => !h.startsWith("data:")),
    images: [...document.images].map(i => ({src: i.src, width: i.naturalWidth, shown: i.clientWidth, alt: i.alt})),
    formulas: [...document.querySelectorAll(".katex-html, math:not(.katex-mathml math)")].map(m => {
      const box = m.getBoundingClientRect();
      return {text: m.textContent, width: box.width, height: box.height};
    }),
    fonts: [...document.fonts].filter(f => f.status === "loaded").map(f => f.family),
    figures: [...document.querySelectorAll("main figure.figure")].map(f => ({
      id: f.id, number: f.querySelector("figcaption .number")?.textContent ?? "", drawn: !!f.querySelector("img, svg"),
    })),
    equations: [...document.querySelectorAll("main .equation[id]")].map(e => ({
      id: e.id, number: e.querySelector(".number")?.textContent ?? "",
    })),
    references: [...document.querySelectorAll("main a.reference")].map(a => ({url: a.href, text: a.textContent})),
    texts: [...document.querySelectorAll(`body :not(${UNREAD}, :is(${UNREAD}) *)`)].filter(e => own(e) && shown(e))
      .map(e => ({
        text: e.textContent.trim().slice(0, 60), size: parseFloat(getComputedStyle(e).fontSize),
        colours: e.closest(".lom-pose") ? null : [getComputedStyle(e).color, background(e)],
      })),
    width: document.documentElement.scrollWidth,
  };
  function background(node) {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  }
}"""


class Site(NamedTuple):
    """A built site."""

    root: Path  # the copy of the checkout
    printed: str

    @property
    def folder(self):
        return self.root / "_build" / "html"

    @property
    def slugs(self):
        return ["", *sorted(path.parent.name for path in self.folder.glob("*/index.html"))]


class Visit(NamedTuple):
    """One page in one window: what was seen, asked for and complained about."""

    slug: str
    scheme: str
    window: dict
    seen: dict
    requests: list
    errors: list


def build(root):
    """Copy what the site is made of, so that nothing outside version control helps, and run the command on it."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "api"))
        else:
            shutil.copy(source, root / name)
    command = [sys.executable, "-m", "tools.site", "--theme", "offline"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return Site(root, done.stdout)


@contextmanager
def served(folder):
    """Serve a folder on this machine; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def look(browser, address, slugs, pictures):
    """Visit every page in both schemes, narrow and wide; those of the book leave screenshots in `pictures`.

    Pages of the API are all made alike: two of the four ways to see them are enough.
    """
    context = browser.new_context(viewport=NARROW)
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("response", lambda answer: errors.append(answer.url) if answer.status >= 400 else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    visits = []
    for slug in slugs:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(NARROW)
        page.goto(f"{address}{slug and slug + '/'}index.html")
        page.evaluate("document.fonts.ready.then(() => null)")
        of_api = slug.startswith("lib-")
        for scheme, window in AS_API_PAGES if of_api else AS_PAGES:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(window)
            visits.append(Visit(slug, scheme, window, page.evaluate(SEEN), requests[:], errors[:]))
            if window == NARROW and not of_api:
                page.screenshot(path=pictures / f"{slug or 'index'}-{scheme}.jpeg", full_page=True)
        requests.clear(), errors.clear()
    context.close()
    return visits


def contrast(colours):
    """WCAG's contrast of two colours that a browser spells ``rgb(r, g, b)``."""
    light, dark = sorted((_luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    channels = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
