"""The source of each chunk: the recording and the stretches of it that the chunk was made from.

Most chunks are one stretch of their recording, which `segments` gives. Chunks that are joined from pieces have audio of
their own, and the tables of their directory list them as recordings. For these, `utt2source` gives the recording, then
the start and end of each piece.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from k2d.core.errors import FaultReport, K2DError, Treatment
from k2d.core.layout import shown
from k2d.data.chunks import Piece
from k2d.data.kaldi.datadir import Tables
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.tables import Table, open_table

FILE = "utt2source"


@dataclass(frozen=True, slots=True)
class Source:
    """A recording and the pieces of it that a chunk contains, in order, in seconds."""

    recording_id: str
    ranges: tuple[Piece, ...]

    @property
    def start_s(self) -> float:
        return self.ranges[0][0]

    @property
    def end_s(self) -> float:
        return self.ranges[-1][1]

    @property
    def duration_s(self) -> float:
        return sum(end_s - start_s for start_s, end_s in self.ranges)


def source_value(source: Source) -> str:
    """The value of a line in `utt2source`.

    >>> source_value(Source("lecture1", ((0.5, 2.0), (3.0, 5.5))))
    'lecture1 0.5 2.0 3.0 5.5'
    """
    return " ".join([source.recording_id, *map(str, chain.from_iterable(source.ranges))])


def read_sources(folder: Path) -> Iterator[tuple[str, Source]]:
    """Each chunk of a directory with its source, by id. K2DError if neither table has it."""
    with tempfile.TemporaryDirectory(prefix="k2d-sources-") as scratch:
        report, tables = FaultReport(), Tables()
        for kind in (KINDS[FILE], KINDS["segments"]):
            if (folder / kind.name).exists() and (table := open_table(folder / kind.name, kind, Path(scratch), report)):
                tables[kind.name] = table
        if report.count(Treatment.REJECT):
            raise K2DError("\n".join(report.lines(Treatment.REJECT)))
        yield from sources_of(tables, folder)


def sources_of(tables: Tables, folder: Path) -> Iterator[tuple[str, Source]]:
    """The same for a directory whose tables are open."""
    table = tables.get(FILE) or tables.get("segments")
    if table is None:
        message = f"{shown(folder)}: found neither segments nor {FILE}, so the source of its chunks is unknown"
        raise K2DError(f"{message}; run stage 6 (chunk) again")
    return ((key, _source(key, value, table)) for key, value in table.rows())


def _source(key: str, value: str, table: Table) -> Source:
    recording_id, *times = value.split(" ")
    edges_s = [float(time) for time in times]
    ranges = tuple(zip(edges_s[::2], edges_s[1::2], strict=True))
    follow = all(before[1] <= after[0] for before, after in pairwise(ranges))
    if not follow or not all(start_s < end_s for start_s, end_s in ranges):
        message = f"{shown(table.source)}: {key!r} is made of {value!r}"
        raise K2DError(
            f"{message}, expected pieces that end after they start, each after the one before; "
            "run stage 6 (chunk) again"
        )
    return Source(recording_id, ranges)
