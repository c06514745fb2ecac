"""Compare systems: which scores can be in one table, which is best, and which differences are significant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from k2d.core.layout import SCORED_ROLES
from k2d.score.align import edits
from k2d.score.confidence import (
    FEW_SEGMENTS,
    USUAL,
    Draws,
    MatchedPairs,
    improvement,
    matched_pairs,
    segment_differences,
)
from k2d.score.rates import Reduction, reduction
from k2d.score.signature import differing_fields
from k2d.score.store import HYP, REF, StoredScore
from k2d.score.stored_systems import System
from k2d.score.timing import speed_up


@dataclass(frozen=True, slots=True)
class Against:
    """A system compared with the baseline on one set."""

    system: str
    set: str
    reduction: Reduction | None
    """The reduction of the MER relative to the baseline."""
    p_better: float | None
    """Paired bootstrap: the probability that the system makes fewer errors than the baseline."""
    pairs: MatchedPairs | None
    speed_up: float | None
    note: str = ""

    def is_significant(self, level: float = USUAL.level) -> bool:
        """Whether the paired bootstrap leaves less than the level's tail to the other direction."""
        tail = (1 - level) / 2
        return self.p_better is not None and not tail < self.p_better < 1 - tail


def sets_of(systems: Sequence[System]) -> list[str]:
    """The sets with a score of any system, in the order of their roles and names."""
    roles = {name: stored.score.role for system in systems for name, stored in system.scores.items()}
    order = [*SCORED_ROLES, ""]
    return sorted(roles, key=lambda name: (order.index(roles[name]) if roles[name] in order else len(order), name))


def conflicts(systems: Sequence[System]) -> list[str]:
    """Why the scores do not belong into one table. Empty if they do.

    On one set the signatures must be equal. Between sets, only the set itself may differ.
    """
    lines: dict[str, None] = {}
    first: tuple[str, str] | None = None
    by_set: dict[str, tuple[str, str]] = {}
    for system in systems:
        for name, stored in system.scores.items():
            cell = (f"{system.name} on {name}", stored.signature)
            first = first or cell
            by_set.setdefault(name, cell)
            for other, same_set in ((by_set[name], True), (first, False)):
                fields = differing_fields(other[1], cell[1])
                told = [field for field in fields if same_set or not field.startswith("set:")]
                if told:
                    lines[f"{other[0]} and {cell[0]} differ in {'; '.join(told)}"] = None
    return list(lines)


def best(systems: Sequence[System], name: str, figure: str) -> float | None:
    """The lowest rate on a set."""
    rates = [system.scores[name].rate(figure).percent for system in systems if name in system.scores]
    return min((rate for rate in rates if rate is not None), default=None)


def against(systems: Sequence[System], draws: Draws = USUAL) -> Iterator[Against]:
    """Every system compared with the first, on all sets where both were scored."""
    baseline = systems[0]
    for system in systems[1:]:
        for name in sets_of([baseline, system]):
            if name in baseline.scores and name in system.scores:
                yield _against(baseline, system, name, draws)


def _against(baseline: System, system: System, name: str, draws: Draws) -> Against:
    scores = baseline.scores[name], system.scores[name]
    gain = reduction(*(stored.rate("mer") for stored in scores))
    p_better, pairs, note = None, None, ""
    lacking = [name for stored in scores for name in stored.lacking()]
    if lacking:
        note = f"not tested: {', '.join(lacking)} is gone"
    elif _same_references(*scores):
        before, after = (list(stored.groups().values()) for stored in scores)
        p_better = improvement(before, after, draws)
        pairs = matched_pairs(_differences(*scores))
        if pairs.n_segments < FEW_SEGMENTS:
            note = f"{pairs.n_segments} segments: too few to trust MAPSSWE"
    else:
        note = "not tested: the references or their tokens differ"
    return Against(system.name, name, gain, p_better, pairs, _faster(baseline, system, name), note)


def _faster(baseline: System, system: System, name: str) -> float | None:
    """The speed relative to the baseline. None between experiments, because the machines may differ."""
    factors = [each.speeds.get(name) for each in (baseline, system)]
    if baseline.folder != system.folder or factors[0] is None or factors[1] is None:
        return None
    return speed_up(factors[0], factors[1])


def _same_references(one: StoredScore, other: StoredScore) -> bool:
    sizes = [[(group, rate.n) for group, rate in stored.groups().items()] for stored in (one, other)]
    return sizes[0] == sizes[1] and all(a == b for a, b in zip_longest(one.tokens(REF), other.tokens(REF)))


def _differences(one: StoredScore, other: StoredScore) -> list[int]:
    found: list[int] = []
    for (_, ref), (_, first), (_, second) in zip(one.tokens(REF), one.tokens(HYP), other.tokens(HYP), strict=True):
        found += segment_differences(len(ref), edits(ref, first), edits(ref, second))
    return found
