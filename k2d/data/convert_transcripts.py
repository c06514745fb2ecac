"""Converts another system's transcripts to a file of hypotheses, which stage 5 reads (`pseudo_label.from`)."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from k2d.core.atomic import writing
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.external_lines import MARK, is_unicode
from k2d.data.hypotheses import one_line
from k2d.data.kaldi.datadir import read_recordings
from k2d.data.kaldi.external_sort import sort_lines
from k2d.data.kaldi.ids import id_fault
from k2d.data.kaldi.joins import split_row
from k2d.data.recordings import duration_s
from k2d.data.rows import Recording
from k2d.data.transcript_formats import TimedText, read_transcripts

MOST_CUT_S = 0.5
"""Segments of voice activity detectors are padded and can overlap. At most this much is cut off the earlier one."""

_SHOWN = 5


@dataclass
class Conversion:
    """Counts of the texts and of the recordings."""

    n_in: int = 0
    n_kept: int = 0
    n_cut: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    n_recordings: int = 0
    n_found: int = 0
    missing: list[str] = field(default_factory=list)
    """The first recordings without a transcript."""
    longest_s: float = 0.0

    def drop(self, reason: str, n: int = 1) -> None:
        if n:
            self.dropped[reason] += n

    def lines(self) -> Iterator[str]:
        """The counts as lines to print."""
        parts = [f"kept {self.n_kept:,}", *(f"{reason} {n:,}" for reason, n in sorted(self.dropped.items()))]
        yield f"in {self.n_in:,} texts = {' + '.join(parts)}"
        if self.n_cut:
            yield f"{self.n_cut:,} ends were moved back to the start of the next text"
        yield f"{self.n_found:,} of {self.n_recordings:,} recordings have a transcript{self._named_missing()}"
        yield f"the longest text lasts {self.longest_s:.1f} s; it must fit into the teacher's window (Whisper: 30 s)"

    def _named_missing(self) -> str:
        n = self.n_recordings - self.n_found
        return f"; without one: {', '.join(self.missing)}{', …' if n > len(self.missing) else ''}" if n else ""


def convert_transcripts(source: Path, data: Path, output: Path) -> Conversion:
    """Convert transcripts of a data directory's recordings, in any known format, to a file of hypotheses."""
    made = Conversion()
    with tempfile.TemporaryDirectory(prefix="k2d-transcripts-") as scratch:
        rows = map(_sortable, _counted(read_transcripts(source, Path(scratch)), made))
        by_recording = groupby(map(split_row, sort_lines(rows, Path(scratch))), key=lambda row: row[0])
        found = ((key, [_row(key, value) for _, value in group]) for key, group in by_recording)
        with writing(output) as file:
            for record in _records(found, read_recordings(data), made):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
            if not made.n_kept:
                found_in = f"in {made.n_in:,} texts, {', '.join(made.dropped) or 'none'}"
                raise K2DError(
                    f"{shown(source)}: no text can be used ({found_in}); expected texts of the recordings of "
                    f"{shown(data)}, with their ids"
                )
    assert made.n_in == made.n_kept + made.dropped.total(), f"texts were lost: {made}"
    return made


def _counted(rows: Iterable[TimedText], made: Conversion) -> Iterator[TimedText]:
    """Yield the texts without marks. Dropped texts are counted, and their recordings still count as transcribed."""
    for row in rows:
        text = one_line(MARK.sub(" ", row.text))
        is_place = not row.text and row.start_s is None and not row.dropped  # a recording without speech
        made.n_in += not is_place
        has_words = any(map(str.isalnum, text))
        reason = row.dropped or ("" if is_place or has_words else "no_words")
        if not is_unicode(text):
            reason = "encoding"
        if id_fault(row.recording_id):  # no recording has such a name
            reason = reason or "unknown_recording"
        elif reason != "no_segment":  # its recording is not known
            yield replace(row, text="" if reason else text)
        if reason and not is_place:
            made.drop(reason)


def _sortable(row: TimedText) -> str:
    """A line that sorts by recording and time. Times that are missing or not numbers come first."""
    start_s = row.start_s if row.start_s is not None and row.start_s >= 0 else 0.0
    value = [row.text, row.start_s, row.end_s, row.language]
    return f"{row.recording_id} {start_s:016.3f} {json.dumps(value, ensure_ascii=True)}"


def _row(key: str, value: str) -> TimedText:
    text, start_s, end_s, language = json.loads(value.partition(" ")[2])
    return TimedText(key, text, start_s, end_s, language)


def _records(
    found: Iterator[tuple[str, list[TimedText]]], recordings: Iterator[Recording], made: Conversion
) -> Iterator[dict[str, object]]:
    """Yield a record for each recording that has a transcript."""
    group = next(found, None)
    for recording in recordings:
        made.n_recordings += 1
        while group is not None and group[0] < recording.id:
            made.drop("unknown_recording", sum(bool(row.text) for row in group[1]))
            group = next(found, None)
        if group is None or group[0] != recording.id:
            if len(made.missing) < _SHOWN:
                made.missing.append(recording.id)
            continue
        made.n_found += 1
        yield {"id": recording.id, "segments": list(_segments(group[1], recording, made))}
        group = next(found, None)
    while group is not None:
        made.drop("unknown_recording", sum(bool(row.text) for row in group[1]))
        group = next(found, None)


def _segments(rows: list[TimedText], recording: Recording, made: Conversion) -> Iterator[dict[str, object]]:
    """Yield the texts of a recording in order. An end a little later than the next start is moved back to it."""
    placed = [found for row in rows if row.text and (found := _placed(row, recording)) is not None]
    made.drop("bad_times", sum(bool(row.text) for row in rows) - len(placed))
    for n, (start_s, end_s, row) in enumerate(placed):
        next_s = placed[n + 1][0] if n + 1 < len(placed) else end_s
        if start_s < next_s < end_s <= next_s + MOST_CUT_S:
            made.n_cut, end_s = made.n_cut + 1, next_s
        made.n_kept += 1
        made.longest_s = max(made.longest_s, end_s - start_s)
        language = {} if row.language is None else {"language": row.language}
        yield {"start_s": round(start_s, 3), "end_s": round(end_s, 3), "text": row.text, **language}


def _placed(row: TimedText, recording: Recording) -> tuple[float, float, TimedText] | None:
    """A text with its times, or with those of the whole recording if it has none. None if the times are wrong."""
    start_s, end_s = row.start_s, row.end_s
    if start_s is None and end_s is None:
        start_s, end_s = 0.0, recording.duration_s or duration_s((recording.id, recording.audio))
    if start_s is None or end_s is None or not 0 <= start_s < end_s:  # also NaN
        return None
    return start_s, end_s, row
