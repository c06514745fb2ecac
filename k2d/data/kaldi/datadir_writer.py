"""Write a Kaldi data directory from rows in any order: sorted in C order and checked, as a whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import Fault, FaultReport, K2DError, Treatment, UsageError
from k2d.data.kaldi.canonical_line import canonical_line
from k2d.data.kaldi.datadir import InvalidData
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.ids import id_fault
from k2d.data.kaldi.joins import Row, differences, split_row
from k2d.data.kaldi.kinds import KINDS
from k2d.data.rows import Utterance

_COLUMNS = ("utt2spk", "text", "utt2lang", "segments", "utt2dur")


def write_datadir(
    folder: Path,
    rows: Iterable[Utterance],
    *,
    durations_s: Iterable[tuple[str, float]] = (),
    force: bool = False,
) -> int:
    """Write the directory and return its number of utterances. InvalidData lists the faults of the rows.

    `durations_s` are (recording id, seconds). If given, `reco2dur` is written and must cover every recording.
    """
    report = FaultReport()
    with new_datadir(folder, force=force) as partial, tempfile.TemporaryDirectory(prefix="k2d-write-") as scratch:
        writer = _Writer(partial, Path(scratch), report)
        n_rows = writer.write_utterances(rows)
        writer.write_recordings(durations_s)
        if report.count(Treatment.REJECT):
            raise InvalidData(folder, report)
        if n_rows == 0:
            raise K2DError(f"{folder}: there are no utterances to write")
        with (partial / "spk2utt").open("w", encoding="utf-8") as file:
            write_spk2utt(map(split_row, read_lines(partial / "utt2spk")), file, Path(scratch))
    return n_rows


@contextmanager
def new_datadir(final: Path, *, force: bool, sources: Iterable[Path] = ()) -> Iterator[Path]:
    """A folder to fill. It gets its final name if the block succeeds, and is removed otherwise."""
    if any(final.resolve() == source.resolve() for source in sources):
        raise UsageError(f"{final} is both the source and the destination; name another destination")
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        if not force:
            raise K2DError(f"{final} exists and is not empty; choose another destination, or --force")
        if not (final / "utt2spk").is_file():
            raise K2DError(f"{final} has no utt2spk, so it is not a data directory that --force may replace")
    partial = new_partial_folder(final)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    publish_folder(partial, final)


def speaker_pairs(utt2spk: Iterable[Row], scratch: Path) -> Iterator[str]:
    """Lines `speaker utterance`, sorted."""
    return sort_lines((f"{speaker} {utterance_id}" for utterance_id, speaker in utt2spk), scratch)


def write_spk2utt(utt2spk: Iterable[Row], file: TextIO, scratch: Path) -> None:
    """Write the inverse of `utt2spk`."""
    for speaker, pairs in groupby(map(split_row, speaker_pairs(utt2spk, scratch)), key=itemgetter(0)):
        file.write(speaker)
        file.writelines(f" {utterance_id}" for _, utterance_id in pairs)
        file.write("\n")


def _values(row: Utterance) -> dict[str, str]:
    """The row's value for each table."""
    values = {"wav.scp": row.audio, "utt2spk": row.speaker, "text": row.text, "utt2lang": row.language}
    if times := _times(row):
        values["segments"] = f"{row.recording_id} {times[0]} {times[1]}"
        values["utt2dur"] = str(round(times[1] - times[0], 6))
    return {name: value for name, value in values.items() if value is not None}


def _times(row: Utterance) -> tuple[float, float] | None:
    if row.start_s is None or row.end_s is None:
        return None
    return float(row.start_s), float(row.end_s)


