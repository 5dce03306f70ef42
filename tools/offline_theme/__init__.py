"""A theme of the book's own, for machines that cannot load MyST's: static pages that ask no other host for anything.

MyST reads and numbers the pages, resolves references and citations, and writes one JSON tree per page. This package
turns these trees into HTML: `prose`, `boxes` and `cells` know the nodes, `frame` what stands around them, `site` the
files, `formulas` what KaTeX needs.
"""

from tools.offline_theme.site import DECLARATION, GENERATOR, write

__all__ = ["DECLARATION", "GENERATOR", "write"]
