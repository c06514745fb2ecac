"""A digest of what a recipe's code does: of its own modules, and of the project's modules that it imports.

Comments, docstrings, formatting, the order of imports and the place of a module do not change the digest. A module
counts by its content: an import is identified by the imported content, not by its path.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Modules that can change the output of a recipe.
_COUNTED = ("egs/", "k2d/data/", "k2d/text/")
# Shared by all stages. If a change affects the results for sound data, raise the VERSION of the stages.
_SHARED = ("k2d/data/audio/", "k2d/data/kaldi/", "k2d/data/corpus.py")

_WITHOUT_MEANING = {"ctx", "kind", "type_comment", "type_ignores"}


@dataclass(frozen=True, slots=True)
class _Import:
    """A name that an import statement binds. `source` is a file of the project, or the name of a foreign module."""

    source: Path | str
    name: str
    bound: str


@dataclass(frozen=True, slots=True)
class _Module:
    body: str
    imports: tuple[_Import, ...]


def code_digest(files: Iterable[Path], root: Path) -> str:
    """The digest of Python files and of the modules under `root` that they reach. Equal for all versions of Python."""
    modules: dict[Path, _Module] = {}
    to_do = list(files)
    while to_do:
        path = to_do.pop()
        if path not in modules:
            modules[path] = _read(path, root)
            to_do += [each.source for each in modules[path].imports if isinstance(each.source, Path)]
    return _hash(sorted({_meaning(module, modules) for module in modules.values()}))


def dump(tree: ast.AST) -> str:
    """A syntax tree as text, without parts that have no meaning or that differ between versions of Python.

    >>> dump(ast.parse("x = f(1)  # a comment")) == dump(ast.parse("x = f(\\n    1,\\n)"))
    True
    """
    return _dump(tree)


def _meaning(module: _Module, modules: dict[Path, _Module]) -> str:
    """A module's digest: its body, and the bodies of the modules that it imports."""
    lines = []
    for each in module.imports:
        source = _hash([modules[each.source].body]) if isinstance(each.source, Path) else each.source
        lines.append(f"{source} {each.name} {each.bound}")
    return _hash([module.body, *sorted(set(lines))])


def _hash(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read(path: Path, root: Path) -> _Module:
    content = path.read_bytes()
    try:
        tree = ast.parse(content, str(path))
    except (SyntaxError, ValueError):  # not Python code, so no module imports it
        return _Module(content.hex(), ())
    stripped = _Stripped()
    stripped.visit(tree)
    imports = [each for node in stripped.imports for each in _imports(node, path, root)]
    if path.name != "__init__.py":  # an __init__.py imports names for other modules
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imports = [each for each in imports if each.bound in used or each.bound == "*"]
    return _Module(dump(tree), tuple(imports))


class _Stripped(ast.NodeTransformer):
    """Removes from a tree everything without effect when the module is imported, and collects its imports."""

    def __init__(self) -> None:
        self.imports: list[ast.Import | ast.ImportFrom] = []

    def visit_Import(self, node: ast.Import) -> None:  # ast's name
        self.imports.append(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imports.append(node)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """A string by itself is a docstring: of a module, a class, a function or a field."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if not node.orelse and _is_never_true(node.test) else self.generic_visit(node)


def _is_never_true(test: ast.expr) -> bool:
    """Whether a condition is false in an imported module: `TYPE_CHECKING`, `__name__ == "__main__"`."""
    if isinstance(test, ast.Compare):
        return isinstance(test.left, ast.Name) and test.left.id == "__name__" and isinstance(test.ops[0], ast.Eq)
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


# --- imports ---


def _imports(node: ast.Import | ast.ImportFrom, path: Path, root: Path) -> Iterator[_Import]:
    """What a statement imports, without modules of the project that cannot change the output."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            module, name = alias.name, ""
            bound = alias.asname or alias.name.partition(".")[0]
        else:
            module, name = _absolute(node, path, root), alias.name
            bound = alias.asname or alias.name
        if module.partition(".")[0] not in ("egs", "k2d"):
            yield _Import(module, name, bound)
            continue
        of_name, of_module = _file(f"{module}.{name}" if name else module, root), _file(module, root)
        source = of_name or of_module
        if source is not None and _is_counted(source, root):
            yield _Import(source, "" if of_name else name, bound)


def _absolute(node: ast.ImportFrom, path: Path, root: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(root).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _file(module: str, root: Path) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _is_counted(path: Path, root: Path) -> bool:
    name = path.relative_to(root).as_posix()
    return name.startswith(_COUNTED) and not name.startswith(_SHARED)


# --- text of a tree ---


def _dump(value: object) -> str:
    if isinstance(value, ast.Constant):
        return f"{type(value.value).__name__} {value.value!a}"  # repr would follow Python's version of Unicode
    if isinstance(value, ast.JoinedStr):
        return f"JoinedStr[{','.join(_parts(value))}]"
    if isinstance(value, ast.AST):
        fields = ((name, getattr(value, name, None)) for name in sorted(value._fields) if name not in _WITHOUT_MEANING)
        kept = (f"{name}={_dump(field)}" for name, field in fields if not _is_empty(field))
        return f"{type(value).__name__}({','.join(kept)})"
    if isinstance(value, list):
        return f"[{','.join(map(_dump, value))}]"
    return ascii(value)


def _is_empty(field: object) -> bool:
    """Whether a field may be missing or empty, depending on the version of Python: `type_params`, the `:` of
    `f"{x:}"`.
    """
    return field is None or field == [] or (isinstance(field, ast.JoinedStr) and not list(_parts(field)))


def _parts(text: ast.JoinedStr) -> Iterator[str]:
    """The parts of an f-string. Versions of Python split the text between its values in different ways."""
    words = ""
    for part in text.values:
        if isinstance(part, ast.Constant):
            words += str(part.value)
            continue
        if words:
            yield ascii(words)
        words = ""
        yield _dump(part)
    if words:
        yield ascii(words)
