"""The recall of English terms: how many English words of mixed utterances a system writes correctly.

What users of code-switched recognition ask first, since the English words of a lecture are its terms. Words that are
inserted do not count, so the recall is not 100 less the error rate of these words (PIER).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from k2d.score.confidence import Draws, bootstrap
from k2d.score.rates import ErrorRate


@dataclass(frozen=True, slots=True)
class TermRecall:
    """The words, how many of them are correct, and the interval of the share in percent, if there is one."""

    n: int
    n_correct: int
    low: float | None
    high: float | None

    @property
    def percent(self) -> float | None:
        return 100 * self.n_correct / self.n if self.n else None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def term_recall(groups: Iterable[ErrorRate], draws: Draws) -> TermRecall:
    """From the errors on such words (the measure `pier`) in each group of the bootstrap.

    >>> term_recall([ErrorRate(n=4, s=1, i=3), ErrorRate(n=6, d=1)], Draws(resamples=1000)).percent
    80.0
    """
    missed = [ErrorRate(each.n, each.s, each.d) for each in groups]
    total = sum(missed, ErrorRate())
    found = bootstrap(missed, draws)
    low, high = (None, None) if found is None else (round(100 - found.high, 4), round(100 - found.low, 4))
    return TermRecall(total.n, total.n - total.errors, low, high)


def stored_recall(raw: Mapping[str, Any] | None) -> TermRecall | None:
    """As score.json holds it. Scores of earlier versions do not have it."""
    if raw is None:
        return None
    low, high = (None if raw[name] is None else float(raw[name]) for name in ("low", "high"))
    found = TermRecall(int(raw["n"]), int(raw["n_correct"]), low, high)
    if not 0 <= found.n_correct <= found.n:
        raise ValueError(f"counts that cannot be: {found.n_correct} correct terms of {found.n}")
    return found
