"""Write stretches of long recordings as audio files of their own, once.

Needed for test sets that use only some utterances of their recordings. Recordings are decoded as a whole, so each
scored utterance must be a recording of its own. The files of a recording are one folder, which is written completely or
not at all. Files are named by number, never by an id.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import K2DError
from k2d.core.progress import track
from k2d.core.workers import run_each
from k2d.data.audio import RATE_HZ, AudioError, Cause, probe, read, resolve, write
from k2d.data.rows import Utterance

Span = tuple[float, float]
_DIGEST_CHARACTERS = 16

log = logging.getLogger("k2d")


@dataclass(frozen=True, slots=True)
class _Cut:
    """A recording, and the stretches of it that become files."""

    audio: str
    spans: tuple[Span, ...]
    folder: Path


def cut_out(rows: Iterable[Utterance], store: Path, *, nj: int) -> Iterator[Utterance]:
    """Each utterance (with times) as a recording of its own below `store`.

    If its recording cannot be read, the utterance names that recording. If it lies beyond the recording's end, it names
    a file that does not exist. Stage 1 rejects both.
    """
    of_recording: dict[str, list[Utterance]] = defaultdict(list)
    for row in rows:
        of_recording[row.audio].append(row)
    cuts = {audio: _cut(audio, utterances, store) for audio, utterances in of_recording.items()}
    _write([cut for cut in cuts.values() if cut and not cut.folder.is_dir()], nj)
    for audio, utterances in of_recording.items():
        cut = cuts[audio]
        for number, row in enumerate(utterances):
            own = audio if cut is None else str(cut.folder / _name(number))
            yield replace(row, recording_id=row.id, audio=own, start_s=None, end_s=None)


def _cut(audio: str, rows: list[Utterance], store: Path) -> _Cut | None:
    """The stretches to write for a recording. None if it cannot be read. The folder's name depends on its content."""
    source = resolve(audio)
    try:
        probe(source)
    except AudioError as error:
        if error.cause is Cause.MACHINE:
            raise
        return None
    spans = tuple((row.start_s, row.end_s) for row in rows if row.start_s is not None and row.end_s is not None)
    assert len(spans) == len(rows), "an utterance without times needs no cutting"
    facts = source.path.stat()
    decides = f"{audio}\n{facts.st_size} {facts.st_mtime_ns}\n{spans}"
    return _Cut(audio, spans, store / f"cut-{hashlib.sha256(decides.encode()).hexdigest()[:_DIGEST_CHARACTERS]}")


def _write(cuts: list[_Cut], nj: int) -> None:
    outcomes = run_each(_write_cut, cuts, nj=nj) if cuts else iter(())
    for outcome in track(outcomes, "cutting out utterances", len(cuts), "recordings"):
        if outcome.value is None:
            why = outcome.exception if isinstance(outcome.exception, K2DError) else outcome.error
            raise K2DError(f"{outcome.item.audio}: could not be cut; what is done is kept, run again:\n{why}")
        if outcome.value:
            first = outcome.value[0]
            log.warning(
                "%d of %d utterances could not be cut out: %s", len(outcome.value), len(outcome.item.spans), first
            )


def _write_cut(cut: _Cut) -> list[str]:
    """Write the stretches of one recording. Returns the faults of those that cannot be written. Runs in a worker."""
    partial = new_partial_folder(cut.folder)
    source = resolve(cut.audio)
    info = probe(source)
    faults = []
    for number, (start_s, end_s) in enumerate(cut.spans):
        try:
            samples = read(source, start_s, end_s, expect=info)
        except AudioError as error:
            if error.is_passing:  # the recording could be read before, so this is a fault of the machine
                raise
            faults.append(str(error))
        else:
            write(partial / _name(number), samples, RATE_HZ, durable=False)
    publish_folder(partial, cut.folder)
    return faults


def _name(number: int) -> str:
    return f"{number:05d}.flac"
