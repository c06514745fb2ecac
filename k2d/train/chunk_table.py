"""The chunks of a training as files that every process maps into its memory. Nothing is loaded or copied.

One process writes them (`chunk_writing.py`). The operating system keeps a mapped page in memory once, however many
ranks and loader processes read it. Python objects would be copied into each of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2d.models.codec import Codec
from k2d.text.timestamps import text_before
from k2d.train.batches import plain

INDEX = "index.json"
ROWS, LEARNT, LENGTHS, TOKENS, TEXTS, WORDS = (
    "rows.bin",
    "learnt.int64",
    "lengths.int32",
    "tokens.int32",
    "texts.utf8",
    "words.int64",
)
FILES = (ROWS, LEARNT, LENGTHS, TOKENS, TEXTS, WORDS)

NO_LANGUAGE = -1

_IDS_AT_ONCE = 1 << 20

ROW = np.dtype(
    [
        ("start_s", "<f8"),  # NaN: from the beginning
        ("end_s", "<f8"),  # NaN: to the end
        ("source_s", "<f8"),  # where the chunk begins in the recording that it was cut from
        ("audio_at", "<i8"),  # bytes in TEXTS
        ("audio_size", "<i4"),
        ("id_size", "<i4"),
        ("text_at", "<i8"),  # bytes in TEXTS: the id, then the label
        ("label_size", "<i4"),
        ("n_timed", "<i4"),
        ("tokens_at", "<i8"),  # the ids of the label, then those of its plain text
        ("n_plain", "<i4"),  # 0 if the chunk is not learnt
        ("language", "<i2"),  # its number in the index
        ("follows", "?"),  # the row before is the neighbour in the recording
    ]
)


@dataclass(frozen=True, slots=True)
class LabelledChunk:
    """A stretch of a recording with its label."""

    id: str
    audio: str
    start_s: float | None
    end_s: float | None
    label: str
    language: str | None
    """The teacher's guess, if the config names no language: the student learns to guess as well."""
    ids: list[int]
    """The ids of the label with its timestamps."""
    plain_ids: list[int]
    """The ids of the text alone. They may differ from `ids` without timestamps: a piece may span two segments."""


@dataclass(frozen=True, slots=True)
class TableIndex:
    """The contents of the files, and the inputs that they were made from."""

    made_from: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    """Size and checksum by name."""
    languages: list[str]
    n_in: int
    kept: int
    dropped: Mapping[str, int]
    """How many chunks are not used for training, by reason."""


class ChunkTable:
    """The chunks that are used for training, by number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.index = read_index(folder)
        self._rows = _mapped(folder / ROWS, ROW)
        self._learnt = _mapped(folder / LEARNT, np.dtype("<i8"))
        self._tokens = _mapped(folder / TOKENS, np.dtype("<i4"))
        self._texts = _mapped(folder / TEXTS, np.dtype("u1"))
        self.lengths = _mapped(folder / LENGTHS, np.dtype("<i4"))
        """How many ids each label has."""

    def __reduce__(self) -> tuple[type[ChunkTable], tuple[Path]]:
        """Pickled as the folder alone: the process that receives it maps the files itself."""
        return ChunkTable, (self._folder,)

    def __len__(self) -> int:
        return len(self._learnt)

    def __getitem__(self, number: int) -> LabelledChunk:
        row = self._rows[self._learnt[number]]
        start_s, end_s, language = float(row["start_s"]), float(row["end_s"]), int(row["language"])
        text_at, id_size = int(row["text_at"]), int(row["id_size"])
        return LabelledChunk(
            id=self._text(text_at, id_size),
            audio=self._text(int(row["audio_at"]), int(row["audio_size"])),
            start_s=None if np.isnan(start_s) else start_s,
            end_s=None if np.isnan(end_s) else end_s,
            label=self._label(row),
            language=None if language == NO_LANGUAGE else self.index.languages[language],
            ids=self._ids(int(row["tokens_at"]), int(row["n_timed"])),
            plain_ids=self._plain_ids(row),
        )

    def id_of(self, number: int) -> str:
        """The id of a chunk, without the rest."""
        row = self._rows[self._learnt[number]]
        return self._text(int(row["text_at"]), int(row["id_size"]))

    def ids_before(self, number: int, codec: Codec) -> list[int]:
        """The ids of the text before a chunk in its recording, without times; empty if it has no neighbour there."""
        # A chunk that was cut by the clock may end within a segment and still have the whole segment in its label. The
        # next chunk begins with that segment, so it is no previous text.
        at = int(self._learnt[number])
        row = self._rows[at]
        if not row["follows"]:
            return []
        before = self._rows[at - 1]
        label = self._label(before)
        said = plain(text_before(label, round(float(row["source_s"]) - float(before["source_s"]), 2)))
        has_ids = before["n_plain"] and said == plain(label)
        return self._plain_ids(before) if has_ids else codec.ids(said)

    @cached_property
    def words(self) -> NDArray[np.int64]:
        """The ids that occur in the texts, each once, in order."""
        return np.fromfile(self._folder / WORDS, dtype="<i8")

    def label_ids(self) -> Iterator[NDArray[Any]]:
        """All ids of all labels, with and without timestamps, in pieces."""
        for start in range(0, len(self._tokens), _IDS_AT_ONCE):
            yield self._tokens[start : start + _IDS_AT_ONCE]

    @property
    def content(self) -> Mapping[str, Mapping[str, Any]]:
        """Equal for two tables of the same chunks."""
        return self.index.files

    def _label(self, row: np.void) -> str:
        return self._text(int(row["text_at"]) + int(row["id_size"]), int(row["label_size"]))

    def _text(self, at: int, size: int) -> str:
        return self._texts[at : at + size].tobytes().decode("utf-8")

    def _plain_ids(self, row: np.void) -> list[int]:
        return self._ids(int(row["tokens_at"]) + int(row["n_timed"]), int(row["n_plain"]))

    def _ids(self, at: int, n: int) -> list[int]:
        ids: list[int] = self._tokens[at : at + n].tolist()
        return ids


def read_index(folder: Path) -> TableIndex:
    return TableIndex(**json.loads((folder / INDEX).read_text(encoding="utf-8")))


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A file as an array."""
    if not path.stat().st_size:  # the system refuses to map an empty file
        return np.zeros(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)
