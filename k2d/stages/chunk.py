"""Stage 6: make training chunks of the teacher's segments of long recordings, a Kaldi directory for each split.

Chunks are lines in `segments` over the original recordings. Only `chunk.duration: sum`, which cuts silence out, writes
audio. Any number of recordings is processed in bounded memory.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import RECORD, shown
from k2d.core.progress import track
from k2d.core.retries import run_each_twice
from k2d.core.workers import Outcome
from k2d.data.chunk_audio import Cutting, Labelled, cut, file_of
from k2d.data.chunk_sources import FILE as SOURCES
from k2d.data.chunk_sources import Source, source_value
from k2d.data.chunk_tally import Tally
from k2d.data.chunks import Duration, Packed, pack
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import read_hypotheses
from k2d.data.kaldi.datadir import read_recordings
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.joins import look_up, split_row
from k2d.data.kaldi.selection import write_lines
from k2d.data.label_segments import segment_id
from k2d.data.nonspeech_chunks import LABEL, write_nonspeech_chunks
from k2d.data.rows import Hypothesis, Rejected, Utterance
from k2d.pipeline.job import Counts, Job, Unit
from k2d.pipeline.rejected_items import check_bad, write_rejected
from k2d.select.chunk_reader import COURSES, LOGPROBS

VERSION = 1

AUDIO = "audio"  # only with `sum`
AS_HEARD = "as the teacher heard it"  # a value in stamps
READINGS: dict[Duration, str] = {
    "span": "our reading of the paper: last end minus first start",
    "sum": "the paper's words: the summed durations of the segments; the gaps between them are cut out",
    "authors": "the authors' code: fixed windows; but the last window of a recording is written, too",
    "window": "fixed windows; of a segment that is cut off, the words before the cut are written",
}

_ROWS, _REJECTED, _DURATIONS = "rows", "rejected", "durations"  # temporary files, like LOGPROBS and SOURCES

log = logging.getLogger("k2d")


# --- units ---


@dataclass(frozen=True, slots=True)
class Chunking:
    """The chunks of a split of long recordings."""

    split: str
    duration: Duration
    max_s: float | None
    """None: the teacher's window, which is unknown before stage 5 has run."""
    is_language_guessed: bool

    @property
    def is_cut(self) -> bool:
        """Whether chunks have audio of their own, and a table of its sources."""
        return self.duration == "sum"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "split": self.split,
            "duration": self.duration,
            "max_s": self.max_s,
            **({"sources": SOURCES} if self.is_cut else {}),  # chunks of earlier versions do not have this table
            **({"language": AS_HEARD} if self.is_language_guessed else {}),
        }


@dataclass(frozen=True, slots=True)
class NonspeechChunking:
    """The chunks of a split in which nobody speaks: windows of its recordings."""

    split: str
    max_s: float | None
    """The length of a window. None: as in Chunking."""

    @property
    def settings(self) -> dict[str, Any]:
        return {"split": self.split, "max_s": self.max_s, "label": LABEL}


def units(job: Job) -> list[Unit[Chunking | NonspeechChunking]]:
    """Each split of long recordings is a unit, and each split without words."""
    corpora = job.config.corpora
    return [
        *(_unit(split, job) for split in corpora.unlabelled),
        *(_nonspeech_unit(split, job) for split in corpora.nonspeech),
    ]


def _nonspeech_unit(split: str, job: Job) -> Unit[Chunking | NonspeechChunking]:
    record = job.layout.pseudo_labels(job.config.corpora.unlabelled[0]) / RECORD
    is_known = record.exists()
    content = NonspeechChunking(split, _max_s(record, job) if is_known else job.config.chunk.max_s)
    inputs = (job.layout.split(split) / "wav.scp", *(() if is_known else (record,)))
    return Unit(job.layout.chunks(split), content, inputs)


def _unit(split: str, job: Job) -> Unit[Chunking | NonspeechChunking]:
    pseudo, data = job.layout.pseudo_labels(split), job.layout.split(split)
    record, courses = pseudo / RECORD, data / COURSES
    inputs = [pseudo / HYPOTHESES, data / "wav.scp", *([courses] if courses.exists() else [])]
    chunk, max_s = job.config.chunk, job.config.chunk.max_s
    if record.exists():  # it is not an input, because it also has the time of decoding
        max_s = _max_s(record, job)
    else:
        inputs.append(record)
    content = Chunking(split, chunk.duration, max_s, job.config.teacher.guesses_language)
    return Unit(job.layout.chunks(split), content, tuple(inputs))


