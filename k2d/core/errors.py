"""Faults: what is wrong, where, what was expected and what to do. They are collected and then reported together.

This module decides nothing: a check adds faults to a report, and a verb or a stage reads the report.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


class Treatment(Enum):
    """How the toolkit handles a fault. The names are keys in the JSON of `python -m k2d data validate`."""

    REJECT = "error"  # the directory or file must not be used
    QUARANTINE = "bad item"  # the item is written to rejected.jsonl with a reason; the others are used
    NORMALISE = "normalised"  # normalised when read, counted, and corrected in the file by `fix`
    WARN = "warning"  # can be used as it is


class K2DError(Exception):
    """A fault that the user can correct. Only its message is printed, no traceback. Exit code 1."""


class UsageError(K2DError):
    """The call itself is wrong. Exit code 2."""


class MissingInput(K2DError):
    """The output of an earlier stage is missing. Exit code 3."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding. `code` is for programs (and rejected.jsonl); `message` and `remedy` are for people."""

    treatment: Treatment
    code: str
    message: str
    remedy: str = ""
    path: str = ""
    line: int | None = None
    item: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line is not None else self.path
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}; {self.remedy}" if self.remedy else text


@dataclass
class FaultReport:
    """Counts all faults and keeps the first `cap` of each code, so that a million faults fit in memory."""

    cap: int = 10
    counts: Counter[tuple[Treatment, str]] = field(default_factory=Counter)
    kept: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        key = (fault.treatment, fault.code)
        self.counts[key] += 1
        if self.counts[key] <= self.cap:
            self.kept.append(fault)

    def count(self, *treatments: Treatment) -> int:
        """The number of faults with these treatments. Without arguments, the number of all faults.

        >>> report = FaultReport()
        >>> report.add(Fault(Treatment.WARN, "one_speaker", "only one speaker"))
        >>> report.count(Treatment.WARN), report.count(Treatment.REJECT), report.count()
        (1, 0, 1)
        """
        return sum(n for (treatment, _), n in self.counts.items() if not treatments or treatment in treatments)

    def lines(self, *treatments: Treatment) -> list[str]:
        """The report as text: the kept faults by code, then the number of further faults of that code."""
        lines: list[str] = []
        for (treatment, code), n in self.counts.items():
            if treatments and treatment not in treatments:
                continue
            shown = [f for f in self.kept if (f.treatment, f.code) == (treatment, code)]
            lines += [f"{treatment.value}: {fault} [{code}]" for fault in shown]
            if n > len(shown):
                lines.append(f"{treatment.value}: … and {n - len(shown):,} more of [{code}]")
        return lines
