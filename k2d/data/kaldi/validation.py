"""The options and the findings of a validation, for the command line, for `fix`, and for stages that reject items."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice
from pathlib import Path

from k2d.core.errors import Fault, FaultReport, Treatment
from k2d.core.layout import PROJECT_ROOT
from k2d.data.kaldi.datadir import Tables
from k2d.data.kaldi.joins import differences
from k2d.data.kaldi.kinds import KINDS, Key
from k2d.data.kaldi.tables import Table, find_lines
from k2d.data.rows import Rejected

N_LISTED = 5  # ids shown in a message about many
FIX = "`python -m k2d data fix` repairs this"


class AudioLevel(Enum):
    """How closely the audio is checked. Each level includes the ones before it."""

    NONE = "none"
    EXISTS = "exists"  # the file exists, is regular and readable
    HEADER = "header"  # the format is known, and the file has the length that its header states
    DECODE = "decode"  # every sample can be decoded


@dataclass(frozen=True, slots=True)
class Checks:
    """What to check."""

    root: Path = PROJECT_ROOT
    """Relative paths in `wav.scp` start here."""
    audio: AudioLevel = AudioLevel.HEADER
    need_text: bool = True
    need_wav: bool = True
    nj: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass
class Validation:
    """The findings about one directory. `bad` and `clamped_ends_s` are complete; the report has a limited number."""

    folder: Path
    report: FaultReport = field(default_factory=FaultReport)
    n_utterances: int = 0
    n_recordings: int = 0
    n_speakers: int = 0
    bad: dict[Key, dict[str, Rejected]] = field(default_factory=lambda: {key: {} for key in Key})
    clamped_ends_s: dict[str, float] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        return not self.report.count(Treatment.REJECT, Treatment.QUARANTINE)

    def add_bad(self, key: Key, fault: Fault) -> None:
        """Report a fault that makes one utterance, recording or speaker unusable."""
        self.report.add(fault)
        self.bad[key].setdefault(fault.item, Rejected(fault.item, fault.code, fault.message, fault.path))

    def summary(self) -> str:
        """One line: the content, and the numbers of findings."""
        sizes = ((self.n_utterances, "utterance"), (self.n_recordings, "recording"), (self.n_speakers, "speaker"))
        content = ", ".join(_counted(n, what) for n, what in sizes)
        found = ", ".join(_counted(self.report.count(t), t.value) for t in Treatment)
        return f"{self.folder}: {'valid' if self.is_sound else 'NOT valid'}: {content}; {found}"


@dataclass
class Work:
    """One validation in progress."""

    folder: Path
    checks: Checks
    scratch: Path
    result: Validation
    tables: Tables = field(default_factory=dict)
    real_durations: Table | None = None

    def warn(self, code: str, message: str, table: Table, item: str = "") -> None:
        self.result.report.add(Fault(Treatment.WARN, code, message, path=str(table.source), item=item))

    def refuse(self, code: str, message: str, remedy: str, table: Table, item: str = "") -> None:
        self.result.report.add(Fault(Treatment.REJECT, code, message, remedy, str(table.source), item=item))

    def new_table(self, like: str, name: str) -> Table:
        """A new table in the scratch folder, still to be filled."""
        return Table(KINDS[like], self.folder / like, self.scratch / name)


def compare_ids(work: Work, left: Table, right: Table) -> int:
    """Report the ids that only one of two tables has. Returns the number of ids in both."""
    only: dict[bool, list[str]] = {True: [], False: []}
    counts = {True: 0, False: 0}
    for key, in_left in differences(left.ids(), right.ids()):
        counts[in_left] += 1
        if counts[in_left] <= N_LISTED:
            only[in_left].append(key)
    for in_left, ids in only.items():
        has, lacks = (left, right) if in_left else (right, left)
        if ids:
            message = f"{counts[in_left]:,} ids are not in {lacks.source.name}: {listed(ids, counts[in_left])}"
            remedy = "add them, or let `python -m k2d data fix` keep the ids that all files have"
            work.refuse("ids_differ", message, remedy, has, ids[0])
    return counts[True] + counts[False]


def listed(ids: list[str], n: int) -> str:
    """The first few ids, and `…` if there are more.

    >>> listed(["a", "b"], 2), listed(["a", "b"], 7)
    ('a, b', 'a, b, …')
    """
    return ", ".join([*islice(ids, N_LISTED), *(["…"] if n > min(len(ids), N_LISTED) else [])])


def with_line_numbers(report: FaultReport) -> None:
    """Add line numbers to the kept faults that name an id. Joins do not count lines, so they are looked up here."""
    wanted: dict[str, set[str]] = {}
    for fault in report.kept:
        if fault.line is None and fault.item and fault.path:
            wanted.setdefault(fault.path, set()).add(fault.item)
    numbers = {path: find_lines(Path(path), ids) for path, ids in wanted.items()}
    report.kept = [_numbered(fault, numbers.get(fault.path, {}).get(fault.item, [])) for fault in report.kept]


def _numbered(fault: Fault, lines: list[int]) -> Fault:
    if fault.line is not None or not lines:
        return fault
    if fault.code.startswith("duplicate"):
        where = ", ".join(str(line) for line in lines[:N_LISTED])
        return replace(fault, line=lines[1], message=f"{fault.message} (lines {where})") if lines[1:] else fault
    return replace(fault, line=lines[0])


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 or what == "normalised" else f"{n:,} {what}s"
