"""What the frozen encoder makes of every chunk, computed once for all students and epochs, in a memory-mapped file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2d.atomic import partial_folder, publish_folder
from k2d.models.recogniser import Recogniser
from k2d.progress import track
from k2d.train.chunks import Chunk, speech_of

STATES, INDEX = "states.float32", "index.json"

Samples = NDArray[np.float32]


class Encoded:
    """The encoder's output of each chunk, by what the chunk is cut from."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self._row = {key: row for row, key in enumerate(index["chunks"])}
        shape = (len(self._row), *index["shape"])
        self._states_NTD = np.memmap(folder / STATES, dtype=np.float32, mode="r", shape=shape)

    def __getitem__(self, chunk: Chunk) -> Samples:
        states_TD: Samples = np.array(self._states_NTD[self._row[_key(chunk)]])
        return states_TD


def open_encoded(
    chunks: Sequence[Chunk], teacher: Recogniser, folder: Path, *, made_from: Mapping[str, Any], batch_size: int
) -> Encoded:
    """The encoded chunks; they are computed unless `folder` holds just these."""
    wanted = {**made_from, "chunks": [_key(chunk) for chunk in chunks]}
    if not _is_there(folder, wanted):
        _make(chunks, teacher, folder, wanted, batch_size)
    return Encoded(folder)


def _key(chunk: Chunk) -> str:
    return f"{chunk.audio} {chunk.start_s} {chunk.end_s}"


def _is_there(folder: Path, wanted: Mapping[str, Any]) -> bool:
    if not (folder / INDEX).is_file():
        return False
    stored = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return {name: stored.get(name) for name in wanted} == dict(wanted)


def _make(chunks: Sequence[Chunk], teacher: Recogniser, folder: Path, wanted: Mapping[str, Any], size: int) -> None:
    partial = partial_folder(folder)
    partial.mkdir(parents=True, exist_ok=True)
    window, shape = teacher.window, None
    batches = [chunks[at : at + size] for at in range(0, len(chunks), size)]
    with (partial / STATES).open("wb") as file, torch.no_grad():
        for batch in track(batches, "encoding the chunks", unit="batches"):
            speech_BN = torch.from_numpy(np.stack([speech_of(c, window.rate_hz, window.n_samples) for c in batch]))
            states_BTD: Tensor = teacher.encode(speech_BN.to(teacher.device)).states_BTD.float().cpu()
            shape = list(states_BTD.shape[1:])
            file.write(states_BTD.numpy().tobytes())
    (partial / INDEX).write_text(json.dumps({**wanted, "shape": shape}, ensure_ascii=False), encoding="utf-8")
    publish_folder(partial, folder)
