"""The chunks of a training as files that every process maps into its memory: nothing is loaded, nothing is copied.

One process writes them (`chunk_writing.py`). What is mapped is held once by the system, however many ranks and loader
processes read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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

ROW = np.dtype(
    [
        ("start_s", "<f8"),  # not a number: from the beginning
        ("end_s", "<f8"),  # not a number: to the end
        ("source_s", "<f8"),  # where it begins in the recording that it was made from
        ("audio_at", "<i8"),  # bytes in TEXTS
        ("audio_size", "<i4"),
        ("id_size", "<i4"),
        ("text_at", "<i8"),  # the id, and behind it the label
        ("label_size", "<i4"),
        ("n_timed", "<i4"),
        ("tokens_at", "<i8"),  # the ids of the label, and behind them those of its plain text
        ("n_plain", "<i4"),  # 0 of a chunk that is not learnt
        ("language", "<i2"),  # its number in the index
        ("follows", "?"),  # the row before is its neighbour in the recording
    ]
)


@dataclass(frozen=True, slots=True)
class LabelledChunk:
    """A stretch of a recording with what the teacher heard in it."""

    id: str
    audio: str
    start_s: float | None
    end_s: float | None
    label: str
    language: str | None
    """The teacher's guess, where it was told none: the student is to learn to guess as well."""
    ids: list[int]
    """Of the label with its timestamps."""
    plain_ids: list[int]
    """Of its text alone, which need not be the same without timestamps: a piece may reach across segments."""


@dataclass(frozen=True, slots=True)
class TableIndex:
    """What the files hold, and what they were made from."""

    made_from: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    """Size and checksum by name."""
    languages: list[str]
    n_in: int
    kept: int
    dropped: Mapping[str, int]
    """How many chunks are not learnt, by reason."""


class ChunkTable:
    """The chunks that are learnt, by number."""

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
        """A process that is sent a table maps the files itself."""
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

    def ids_before(self, number: int, codec: Codec) -> list[int]:
        """What was said before a chunk in its recording, without times: the text of its neighbour, if it has one.

        Left out is what this chunk says again from its beginning. A chunk of the clock may be labelled into the
        segment that it cuts off; the next chunk begins with that segment.
        """
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
        """The ids of which the texts are made, each once, in order."""
        return np.fromfile(self._folder / WORDS, dtype="<i8")

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
    """A file as an array; an empty file cannot be mapped."""
    if not path.stat().st_size:
        return np.zeros(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)
