"""Compare `segments` and stated durations with each other and with the real length of the recordings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from k2d.core.errors import Fault, Treatment
from k2d.data.kaldi.datadir import parse_segment, stated_durations
from k2d.data.kaldi.external_sort import sort_lines
from k2d.data.kaldi.joins import look_up, split_row
from k2d.data.kaldi.kinds import Key
from k2d.data.kaldi.tables import Table
from k2d.data.kaldi.validation import Work, compare_ids

TOLERANCE_S = 0.5  # as in Lhotse for durations; a segment may end this much after its recording
_ROUNDING_S = 1e-3  # times are often written with 2 or 3 decimals


def check_stated_durations(work: Work) -> None:
    """Report a stated duration that differs from the real one by more than the tolerance as a bad item."""
    stated = stated_durations(work.tables)
    if stated is not None and work.real_durations is not None:
        for key, real, said in look_up(work.real_durations.rows(), stated.rows()):
            _compare_durations(work, stated, key, (said, float(real)))
    segments, utt2dur = work.tables.get("segments"), work.tables.get("utt2dur")
    if segments is not None and utt2dur is not None:
        for key, value, said in look_up(segments.rows(), utt2dur.rows()):
            segment = parse_segment(value)
            if segment is not None:
                _compare_durations(work, utt2dur, key, (said, segment.end_s - segment.start_s))


def _compare_durations(work: Work, table: Table, key: str, said_and_real: tuple[str | None, float]) -> None:
    said, real_s = said_and_real
    if said is None or table.kind.problem(said):
        return  # reported already
    if abs(float(said) - real_s) > TOLERANCE_S:
        message = f"{table.kind.name} states {float(said):g} s for {key!r}, but it lasts {real_s:g} s"
        remedy = "correct the duration or the audio"
        fault = Fault(Treatment.QUARANTINE, "stated_duration", message, remedy, str(table.source), item=key)
        work.result.add_bad(table.kind.key, fault)


def check_segments(work: Work) -> None:
    """Check that times are in order, recordings are known, and segments end within their recordings."""
    segments, wav = work.tables.get("segments"), work.tables.get("wav.scp")
    if segments is None:
        return
    last_ends = work.new_table("segments", "last_ends")  # of each recording, by recording id
    with last_ends.file.open("w", encoding="utf-8") as file:
        ends = map(split_row, sort_lines(_last_ends(work, segments), work.scratch))
        for recording_id, group in groupby(ends, key=itemgetter(0)):
            file.write(f"{recording_id} {max(float(end) for _, end in group)!r}\n")
    if wav is None:
        return
    doubtful: dict[str, float | None] = {}  # recordings that are unknown (None) or shorter than a segment's end
    for key, _, audio in look_up(last_ends.rows(), wav.rows()):
        if audio is None:
            doubtful[key] = None
    compare_ids(work, wav, last_ends)
    durations = work.real_durations or stated_durations(work.tables)
    for key, end, duration in look_up(last_ends.rows(), durations.rows() if durations else ()):
        if duration is not None and _is_over(float(end), duration):
            doubtful.setdefault(key, float(duration))
    if doubtful:
        _check_doubtful(work, segments, doubtful)


def _is_over(end_s: float, duration: str) -> bool:
    try:
        return end_s > float(duration) + _ROUNDING_S
    except ValueError:
        return False  # the stated duration is not a number: reported already


def _last_ends(work: Work, segments: Table) -> Iterator[str]:
    """Lines `recording end`: the last end in each run of segments of one recording."""
    current, last_end_s = "", 0.0
    for key, value in segments.rows():
        segment = parse_segment(value)
        if segment is None:
            continue  # reported already
        recording_id, start_s, end_s = segment
        if end_s <= start_s:
            message = f"{key!r} ends at {end_s:g} s, not after its start at {start_s:g} s"
            remedy = "correct the times, or let `python -m k2d data fix` leave it out"
            fault = Fault(Treatment.REJECT, "end_before_start", message, remedy, str(segments.source), item=key)
            work.result.add_bad(Key.UTTERANCE, fault)
        if recording_id != current:
            if current:
                yield f"{current} {last_end_s!r}"
            current, last_end_s = recording_id, 0.0
        last_end_s = max(last_end_s, end_s)
    if current:
        yield f"{current} {last_end_s!r}"


def _check_doubtful(work: Work, segments: Table, doubtful: dict[str, float | None]) -> None:
    """Check each segment of the doubtful recordings."""
    for key, value in segments.rows():
        segment = parse_segment(value)
        if segment is None or segment.recording_id not in doubtful:
            continue
        recording_id, start_s, end_s = segment
        duration_s = doubtful[recording_id]
        where = str(segments.source)
        if duration_s is None:
            message = f"{key!r} is of recording {recording_id!r}, which is not in wav.scp"
            remedy = "add the recording, or let `python -m k2d data fix` leave the utterance out"
            fault = Fault(Treatment.REJECT, "unknown_recording", message, remedy, where, item=key)
            work.result.add_bad(Key.UTTERANCE, fault)
        elif end_s > duration_s + TOLERANCE_S or (start_s >= duration_s and end_s > duration_s):
            message = f"{key!r} ends at {end_s:g} s, recording {recording_id!r} at {duration_s:g} s"
            fault = Fault(Treatment.QUARANTINE, "segment_beyond_end", message, "", where, item=key)
            work.result.add_bad(Key.UTTERANCE, fault)
        elif end_s > duration_s + _ROUNDING_S:
            message = f"{key!r} ends at {end_s:g} s, recording {recording_id!r} at {duration_s:g} s; clamped"
            work.result.report.add(Fault(Treatment.NORMALISE, "segment_end", message, "", where, item=key))
            work.result.clamped_ends_s[key] = duration_s
