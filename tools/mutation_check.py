"""Checks that tests fail if a line is wrong: changes lines of the pure rooms one at a time, in a copy of the tree.

    python tools/mutation_check.py [--seed N] [--lines 40] [--at-least 36] [--room select] [--record FILE]

Each change is a typical mistake: a reversed comparison, plus for minus, a number that is one too large, `and` for `or`,
a missing `not`, or two swapped values. Lines that only phrase a message, annotate a type or set the size of a cache are
not changed, because no test can fail there. The exit code is 1 if tests fail for fewer changes than `--at-least`.

With `--record`, results are written to a file, and the same command continues after them. Delete the file when tests or
code have changed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_ENDLESS = 1e6  # a difference of 1 has no effect on such numbers
LIMIT_S = 600  # a change can make a loop endless, but a loaded machine is slow


@dataclass(frozen=True)
class Room:
    """Files whose results depend only on their arguments, and the tests of these files."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


def _room(folder: str, names: str, tests: tuple[str, ...] = ()) -> Room:
    return Room(tuple(f"k2d/{folder}/{name}.py" for name in names.split()), tests or (folder,))


_TEXTS = (
    "basic english lexicon mandarin normalise normaliser_steps numerals phonemes script timestamps tokenise truncate"
)
_DECODING = tuple(f"decode/test_{name}.py" for name in ("agreement", "beam", "clips", "ctc", "fallback", "search"))
ROOMS = {
    "select": _room("select", "distances loops metrics rules"),
    "score": _room("score", "align columns comparison confidence measures pairing rates scoring validator"),
    "study": _room("study", "combined comparing doubt facts judges judging logistic ranking reliability"),
    "objectives": _room("objectives", "objective terms"),
    "text": _room("text", _TEXTS),
    "decode": _room(
        "decode",
        "agreement beam clips ctc fallback greedy guards search",
        (*_DECODING, "decode/test_long_recordings.py"),
    ),
    "data": _room(
        "data",
        "chunks chunk_tally",
        ("data/test_chunks.py", "data/test_chunk_tally.py", "data/test_chunk_sources.py"),
    ),
}

FLIPPED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_ONLY_GUARDS = re.compile(r"cache|block|_ENDED_SHARE|_MOST|VERSION|size|strict|repr", flags=re.IGNORECASE)
_WORDS = {"print", "info", "warning", "debug", "warn", "K2DError", "UsageError", "MissingInput", "ValueError"}
_WORDING = {"__repr__", "__str__", "describe", "words", "main", "parser"}


@dataclass(frozen=True)
class Change:
    """New text for a part of one line of a file."""

    room: str
    path: str
    line: int
    start: int
    end: int
    text: str

    def applied(self, source: str) -> str:
        lines = source.splitlines(keepends=True)
        raw = lines[self.line - 1].encode()  # ast counts bytes
        lines[self.line - 1] = (raw[: self.start] + self.text.encode() + raw[self.end :]).decode()
        return "".join(lines)


def changes_of(room: str, path: str, source: str) -> Iterator[Change]:
    """Yield each change of a file for which a test could fail."""
    for node in _seen_by_tests(ast.parse(source)):
        for start, end, text in _replacements(node, source):
            if start.line == end.line:
                yield Change(room, path, start.line, start.column, end.column, text)


@dataclass(frozen=True)
class Place:
    line: int
    column: int


def _begin(node: ast.expr | ast.stmt) -> Place:
    return Place(node.lineno, node.col_offset)


