"""The published lists of the two test sets: https://github.com/zengzp0912/SEAME-dev-set.

dev_man/{text,segments}    utterances of the mainly Mandarin set: speaker-recording-start-end, in hundredths of a second
dev_sge/{text,segments}    those of the mainly English set (Singapore)
train/wav_file.txt         a path for each recording that may be trained on
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from egs.seame.transcripts import Spoken
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.lines import entries, raw_lines

FOLDERS = {"devman": "dev_man", "devsge": "dev_sge"}
TOLERANCE_MS = 30
"""Lists and release round times differently. ESPnet uses a tolerance of almost three hundredths, too."""


class Tokens(NamedTuple):
    """The tokens in a set's text, counted in the authors' text: Han characters, words and noise tags."""

    han: int
    english: int
    noise: int


PUBLISHED = {"devman": Tokens(71_806, 24_450, 482), "devsge": Tokens(20_326, 33_783, 299)}


@dataclass(frozen=True, slots=True)
class Listed:
    """An utterance of a published set."""

    id: str
    recording: str
    start_s: float
    end_s: float
    text: str

    @property
    def speaker(self) -> str:
        return self.id.partition("-")[0]


def read_set(folder: Path) -> list[Listed]:
    """The utterances of one set. K2DError lists ids that are only in text or only in segments."""
    texts = {entry.key: entry.value for entry in entries(folder / "text")}
    times = {entry.key: (entry.number, entry.value) for entry in entries(folder / "segments")}
    if odd := sorted(texts.keys() ^ times.keys()):
        message = f"found {len(odd)} ids in one of text and segments alone, such as {odd[0]}, expected the same ids"
        raise K2DError(f"{shown(folder)}: {message}; clone the repository again")
    return [_listed(folder, key, *times[key], text) for key, text in texts.items()]


def _listed(folder: Path, key: str, number: int, segment: str, text: str) -> Listed:
    match = re.fullmatch(r"(\S+) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)", segment)
    if match is None:
        message = f"found {segment!r}, expected a recording, its start and its end in seconds"
        raise K2DError(f"{shown(folder / 'segments')}:{number}: {message}; clone the repository again")
    return Listed(key, match[1].lower(), float(match[2]), float(match[3]), text)


def train_recordings(path: Path) -> set[str]:
    """The recordings of train/wav_file.txt."""
    return {PurePosixPath(line.text.strip()).stem.lower() for line in raw_lines(path)}


def count_tokens(texts: Iterable[str]) -> Tokens:
    """Count the tokens of a set's text as published, in which Han characters are already separated.

    >>> count_tokens(["okay 哎 文 <v-noise>", "l4d2 啊"])
    Tokens(han=3, english=2, noise=1)
    """
    counts: Counter[str] = Counter()
    for word in (word for text in texts for word in text.split()):
        kind = "noise" if word.startswith("<") else "han" if "\u4e00" <= word[0] <= "\u9fff" else "english"
        counts[kind] += 1
    return Tokens(counts["han"], counts["english"], counts["noise"])


def match(listed: Sequence[Listed], spoken: Mapping[str, Sequence[Spoken]]) -> Iterator[tuple[Listed, Spoken | None]]:
    """Each published utterance with the release's line of about the same times. None if there is no such line."""
    by_start = {recording: sorted(lines, key=attrgetter("start_ms")) for recording, lines in spoken.items()}
    for utterance in listed:
        yield utterance, _closest(utterance, by_start.get(utterance.recording, []))


def _closest(utterance: Listed, lines: Sequence[Spoken]) -> Spoken | None:
    start_ms, end_ms = round(utterance.start_s * 1000), round(utterance.end_s * 1000)
    near = []
    for line in lines[bisect_left(lines, start_ms - TOLERANCE_MS, key=attrgetter("start_ms")) :]:
        off_ms = abs(line.start_ms - start_ms), abs(line.end_ms - end_ms)
        if line.start_ms >= start_ms + TOLERANCE_MS:
            break
        if max(off_ms) < TOLERANCE_MS:
            near.append((sum(off_ms), line.where, line))
    return min(near)[2] if near else None
