"""One table of a data directory: check it, normalise it where that is safe, and read it in C order by id.

A fast scan tests whether a file is canonical (NFC, LF line ends, one space after the id, sorted, unique ids). If it is
not, a normalised and sorted copy is written. Only blocks with unusual lines are checked line by line.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import lt
from pathlib import Path

from k2d.core.errors import Fault, FaultReport, K2DError, Treatment
from k2d.core.layout import no_file_kind
from k2d.data.kaldi.canonical_line import canonical_line
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.kinds import RESERVED_SYMBOLS, Kind, Style

BLOCK_BYTES = 1 << 20

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with canonical rows. `source` is the user's file; the rows are read from `file`."""

    kind: Kind
    source: Path
    file: Path

    def lines(self) -> Iterator[str]:
        return read_lines(self.file)

    def ids(self) -> Iterator[str]:
        return (line.partition(" ")[0] for line in read_lines(self.file))

    def rows(self) -> Iterator[tuple[str, str]]:
        for line in read_lines(self.file):
            key, _, value = line.partition(" ")
            yield key, value


class _Unreadable(K2DError):
    """The file is not UTF-8 text and cannot be used."""


def open_table(path: Path, kind: Kind, scratch: Path, report: FaultReport) -> Table | None:
    """Check every line of a file. None if it cannot be used. If a copy is needed, it is written to `scratch`."""
    try:
        facts = path.stat()
        if found := no_file_kind(facts.st_mode):
            message, remedy = f"is {found}, not a file", "write the content to a file, and name that file"
            report.add(Fault(Treatment.REJECT, "not_regular_file", message, remedy, str(path)))
            return None
        if facts.st_size == 0:
            remedy = "write it again or delete it"
            report.add(Fault(Treatment.REJECT, "empty_file", "the file is empty", remedy, str(path)))
            return None
        if _is_canonical(path, kind):
            return Table(kind, path, path)
        copy = scratch / kind.name
        with copy.open("w", encoding="utf-8", newline="\n") as file:
            lines = sort_lines(_canonical_lines(path, kind, report), scratch)
            file.writelines(line + "\n" for line in _unique(lines, path, report))
        return Table(kind, path, copy)
    except _Unreadable as problem:
        report.add(Fault(Treatment.REJECT, "encoding", str(problem), "save it as UTF-8", str(path)))
    except OSError as problem:
        report.add(Fault(Treatment.REJECT, "unreadable_file", f"cannot be read: {problem.strerror}", path=str(path)))
    return None


def find_lines(path: Path, wanted: set[str]) -> dict[str, list[int]]:
    """The line numbers of these ids."""
    found: dict[str, list[int]] = defaultdict(list)
    number = 0
    for block in _blocks(path):
        for raw in _split(block):
            number += 1
            fields = raw.removeprefix(_BOM).split(None, 1)
            key = unicodedata.normalize("NFC", fields[0]) if fields else ""
            if key in wanted:
                found[key].append(number)
    return found


def _blocks(path: Path) -> Iterator[str]:
    """The text of a file in blocks of whole lines. A line may be longer than a block."""
    offset = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if not block.endswith(b"\n"):
                block += file.readline()
            yield _decoded(block, offset)
            offset += len(block)


def _decoded(block: bytes, offset: int) -> str:
    if offset == 0 and _looks_like_utf16(block):
        raise _Unreadable("the file is UTF-16, not UTF-8")
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError as problem:
        where = offset + problem.start
        message = f"invalid UTF-8 at byte offset {where} (0x{block[problem.start]:02x})"
        raise _Unreadable(message) from None


def _looks_like_utf16(start: bytes) -> bool:
    """Whether this is UTF-16: by its byte order mark, or by zeros in every other byte, as in ASCII letters."""
    head = start[:64]
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (
        len(head) >= 4 and (not any(head[0::2]) or not any(head[1::2])) and any(head)
    )


def _split(block: str) -> list[str]:
    lines = block.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


# --- the fast scan ---


def _is_canonical(path: Path, kind: Kind) -> bool:
    last_id = ""
    for block in _blocks(path):
        lines = _plain_lines(block, kind)
        if lines is None:
            return False
        ids = [line.partition(" ")[0] for line in lines]
        if ids[0] <= last_id or not all(map(lt, ids, islice(ids, 1, None))):
            return False
        last_id = ids[-1]
    return True


def _plain_lines(block: str, kind: Kind) -> list[str] | None:
    """The lines of a block in which nothing has to be normalised or reported. None if it must be checked line by
    line.
    """
    if not block.endswith("\n") or "  " in block or " \n" in block:
        return None
    if not block.isascii() and not unicodedata.is_normalized("NFC", block):
        return None
    if kind.style is Style.TEXT and any(symbol in block for symbol in RESERVED_SYMBOLS):
        return None
    lines = _split(block)
    plain = all(map(str.isprintable, lines)) and all(map(kind.plain_line.fullmatch, lines))
    return lines if plain else None


# --- the check line by line ---


def _canonical_lines(path: Path, kind: Kind, report: FaultReport) -> Iterator[str]:
    """Every usable line in canonical form, in the order of the file. Findings go to the report."""
    number, last, sorted_so_far = 0, "", True
    for block in _blocks(path):
        lines = _plain_lines(block, kind)
        if lines is None:
            lines = list(_walked_lines(block, number, Table(kind, path, path), report))
        if sorted_so_far and lines and not (lines[0] >= last and lines == sorted(lines)):
            sorted_so_far = False
            message = "not sorted in C order; sorted when read"
            report.add(Fault(Treatment.NORMALISE, "unsorted", message, path=str(path)))
        last = lines[-1] if lines else last
        number += block.count("\n")
        yield from lines


def _walked_lines(block: str, n_lines_before: int, table: Table, report: FaultReport) -> Iterator[str]:
    path = str(table.source)
    if n_lines_before == 0 and block.startswith(_BOM):
        report.add(Fault(Treatment.NORMALISE, "bom", "byte order mark at the start of the file", path=path, line=1))
        block = block.removeprefix(_BOM)
    lines = _split(block)
    if not block.endswith("\n"):
        n = n_lines_before + len(lines)
        report.add(Fault(Treatment.NORMALISE, "no_final_newline", "the last line has no end", path=path, line=n))
    for number, raw in enumerate(lines, n_lines_before + 1):
        line, findings = canonical_line(raw, table.kind)
        for found in findings:
            item = line.partition(" ")[0] if line else ""
            report.add(Fault(found.treatment, found.code, found.message, found.remedy, path, number, item))
        if line is not None:
            yield line


def _unique(lines: Iterable[str], path: Path, report: FaultReport) -> Iterator[str]:
    """The first of the sorted lines of each id. The others are reported."""
    last_line, last_id = "", ""
    for line in lines:
        key = line.partition(" ")[0]
        if key != last_id:
            yield line
            last_line, last_id = line, key
            continue
        code, what = ("duplicate_line", "the same line") if line == last_line else ("duplicate_id", "another value")
        message = f"the id {key!r} occurs more than once (ids are compared in NFC), with {what}"
        report.add(Fault(Treatment.REJECT, code, message, "keep one of the lines", str(path), item=key))
