"""Write kept chunks into a table: one pass over the data directories, each label tokenised once, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.core.lock import taking_turns
from k2d.core.progress import Progress
from k2d.core.stamp import fingerprint
from k2d.data.chunk_sources import Source, read_sources
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.rows import Utterance
from k2d.models.codec import Codec
from k2d.train.batches import plain
from k2d.train.chunk_table import (
    FILES,
    INDEX,
    LEARNT,
    LENGTHS,
    NO_LANGUAGE,
    ROW,
    ROWS,
    TEXTS,
    TOKENS,
    WORDS,
    ChunkTable,
    TableIndex,
)

VERSION = 1
"""Raise it by hand if the same chunks would give another table."""

HELD_OUT, TOO_LONG = "held_out", "label_too_long"

_NEIGHBOURS_S = 5.0  # text from further back is not used as context
_LONGEST_PROMPT = 5  # tokens, including the end, without previous text
_ROWS_AT_ONCE = 4096
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TableRequest:
    """The chunks of a table, and the decoder that it is for."""

    folders: Mapping[Path, Collection[str]]
    """Data directories, each with its held-out recordings."""
    codec: Codec
    max_tokens: int
    """The number of the decoder's positions. Labels may be longer, because a loop can fill several windows with
    text.
    """

    def made_from(self) -> dict[str, Any]:
        """Everything that determines the table's content."""
        held_out = json.dumps([sorted(names) for names in self.folders.values()], ensure_ascii=False)
        return {
            "version": VERSION,
            "folders": [fingerprint(folder) for folder in self.folders],
            "held_out": hashlib.sha256(held_out.encode()).hexdigest(),
            "codec": self.codec.spelling_hash,
            "max_tokens": self.max_tokens,
        }

    def where(self) -> str:
        return ", ".join(map(shown, self.folders)) or "no folder"


def open_chunks(request: TableRequest, cache: Path) -> ChunkTable:
    """The table of these chunks. It is written unless `cache` has it. K2DError if no chunk is left for training."""
    made_from = request.made_from()
    with taking_turns(cache):
        if not _is_there(cache, made_from):
            partial = new_partial_folder(cache)
            _write(request, made_from, partial)
            publish_folder(partial, cache)
        return ChunkTable(cache)


