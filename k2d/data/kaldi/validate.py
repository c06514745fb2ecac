"""Validate a Kaldi data directory: all checks of Kaldi and Lhotse and more. All faults are reported in one run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from k2d.core.errors import Fault, Treatment
from k2d.data.kaldi.datadir import open_tables
from k2d.data.kaldi.datadir_writer import speaker_pairs
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.joins import Row, differences, split_row
from k2d.data.kaldi.kinds import Key
from k2d.data.kaldi.tables import Table
from k2d.data.kaldi.validate_segments import check_segments, check_stated_durations
from k2d.data.kaldi.validation import (
    FIX,
    N_LISTED,
    AudioLevel,
    Checks,
    Validation,
    Work,
    compare_ids,
    listed,
    with_line_numbers,
)


def validate(folder: Path, checks: Checks | None = None) -> Validation:
    """Validate the whole directory. Nothing in it is changed."""
    result = Validation(folder)
    with tempfile.TemporaryDirectory(prefix="k2d-validate-") as scratch:
        work = Work(folder, checks or Checks(), Path(scratch), result)
        if folder.is_dir():
            _check_folder(work)
        else:
            result.report.add(Fault(Treatment.REJECT, "missing_folder", "no such data directory", path=str(folder)))
    with_line_numbers(result.report)
    return result


def _check_folder(work: Work) -> None:
    _check_presence(work)
    work.tables = open_tables(work.folder, work.scratch, work.result.report)
    _check_utterance_ids(work)
    _check_speakers(work)
    _check_channels(work)
    _check_transcripts(work)
    wav = work.tables.get("wav.scp")
    if wav is not None:
        work.result.n_recordings = sum(1 for _ in wav.lines())
        _check_shared_audio(work, wav)
        if work.checks.audio is not AudioLevel.NONE:
            from k2d.data.kaldi.validate_audio import check_audio  # imports the audio libraries

            work.real_durations = check_audio(work, wav)
    check_stated_durations(work)
    check_segments(work)
    _check_recording_ids(work)


def _check_presence(work: Work) -> None:
    required = {"utt2spk": "write a line `utterance speaker` for each utterance", "spk2utt": FIX}
    if work.checks.need_wav:
        required["wav.scp"] = "write a line `recording path` for each recording"
    if work.checks.need_text:
        required["text"] = "write a line `utterance transcript` for each utterance, or give --no-text"
    for name, remedy in required.items():
        path = work.folder / name
        if not path.exists():
            code = "missing_spk2utt" if name == "spk2utt" else "missing_file"
            work.result.report.add(Fault(Treatment.REJECT, code, "the file is missing", remedy, str(path)))


def _check_utterance_ids(work: Work) -> None:
    utt2spk = work.tables.get("utt2spk")
    if utt2spk is None:
        return
    work.result.n_utterances = sum(1 for _ in utt2spk.lines())
    by_utterance = [t for t in work.tables.values() if t.kind.key is Key.UTTERANCE and t is not utt2spk]
    if "segments" not in work.tables and "wav.scp" in work.tables:
        by_utterance.append(work.tables["wav.scp"])
    for table in by_utterance:
        compare_ids(work, utt2spk, table)


def _check_recording_ids(work: Work) -> None:
    wav = work.tables.get("wav.scp")
    for table in work.tables.values():
        if wav is not None and table.kind.key is Key.RECORDING and table is not wav:
            compare_ids(work, wav, table)


def _check_speakers(work: Work) -> None:
    utt2spk = work.tables.get("utt2spk")
    if utt2spk is None:
        return
    speakers, pairs = work.new_table("utt2spk", "speakers"), work.scratch / "speaker_pairs"
    with pairs.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in speaker_pairs(_noting_order(work, utt2spk), work.scratch))
    with speakers.file.open("w", encoding="utf-8") as file:
        for speaker, _ in groupby(map(split_row, read_lines(pairs)), key=itemgetter(0)):
            work.result.n_speakers += 1
            file.write(speaker + "\n")
    if work.result.n_speakers == 1:
        work.warn("one_speaker", "there is only one speaker", utt2spk)
    if "spk2utt" in work.tables:
        _check_spk2utt(work, work.tables["spk2utt"], read_lines(pairs))
    for table in work.tables.values():
        if table.kind.key is Key.SPEAKER and table.kind.name != "spk2utt":
            compare_ids(work, speakers, table)


def _noting_order(work: Work, utt2spk: Table) -> Iterator[Row]:
    """Pass the rows on. Warn if speakers are not sorted along with utterances, which Kaldi requires."""
    last, warned = "", False
    for key, speaker in utt2spk.rows():
        if speaker < last and not warned:
            warned = True
            message = "not sorted by speaker as well, which Kaldi's tools require (use speaker ids as prefixes of ids)"
            work.warn("speakers_unsorted", message, utt2spk, key)
        last = speaker
        yield key, speaker


def _check_spk2utt(work: Work, spk2utt: Table, pairs: Iterable[str]) -> None:
    # Not split(): a speaker may have millions of utterances.
    words = ((speaker, word) for speaker, ids in spk2utt.rows() for word in re.finditer(r"\S+", ids))
    stated = sort_lines((f"{speaker} {word.group()}" for speaker, word in words), work.scratch)
    first: list[str] = []
    n = 0
    for pair, in_utt2spk in differences(pairs, stated):
        n += 1
        if n <= N_LISTED:
            first.append(f"{'no' if in_utt2spk else 'wrong'} {pair!r}")
    if n:
        message = f"not the inverse of utt2spk, {n:,} pairs differ: {listed(first, n)}"
        work.refuse("spk2utt_differs", message, FIX, spk2utt)


def _check_channels(work: Work) -> None:
    table = work.tables.get("reco2file_and_channel")
    for key, value in table.rows() if table else ():
        if table and value.endswith(" 1"):
            work.warn("channel_1", f"the channel of {key!r} is 1; Kaldi's scoring expects A or B", table, key)


def _check_transcripts(work: Work) -> None:
    text = work.tables.get("text")
    for line in text.lines() if text else ():
        if text and " " not in line:
            work.warn("empty_transcript", f"the transcript of {line!r} is empty", text, line)


def _check_shared_audio(work: Work, wav: Table) -> None:
    """Warn about recordings with the same audio value."""
    by_value = sort_lines((f"{value}\t{key}" for key, value in wav.rows()), work.scratch)
    last_value, last_key = "", ""
    for line in by_value:
        value, _, key = line.rpartition("\t")
        if value and value == last_value:
            work.warn("same_audio", f"{key!r} has the same audio as {last_key!r}: {value}", wav, key)
        else:
            last_value, last_key = value, key
