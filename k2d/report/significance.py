"""Which differences are significant: every system against the teacher and the student that learned from all data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from k2d.config import Config
from k2d.core.errors import K2DError
from k2d.core.layout import TEACHER
from k2d.report.document import NOTHING, Cell, Table
from k2d.report.wording import number
from k2d.score.comparison import Against, against
from k2d.score.store import CTC_ROW
from k2d.score.stored_systems import System, systems_in

_MARK = "✓"


def baselines(config: Config) -> list[str]:
    """The teacher, and the first student whose method keeps all chunks."""
    everything = [method for method, chosen in config.select.methods.items() if chosen.rule == "none"]
    return [TEACHER, *(f"{method}-s{config.distill.seeds[0]}" for method in everything[:1])]


def significance_table(exp: Path, config: Config, sets: Sequence[str], caption: str) -> Table | None:
    """The paired bootstrap and MAPSSWE on every set. None if there is nothing to compare."""
    try:
        systems = [system for system in systems_in([exp]) if not system.name.endswith(CTC_ROW)]
    except K2DError:
        return None
    rows = tuple(row for baseline in baselines(config) for row in _rows(systems, baseline, set(sets)))
    if not rows:
        return None
    header = ("against", "set", "system", "reduction", "reduction %", "p(better)", "MAPSSWE p", "real")
    note = (
        "Reduction: points of MER fewer than what it is against, and the share of its MER; better when positive. "
        "p(better): paired bootstrap, the probability of fewer errors. MAPSSWE: matched pairs of sentence segments, "
        f"two-sided. {_MARK}: beyond the 95 % level of the bootstrap."
    )
    return Table(caption, header, rows, n_names=3, notes=(note,))


def _rows(systems: Sequence[System], baseline: str, sets: set[str]) -> Iterator[tuple[Cell, ...]]:
    first = [system for system in systems if system.name == baseline]
    others = [system for system in systems if system.name not in (baseline, TEACHER)]
    for found in against([*first, *others]) if first else ():
        if found.set in sets:
            yield tuple(Cell(text) for text in (baseline, *_cells(found)))


def _cells(found: Against) -> Iterator[str]:
    yield found.set
    yield found.system
    yield number(None if found.reduction is None else found.reduction.points)
    yield number(None if found.reduction is None else found.reduction.percent, 1)
    yield number(found.p_better, 3)
    yield number(found.pairs.p, 3) if found.pairs is not None else NOTHING
    yield _MARK if found.is_significant() else ""
