"""Load YAML strictly as data: no tags, no duplicate keys, no bombs, and a line number for every key.

PyYAML's safe loader is the parser, with further checks here. Scalars follow YAML 1.2, so that `1e-4` is a number, `no`
a word and `010` ten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from k2d.core.errors import Fault, Treatment

KeyPath = tuple[str, ...]

MAX_BYTES = 1 << 20
MAX_NODES = 20_000  # an alias counts each time it is used
MAX_DEPTH = 32
MAX_DIGITS = 18  # of a whole number, which then fits into 64 bits

_TOO_DEEP = f"values are nested more than {MAX_DEPTH} deep"


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2 instead of 1.1, and a limit of its recursion."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=mark)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    _first_letters = [*_first.replace("\0", ""), ""] if "\0" in _first else [*_first]
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first_letters)


@dataclass
class Document:
    """A YAML file as plain data, with the line of each key and the faults."""

    path: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, code: str, message: str, remedy: str, line: int | None = None) -> None:
        self.faults.append(Fault(Treatment.REJECT, code, message, remedy, self.path, line))


def read(path: Path, shown: str) -> Document:
    """Load a YAML file whose top level is a mapping. Faults in its content are not raised: see `faults`."""
    document = Document(shown)
    try:
        raw = path.read_bytes()
    except OSError as error:
        document.fault("unreadable", f"cannot be read: {error.strerror}", "name an existing YAML file")
        return document
    if len(raw) > MAX_BYTES:
        document.fault("too_large", f"has {len(raw):,} bytes, expected at most {MAX_BYTES:,}", "is it a config?")
        return document
    try:
        node = yaml.compose(raw.decode("utf-8-sig"), Loader=_Loader)
    except UnicodeDecodeError as error:
        document.fault("not_utf8", f"byte {error.start} is not UTF-8", "save the file as UTF-8")
        return document
    except yaml.YAMLError as error:
        document.faults.append(_syntax_fault(error, shown))
        return document
    if node is None:
        return document
    if not isinstance(node, yaml.MappingNode):
        document.fault("not_a_mapping", "the top level is not a mapping", "write `key: value` lines")
        return document
    _Reader(document).mapping(node, ())
    return document


def parse_value(text: str) -> Any:
    """The value of a `key=value` word, parsed as YAML.

    >>> parse_value("0.3"), parse_value("[1, 2]"), parse_value("no"), parse_value("1e-4")
    (0.3, [1, 2], 'no', 0.0001)
    """
    document = Document("command line")
    node = yaml.compose(text, Loader=_Loader)
    if node is None:
        return None
    value = _Reader(document).value(node, ())
    if document.faults:
        raise yaml.YAMLError(document.faults[0].message)
    return value


def _syntax_fault(error: Exception, shown: str) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if "cannot start any token" in problem and "\\t" in problem:
        problem, remedy = "a tab is used for indentation", "use spaces"
    else:
        remedy = "correct the YAML here"
    return Fault(Treatment.REJECT, "yaml_syntax", problem, remedy, shown, mark.line + 1 if mark else None)


class _Reader:
    """Converts composed nodes into plain data. Every node is counted, so that aliases cannot explode."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.n_nodes = 0
        self.open: list[yaml.Node] = []

    def value(self, node: yaml.Node, at: KeyPath) -> Any:
        self.n_nodes += 1
        line = node.start_mark.line + 1
        if self.n_nodes > MAX_NODES or any(node is parent for parent in self.open):
            if not any(f.code == "yaml_bomb" for f in self.document.faults):
                message = f"expands to more than {MAX_NODES:,} values, or refers to itself"
                self.document.fault("yaml_bomb", message, "write the values out, without anchors", line)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line)
        if len(self.open) > MAX_DEPTH:  # only aliases lead to this depth: the loader has its own limit
            if not any(f.message == _TOO_DEEP for f in self.document.faults):
                self.document.fault("too_deep", _TOO_DEEP, "write them out, without anchors", line)
            return None
        if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            return self._refuse_tag(node, line)
        self.open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, at)
            return [self.value(child, (*at, str(i))) for i, child in enumerate(node.value)]
        finally:
            self.open.pop()

    def mapping(self, node: yaml.MappingNode, at: KeyPath) -> dict[str, Any]:
        """A mapping with unique string keys. The top level becomes the document itself."""
        target = self.document.data if not at else {}
        for key, key_line, child in self._entries(node):
            here = (*at, key)
            if key in target:
                first = self.document.lines[here]
                message = f"key {'.'.join(here)} occurs twice, first in line {first}"
                self.document.fault("duplicate_key", message, "keep one", key_line)
                continue
            self.document.lines[here] = key_line
            target[key] = self.value(child, here)
        return target

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[str, int, yaml.Node]]:
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            is_word = isinstance(key_node, yaml.ScalarNode) and not key_node.tag.endswith(":null")
            if is_word and key_node.value != "<<":
                yield key_node.value, line, child
            else:
                self.document.fault("bad_key", "a key is not a word", "write `key: value`, for `<<` use base:", line)

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        text: str = node.value
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            if (n_digits := len(text.lstrip("+-"))) > MAX_DIGITS:
                message = f"a whole number of {n_digits:,} digits, expected at most {MAX_DIGITS}"
                return self.document.fault("too_long", message, "write a smaller one, or put quotes around it", line)
            return int(text)
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text if kind == "str" else self._refuse_tag(node, line)

    def _refuse_tag(self, node: yaml.Node, line: int) -> None:
        self.document.fault("yaml_tag", f"tag {node.tag} is not allowed", "write plain values", line)
