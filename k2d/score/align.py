"""Align two token sequences and list the edits. All figures except the split ones are counted from one alignment.

Substitution, deletion and insertion cost 1 each. If several alignments have the lowest cost, rapidfuzz's is used:
common ends are matched first, and a deletion and an insertion may be preferred to substitutions (`ab` against `ba` is
one of each). Other tools resolve ties differently, so totals can be compared with theirs, but single numbers of
substitutions, deletions and insertions cannot. The version of rapidfuzz is in the signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from k2d.score.rates import ErrorRate
from k2d.text.tokenise import Token

Kind = Literal["s", "d", "i"]

_KINDS: dict[str, Kind] = {"replace": "s", "delete": "d", "insert": "i"}


class Edit(NamedTuple):
    """A difference: at (for an insertion: before) reference token `ref_at`, with hypothesis token `hyp_at`."""

    kind: Kind
    ref_at: int
    hyp_at: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two token sequences and their edits, in order. Tokens without an edit are correct."""

    ref: Sequence[Token]
    hyp: Sequence[Token]
    edits: Sequence[Edit]

    @property
    def counts(self) -> ErrorRate:
        return counted(len(self.ref), self.edits)


class Column(NamedTuple):
    """A column of an alignment: a token of each side, or a gap."""

    ref: str | None
    hyp: str | None


def align(ref: Sequence[Token], hyp: Sequence[Token]) -> Alignment:
    """Align two token sequences.

    >>> from k2d.text.tokenise import mixed_tokens
    >>> align(mixed_tokens("我 用 gpu"), mixed_tokens("我 們 用 cpu")).edits
    [Edit(kind='i', ref_at=1, hyp_at=1), Edit(kind='s', ref_at=2, hyp_at=3)]
    """
    return Alignment(ref, hyp, edits([token.text for token in ref], [token.text for token in hyp]))


def edits(ref: Sequence[str], hyp: Sequence[str]) -> list[Edit]:
    """The edits that turn one sequence into the other."""
    if ref == hyp:
        return []
    # rapidfuzz compares hashes of strings, which two words might share. Python's hashes also differ between processes.
    codes: dict[str, int] = {}  # by word
    ref_codes = [codes.setdefault(word, len(codes)) for word in ref]
    hyp_codes = [codes.setdefault(word, len(codes)) for word in hyp]
    found = Levenshtein.editops(ref_codes, hyp_codes)
    return [Edit(_KINDS[edit.tag], edit.src_pos, edit.dest_pos) for edit in found]


def counted(n: int, found: Sequence[Edit]) -> ErrorRate:
    """The counts of edits among `n` reference tokens."""
    kinds = [edit.kind for edit in found]
    return ErrorRate(n, kinds.count("s"), kinds.count("d"), kinds.count("i"))


def columns(alignment: Alignment) -> list[Column]:
    """The alignment column by column.

    >>> from k2d.text.tokenise import mixed_tokens
    >>> [tuple(column) for column in columns(align(mixed_tokens("我 用"), mixed_tokens("我 們 用")))]
    [('我', '我'), (None, '們'), ('用', '用')]
    """
    ref, hyp = alignment.ref, alignment.hyp
    found: list[Column] = []
    # Edits have their places on both sides, and tokens between two edits are equal, so these are filled in one by one.
    at_ref = at_hyp = 0
    for kind, ref_at, hyp_at in alignment.edits:
        n_same = ref_at - at_ref
        found += [Column(ref[at_ref + k].text, hyp[at_hyp + k].text) for k in range(n_same)]
        found.append(Column(None if kind == "i" else ref[ref_at].text, None if kind == "d" else hyp[hyp_at].text))
        at_ref = ref_at + (kind != "i")
        at_hyp = hyp_at + (kind != "d")
    found += [Column(token.text, other.text) for token, other in zip(ref[at_ref:], hyp[at_hyp:], strict=True)]
    return found
