"""Text in columns, in which a Han character is two columns wide: alignments like sclite's, trn lines, tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from k2d.score.align import Alignment, Column, columns
from k2d.text.tokenise import Token


@lru_cache(maxsize=1 << 16)  # tokens repeat often
def width(text: str) -> int:
    """The number of columns of a text in a terminal.

    >>> width("gpu"), width("我們"), width("e\\u0301")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(_width_of(character) for character in text)


def _width_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, n_columns: int, *, right: bool = False) -> str:
    """The text padded with spaces to a width, at its end or (`right`) before it."""
    space = " " * (n_columns - width(text))
    return space + text if right else text + space


def trn_line(key: str, tokens: Iterable[Token]) -> str:
    """A line of a trn file.

    >>> from k2d.text.tokenise import mixed_tokens
    >>> trn_line("spk1-u1", mixed_tokens("用 gpu 跑"))
    '用 gpu 跑 (spk1-u1)'
    """
    return " ".join([*(token.text for token in tokens), f"({key})"])


def parse_trn_line(line: str) -> tuple[str, list[str]]:
    """The id and the words of a trn line."""
    words, _, key = line.rstrip(")").rpartition("(")
    return key, words.split()


def alignment_block(key: str, alignment: Alignment) -> str:
    """An utterance as in sclite's `pralign`: reference above hypothesis, gaps as asterisks, errors marked below.

    >>> from k2d.score.align import align
    >>> from k2d.text.tokenise import mixed_tokens
    >>> print(alignment_block("u1", align(mixed_tokens("我 用 gpu"), mixed_tokens("我 gp 吧"))))
    id: (u1)
    Scores: (#C #S #D #I) 1 2 0 0
    REF:  我 用 gpu
    HYP:  我 gp 吧
    Eval:    S  S
    """
    counts = alignment.counts
    n_correct = counts.n - counts.s - counts.d
    rows = list(zip(*map(_cells, columns(alignment)), strict=True)) or [(), (), ()]
    lines = zip(("REF: ", "HYP: ", "Eval:"), rows, strict=True)
    head = [f"id: ({key})", f"Scores: (#C #S #D #I) {n_correct} {counts.s} {counts.d} {counts.i}"]
    return "\n".join([*head, *(" ".join([name, *row]).rstrip() for name, row in lines)])


def _cells(column: Column) -> tuple[str, str, str]:
    """Reference, hypothesis and mark, padded to the same width."""
    ref, hyp = column
    if ref is None or hyp is None:
        word = ref or hyp or ""
        gap = "*" * width(word)
        return (gap, word, padded("I", len(gap))) if ref is None else (word, gap, padded("D", len(gap)))
    if ref == hyp:
        return ref, ref, " " * width(ref)
    n_columns = max(width(ref), width(hyp))
    return padded(ref, n_columns), padded(hyp, n_columns), padded("S", n_columns)


def text_table(rows: Sequence[Sequence[str]], *, ends_in_words: bool = False) -> Iterator[str]:
    """The lines of a table for a terminal: a head, then rows. The first column is left-aligned, numbers are
    right-aligned.

    >>> print(*text_table([("what", "GB", "how"), ("a", "12", "1 + 2")], ends_in_words=True), sep="\\n")
    what  GB  how
    a     12  1 + 2
    """
    widths = [max(map(width, cells)) for cells in zip(*rows, strict=True)]
    of_figures = range(1, len(widths) - ends_in_words)
    for row in rows:
        cells = [padded(cell, widths[at], right=at in of_figures) for at, cell in enumerate(row)]
        yield "  ".join(cells).rstrip()


def markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of the same table in Markdown."""
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join([' --- ', *(' ---: ' for _ in head[1:])])}|"
    for row in body:
        yield f"| {' | '.join(row)} |"
