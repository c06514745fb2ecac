"""The frozen teacher's outputs for every chunk, computed once for all students and epochs, in memory-mapped files.

They are the encoder's output and the decoder's last hidden states on the chunk's label: all that a student needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import K2DError
from k2d.core.lock import taking_turns
from k2d.core.progress import track
from k2d.models.interface import Memory, Recogniser
from k2d.train.chunk_batches import ChunkMaterial, decoder_sequence, speech_of
from k2d.train.chunk_table import LabelledChunk

HIDDEN, KEYS, ENDS, INDEX = "hidden.float32", "keys.uint64", "ends.int64", "index.json"
STATES = {"fp32": "states.float32", "fp16": "states.float16"}
_NUMBERS: Mapping[str, type[np.floating[Any]]] = {"fp32": np.float32, "fp16": np.float16}
PRECISION = "precision"
"""Key of the index."""
VERSION = 1  # raise it by hand if the same chunks and teacher would give other files

Samples = NDArray[np.float32]
Precision = Literal["fp32", "fp16"]
"""Of the encoder's output as it is stored."""


class StoredOutputs:
    """The teacher's outputs, looked up by a chunk's audio and label."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self._ends_N = _mapped(folder / ENDS, np.int64, (index["n_chunks"],))
        self._firsts_N, self._seconds_N, self._rows_N = _mapped(folder / KEYS, np.uint64, (3, index["n_chunks"]))
        precision = index.get(PRECISION, "fp32")
        self._states_NTD = _mapped(
            folder / STATES[precision], _NUMBERS[precision], (index["n_chunks"], *index["shape"])
        )
        self._hidden_LD = _mapped(folder / HIDDEN, np.float32, (int(self._ends_N[-1]), index["width"]))

    def __reduce__(self) -> tuple[type[StoredOutputs], tuple[Path]]:
        """Pickled as the folder alone: the process that receives it maps the files itself."""
        return StoredOutputs, (self._folder,)

    def states(self, chunk: LabelledChunk) -> Samples:
        """The encoder's output for a chunk."""
        states_TD: Samples = np.array(self._states_NTD[self._row(chunk)], dtype=np.float32)
        return states_TD

    def hidden(self, chunk: LabelledChunk) -> Samples:
        """The decoder's last hidden states on the whole label with its timestamps, without previous text."""
        row = self._row(chunk)
        first = int(self._ends_N[row - 1]) if row else 0
        hidden_LD: Samples = np.array(self._hidden_LD[first : int(self._ends_N[row])])
        return hidden_LD

    def _row(self, chunk: LabelledChunk) -> int:
        """The chunk's row. Of equal chunks, the last one."""
        # The keys are sorted, so a binary search over the mapped file replaces a dictionary of millions of entries.
        first, second = _key(chunk)
        at = slice(*(int(np.searchsorted(self._firsts_N, first, side)) for side in ("left", "right")))
        rows = self._rows_N[at][self._seconds_N[at] == second]
        if not len(rows):
            raise KeyError(f"{chunk.id}: the teacher's outputs do not have this chunk")
        return int(rows.max())