def _end(node: ast.expr | ast.stmt) -> Place:
    return Place(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def _seen_by_tests(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree without messages, annotations, decorators and internal checks."""
    if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom)):
        return
    if isinstance(node, ast.Call) and _name(node.func) in _WORDS:
        return
    if isinstance(node, ast.keyword) and node.arg and _ONLY_GUARDS.search(node.arg):
        return
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and _ONLY_GUARDS.search(ast.unparse(node).partition("=")[0]):
        return
    if isinstance(node, ast.FunctionDef) and node.name in _WORDING:
        return
    yield node
    skipped = {"annotation", "returns", "decorator_list", "type_comment"}
    for field, value in ast.iter_fields(node):
        if field not in skipped:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _seen_by_tests(child)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _replacements(node: ast.AST, source: str) -> Iterator[tuple[Place, Place, str]]:
    """Yield parts of the source with their replacements. Each is a change by itself."""

    def code(part: ast.expr) -> str:
        return ast.get_source_segment(source, part) or ""

    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = node.left, node.comparators[0]
        yield _begin(node), _end(node), f"{code(left)} {FLIPPED[type(node.ops[0])]} {code(right)}"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and _are_numbers(node):
        sign = "-" if isinstance(node.op, ast.Add) else "+"
        yield _begin(node), _end(node), f"{code(node.left)} {sign} {code(node.right)}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _begin(node), _end(node), repr(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and abs(node.value) < _ENDLESS:
        yield _begin(node), _end(node), repr(node.value + 1)
        if node.value > 0:
            yield _begin(node), _end(node), repr(node.value - 1)
    elif isinstance(node, ast.BoolOp):
        word = " or " if isinstance(node.op, ast.And) else " and "
        yield _begin(node), _end(node), f"({word.join(f'({code(value)})' for value in node.values)})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _begin(node), _end(node), f"bool({code(node.operand)})"
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
        first, second, *rest = node.value.elts
        if code(first) != code(second):
            yield _begin(node.value), _end(node.value), ", ".join(map(code, (second, first, *rest)))


def _are_numbers(node: ast.BinOp) -> bool:
    """Whether both sides can be numbers. For texts and lists, Python itself raises an error."""
    kinds = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp, ast.Dict, ast.Set)
    sides = (node.left, node.right)
    return not any(isinstance(s, kinds) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides)


def drawn(seed: int, n_lines: int, rooms: Sequence[str]) -> list[Change]:
    """Draw n lines from all rooms and files, and one change in each line."""
    lines: dict[tuple[str, int], list[Change]] = defaultdict(list)
    for name in rooms:
        for path in ROOMS[name].files:
            for change in changes_of(name, path, (ROOT / path).read_text(encoding="utf-8")):
                lines[path, change.line].append(change)
    chance = random.Random(seed)
    chosen = chance.sample(sorted(lines), min(n_lines, len(lines)))
    return [chance.choice(lines[place]) for place in sorted(chosen)]


class Copy:
    """The tracked files in another folder, in which lines are changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def fault(self, room: Room, first: str = "") -> str:
        """The first test of a room that fails. Empty if all pass."""
        tests = [f"test/{name}" for name in room.tests]
        if first and (self.folder / first).exists():
            tests.insert(0, first)
        words = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"not finished after {LIMIT_S} s"
        if done.returncode == 0:
            return ""
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return failed[0].split(" - ")[0].split("::", 1)[-1] if failed else f"exit code {done.returncode}"

    def difference(self, change: Change) -> str:
        """The line before and after the change."""
        source = (self.folder / change.path).read_text(encoding="utf-8")
        before, after = (text.splitlines()[change.line - 1].strip() for text in (source, change.applied(source)))
        return f"  - {before}\n  + {after}"

    def fault_with(self, change: Change) -> str:
        path = self.folder / change.path
        right = path.read_text(encoding="utf-8")
        compiled = Path(importlib.util.cache_from_source(str(path)))
        try:
            compiled.unlink(missing_ok=True)
            path.write_text(change.applied(right), encoding="utf-8")
            _, room, name = change.path.split("/")
            return self.fault(ROOMS[change.room], f"test/{room}/test_{name}")
        finally:
            path.write_text(right, encoding="utf-8")
            compiled.unlink(missing_ok=True)


class Record:
    """The result for each change, in a file of JSON lines."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._faults: dict[str, str] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                found = json.loads(line)
                self._faults[json.dumps(found["change"])] = found["fault"]

    def get(self, change: Change) -> str | None:
        return self._faults.get(json.dumps(asdict(change)))

    def add(self, change: Change, fault: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"change": asdict(change), "fault": fault}) + "\n")


def main() -> int:
    options = _options()
    record = Record(options.record)
    changes = drawn(options.seed, options.lines, options.room or list(ROOMS))
    print(f"seed {options.seed}: {len(changes)} lines", flush=True)
    n_noticed = 0
    with tempfile.TemporaryDirectory(prefix="k2d-mutation-") as folder:
        copy = Copy(Path(folder))
        for room in sorted({change.room for change in changes if record.get(change) is None}):
            if fault := copy.fault(ROOMS[room]):
                print(f"{room}: its tests fail without a change: {fault}")
                return 2
        for change in changes:
            known = record.get(change)
            fault = copy.fault_with(change) if known is None else known
            if known is None:
                record.add(change, fault)
            n_noticed += bool(fault)
            print(f"{'noticed' if fault else 'MISSED '}  {change.path}:{change.line}")
            print(copy.difference(change), f"  {fault}", sep="\n", flush=True)
    print(f"{n_noticed} of {len(changes)} noticed, expected at least {options.at_least}")
    return 0 if n_noticed >= options.at_least else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000), help="default: random")
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--at-least", type=int, default=36)
    parser.add_argument("--room", action="append", choices=list(ROOMS), help="only this one; can be repeated")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write results to this file, and continue after those in it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
