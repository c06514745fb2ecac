"""NTUML2021 (ky552/ML2021_ASR_ST) from Hugging Face: parquet with the audio inside.

    <root>/data/{train,dev,test}-00000-of-000NN-<digest>.parquet      audio, transcription, translation, file

All files of dev are also in test. So there are two test sets: `test`, for comparison with published scores, and
`test_nodev` without the files of dev, for experiments that tune on dev.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from k2d.core.errors import K2DError
from k2d.data.longform import Concatenate
from k2d.data.longform_audio import LONG, Asked, with_long
from k2d.data.raw import download_command
from k2d.data.raw.parquet import Kind, Row, Shard, read_rows
from k2d.data.raw.parquet_splits import Splits, find_splits
from k2d.data.raw.stored_audio import rows_with_audio
from k2d.data.rows import Utterance

SPEAKER = "ntuml2021-hyl"  # one lecturer, Hung-yi Lee
_FILE = "file"  # early revisions do not have this column
_NOT_IN_IDS = re.compile(r"[^\w.+=-]")

log = logging.getLogger("k2d")


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Options:
    """The options of this recipe."""

    splits: tuple[Literal["train", "dev", "test"], ...] = ("dev", "test")
    """The splits to prepare. `train` is the larger half of the download, and the paper does not use it."""
    long_splits: tuple[Literal["train", "dev", "test", "test_nodev"], ...] = ("test",)
    """For each of these splits, `<split>_long` has the same utterances joined to long recordings."""
    long: Concatenate = field(default_factory=Concatenate)
    """How they are joined. The defaults are those of the paper's authors."""


def prepare(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """(split, utterance) pairs, the long splits last."""
    splits = _splits(root, options)
    asked = [Asked(split, LONG, options.long) for split in options.long_splits]
    return with_long(_rows(splits, nj, store), asked, store)


def variant(options: Options) -> str | None:
    """The expected counts: with train or without it. Other splits have no expected counts."""
    if options == Options():
        return "default"
    return "with_train" if options == Options(splits=("train", "dev", "test")) else None


def tables(root: Path, options: Options) -> Iterator[tuple[str, str, str, str]]:
    """The order of the rows, which is that of the lectures."""
    for split, shards in _splits(root, options, tell=False).items():
        asked = list(_columns(shards))
        rows = (row for shard in shards for row in read_rows(shard, asked))
        for number, row in enumerate(rows):
            yield split, "utt2row", utterance_id(row, split, number), str(number)


def utterance_id(row: Row, split: str, number: int) -> str:
    """The file's name without folder and suffix. Without a name, the split and the row's number.

    >>> utterance_id({"file": "wav/ML2021 (1)_00012.wav"}, "test", 3)
    'ntuml2021-hyl-ML2021__1__00012'
    >>> utterance_id({}, "test", 3)
    'ntuml2021-hyl-test_00003'
    """
    stem = _NOT_IN_IDS.sub("_", PurePosixPath(row.get(_FILE, "")).stem)
    return f"{SPEAKER}-{stem or f'{split}_{number:05d}'}"


def _splits(root: Path, options: Options, *, tell: bool = True) -> Splits:
    """The shards of the requested splits, dev before test."""
    found = find_splits(root, "audio", tell=tell)
    if missing := [split for split in options.splits if split not in found]:
        message = f"found no parquet files with audio of {', '.join(missing)}"
        raise K2DError(f"{root}: {message}; egs/ntuml2021/README.md says how to get them")
    return {split: found[split] for split in sorted(options.splits)}


def _columns(shards: list[Shard]) -> dict[str, Kind]:
    has_names = all(_FILE in shard.columns for shard in shards)
    return {"transcription": str, _FILE: str} if has_names else {"transcription": str}


def _rows(splits: Splits, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    of_dev: set[str] = set()  # ids, and digests of the audio
    n_test = n_shared = 0
    for split, shards in splits.items():
        given = rows_with_audio(shards, _columns(shards), "audio", store, nj=nj)
        for number, (_, _, values, audio) in enumerate(given):
            row = _row(values, split, number, audio)
            yield split, row
            if split == "dev":
                of_dev |= {row.id, _digest(audio)}
            elif split == "test" and "dev" in splits:
                n_test += 1
                if of_dev.isdisjoint({row.id, _digest(audio)}):
                    yield "test_nodev", row
                else:
                    n_shared += 1
    log.info("ntuml2021: %s of the %s utterances of test are in dev too", f"{n_shared:,}", f"{n_test:,}")


def _row(values: Row, split: str, number: int, audio: Path) -> Utterance:
    key = utterance_id(values, split, number)
    return Utterance(key, key, str(audio), SPEAKER, values["transcription"].strip())


def _digest(audio: Path) -> str:
    """A digest of the audio. For a missing file, its name, which equals no digest."""
    return hashlib.sha256(audio.read_bytes()).hexdigest() if audio.is_file() else str(audio)


if __name__ == "__main__":
    raise SystemExit(download_command.main("ntuml2021"))
