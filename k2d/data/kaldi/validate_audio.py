"""Check the audio of a data directory in worker processes. A crash of a decoder does not end the validation."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from k2d.core.errors import Fault, Treatment
from k2d.core.progress import track
from k2d.core.retries import was_killed
from k2d.core.workers import Outcome, run_each
from k2d.data.audio import AudioCheck, AudioError, AudioSource, Cause, check, probe, resolve
from k2d.data.audio.source import stat_regular
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.joins import Row, split_row
from k2d.data.kaldi.kinds import Key
from k2d.data.kaldi.tables import Table
from k2d.data.kaldi.validation import AudioLevel, Work

LIMIT_S = {AudioLevel.EXISTS: 60.0, AudioLevel.HEADER: 120.0, AudioLevel.DECODE: 3600.0}  # per file
CLIPPED_SHARE = 0.001  # of the samples; a recording with more gets a warning
_SAMPLE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of `wav.scp`, and how closely to check it."""

    key: str
    value: str
    root: Path
    level: AudioLevel


@dataclass(frozen=True, slots=True)
class _Facts:
    """The result of a check: a reason to reject the recording, or its length and a fingerprint of its content."""

    reason: str = ""
    message: str = ""
    duration_s: float | None = None
    content: str = ""
    warnings: dict[str, str] = field(default_factory=dict)
    is_machines: bool = False
    """The reason is a fault of the machine, so the recording is not rejected for it."""


def check_audio(work: Work, wav: Table) -> Table | None:
    """Report unusable recordings as bad items. Returns the real durations of the others, if headers were read."""
    durations, contents = work.new_table("reco2dur", "real_durations"), work.scratch / "contents"
    with durations.file.open("w", encoding="utf-8") as duration_file, contents.open("w", encoding="utf-8") as prints:
        values = (value for _, value in _good_rows(wav))
        for (key, facts), value in zip(_looked_at(work, wav), values, strict=True):
            if facts.is_machines:
                remedy = "it is not left out for this: repair the machine (disk, mount, memory) and run it again"
                work.result.report.add(Fault(Treatment.REJECT, facts.reason, facts.message, remedy, item=key))
            elif facts.reason:
                fault = Fault(Treatment.QUARANTINE, facts.reason, facts.message, "", str(wav.source), item=key)
                work.result.add_bad(Key.RECORDING, fault)
            if facts.duration_s is not None:
                duration_file.write(f"{key} {facts.duration_s!r}\n")
            if facts.content:
                prints.write(f"{facts.content} {key} {value}\n")
            for code, message in facts.warnings.items():
                work.warn(code, f"the audio of {key!r} {message}", wav, key)
    _report_same_content(work, wav, contents)
    return durations if work.checks.audio in {AudioLevel.HEADER, AudioLevel.DECODE} else None


def _good_rows(wav: Table) -> Iterator[Row]:
    """The rows that name a file. The others have been reported already."""
    return (row for row in wav.rows() if not wav.kind.problem(row[1]))


def _looked_at(work: Work, wav: Table) -> Iterator[tuple[str, _Facts]]:
    """The facts of each recording, sorted by id, so that the report does not depend on the number of workers."""
    entries = (_Entry(key, value, work.checks.root, work.checks.audio) for key, value in _good_rows(wav))
    seen: Iterable[tuple[str, _Facts]]
    if work.checks.audio is AudioLevel.EXISTS:
        seen = ((entry.key, _look(entry)) for entry in entries)
    else:
        outcomes = run_each(_look, entries, nj=work.checks.nj, limit_s=LIMIT_S[work.checks.audio])
        seen = ((outcome.item.key, _facts_of(outcome)) for outcome in outcomes)
    shown = track(seen, f"audio of {work.folder}", work.result.n_recordings, "recordings")
    for line in sort_lines((f"{key} {json.dumps(asdict(facts))}" for key, facts in shown), work.scratch):
        key, _, encoded = line.partition(" ")
        yield key, _Facts(**json.loads(encoded))


def _facts_of(outcome: Outcome[_Entry, _Facts]) -> _Facts:
    if outcome.value is not None:
        return outcome.value
    is_machines = was_killed(outcome.error)
    return _Facts("decoder_failed", f"{outcome.item.value!r}: {outcome.error}", is_machines=is_machines)


def _look(entry: _Entry) -> _Facts:
    """Check one recording. Runs in a worker."""
    try:
        source = resolve(entry.value, entry.root)
        facts = stat_regular(source)
        if not os.access(source.path, os.R_OK):
            return _Facts("unreadable", f"{source}: no permission to read it")
        if entry.level is AudioLevel.EXISTS:
            return _Facts()
        if entry.level is AudioLevel.HEADER:
            content = _sampled(source, facts.st_size) if source.ark_offset is None else ""
            return _Facts(duration_s=probe(source).duration_s, content=content)
        found = check(source)
        return _Facts(duration_s=found.info.duration_s, content=found.sha256, warnings=_warnings(found))
    except AudioError as problem:
        is_machines = problem.cause is Cause.MACHINE
        return _Facts(problem.reason, f"{problem.source}: {problem.message}", is_machines=is_machines)


def _warnings(found: AudioCheck) -> dict[str, str]:
    """Warnings about audio that can be used, by code."""
    warnings = {}
    if found.is_silent:
        warnings["silent"] = "is silent: every sample is the same"
    if found.n_complaints:
        warnings["decoder_complained"] = f"caused {found.n_complaints:,} decoder warnings: it may be damaged"
    if found.peak > 1.0:
        warnings["over_full_scale"] = f"reaches {found.peak:g}, above full scale"
    elif found.clipped_share > CLIPPED_SHARE:
        warnings["clipped"] = f"is clipped: {100 * found.clipped_share:.2g} % of its samples are at full scale"
    return warnings


def _sampled(source: AudioSource, n_bytes: int) -> str:
    """A fingerprint of size, start, middle and end. Equal files have equal ones; other files seldom do."""
    digest = hashlib.sha256(str(n_bytes).encode())
    with source.path.open("rb") as file:
        for offset in (0, n_bytes // 2, max(0, n_bytes - _SAMPLE_BYTES)):
            file.seek(offset)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _report_same_content(work: Work, wav: Table, contents: Path) -> None:
    """Warn about recordings with different paths but the same audio. Equal paths are found without reading."""
    for (key, value), (first_key, first_value) in _same_prints(sort_lines(read_lines(contents), work.scratch)):
        if value == first_value:
            continue
        if work.checks.audio is AudioLevel.DECODE or _are_equal(value, first_value, work.checks.root):
            message = f"{key!r} has the same audio as {first_key!r}: {value} and {first_value}"
            work.warn("same_audio", message, wav, key)


def _same_prints(lines: Iterable[str]) -> Iterator[tuple[Row, Row]]:
    """From sorted lines `fingerprint id value`: each row with the first row that has the same fingerprint."""
    last_print, first = "", ("", "")
    for line in lines:
        content, _, rest = line.partition(" ")
        if content == last_print:
            yield split_row(rest), first
        else:
            last_print, first = content, split_row(rest)


def _are_equal(value: str, other: str, root: Path) -> bool:
    try:
        return filecmp.cmp(resolve(value, root).path, resolve(other, root).path, shallow=False)
    except (OSError, AudioError):
        return False  # deleted since the check; the next reader reports it
