"""Repair a data directory in place: sort and normalise its files, and drop bad items and ids that some file lacks."""

from __future__ import annotations

import filecmp
import heapq
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from k2d.core.atomic import new_partial_folder, publish_folder, sync_folder, sync_tree
from k2d.core.errors import FaultReport, K2DError, Treatment
from k2d.data.kaldi.datadir import InvalidData, Tables, open_tables, parse_segment
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.joins import Row, differences, split_row
from k2d.data.kaldi.kinds import Key
from k2d.data.kaldi.selection import unique, write_lines, write_rows, write_selection
from k2d.data.kaldi.tables import Table
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import Checks, Validation
from k2d.data.rows import Rejected

REJECTED = "rejected.jsonl"
BACKUP = ".backup"

# Faults that disappear when lines are left out or spk2utt is rebuilt. All others need a decision by a person.
_FIXABLE = {
    "duplicate_line",
    "end_before_start",
    "ids_differ",
    "missing_spk2utt",
    "spk2utt_differs",
    "unknown_recording",
}


@dataclass
class Fixed:
    """The counts of utterances, and the files that changed."""

    folder: Path
    n_kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # by reason
    changed: list[str] = field(default_factory=list)

    @property
    def n_in(self) -> int:
        return self.n_kept + self.dropped.total()

    def counts(self) -> str:
        parts = "".join(f" + {reason} {n:,}" for reason, n in sorted(self.dropped.items()))
        return f"{self.folder}: in {self.n_in:,} = kept {self.n_kept:,}{parts}"

    def summary(self) -> str:
        files = f"wrote {', '.join(self.changed)} (before: {BACKUP}/)" if self.changed else "nothing to change"
        return f"{self.counts()}; {files}"


def fix(folder: Path, checks: Checks | None = None) -> Fixed:
    """Repair the directory. Refuses, and changes nothing, if a fault needs a person or no utterance would remain."""
    found = validate(folder, checks)
    _refuse_unmendable(found)
    fixed = Fixed(folder)
    staged = new_partial_folder(folder.with_name(f"{folder.name}.fix"))
    try:
        with tempfile.TemporaryDirectory(prefix="k2d-fix-") as scratch:
            tables = open_tables(folder, Path(scratch), FaultReport())
            _stage(tables, found, fixed, (staged, Path(scratch)))
        _replace_changed(folder, staged, fixed)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return fixed


def _refuse_unmendable(found: Validation) -> None:
    left = FaultReport(cap=found.report.cap)
    for (treatment, code), n in found.report.counts.items():
        if treatment is Treatment.REJECT and code not in _FIXABLE:
            left.counts[(treatment, code)] = n
    left.kept = [fault for fault in found.report.kept if (fault.treatment, fault.code) in left.counts]
    if left.counts:
        raise InvalidData(found.folder, left)


def _stage(tables: Tables, found: Validation, fixed: Fixed, folders: tuple[Path, Path]) -> None:
    """Write the repaired tables and the rejected utterances beside the directory."""
    staged, scratch = folders
    kept = scratch / "kept"
    _add_incomplete(tables, found, scratch)
    with kept.open("w", encoding="utf-8") as kept_file, (staged / REJECTED).open("w", encoding="utf-8") as rejects:
        for key, rejected in _judged(tables, found):
            if rejected is None:
                fixed.n_kept += 1
                kept_file.write(key + "\n")
            else:
                fixed.dropped[rejected.reason] += 1
                rejects.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")
    if fixed.n_kept == 0:
        raise K2DError(f"{fixed.counts()}; no utterance would remain, so nothing was changed")
    write_selection(tables, kept, staged, scratch)
    if found.clamped_ends_s:
        _clamp(staged, found.clamped_ends_s)


