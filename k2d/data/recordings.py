"""Measure the durations of a corpus's recordings and find unusable ones. Each file is read once, in workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.progress import track
from k2d.core.retries import is_passing, run_each_twice
from k2d.data.kaldi.external_sort import read_lines
from k2d.data.kaldi.joins import Row, split_row
from k2d.data.rows import Rejected

LIMIT_S = 120.0  # per file


@dataclass
class Probed:
    """The durations of usable recordings, in a file because there may be millions; and the others with their
    reasons.
    """

    durations: Path
    bad: dict[str, Rejected] = field(default_factory=dict)

    def durations_s(self) -> Iterator[tuple[str, float]]:
        for key, seconds in map(split_row, read_lines(self.durations)):
            yield key, float(seconds)


def probe_recordings(recordings: Path, scratch: Path, *, nj: int, label: str) -> Probed:
    """Check the audio of the recordings in a file, which has a line `recording audio` for each.

    A recording is bad only through a fault of its own. K2DError names those that the machine failed to read in two
    tries.
    """
    probed = Probed(scratch / "durations")
    total = sum(1 for _ in read_lines(recordings))
    outcomes = run_each_twice(
        duration_s,
        map(split_row, read_lines(recordings)),
        nj=nj,
        limit_s=LIMIT_S,
        judge=is_machines,
        what=lambda n: f"{label}: {n:,} of {total:,} recordings",
        name=lambda row: row[0],
    )
    n_answered = 0
    with probed.durations.open("w", encoding="utf-8") as file:
        for outcome in track(outcomes, label, total, "recordings"):
            n_answered += 1
            if outcome.value is not None:
                file.write(f"{outcome.item[0]} {outcome.value!r}\n")
            else:
                key, audio = outcome.item
                reason = getattr(outcome.exception, "reason", "decoder_failed")
                rejected = Rejected(key, reason, str(outcome.exception or outcome.error), audio)
                probed.bad[rejected.id] = rejected
    if n_answered != total:
        raise K2DError(f"{label}: {n_answered:,} of {total:,} recordings were looked at; run the same command again")
    return probed


def is_machines(error: BaseException) -> bool:
    """Whether reading failed through the machine. A missing file may be the corpus's fault."""
    from k2d.data.audio import AudioError, Cause

    return error.cause is Cause.MACHINE if isinstance(error, AudioError) else is_passing(error)


def duration_s(recording: Row) -> float:
    """The duration of a sound recording. AudioError gives the fault of others. Runs in a worker."""
    from k2d.data.audio.probe import probe
    from k2d.data.audio.source import resolve

    return probe(resolve(recording[1])).duration_s