def _is_there(cache: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether the folder has this table, complete."""
    if not (cache / INDEX).is_file():
        return False
    stored = json.loads((cache / INDEX).read_text(encoding="utf-8"))
    return stored.get("made_from") == made_from and all(
        (cache / name).is_file() and (cache / name).stat().st_size == record["size_bytes"]
        for name, record in stored["files"].items()
    )


def _write(request: TableRequest, made_from: Mapping[str, Any], folder: Path) -> None:
    with _TableWriter(folder, request) as writer, Progress("reading the chunks", None, "chunks") as progress:
        for data, held_out in request.folders.items():
            before: Source | None = None
            # A chunk that was joined from several segments has audio of its own, so its `recording_id` is the chunk's.
            # Only its source names the recording that it came from.
            for row, (_, source) in zip(read_utterances(data), read_sources(data), strict=True):
                writer.add(row, source, before, held_out)
                before = source
                progress.update()
    counts = writer.counts
    if not counts.total() - counts[HELD_OUT]:
        raise K2DError(
            f"{request.where()}: found no chunk for training besides held-out ones; keep more of them (select.alpha)"
        )
    if not counts[LEARNT]:
        raise K2DError(
            f"{request.where()}: every label of {counts[TOO_LONG]:,} chunks is longer than the decoder's "
            f"{request.max_tokens} tokens; look at what the teacher wrote there, or set chunk.max_s lower"
        )
    dropped = {reason: counts[reason] for reason in (HELD_OUT, TOO_LONG) if counts[reason]}
    index = TableIndex(made_from, writer.records(), writer.languages, counts.total(), counts[LEARNT], dropped)
    (folder / INDEX).write_text(json.dumps(asdict(index), ensure_ascii=False), encoding="utf-8")


class _HashedFile:
    """A file that is appended to, with its checksum."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._file = stack.enter_context(path.open("wb", buffering=_BUFFER_BYTES))
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def add(self, content: bytes) -> int:
        """Append the content. Returns the place at which it starts."""
        at = self.size_bytes
        self._file.write(content)
        self._digest.update(content)  # now, because these files are too large to be read again
        self.size_bytes += len(content)
        return at

    def record(self) -> dict[str, Any]:
        return {"size_bytes": self.size_bytes, "sha256": self._digest.hexdigest()}


class _TableWriter:
    """The files of a table that is being written, and the counts."""

    def __init__(self, folder: Path, request: TableRequest) -> None:
        self._request, self._stack = request, ExitStack()
        self._files = {name: _HashedFile(folder / name, self._stack) for name in FILES}
        self._rows: list[tuple[Any, ...]] = []
        self._n_rows = 0
        self._words: set[int] = set()
        self._audio, self._audio_at = "", 0
        self.languages: list[str] = []
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> _TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._stack:
            self._write_rows()
            self._files[WORDS].add(np.array(sorted(self._words), "<i8").tobytes())

    def records(self) -> dict[str, dict[str, Any]]:
        return {name: file.record() for name, file in self._files.items()}

    def add(self, row: Utterance, source: Source, before: Source | None, held_out: Collection[str]) -> None:
        """Count a chunk, and write it unless it is held out."""
        if source.recording_id in held_out:
            self.counts[HELD_OUT] += 1
            return
        # A chunk that is too long is not used for training, but its row is kept as context for the chunk after it.
        ids = self._encode(row, row.text or "")
        if len(ids) + _LONGEST_PROMPT < self._request.max_tokens:
            plain_ids = self._encode(row, plain(row.text or ""))
            self._words.update(plain_ids)
            self._files[LEARNT].add(np.array(self._n_rows, "<i8").tobytes())
            self._files[LENGTHS].add(np.array(len(ids), "<i4").tobytes())
            self.counts[LEARNT] += 1
        else:
            plain_ids = []
            self.counts[TOO_LONG] += 1
        # Chunks of a recording are in order but need not be neighbours: chunks between them may have been dropped.
        follows = (
            before is not None
            and before.recording_id == source.recording_id
            and source.start_s - before.end_s < _NEIGHBOURS_S
        )
        self._add_row(row, source.start_s, ids, plain_ids, follows)

    def _encode(self, row: Utterance, text: str) -> list[int]:
        try:
            return self._request.codec.ids(text)
        except K2DError as error:
            raise K2DError(f"{self._request.where()}: chunk {row.id!r}: {error}") from error

    def _add_row(self, row: Utterance, source_s: float, ids: list[int], plain_ids: list[int], follows: bool) -> None:
        texts = self._files[TEXTS]
        if row.audio != self._audio:  # chunks of a recording are consecutive, so its path is written once
            self._audio, self._audio_at = row.audio, texts.add(row.audio.encode())
        key, label = row.id.encode(), (row.text or "").encode()
        values = {
            "start_s": math.nan if row.start_s is None else row.start_s,
            "end_s": math.nan if row.end_s is None else row.end_s,
            "source_s": source_s,
            "audio_at": self._audio_at,
            "audio_size": len(row.audio.encode()),
            "id_size": len(key),
            "text_at": texts.add(key + label),
            "label_size": len(label),
            "n_timed": len(ids),
            "tokens_at": self._files[TOKENS].add(np.array([*ids, *plain_ids], "<i4").tobytes()) // 4,
            "n_plain": len(plain_ids),
            "language": self._language(row.language),
            "follows": follows,
        }
        self._rows.append(tuple(values[name] for name in ROW.names or ()))
        self._n_rows += 1
        if len(self._rows) == _ROWS_AT_ONCE:
            self._write_rows()

    def _language(self, name: str | None) -> int:
        if name is None:
            return NO_LANGUAGE
        if name not in self.languages:
            self.languages.append(name)
        return self.languages.index(name)

    def _write_rows(self) -> None:
        self._files[ROWS].add(np.array(self._rows, ROW).tobytes())
        self._rows.clear()
