"""Common Voice as published by Mozilla, in any language and any release.

    <root>/cv-corpus-16.1-2023-12-06/zh-TW/{train,dev,test}.tsv, clips/*.mp3        or the archive of it
    <root>/cv-corpus-16.1-2023-12-06/zh-TW/clip_durations.tsv                       times.txt in some releases

Columns are found by the tables' headers, because they differ between releases. The audio stays MP3 in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from egs.commonvoice.release import CLIPS, find_release
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.table import table_rows
from k2d.data.rows import Utterance

SPEAKER_CHARACTERS = 16  # of 128; enough for millions of speakers, and clashes are detected
_COLUMNS = ("client_id", "path", "sentence")
_MILLISECONDS = "duration[ms]"
_DURATION_FILES = ("clip_durations.tsv", "times.txt")

log = logging.getLogger("k2d")


def _as_word(value: object) -> object:
    """A release is text, although YAML parses 16.1 as a number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$"), BeforeValidator(_as_word)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Options:
    """The language, release and splits of Common Voice to prepare."""

    language: Word = "zh-TW"
    """The code in the names of Mozilla's archives."""
    release: Word = "16.1"
    """The paper's release. Splits differ between releases, so scores on them are not comparable."""
    splits: tuple[Word, ...] = ("train", "dev", "test")
    """The tables to prepare. Common Voice also has validated, invalidated and other."""


def prepare(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield (split, utterance) for every line of every table, even if the clip is missing or empty."""
    folder = find_release(root, options.language, options.release, store)
    durations_s = _durations_s(folder)
    speakers: dict[str, str] = {}  # by shortened id
    for split in options.splits:
        n_rows, stated_s = 0, 0.0
        for number, row in table_rows(folder / f"{split}.tsv", _COLUMNS):
            utterance = _utterance(folder, row, f"{split}.tsv:{number}", speakers)
            stated_s += durations_s.get(Path(utterance.audio).name, 0.0)
            n_rows += 1
            yield split, utterance
        stated = f", {stated_s / 3600:.2f} h by the publisher's table" if durations_s else ""
        log.info("commonvoice: %s.tsv lists %s clips%s", split, f"{n_rows:,}", stated)


def variant(options: Options) -> str | None:
    """The expected counts, which depend on language and release, for the default splits."""
    default = Options(language=options.language, release=options.release)
    return f"{options.language}-{options.release}" if options == default else None


def _utterance(folder: Path, row: dict[str, str], where: str, speakers: dict[str, str]) -> Utterance:
    clip = row["path"] if Path(row["path"]).suffix else f"{row['path']}.mp3"  # the first releases have no suffix
    if "/" in clip or clip in ("", ".mp3"):
        raise K2DError(
            f"{shown(folder)}/{where}: the path is {row['path']!r}, expected the bare name of a file in {CLIPS}/"
        )
    speaker = _speaker(row["client_id"], where, speakers)
    key = f"{speaker}-{Path(clip).stem}"
    return Utterance(key, key, str(folder / CLIPS / clip), speaker, row["sentence"].strip())


def _speaker(client_id: str, where: str, speakers: dict[str, str]) -> str:
    """A speaker's shortened id. K2DError if two speakers share it."""
    short = f"cv-{client_id[:SPEAKER_CHARACTERS]}"
    if speakers.setdefault(short, client_id) != client_id:
        message = f"{where}: two speakers begin alike, {speakers[short]!r} and {client_id!r}"
        raise K2DError(f"{message}; raise SPEAKER_CHARACTERS in egs/commonvoice/prepare.py")
    return short


def _durations_s(folder: Path) -> dict[str, float]:
    """The publisher's duration of each clip, if the release has that table (in milliseconds)."""
    path = next((folder / name for name in _DURATION_FILES if (folder / name).is_file()), None)
    if path is None:
        return {}
    durations_s = {}
    for number, row in table_rows(path, ("clip", _MILLISECONDS)):
        if not row[_MILLISECONDS].isdecimal():
            raise K2DError(f"{shown(path)}:{number}: found {row[_MILLISECONDS]!r}, expected milliseconds")
        durations_s[row["clip"]] = int(row[_MILLISECONDS]) / 1000
    return durations_s
