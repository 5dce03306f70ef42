"""Docstrings as MyST Markdown: sections, links between names, citations of the papers they name."""

import re
from collections.abc import Iterator, Mapping

import griffe

from tools.bibliography import Work, citation_pattern

TITLES = {
    "parameters": "Parameters",
    "attributes": "Attributes",
    "returns": "Returns",
    "raises": "Raises",
    "warns": "Warns",
}
CODE = re.compile(r"(`+)([^`]+)\1")


class Prose:
    """Writer of one module's docstrings.

    Parameters
    ----------
    module
        Path of the module, ``lib.dtw``.
    known
        For each module the label of each of its public names.
    modules
        Label of each module.
    cited
        Works of the bibliography by key.
    """

    def __init__(
        self,
        module: str,
        known: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str],
        cited: Mapping[str, Work],
    ):
        self.module, self.known, self.modules, self.cited = module, known, modules, cited

    def summary(self, docstring: griffe.Docstring | None) -> str:
        """Return the first paragraph, on one line."""
        text = docstring.value.partition("\n\n")[0] if docstring else ""
        return self.text(" ".join(text.split()))

    def sections(self, docstring: griffe.Docstring | None) -> Iterator[str]:
        """Yield a docstring's sections as blocks of Markdown."""
        for section in docstring.parsed if docstring else ():
            kind = section.kind.value
            if kind == "text":
                yield self.text(section.value)
            elif kind == "returns":
                yield f"**{TITLES[kind]}**"
                # In our docstrings the type stands in the signature and the section is plain text, line by line.
                lines = [" ".join(filter(None, (str(r.annotation or ""), r.description))) for r in section.value]
                yield self.text("\n".join(lines))
            elif kind == "examples":
                yield "**Examples**"
                for part, text in section.value:
                    yield f"```pycon\n{text}\n```" if part.value == "examples" else self.text(text)
            elif kind == "admonition":
                yield f"**{section.title or 'Notes'}**"
                yield self.text(section.value.contents)
            else:
                yield f"**{TITLES[kind]}**"
                yield from self._entries(kind, section.value)

    def _entries(self, kind: str, items) -> Iterator[str]:
        """Definitions; names that share a text (``x, y``) share an entry again."""
        entries: dict[str, list[str]] = {}
        for item in items:
            name = str(item.annotation) if kind in ("raises", "warns") else item.name
            entries.setdefault(item.description, []).append(f"`{name}`")
        for text, names in entries.items():
            indented = self.text(text.strip()).replace("\n", "\n  ")
            yield f"{', '.join(names)}\n: {indented}"

    def text(self, text: str) -> str:
        """Return prose with names linked and papers cited; what stands in backticks is left as it is otherwise."""
        text = re.sub(r":(?:func|class|meth|mod|attr):(`[^`]+`)", r"\1", text)
        parts, end = [], 0
        for match in CODE.finditer(text):
            parts += [self._cite(text[end : match.start()]), self._link(match[2])]
            end = match.end()
        return "".join([*parts, self._cite(text[end:])])

    def _link(self, code: str) -> str:
        target = self._target(code.partition("(")[0])
        return f"[`{code}`](#{target})" if target else f"`{code}`"

    def _target(self, name: str) -> str | None:
        """Label of a name as docstrings spell it: ``pairwise``, ``dtw.pairwise``, ``lib.dtw.pairwise``, ``lib.dtw``."""
        if name in self.modules:
            return self.modules[name]
        module, _, last = name.removeprefix("lib.").rpartition(".")
        if not module:
            return self.known[self.module].get(last)
        beside = self.module.rpartition(".")[0]  # lib.models.stgcn may say layers.as_stream
        for path in (f"lib.{module}", f"{beside}.{module}"):
            if last in self.known.get(path, {}):
                return self.known[path][last]
        return None

    def _cite(self, text: str) -> str:
        for key, work in self.cited.items():
            pattern = citation_pattern(work)
            text = re.sub(rf"\({pattern}\)", f"{{cite:p}}`{key}`", text)
            text = re.sub(pattern, f"{{cite:t}}`{key}`", text)
        return text
