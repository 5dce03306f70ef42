"""The site's files: from MyST's content folder to a folder of static pages."""

import json
import shutil
from pathlib import Path

import jinja2

from tools.offline_theme import boxes, cells, frame, prose  # noqa: F401 (boxes registers its writers)
from tools.offline_theme.document import Document

FOLDER = Path(__file__).parent
DECLARATION = FOLDER / "template.yml"  # what MyST wants to find in its cache of themes
GENERATOR = "Layers of Motion offline theme"  # in each page's head; publishing looks for it and refuses


def write(site: Path, target: Path, katex: Path | None = None) -> list[str]:
    """Render what ``myst build --site`` left in the folder `site` into `target`; return the slugs of its pages.

    `katex` is the folder that `formulas.fetch` found, if any.
    """
    config = json.loads((site / "config.json").read_text(encoding="utf-8"))
    (project,) = config["projects"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    shutil.rmtree(target, ignore_errors=True)
    (target / "files").mkdir(parents=True)
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    (target / "style.css").write_text(style + cells.colours(), encoding="utf-8")
    shutil.copy(FOLDER / "theme.js", target)
    if katex:
        shutil.copytree(katex, target / "katex")
    pages = frame.order(project)
    slugs = {slug for slug, _ in pages}
    for slug, title in pages:
        content = json.loads((site / "content" / f"{slug}.json").read_text(encoding="utf-8"))
        cited = {key: entry["html"] for key, entry in content["references"].get("cite", {}).get("data", {}).items()}
        page = Document(slug, slugs, site / "public", cited, has_katex=katex is not None)
        body = prose.html(content["mdast"], page)
        end = "" if page.lists_references else prose.references({}, page)
        path = target / ("" if slug == "index" else slug) / "index.html"
        path.parent.mkdir(exist_ok=True)
        rendered = template.render(
            generator=GENERATOR,
            project=project,
            title=title,
            description=content["frontmatter"].get("description") or project["description"],
            page=page,
            body=body,
            references=end,
            contents=frame.contents(project),
            headings=frame.headings(content["mdast"]),
            neighbours=frame.neighbours(pages, slug),
        )
        path.write_text(rendered, encoding="utf-8")
        for name in page.files:
            shutil.copy(site / "public" / name, target / "files")
    return [slug for slug, _ in pages]