class _Writer:
    """Writes the tables of one directory. Rows that must not be written are reported instead."""

    def __init__(self, folder: Path, scratch: Path, report: FaultReport) -> None:
        self.folder, self.scratch, self.report = folder, scratch, report
        self.recordings = scratch / "recordings"  # lines `recording audio`, unsorted and repeated
        self.has_segments = False

    def write_utterances(self, rows: Iterable[Utterance]) -> int:
        counts = dict.fromkeys(_COLUMNS, 0)
        n_rows, last = 0, None
        with ExitStack() as stack:
            files = {name: stack.enter_context(_writing(self.folder / name)) for name in _COLUMNS}
            files["wav.scp"] = stack.enter_context(_writing(self.recordings))
            for line in sort_lines(self._encoded(rows), self.scratch):
                row = Utterance(**json.loads(line.partition(" ")[2]))
                if last is not None and row.id == last.id:
                    where = f"both in {row.audio!r}" if row.audio == last.audio else f"{last.audio!r} and {row.audio!r}"
                    self._refuse("duplicate_id", f"two utterances have the id {row.id!r}: {where}", row.id)
                    continue
                n_rows, last = n_rows + 1, row
                self._check_times(row)
                for name, value in _values(row).items():
                    files[name].write(self._line(name, row.recording_id if name == "wav.scp" else row.id, value))
                    counts[name] = counts.get(name, 0) + 1
        self.has_segments = counts["segments"] > 0
        self._drop_or_demand(counts, n_rows)
        return n_rows

    def _encoded(self, rows: Iterable[Utterance]) -> Iterator[str]:
        """Each row as a line that sorts by its id."""
        for row in rows:
            key = unicodedata.normalize("NFC", row.id)
            if reason := id_fault(key):
                self._refuse("bad_id", f"the utterance id {key[:80]!r} {reason}", key)
            else:
                yield f"{key} {json.dumps({**asdict(row), 'id': key})}"

    def write_recordings(self, durations_s: Iterable[tuple[str, float]]) -> None:
        with _writing(self.folder / "wav.scp") as file:
            last: Row = ("", "")
            for row in map(split_row, sort_lines(read_lines(self.recordings), self.scratch)):
                if row[0] == last[0] and row[1] != last[1]:
                    message = f"recording {row[0]!r} has two audio values, {last[1]!r} and {row[1]!r}"
                    self._refuse("two_audio_values", message, row[0])
                elif row != last:
                    file.write(f"{row[0]} {row[1]}\n")
                last = row
        stated = (self._line("reco2dur", key, str(float(seconds))).rstrip("\n") for key, seconds in durations_s)
        lines = sort_lines(stated, self.scratch)
        self._write_durations(lines)

    def _write_durations(self, lines: Iterator[str]) -> None:
        target = self.folder / "reco2dur"
        with _writing(target) as file:
            file.writelines(line + "\n" for line in lines)
        if target.stat().st_size == 0:
            target.unlink()
            return
        if self.report.counts[Treatment.REJECT, "duplicate_id"]:
            return  # its recording was reported for occurring twice already
        wav_ids = (line.partition(" ")[0] for line in read_lines(self.folder / "wav.scp"))
        for key, in_wav in differences(wav_ids, (line.partition(" ")[0] for line in read_lines(target))):
            what = "has no duration, although others have one" if in_wav else "has a duration but no audio"
            self._refuse("ids_differ", f"recording {key!r} {what}, or occurs twice", key)
        if not self.has_segments:
            shutil.copyfile(target, self.folder / "utt2dur")

    def _line(self, name: str, key: str, value: str) -> str:
        """The canonical line with its line end. Empty, with a fault in the report, if it must not be written."""
        if not _is_unicode(value):
            self._refuse("encoding", f"{name}: the value of {key!r} is not Unicode text", key)
            return ""
        line, findings = canonical_line(f"{key} {value}", KINDS[name])
        faults = [found for found in findings if found.treatment is Treatment.REJECT]
        for found in faults:
            self._refuse(found.code, f"{name}: {found.message}", key)
        return "" if faults or line is None else line + "\n"

    def _check_times(self, row: Utterance) -> None:
        if (row.start_s is None) != (row.end_s is None):
            self._refuse("bad_time", f"{row.id!r} has a start or an end, but not both", row.id)
        elif row.start_s is None and row.recording_id != row.id:
            message = f"{row.id!r} has no times, so it must be its own recording, not {row.recording_id!r}"
            self._refuse("no_times", message, row.id)
        elif (times := _times(row)) and not times[0] < times[1]:
            self._refuse("bad_time", f"{row.id!r} starts at {row.start_s} s and ends at {row.end_s} s", row.id)

    def _drop_or_demand(self, counts: dict[str, int], n_rows: int) -> None:
        """Keep a table that covers every utterance, and drop an empty one. Anything between is a fault."""
        for name in _COLUMNS:
            n = counts[name]
            if n == 0:
                (self.folder / name).unlink()
            elif n < n_rows:
                self._refuse(
                    "incomplete", f"{name} has values for {n:,} of {n_rows:,} utterances, expected all or none"
                )

    def _refuse(self, code: str, message: str, item: str = "") -> None:
        self.report.add(Fault(Treatment.REJECT, code, message, item=item))


def _writing(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


def _is_unicode(text: str) -> bool:
    """Whether a str can be written as UTF-8. A file name that is not UTF-8 contains lone surrogates and cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