def _max_s(record: Path, job: Job) -> float:
    """The length in the config, or the teacher's window, which is the upper limit."""
    try:
        window_s = float(json.loads(record.read_text(encoding="utf-8"))["window_s"])
    except (ValueError, KeyError, TypeError) as error:
        message = f"{shown(record)}: expected window_s, the length of the teacher's window ({error!r})"
        raise K2DError(f"{message}; run stage 5 (pseudo_label) again") from error
    max_s = job.config.chunk.max_s
    if max_s is not None and max_s > window_s:
        raise UsageError(f"chunk.max_s: found {max_s:g}, expected at most {window_s:g}, the teacher's window")
    return window_s if max_s is None else max_s


# --- making one ---


def make(unit: Unit[Chunking | NonspeechChunking], job: Job, folder: Path) -> Counts:
    """Pack the segments of one split, or cut recordings without words, and write the chunks."""
    if isinstance(unit.content, NonspeechChunking):
        return _cut_nonspeech(unit.content, job, folder)
    return _pack(Unit(unit.output, unit.content), job, folder)  # again as a Unit: now its type is Unit[Chunking]


def _pack(unit: Unit[Chunking], job: Job, folder: Path) -> Counts:
    split, tally = unit.content.split, Tally(_known_max_s(unit.content))
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder) as made:
        scratch = Path(made)
        _spool(_labelled(unit, job, folder), unit, tally, scratch)
        rejected = (Rejected(**json.loads(line)) for line in sort_lines(read_lines(scratch / _REJECTED), scratch))
        write_rejected(folder, rejected)
        reasons = dict(check_bad(folder, split, tally.n_segments, job.config.max_bad))
        counts = Counts(tally.n_segments, tally.n_kept, reasons, "segments")
        if not tally.n_chunks:
            raise K2DError(f"{split}: found no segment to make a chunk of: {counts}; look at the output of stage 5")
        _write_tables(folder, scratch)
        _write_courses(folder, job.layout.split(split) / COURSES, scratch)
    record = {**unit.settings, "reading": READINGS[unit.content.duration], **tally.as_json()}
    record["rejected"] = dict(sorted(reasons.items()))
    write_text(folder / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    log.info("%s: %s", split, tally)
    return counts


def _cut_nonspeech(asked: NonspeechChunking, job: Job, folder: Path) -> Counts:
    n_in, n_kept = write_nonspeech_chunks(job.layout.split(asked.split), _known_max_s(asked), folder)
    record = {**asked.settings, "chunks": {"n": n_kept}}
    write_text(folder / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return Counts(n_in, n_kept, {"too_short": n_in - n_kept}, "windows")


def _known_max_s(chunking: Chunking | NonspeechChunking) -> float:
    assert chunking.max_s is not None, "the record of stage 5 is an input of this stage"
    return chunking.max_s


def _labelled(unit: Unit[Chunking], job: Job, folder: Path) -> Iterator[Labelled]:
    """Each recording that has a pseudo-label, with its chunks."""
    split, max_s, duration = unit.content.split, _known_max_s(unit.content), unit.content.duration
    path = job.layout.pseudo_labels(split) / HYPOTHESES
    hypotheses = _hypotheses_with_audio(path, job.layout.split(split))
    total = sum(1 for _ in read_lines(path))
    packed = (Labelled(each, audio, pack(each, max_s, duration)) for each, audio in hypotheses)
    labelled = _with_audio(packed, folder / AUDIO, split, job.nj) if unit.content.is_cut else packed
    return track(labelled, f"{split}: packing segments", total, "recordings")


def _hypotheses_with_audio(path: Path, data: Path) -> Iterator[tuple[Hypothesis, str]]:
    """Each hypothesis with the audio of its recording."""
    recordings = read_recordings(data)
    recording = next(recordings, None)
    for hypothesis in read_hypotheses(path):
        while recording is not None and recording.id < hypothesis.recording_id:
            recording = next(recordings, None)
        if recording is None or recording.id != hypothesis.recording_id:
            message = f"{shown(path)}: {hypothesis.recording_id!r} is not a recording in {shown(data / 'wav.scp')}"
            raise K2DError(f"{message}; run stage 5 (pseudo_label) again on these data")
        yield hypothesis, recording.audio


def _with_audio(labelled: Iterable[Labelled], folder: Path, split: str, nj: int) -> Iterator[Labelled]:
    """Write the audio of the chunks. If a recording is damaged, all of its segments are rejected.

    If the machine fails at a recording, or if the recording is missing, K2DError names it.
    """
    outcomes = run_each_twice(
        cut,
        (Cutting(each, folder) for each in labelled),
        nj=nj,
        what=lambda n: f"{split}: cutting the audio of chunks: {n:,} recording{'s' if n > 1 else ''}",
        name=lambda asked: asked.labelled.hypothesis.recording_id,
    )
    for outcome in outcomes:
        yield _without_chunks(outcome) if outcome.error else outcome.item.labelled


def _without_chunks(outcome: Outcome[Cutting, None]) -> Labelled:
    labelled = outcome.item.labelled
    key, n_segments = labelled.hypothesis.recording_id, len(labelled.hypothesis.segments)
    reason = getattr(outcome.exception, "reason", "decoder_failed")
    detail = str(outcome.exception or outcome.error)
    rejected = (Rejected(segment_id(key, n), reason, detail, labelled.audio) for n in range(n_segments))
    return replace(labelled, packed=Packed((), tuple(rejected), 0))


# --- temporary files and tables ---


def _spool(found: Iterable[Labelled], unit: Unit[Chunking], tally: Tally, scratch: Path) -> None:
    """Write the contents of the tables to temporary files, because there may be millions of chunks."""
    with ExitStack() as stack:
        names = (_ROWS, _REJECTED, _DURATIONS, LOGPROBS, SOURCES)
        files = {n: stack.enter_context((scratch / n).open("w", encoding="utf-8", newline="\n")) for n in names}
        for each in found:
            tally.add(each)
            rows = list(_utterances(each, unit))
            lines = {
                _ROWS: (json.dumps(asdict(row), ensure_ascii=False) for row in rows),
                _REJECTED: (json.dumps(asdict(row), ensure_ascii=False) for row in each.packed.rejected),
                _DURATIONS: _durations(each, rows),
                LOGPROBS: (f"{c.id} {c.mean_logprob:.2f}" for c in each.packed.chunks if c.mean_logprob is not None),
                SOURCES: _sources(each, unit),
            }
            for name in names:
                files[name].writelines(f"{line}\n" for line in lines[name])


def _utterances(labelled: Labelled, unit: Unit[Chunking]) -> Iterator[Utterance]:
    """The chunks as rows of a data directory. The speaker is the recording. A guessed language is written."""
    is_cut, is_guessed = unit.content.is_cut, unit.content.is_language_guessed
    for chunk in labelled.packed.chunks:
        if is_cut:
            audio = shown(unit.output / AUDIO / file_of(chunk.id))
            row = Utterance(chunk.id, chunk.id, audio, chunk.recording_id, chunk.text)
        else:
            key, audio = chunk.recording_id, labelled.audio
            row = Utterance(chunk.id, key, audio, key, chunk.text, chunk.start_s, chunk.end_s)
        yield replace(row, language=chunk.language) if is_guessed else row


def _durations(labelled: Labelled, rows: list[Utterance]) -> Iterator[str]:
    """The durations of the directory's recordings. If chunks have audio of their own, they are its recordings."""
    if rows and rows[0].start_s is not None:
        yield f"{labelled.hypothesis.recording_id} {labelled.hypothesis.duration_s}"
    else:
        yield from (f"{chunk.id} {chunk.duration_s}" for chunk in labelled.packed.chunks)


def _sources(labelled: Labelled, unit: Unit[Chunking]) -> Iterator[str]:
    """The sources of chunks with audio of their own. For other chunks, `segments` has them."""
    if unit.content.is_cut:
        for chunk in labelled.packed.chunks:
            yield f"{chunk.id} {source_value(Source(chunk.recording_id, chunk.pieces))}"


def _write_tables(folder: Path, scratch: Path) -> None:
    rows = (Utterance(**json.loads(line)) for line in read_lines(scratch / _ROWS))
    durations = map(split_row, read_lines(scratch / _DURATIONS))
    write_datadir(scratch / "tables", rows, durations_s=((key, float(value)) for key, value in durations))
    for path in (scratch / "tables").iterdir():
        path.rename(folder / path.name)
    for name in (LOGPROBS, SOURCES):
        if (scratch / name).stat().st_size:
            write_lines(folder / name, sort_lines(read_lines(scratch / name), scratch))


def _write_courses(folder: Path, courses: Path, scratch: Path) -> None:
    """Write the course of each recording of the chunks' directory, if it is known."""
    if courses.exists():
        own_audio = not (folder / "segments").exists()
        known = map(split_row, sort_lines(read_lines(courses), scratch))
        found = look_up(map(split_row, read_lines(folder / "spk2utt")), known)
        lines = (
            f"{key} {course}"
            for recording, chunks, course in found
            if course is not None
            for key in (chunks.split(" ") if own_audio else [recording])
        )
        write_lines(folder / COURSES, sort_lines(lines, scratch))
