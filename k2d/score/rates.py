"""Counts of errors. Counts are added; a rate is always the quotient of two sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Figure = dict[str, int | float | None]  # as stored


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Reference tokens, and the substitutions, deletions and insertions among them.

    >>> ErrorRate(n=4, s=1) + ErrorRate(n=6, d=1, i=3)
    ErrorRate(n=10, s=1, d=1, i=3)
    >>> (ErrorRate(n=4, s=1) + ErrorRate(n=6, d=1, i=3)).percent
    50.0
    """

    n: int = 0
    s: int = 0
    d: int = 0
    i: int = 0

    def __post_init__(self) -> None:
        assert min(self.s, self.d, self.i) >= 0, f"a count below 0: {self}"
        assert self.s + self.d <= self.n, f"more wrong tokens than tokens: {self}"

    def __add__(self, other: ErrorRate) -> ErrorRate:
        return ErrorRate(self.n + other.n, self.s + other.s, self.d + other.d, self.i + other.i)

    @property
    def errors(self) -> int:
        return self.s + self.d + self.i

    @property
    def percent(self) -> float | None:
        """Errors per 100 reference tokens. None without reference tokens, because insertions then have no rate."""
        return 100 * self.errors / self.n if self.n else None

    def as_figure(self) -> Figure:
        percent = self.percent
        return {
            "n": self.n,
            "s": self.s,
            "d": self.d,
            "i": self.i,
            "percent": None if percent is None else round(percent, 4),
        }


def total(rates: Iterable[ErrorRate]) -> ErrorRate:
    """The sum of the counts.

    >>> total([])
    ErrorRate(n=0, s=0, d=0, i=0)
    """
    n = s = d = i = 0
    for rate in rates:
        n, s, d, i = n + rate.n, s + rate.s, d + rate.d, i + rate.i
    return ErrorRate(n, s, d, i)


@dataclass(frozen=True, slots=True)
class Reduction:
    """How much lower an error rate is than another one. Positive is better, in every table and file."""

    points: float
    """The difference in percentage points."""
    percent: float | None
    """The same as a share of the other rate. None if that is 0."""


def reduction(before: ErrorRate, after: ErrorRate) -> Reduction | None:
    """The reduction from one error rate to another. None if one of them has no reference tokens.

    >>> reduction(ErrorRate(n=100, s=20), ErrorRate(n=100, s=15))
    Reduction(points=5.0, percent=25.0)
    >>> reduction(ErrorRate(n=100, s=20), ErrorRate(n=100, s=25)).percent, reduction(ErrorRate(), ErrorRate(n=1))
    (-25.0, None)
    """
    old, new = before.percent, after.percent
    if old is None or new is None:
        return None
    return Reduction(old - new, 100 * (old - new) / old if old else None)
