"""Make a smaller data directory from a larger one."""

from __future__ import annotations

import hashlib
import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from k2d.core.errors import K2DError, UsageError
from k2d.data.kaldi.datadir import Tables, parse_segment
from k2d.data.kaldi.datadir_writer import new_datadir, speaker_pairs
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.joins import differences, keep, split_row
from k2d.data.kaldi.selection import open_valid, unique, write_lines, write_selection


class By(Enum):
    """How the utterances of a subset are chosen. The names are Kaldi's."""

    EVEN = "even"  # at even distances in the file
    FIRST = "first"
    LAST = "last"
    SHORTEST = "shortest"
    SPEAKERS = "speakers"  # whole speakers in a pseudo-random, fixed order, until N utterances are reached
    PER_SPEAKER = "per-spk"  # N utterances of each speaker, at even distances


@dataclass(frozen=True, slots=True)
class Subset:
    """The number of utterances taken, and how many ids of a list the source lacks."""

    n_kept: int
    n_in: int
    n_unknown: int = 0


def subset(source: Path, destination: Path, n: int, by: By = By.EVEN, *, force: bool = False) -> Subset:
    """Write a subset of `n` utterances (with PER_SPEAKER: `n` of each speaker)."""
    if n < 1:
        raise UsageError(f"expected a subset of at least 1 utterance, found {n}")
    with tempfile.TemporaryDirectory(prefix="k2d-subset-") as scratch:
        tables = open_valid(source, Path(scratch))
        n_in = sum(1 for _ in tables["utt2spk"].lines())
        if n > n_in and by is not By.PER_SPEAKER:
            raise UsageError(f"{source} has {n_in:,} utterances; expected at least {n:,} for this subset")
        ids = _CHOICES[by](tables, n, Path(scratch))
        return Subset(_write(tables, ids, destination, Path(scratch), force=force), n_in)


def subset_of_ids(
    source: Path, destination: Path, ids: Iterable[str], *, of_speakers: bool = False, force: bool = False
) -> Subset:
    """Write the utterances in a list, or the utterances of the speakers in a list."""
    with tempfile.TemporaryDirectory(prefix="k2d-subset-") as folder:
        scratch = Path(folder)
        tables = open_valid(source, scratch)
        utt2spk, wanted = tables["utt2spk"], scratch / "wanted"
        write_lines(wanted, unique(sort_lines(ids, scratch)))
        pairs = scratch / "pairs"  # `speaker utterance` or `utterance speaker`: the list's sort of id is first
        write_lines(pairs, speaker_pairs(utt2spk.rows(), scratch) if of_speakers else utt2spk.lines())
        named = unique(key for key, _ in map(split_row, read_lines(pairs)))
        n_unknown = sum(1 for _, is_wanted in differences(read_lines(wanted), named) if is_wanted)
        kept = keep(map(split_row, read_lines(pairs)), read_lines(wanted))
        chosen = sort_lines((value for _, value in kept), scratch) if of_speakers else (key for key, _ in kept)
        n_in = sum(1 for _ in utt2spk.lines())
        return Subset(_write(tables, chosen, destination, scratch, force=force), n_in, n_unknown)


def _write(tables: Tables, ids: Iterable[str], destination: Path, scratch: Path, *, force: bool) -> int:
    kept = scratch / "kept"
    write_lines(kept, ids)
    n_kept = sum(1 for _ in read_lines(kept))
    source = tables["utt2spk"].source.parent
    if n_kept == 0:
        raise K2DError(f"{source}: no utterance was chosen, so {destination} was not written")
    with new_datadir(destination, force=force, sources=[source]) as partial:
        write_selection(tables, kept, partial, scratch)
    return n_kept


def _even(tables: Tables, n: int, _: Path) -> Iterator[str]:
    n_in = sum(1 for _ in tables["utt2spk"].lines())
    return _spread(tables["utt2spk"].ids(), n, n_in)


def _spread(ids: Iterable[str], n: int, n_in: int) -> Iterator[str]:
    """`n` of `n_in` ids at even distances.

    >>> "".join(_spread("abcdefgh", 3, 8))
    'adg'
    """
    return (key for i, key in enumerate(ids) if i * n // n_in != (i - 1) * n // n_in)


def _first(tables: Tables, n: int, _: Path) -> Iterator[str]:
    return islice(tables["utt2spk"].ids(), n)


def _last(tables: Tables, n: int, _: Path) -> Iterator[str]:
    n_in = sum(1 for _ in tables["utt2spk"].lines())
    return islice(tables["utt2spk"].ids(), n_in - n, None)


def _shortest(tables: Tables, n: int, scratch: Path) -> Iterator[str]:
    shortest = heapq.nsmallest(n, ((duration, key) for key, duration in _durations(tables)))
    return sort_lines((key for _, key in shortest), scratch)


def _durations(tables: Tables) -> Iterator[tuple[str, float]]:
    if "segments" in tables:
        for key, value in tables["segments"].rows():
            if segment := parse_segment(value):
                yield key, segment.end_s - segment.start_s
    elif stated := tables.get("utt2dur") or tables.get("utt2num_frames"):
        for key, value in stated.rows():
            yield key, float(value)
    else:
        folder = tables["utt2spk"].source.parent
        raise K2DError(f"{folder}: --shortest needs segments, utt2dur or utt2num_frames; found none of them")


def _speakers(tables: Tables, n: int, scratch: Path) -> Iterator[str]:
    # Sorting speakers by their hashes gives a pseudo-random order that is always the same.
    speakers = ((hashlib.sha256(s.encode()).hexdigest(), s, len(ids)) for s, ids in _by_speaker(tables, scratch))
    shuffled = sort_lines((f"{digest} {n_ids} {speaker}" for digest, speaker, n_ids in speakers), scratch)
    chosen: set[str] = set()
    n_chosen = 0
    for line in shuffled:
        _, n_utterances, speaker = line.split(" ")
        if n_chosen >= n:
            break
        chosen.add(speaker)
        n_chosen += int(n_utterances)
    return (key for key, speaker in tables["utt2spk"].rows() if speaker in chosen)


def _per_speaker(tables: Tables, n: int, scratch: Path) -> Iterator[str]:
    chosen = (key for _, ids in _by_speaker(tables, scratch) for key in _spread(ids, min(n, len(ids)), len(ids)))
    return sort_lines(chosen, scratch)


def _by_speaker(tables: Tables, scratch: Path) -> Iterator[tuple[str, list[str]]]:
    pairs = map(split_row, speaker_pairs(tables["utt2spk"].rows(), scratch))
    for speaker, group in groupby(pairs, key=itemgetter(0)):
        yield speaker, [key for _, key in group]


_CHOICES: dict[By, Callable[[Tables, int, Path], Iterator[str]]] = {
    By.EVEN: _even,
    By.FIRST: _first,
    By.LAST: _last,
    By.SHORTEST: _shortest,
    By.SPEAKERS: _speakers,
    By.PER_SPEAKER: _per_speaker,
}