def _add_incomplete(tables: Tables, found: Validation, scratch: Path) -> None:
    """Add recordings and speakers that some table lacks to the bad items."""
    speakers = scratch / "all_speakers"
    write_lines(speakers, unique(sort_lines((speaker for _, speaker in tables["utt2spk"].rows()), scratch)))
    for table in tables.values():
        if table.kind.name in {"wav.scp", "spk2utt"} or table.kind.key is Key.UTTERANCE:
            continue
        every = tables["wav.scp"].ids() if table.kind.key is Key.RECORDING else read_lines(speakers)
        for key, is_lacking in differences(every, table.ids()):
            if is_lacking:
                rejected = Rejected(key, f"not_in_{table.kind.name}", f"{table.kind.name} lacks {key!r}", "")
                found.bad[table.kind.key].setdefault(key, rejected)


def _judged(tables: Tables, found: Validation) -> Iterator[tuple[str, Rejected | None]]:
    """Every utterance that any table has, with the reason to leave it out (None: it stays)."""
    needed = [name for name, table in tables.items() if table.kind.key is Key.UTTERANCE]
    if "segments" not in tables and "wav.scp" in tables:
        needed.append("wav.scp")
    streams = (_named_rows(tables[name], name) for name in needed)
    for key, group in groupby(heapq.merge(*streams), key=itemgetter(0)):
        values = {name: value for _, name, value in group}
        yield key, _reason(key, values, needed, found)


def _named_rows(table: Table, name: str) -> Iterator[tuple[str, str, str]]:
    for key, value in table.rows():
        yield key, name, value


def _reason(key: str, values: dict[str, str], needed: list[str], found: Validation) -> Rejected | None:
    source = str(found.folder)
    for name in needed:
        if name not in values:
            return Rejected(key, f"not_in_{name}", f"{name} has no line for it", source)
    segment = parse_segment(values.get("segments", ""))
    recording_id = segment.recording_id if segment else key
    for bad, item in ((Key.UTTERANCE, key), (Key.RECORDING, recording_id), (Key.SPEAKER, values["utt2spk"])):
        if rejected := found.bad[bad].get(item):
            return Rejected(key, rejected.reason, rejected.detail, source)
    return None


def _clamp(staged: Path, ends_s: dict[str, float]) -> None:
    """Shorten segments to the end of their recordings, and their durations with them."""
    durations: dict[str, str] = {}

    def shortened(rows: Iterable[Row]) -> Iterator[Row]:
        for key, value in rows:
            if key in ends_s:
                recording_id, start, _ = value.split(" ")
                value = f"{recording_id} {start} {ends_s[key]!r}"
                durations[key] = str(round(ends_s[key] - float(start), 6))
            yield key, value

    def shorter(rows: Iterable[Row]) -> Iterator[Row]:
        return ((key, durations.get(key, value)) for key, value in rows)

    for name, change in (("segments", shortened), ("utt2dur", shorter)):
        if (staged / name).exists():
            changed = staged / f"{name}.clamped"
            write_rows(changed, change(map(split_row, read_lines(staged / name))))
            changed.replace(staged / name)


def _replace_changed(folder: Path, staged: Path, fixed: Fixed) -> None:
    """Move the staged files into place one by one, each atomically. After a kill, a second `fix` gives the same
    state.
    """
    _join_rejected(folder / REJECTED, staged / REJECTED)
    names = sorted((path.name for path in staged.iterdir()), key=lambda name: (name != REJECTED, name))
    fixed.changed = [
        name
        for name in names
        if not (folder / name).exists() or not filecmp.cmp(staged / name, folder / name, shallow=False)
    ]
    if not fixed.changed:
        return
    _back_up(folder, [name for name in fixed.changed if name != REJECTED])
    sync_tree(staged)
    for name in fixed.changed:
        (staged / name).replace(folder / name)
    sync_folder(folder)


def _join_rejected(former: Path, new: Path) -> None:
    """Keep the rejected items of earlier calls, with their reasons."""
    rows: dict[str, str] = {}  # lines by id
    for path in (former, new):
        for line in read_lines(path) if path.exists() else ():
            rows.setdefault(json.loads(line)["id"], line)
    write_lines(new, rows.values())
    if not rows:
        new.unlink()


def _back_up(folder: Path, names: list[str]) -> None:
    partial = new_partial_folder(folder / BACKUP)
    for name in names:
        if (folder / name).exists():
            shutil.copy2(folder / name, partial / name)
    publish_folder(partial, folder / BACKUP)
