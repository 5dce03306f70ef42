"""Pages of the API reference, made from the docstrings of ``lib`` whenever the site is built.

One page per public module. griffe reads the sources without importing them; what is shown is what a module's
``__all__`` lists, or, without one, what it defines under a name that does not begin with an underscore.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import griffe

from tools import api_docstrings
from tools.bibliography import load as load_bibliography

LONG_SIGNATURE = 80  # characters; from here on one parameter per line


def write(package: Path, folder: Path) -> list[str]:
    """Write one Markdown page per public module of `package` into `folder`, and the list of modules beside them."""
    root = griffe.load(package.name, search_paths=[package.parent], docstring_parser="numpy", resolve_aliases=True)
    modules = sorted(public_modules(root), key=lambda module: module.path)
    shown = {module.path: dict(public_members(module)) for module in modules}
    known = {
        path: {name: target(path, name, found) for name, found in members.items()} for path, members in shown.items()
    }
    modules_known = {path: label(path) for path in shown}
    cited = load_bibliography(package.parent / "references.bib")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    overview = ["(api)=\n# API reference", INTRODUCTION]
    for number, module in enumerate(modules):
        prose = api_docstrings.Prose(module.path, known, modules_known, cited)
        text = "\n\n".join([*module_page(module, shown[module.path], prose)]) + "\n"
        # MyST sorts files by number and leaves it out of the address.
        (folder / f"{number:02d}_{module.path.replace('.', '_')}.md").write_text(text, encoding="utf-8")
        overview.append(f"[`{module.path}`](#{label(module.path)})\n: {prose.summary(module.docstring)}")
    (folder / "api.md").write_text("\n\n".join(overview) + "\n", encoding="utf-8")
    return list(shown)


INTRODUCTION = """Made from the docstrings of the code that the pages call. Letters for axes and matrices are those of
the [glossary](#glossary); shapes stand in the signatures, meaning, units and ranges in the text."""


def label(module: str, name: str = "") -> str:
    """Label of a module, or of something in it, for cross references."""
    return "-".join(["api", *module.split(".")[1:], *([name] if name else [])]).replace("_", "-").lower()


def target(module: str, name: str, found: griffe.Object) -> str:
    """Label of a function or class; targets know no upper case, and ``dtw.Path`` stands beside ``dtw.path``."""
    return label(module, name) + ("-class" if found.is_class else "")


def public_modules(module: griffe.Module) -> Iterator[griffe.Module]:
    """Modules below `module` that users import; those of a package with ``__all__`` are its own affair."""
    for name, child in module.modules.items():
        if name.startswith("_") or child.is_alias:
            continue
        if any(True for _ in public_members(child)):
            yield child
        if not child.exports:
            yield from public_modules(child)


def public_members(module: griffe.Module) -> Iterator[tuple[str, griffe.Object]]:
    """Functions and classes that a module offers, in the order of its source or its ``__all__``."""
    names = module.exports or [n for n, child in module.members.items() if not n.startswith("_") and not child.is_alias]
    for name in names:
        found = module.members[str(name)]
        found = found.final_target if found.is_alias else found
        if found.is_function or found.is_class:
            yield str(name), found


def module_page(module: griffe.Module, members: dict, prose: api_docstrings.Prose) -> Iterator[str]:
    """Yield the blocks of a module's page."""
    yield f"({label(module.path)})=\n# {module.path}"
    yield from prose.sections(module.docstring)
    for name, found in members.items():
        yield f"({target(module.path, name, found)})=\n## {name}"
        yield python(signature(name, found))
        yield from prose.sections(found.docstring)
        if found.is_class:
            yield from methods(name, found, prose)


def methods(name: str, found: griffe.Class, prose: api_docstrings.Prose) -> Iterator[str]:
    """Yield the documented methods and properties of a class."""
    for child_name, child in found.members.items():
        if child_name.startswith("_") or child.is_alias or not child.docstring:
            continue
        if child.is_function or "property" in child.labels:
            yield f"### `{name}.{child_name}`"
            if child.is_function:
                yield python(call(child_name, child))
            yield from prose.sections(child.docstring)


def python(code: str) -> str:
    """Set code apart."""
    return f"```python\n{code}\n```"


def signature(name: str, found: griffe.Function | griffe.Class) -> str:
    """Return what one types to use it: a call, or the fields of a class that is made of nothing else."""
    bases = [str(base) for base in found.bases] if found.is_class else []
    if found.is_class and ("dataclass" in found.labels or "NamedTuple" in bases):
        title = f"class {name}({', '.join(bases)}):" if bases else f"@dataclass\nclass {name}:"
        return "\n".join([title, *(f"    {field_line(field)}" for field in fields(found))])
    return call(name, found)


def fields(found: griffe.Class) -> list[griffe.Attribute]:
    """Annotated names of a class body that users set or read."""
    return [
        child
        for child in found.attributes.values()
        if child.annotation is not None and not child.name.startswith("_") and "property" not in child.labels
    ]


def field_line(field: griffe.Attribute) -> str:
    """Spell a field as the source does, with the remark behind it, where units and ranges stand."""
    default = f" = {field.value}" if field.value is not None else ""
    remark = field.lines[-1].partition("  # ")[2].strip() if field.lines else ""
    return f"{field.name}: {field.annotation}{default}" + (f"  # {remark}" if remark else "")


def call(name: str, found: griffe.Function | griffe.Class) -> str:
    """Return a call with annotations and defaults, on one line where it is short."""
    parts, star = [], False
    for parameter in found.parameters:
        kind = parameter.kind.value
        if parameter.name in ("self", "cls"):
            continue
        if kind == "keyword-only" and not star:
            parts.append("*")
        star = star or kind in ("keyword-only", "variadic positional")
        text = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "") + parameter.name
        text += f": {parameter.annotation}" if parameter.annotation is not None else ""
        shows_default = parameter.default is not None and not kind.startswith("variadic")
        parts.append(f"{text} = {parameter.default}" if shows_default else text)
    after = f" -> {found.returns}" if found.is_function and found.returns is not None else ""
    line = f"{name}({', '.join(parts)}){after}"
    if len(line) <= LONG_SIGNATURE:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){after}"
