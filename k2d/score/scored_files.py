"""Score a hypothesis file against a reference file: read, join, score, write. Used by the stage and the verb."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from k2d.core.layout import shown
from k2d.score.confidence import USUAL, Draws
from k2d.score.pairing import JoinedSet, joined
from k2d.score.scoring import USUAL_CONVENTIONS, Conventions, ScoreTally, SetScore, scored
from k2d.score.signature import signature, texts_digest
from k2d.score.store import Heading, Record, record_of, write_record, written
from k2d.score.text_files import read_references, read_texts
from k2d.score.timing import TIMING, real_time_factor
from k2d.score.timing_files import read_timing


@dataclass(frozen=True, slots=True)
class Task:
    """The files to score, and the conventions."""

    ref: Path
    hyp: Path
    model: str
    set: str
    role: str | None = None
    conventions: Conventions = USUAL_CONVENTIONS
    draws: Draws = USUAL
    decode: str = ""
    """A fingerprint of the settings of decoding, for the signature."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A finished score, and what was normalised to read the texts."""

    score: SetScore
    record: Record
    notes: tuple[str, ...]


def score_files(task: Task, folder: Path | None) -> Scored:
    """Score a pair of files. If a folder is given, everything that was counted is written there."""
    references, hypotheses = read_texts(task.ref), read_texts(task.hyp)
    pairs = joined(read_references(references), hypotheses, shown(task.ref))
    score = _tallied(pairs, task, folder)
    references_digest = texts_digest((pair.id, pair.reference) for pair in pairs.pairs)
    scored_set = f"{pairs.unit}-{references_digest}"
    line = signature(task.conventions.normaliser, task.conventions.tokens, scored_set, task.decode)
    timing = task.hyp.parent / TIMING
    speed = real_time_factor(read_timing(timing)) if timing.exists() else None
    heading = Heading(task.model, task.set, task.role, line, pairs.over, pairs.unit, speed)
    record = record_of(score, heading)
    if folder is not None:
        write_record(folder, record)
    notes = tuple(f"{shown(texts.path)}: {note}" for texts in (references, hypotheses) for note in texts.normalised)
    return Scored(score, record, notes)


def _tallied(pairs: JoinedSet, task: Task, folder: Path | None) -> SetScore:
    tally = ScoreTally(task.draws)
    utterances = scored(pairs.pairs, task.conventions)
    if folder is None:
        for utterance in utterances:
            tally.add(utterance)
    else:
        with written(folder, utterances) as passing:
            for utterance in passing:
                tally.add(utterance)
    return tally.score()
