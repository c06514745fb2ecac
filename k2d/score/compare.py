"""python -m k2d compare exp/a exp/b …: print scored tables side by side, the best in bold, significant differences
marked.

Exit codes: 0 success, 1 the scores cannot be compared, 2 wrong call.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.score.cli import NAMES, PART_NAMES, percent
from k2d.score.columns import markdown_table, text_table
from k2d.score.comparison import Against, against, best, conflicts, sets_of
from k2d.score.store import CTC_ROW
from k2d.score.stored_systems import System, systems_in

_MARK = "†"
_LABELS = {**NAMES, **PART_NAMES}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The contents of the output, in any format."""

    figure: str
    systems: Sequence[System]
    differences: Sequence[Against]
    notes: Sequence[str]

    @property
    def sets(self) -> list[str]:
        return sets_of(self.systems)


def main(argv: Sequence[str]) -> int:
    """Print the systems of the named experiments side by side."""
    asked = parser().parse_args(argv)
    found = systems_in(asked.folders)
    systems = [system for system in found if not _is_by_ctc(system)] or found
    notes = conflicts(systems)
    if notes and not asked.mixed_signatures:
        advice = "score them alike (./run.sh --stage 12 --stop-stage 12), or print them anyway: --mixed-signatures"
        raise K2DError("\n  ".join(["these scores were made in different ways:", *notes, advice]))
    notes = [f"different signatures: {note}" for note in notes]
    if left_out := [system.name for system in found if system not in systems]:
        notes.append(f"left out, because they were decoded by CTC alone: {', '.join(left_out)}")
    shown = Comparison(asked.metric, systems, list(against(systems)), notes)
    print("\n".join(as_json(shown) if asked.format == "json" else as_tables(shown, is_markdown=asked.format == "md")))
    return 0


def _is_by_ctc(system: System) -> bool:
    return system.name.endswith(CTC_ROW) or any("|decode:ctc-" in stored.signature for stored in system.scores.values())


def parser() -> argparse.ArgumentParser:
    what = "Scored experiments side by side. The baseline is the teacher, or else the first system."
    made = argparse.ArgumentParser(prog="python -m k2d compare", description=what, allow_abbrev=False)
    made.add_argument(
        "folders", type=Path, nargs="+", metavar="EXP", help="experiments, such as exp/a, or folders of scores"
    )
    made.add_argument("--format", choices=["text", "json", "md"], default="text", help="output format (default: text)")
    made.add_argument("--metric", choices=list(_LABELS), default="mer", help="which error rate to print (default: mer)")
    made.add_argument("--mixed-signatures", action="store_true", help="also compare scores with different signatures")
    return made


def as_tables(comparison: Comparison, *, is_markdown: bool) -> Iterator[str]:
    """The figures, then every system against the baseline, then notes for the reader."""
    table = markdown_table if is_markdown else text_table
    yield f"{_LABELS[comparison.figure]} (%)"
    yield ""
    yield from table(figure_rows(comparison, bold="**" if is_markdown else "*"))
    if comparison.differences:
        yield ""
        yield f"MER against {comparison.systems[0].name}"
        yield ""
        yield from table(difference_rows(comparison.differences))
    yield ""
    lead = "- " if is_markdown else ""
    yield from (lead + line for line in [*legend(comparison), *comparison.notes])


def figure_rows(comparison: Comparison, *, bold: str) -> list[list[str]]:
    """Systems in rows, sets in columns."""
    marked = {(row.system, row.set) for row in comparison.differences if row.is_significant()}
    lowest = {name: best(comparison.systems, name, comparison.figure) for name in comparison.sets}
    rows = [["system", *comparison.sets]]
    for system in comparison.systems:
        cells = []
        for name in comparison.sets:
            stored = system.scores.get(name)
            value = stored.rate(comparison.figure).percent if stored else None
            cell = f"{bold}{percent(value)}{bold}" if value is not None and value == lowest[name] else percent(value)
            has_mark = comparison.figure == "mer" and (system.name, name) in marked
            cells.append(cell + _MARK if has_mark else cell)
        rows.append([system.name, *cells])
    return rows


def difference_rows(differences: Sequence[Against]) -> list[list[str]]:
    rows = [["system", "set", "reduction", "reduction %", "P(better)", "MAPSSWE p", "speed"]]
    for row in differences:
        p = row.pairs.p if row.pairs else None
        points, percent_of = (row.reduction.points, row.reduction.percent) if row.reduction else (None, None)
        rows.append(
            [
                row.system,
                row.set,
                "–" if points is None else f"{points:+.2f}",
                "–" if percent_of is None else f"{percent_of:+.1f}",
                "–" if row.p_better is None else f"{row.p_better:.3f}",
                "–" if p is None else f"{p:.3f}",
                "–" if row.speed_up is None else f"×{row.speed_up:.1f}",
            ]
        )
    return rows


def legend(comparison: Comparison) -> Iterator[str]:
    """How to read the tables, and what is missing or doubtful in them."""
    yield "bold or *starred*: the best on the set; –: not known"
    if comparison.differences:
        yield "reduction: points of MER fewer than the baseline's, and the share of its MER; better when positive"
        yield f"{_MARK}: differs from {comparison.systems[0].name} in the paired bootstrap, at the 95 % level"
        yield "speed: times the baseline's, within an experiment alone, where models are timed in turn"
    for row in comparison.differences:
        if row.note:
            yield f"{row.system} on {row.set}: {row.note}"
    for system in comparison.systems:
        for name, stored in system.scores.items():
            if stored.score.missing:
                yield f"{system.name} on {name}: {len(stored.score.missing)} hypotheses are missing"
    for line in dict.fromkeys(stored.signature for system in comparison.systems for stored in system.scores.values()):
        yield f"signature: {line}"


def _best_names(comparison: Comparison, name: str) -> list[str]:
    lowest = best(comparison.systems, name, comparison.figure)
    scored = [system for system in comparison.systems if name in system.scores and lowest is not None]
    return [system.name for system in scored if system.scores[name].rate(comparison.figure).percent == lowest]


def as_json(comparison: Comparison) -> Iterator[str]:
    """All figures as JSON."""
    systems = [
        {
            "name": system.name,
            "sets": {
                name: {"signature": stored.signature, **stored.rate(comparison.figure).as_figure()}
                for name, stored in system.scores.items()
            },
        }
        for system in comparison.systems
    ]
    differences = [{**asdict(row), "significant": row.is_significant()} for row in comparison.differences]
    record = {
        "metric": comparison.figure,
        "baseline": comparison.systems[0].name,
        "systems": systems,
        "best": {name: _best_names(comparison, name) for name in comparison.sets},
        "against_baseline": differences,
        "notes": list(comparison.notes),
    }
    yield json.dumps(record, ensure_ascii=False, indent=1)
