"""What the frozen teacher makes of every chunk, computed once for all students and epochs, in memory-mapped files.

Its encoder's output, and its decoder's last hidden states on the chunk's label: all that a student needs of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from k2d.atomic import partial_folder, publish_folder
from k2d.models.recogniser import Memory, Recogniser
from k2d.progress import track
from k2d.train.chunks import Chunk, ChunkMaterial, sequence_of, speech_of

STATES, HIDDEN, INDEX = "states.float32", "hidden.float32", "index.json"

Samples = NDArray[np.float32]


class Encoded:
    """What the teacher makes of each chunk, by what the chunk is cut from and its label."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self._row = {key: row for row, key in enumerate(index["chunks"])}
        shape = (len(self._row), *index["shape"])
        self._states_NTD = np.memmap(folder / STATES, dtype=np.float32, mode="r", shape=shape)
        self._first_N = np.concatenate(([0], np.cumsum(index["n_tokens"], dtype=np.int64)))
        shape = (int(self._first_N[-1]), index["width"])
        self._hidden_LD = np.memmap(folder / HIDDEN, dtype=np.float32, mode="r", shape=shape)

    def states(self, chunk: Chunk) -> Samples:
        """The encoder's output."""
        states_TD: Samples = np.array(self._states_NTD[self._row[_key(chunk)]])
        return states_TD

    def hidden(self, chunk: Chunk) -> Samples:
        """The decoder's, for the whole label with its timestamps and nothing before it."""
        row = self._row[_key(chunk)]
        hidden_LD: Samples = np.array(self._hidden_LD[self._first_N[row] : self._first_N[row + 1]])
        return hidden_LD


def open_encoded(
    material: ChunkMaterial, teacher: Recogniser, folder: Path, *, made_from: Mapping[str, Any], batch_size: int
) -> Encoded:
    """What is kept of these chunks; it is computed unless `folder` holds just that."""
    languages = list(material.labelling.languages)
    wanted = {**made_from, "languages": languages, "chunks": [_key(chunk) for chunk in material.chunks]}
    if not _is_there(folder, wanted):
        _make(material, teacher, folder, wanted, batch_size)
    return Encoded(folder)


def _key(chunk: Chunk) -> str:
    label = hashlib.sha256(chunk.label.encode()).hexdigest()[:16]
    language = f" {chunk.language}" if chunk.language else ""
    return f"{chunk.audio} {chunk.start_s} {chunk.end_s} {label}{language}"


def _is_there(folder: Path, wanted: Mapping[str, Any]) -> bool:
    if not (folder / INDEX).is_file():
        return False
    stored = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return {name: stored.get(name) for name in wanted} == dict(wanted)


def _make(material: ChunkMaterial, teacher: Recogniser, folder: Path, wanted: Mapping[str, Any], size: int) -> None:
    partial = partial_folder(folder)
    partial.mkdir(parents=True, exist_ok=True)
    batches = [material.chunks[at : at + size] for at in range(0, len(material.chunks), size)]
    shape: list[int] = []
    n_tokens: list[int] = []
    with (partial / STATES).open("wb") as states, (partial / HIDDEN).open("wb") as hidden, torch.no_grad():
        for batch in track(batches, "hearing the chunks", unit="batches"):
            memory = _heard(batch, teacher)
            shape = list(memory.states_BTD.shape[1:])
            states.write(_bytes(memory.states_BTD))
            for row_LD in _read(batch, material, memory, teacher):
                n_tokens.append(len(row_LD))
                hidden.write(_bytes(row_LD))
    index = {**wanted, "shape": shape, "n_tokens": n_tokens, "width": row_LD.shape[1]}
    (partial / INDEX).write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
    publish_folder(partial, folder)


def _heard(chunks: Sequence[Chunk], teacher: Recogniser) -> Memory:
    window = teacher.window
    speech_BN = torch.from_numpy(np.stack([speech_of(c, window.rate_hz, window.n_samples) for c in chunks]))
    return teacher.encode(speech_BN.to(teacher.device))


def _read(chunks: Sequence[Chunk], material: ChunkMaterial, memory: Memory, teacher: Recogniser) -> list[Tensor]:
    """The decoder's last hidden_LD at every place of each label."""
    inputs = [torch.from_numpy(sequence_of(chunk, material).inputs) for chunk in chunks]
    inputs_BL = pad_sequence(inputs, batch_first=True).to(teacher.device)
    hidden_BLD = teacher.hidden(memory, inputs_BL)
    return [hidden_LD[: len(row)] for hidden_LD, row in zip(hidden_BLD, inputs, strict=True)]


def _bytes(values: Tensor) -> bytes:
    return values.float().cpu().contiguous().numpy().tobytes()
