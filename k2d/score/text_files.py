"""Read references and hypotheses strictly from Kaldi `text` files, with the values of the tables beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from k2d.core.errors import FaultReport, K2DError, Treatment
from k2d.core.layout import shown
from k2d.data.kaldi.datadir import parse_segment
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.tables import open_table
from k2d.data.kaldi.validation import N_LISTED, listed, with_line_numbers
from k2d.score.pairing import Spoken, Texts

TABLES_BESIDE = ("segments", "utt2spk", "utt2dur", "reco2dur")  # tables of a data directory with facts about its text


def read_texts(path: Path) -> Texts:
    """A `text` file. K2DError with all of its faults. Lines that can be normalised are counted."""
    return _read(path, "text")


def _read(path: Path, kind: str) -> Texts:
    report = FaultReport()
    with tempfile.TemporaryDirectory(prefix="k2d-text-") as scratch:
        table = open_table(path, KINDS[kind], Path(scratch), report)
        rows = dict(table.rows()) if table is not None else {}
    if n_faults := report.count(Treatment.REJECT):
        with_line_numbers(report)
        lines = report.lines(Treatment.REJECT)
        raise K2DError("\n".join([f"{shown(path)}: {n_faults} {'fault' if n_faults == 1 else 'faults'}", *lines]))
    return Texts(path, rows, tuple(_normalised(report)))


def _normalised(report: FaultReport) -> list[str]:
    """What was normalised, counted by kind, with the first place."""
    first = {fault.code: fault for fault in reversed(report.kept)}
    counts = {code: n for (treatment, code), n in report.counts.items() if treatment is Treatment.NORMALISE}
    return [f"normalised {n:,} × [{code}], first {first[code]}" for code, n in sorted(counts.items())]


def read_references(texts: Texts) -> list[Spoken]:
    """The references, with recording, speaker and times if a data directory's tables are beside the text.

    The audio is not read, so a directory whose `wav.scp` belongs to another machine can be scored.
    """
    beside = [texts.path.with_name(name) for name in TABLES_BESIDE if texts.path.name == "text"]
    tables = {path.name: _read(path, path.name).rows for path in beside if path.exists()}
    for name in ("segments", "utt2spk"):
        if missing := sorted(texts.rows.keys() - tables.get(name, texts.rows).keys()):
            message = f"{len(missing):,} ids are in text but not in {name}: {listed(missing[:N_LISTED], len(missing))}"
            raise K2DError(f"{shown(texts.path.parent)}: {message}; `python -m k2d data fix` keeps what all files have")
    return [_spoken(key, text, tables, texts.path) for key, text in texts.rows.items()]


def _spoken(key: str, text: str, tables: Mapping[str, Mapping[str, str]], path: Path) -> Spoken:
    speaker = tables.get("utt2spk", {}).get(key)
    segment = parse_segment(tables["segments"][key]) if "segments" in tables else None
    if segment is None:
        stated = tables.get("utt2dur", tables.get("reco2dur", {})).get(key)
        return Spoken(key, text, speaker=speaker, duration_s=None if stated is None else float(stated))
    recording_id, start_s, end_s = segment
    if end_s <= start_s:
        message = f"{shown(path.with_name('segments'))}: {key!r} ends at {end_s:g} s, not after its start"
        raise K2DError(f"{message}; `python -m k2d data fix` leaves it out")
    return Spoken(key, text, recording_id, speaker, start_s, end_s - start_s)
