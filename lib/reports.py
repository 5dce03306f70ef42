"""A run as one HTML file that needs nothing beside it."""

import re
from pathlib import Path

from lib import execution
from lib.runs import Run

# nbconvert's own template loads MathJax, Mermaid, require.js and widgets from the network: formulas stay in TeX here.
TEMPLATE = """\
{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
"""


def html(run: Run) -> Path:
    """Write the run's notebook as ``<page>.html`` into its folder, and return that file."""
    import nbformat
    from nbconvert import HTMLExporter

    notebook = nbformat.read(run.notebook, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain(cell.source)
    exporter = HTMLExporter(raw_template=TEMPLATE, embed_images=True)
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": run.folder.name}})
    path = run.notebook.with_suffix(".html")
    execution.write_whole(path, text)
    return path


def plain(markdown: str) -> str:
    """Markdown without what only MyST reads: labels go, and a link to one becomes its name."""
    markdown = re.sub(r"^\([\w-]+\)=\n", "", markdown, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]*)\]\(#([\w-]+)\)", lambda link: link[1] or f"`{link[2]}`", markdown)
