"""Read the chunks of one split for stage 8, with their opinions, labels and courses. Always joined by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import groupby, islice, repeat
from operator import itemgetter
from pathlib import Path

from k2d.core.errors import FaultReport, K2DError, Treatment
from k2d.core.layout import shown
from k2d.data.chunk_sources import sources_of
from k2d.data.kaldi.datadir import Tables
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.joins import Row, differences, look_up, split_row
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.selection import open_valid, write_selection
from k2d.data.kaldi.tables import Table, open_table
from k2d.select.distance_workers import TextPair
from k2d.select.labels import Label

COURSES = "reco2course"
NO_COURSE = "(none)"  # for a recording without a course in a directory that has courses
LOGPROBS = "utt2logprob"  # mean log-probability of a label's tokens, if the teacher gave it

_SHOWN = 5  # ids in a message

LabelledChunk = tuple[str, str, float, str]  # id within the split, recording, seconds, label


class Chunks:
    """A data directory of chunks, open for reading. Normalised copies and lists of ids are written to `scratch`."""

    def __init__(self, split: str, folder: Path, scratch: Path) -> None:
        scratch.mkdir()
        self.split, self.folder, self.scratch = split, folder, scratch
        self.kept_ids = scratch / "kept_ids"
        self._tables: Tables = open_valid(folder, scratch)
        if "text" not in self._tables:
            raise K2DError(f"{shown(folder)}: text is missing, which has the teacher's labels")

    @cached_property
    def n_chunks(self) -> int:
        return sum(1 for _ in self._text.lines())

    @property
    def _text(self) -> Table:
        return self._tables["text"]

    def pairs(self, opinion: Path | None) -> Iterator[TextPair]:
        """Each chunk with an auxiliary's opinion, which is empty if there is no auxiliary."""
        others: Iterator[str] = repeat("")
        if opinion is not None:
            table = self._open_opinion(opinion)
            others = (value for _, value in table.rows())
        for (key, recording, duration_s, text), other in zip(self._chunks(), others, strict=False):
            yield TextPair(f"{self.split}/{key}", recording, duration_s, text, other)

    def labels(self, normalise: Callable[[str], str]) -> Iterator[Label]:
        """The label of each chunk, with further facts about it."""
        identical = self._identical(normalise)
        logprobs = self._logprobs()
        for (key, _, duration_s, text), (_, counts), logprob in zip(self._chunks(), identical, logprobs, strict=False):
            n_identical, n_in_recording = map(int, counts.split(" "))
            mean_logprob = None if logprob is None else float(logprob)
            yield Label(f"{self.split}/{key}", normalise(text), duration_s, n_identical, n_in_recording, mean_logprob)

    def courses(self) -> Callable[[str, str], str | None]:
        """The course of a chunk of a recording. None if the directory has no courses.

        The recordings of the directory are the chunks themselves, if these have audio of their own.
        """
        path = self.folder / COURSES
        if not path.exists():
            return lambda _chunk, _recording: None
        courses = dict(map(split_row, read_lines(path)))
        if "segments" in self._tables:
            return lambda _chunk, recording: courses.get(recording, NO_COURSE)
        return lambda chunk, _recording: courses.get(chunk, NO_COURSE)

    def write_kept(self, destination: Path) -> None:
        """Write the data directory of the chunks in `kept_ids`. If nothing of a split is kept, nothing is written."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        if self.kept_ids.stat().st_size:
            destination.mkdir()
            write_selection(self._tables, self.kept_ids, destination, self.scratch)

    def _chunks(self) -> Iterator[LabelledChunk]:
        for (key, text), (recording, duration_s) in zip(self._text.rows(), self._spans(), strict=True):
            yield key, recording, duration_s, text

    def _spans(self) -> Iterator[tuple[str, float]]:
        """Recording and duration of each chunk, by id."""
        stated = self._tables.get("utt2dur")
        durations: Iterator[Row] | None = stated.rows() if stated else None
        for _, source in sources_of(self._tables, self.folder):
            duration_s = float(next(durations)[1]) if durations else source.duration_s
            yield source.recording_id, duration_s

    def _open_opinion(self, path: Path) -> Table:
        """The auxiliary's text, which must have the ids of these chunks."""
        scratch = self.scratch / "opinion"
        scratch.mkdir(exist_ok=True)
        report = FaultReport()
        table = open_table(path, KINDS["text"], scratch, report)
        if table is None or report.count(Treatment.REJECT):
            raise K2DError("\n".join(report.lines(Treatment.REJECT)))
        ours = self._text.source
        for here, there, in_chunks in ((ours, path, True), (path, ours, False)):
            alone = (key for key, is_chunk in differences(self._text.ids(), table.ids()) if is_chunk is in_chunks)
            if first := list(islice(alone, _SHOWN)):
                n_alone = len(first) + sum(1 for _ in alone)
                message = f"{n_alone:,} ids are in {shown(here)} but not in {shown(there)}: {', '.join(first)}"
                raise K2DError(f"{message}; run stage 7 (second_opinion) again on these chunks")
        return table

    def _identical(self, normalise: Callable[[str], str]) -> Iterator[Row]:
        """For each chunk by id: how many chunks of its recording have its label, and how many chunks there are."""
        lines = (f"{recording}\t{normalise(text).strip()}\t{key}" for key, recording, _, text in self._chunks())
        rows = (line.split("\t") for line in sort_lines(lines, self.scratch))
        counted = (line for _, group in groupby(rows, key=itemgetter(0)) for line in _counts(list(group)))
        return map(split_row, sort_lines(counted, self.scratch))

    def _logprobs(self) -> Iterator[str | None]:
        path = self.folder / LOGPROBS
        if not path.exists():
            return repeat(None)
        stated = map(split_row, sort_lines(read_lines(path), self.scratch))
        return (value for _, _, value in look_up(self._text.rows(), stated))


def _counts(chunks_of_recording: list[list[str]]) -> Iterator[str]:
    n_of_label = Counter(label for _, label, _ in chunks_of_recording)
    return (f"{key} {n_of_label[label]} {len(chunks_of_recording)}" for _, label, key in chunks_of_recording)