def _mapped(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.memmap(path, dtype=kind, mode="r", shape=shape).view(np.ndarray)


def open_encoded(
    material: ChunkMaterial,
    teacher: Recogniser,
    folder: Path,
    *,
    made_from: Mapping[str, Any],
    batch_size: int,
    precision: Precision = "fp32",
) -> StoredOutputs:
    """The teacher's outputs for these chunks. They are computed unless `folder` has them in this precision.

    `made_from` identifies the teacher and the audio. Of processes that start together, one computes and the others
    wait.
    """
    languages = list(material.labelling.languages)
    wanted = {
        **made_from,
        "version": VERSION,
        "languages": languages,
        "chunks": material.chunks.content,
        PRECISION: precision,
    }
    with taking_turns(folder):
        if not _is_there(folder, wanted):
            _make(material, teacher, folder, wanted, batch_size)
        return StoredOutputs(folder)


def _key(chunk: LabelledChunk) -> NDArray[np.uint64]:
    """A hash of a chunk's audio and label. It has 128 bits, so that two chunks never share a key."""
    where = json.dumps([chunk.audio, chunk.start_s, chunk.end_s, chunk.label, chunk.language])
    return np.frombuffer(hashlib.sha256(where.encode()).digest()[:16], np.uint64)


def _is_there(folder: Path, wanted: Mapping[str, Any]) -> bool:
    if not (folder / INDEX).is_file():
        return False
    stored = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    stored.setdefault(PRECISION, "fp32")  # outputs of earlier versions, which had no other
    return {name: stored.get(name) for name in wanted} == dict(wanted)


def _make(material: ChunkMaterial, teacher: Recogniser, folder: Path, wanted: Mapping[str, Any], size: int) -> None:
    partial = new_partial_folder(folder)
    chunks, n_chunks = material.chunks, len(material.chunks)
    keys_KN, ends_N = np.empty((2, n_chunks), np.uint64), np.empty(n_chunks, np.int64)
    shape: list[int] = []
    end = 0
    precision: Precision = wanted[PRECISION]
    with (partial / STATES[precision]).open("wb") as states, (partial / HIDDEN).open("wb") as hidden, torch.no_grad():
        for at in track(range(0, n_chunks, size), "encoding the chunks", unit="batches"):
            batch = [chunks[number] for number in range(at, min(at + size, n_chunks))]
            memory = _encode(batch, teacher)
            shape = list(memory.states_BTD.shape[1:])
            states.write(_rounded(memory.states_BTD, precision))
            for number, row_LD in enumerate(_hidden_states(batch, material, memory, teacher), at):
                keys_KN[:, number] = _key(batch[number - at])
                end += len(row_LD)
                ends_N[number] = end
                hidden.write(_bytes(row_LD))
    order_N = np.lexsort(keys_KN[::-1])  # lexsort sorts by its last key first
    np.stack([*keys_KN[:, order_N], order_N.astype(np.uint64)]).tofile(partial / KEYS)
    ends_N.tofile(partial / ENDS)
    index = {**wanted, "n_chunks": n_chunks, "shape": shape, "width": row_LD.shape[1]}
    (partial / INDEX).write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
    publish_folder(partial, folder)


def _encode(chunks: Sequence[LabelledChunk], teacher: Recogniser) -> Memory:
    window = teacher.window
    speech_BN = torch.from_numpy(np.stack([speech_of(c, window.rate_hz, window.n_samples) for c in chunks]))
    return teacher.encode(speech_BN.to(teacher.device))


def _hidden_states(
    chunks: Sequence[LabelledChunk], material: ChunkMaterial, memory: Memory, teacher: Recogniser
) -> list[Tensor]:
    """The decoder's last hidden states (LD) at every place of each label."""
    codec, languages = material.codec, material.labelling.languages
    inputs = [torch.from_numpy(decoder_sequence(chunk, codec, languages).inputs) for chunk in chunks]
    inputs_BL = pad_sequence(inputs, batch_first=True).to(teacher.device)
    hidden_BLD = teacher.hidden(memory, inputs_BL)
    return [hidden_LD[: len(row)] for hidden_LD, row in zip(hidden_BLD, inputs, strict=True)]


def _rounded(states_BTD: Tensor, precision: Precision) -> bytes:
    """The encoder's output as it is stored; K2DError if it does not fit into these numbers."""
    if precision == "fp32":
        return _bytes(states_BTD)
    half_BTD = states_BTD.half()
    if not half_BTD.isfinite().all():
        largest, most = float(states_BTD.abs().max()), torch.finfo(torch.float16).max
        raise K2DError(
            f"distill.encoded_precision: found fp16, but the encoder's output goes up to {largest:g}, and fp16 ends at "
            f"{most:g}; set fp32"
        )
    return half_BTD.cpu().contiguous().numpy().tobytes()


def _bytes(values: Tensor) -> bytes:
    return values.float().cpu().contiguous().numpy().tobytes()
