"""Audio of chunks that are joined from pieces of a recording, without the gaps between the pieces."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from k2d.data.chunks import Packed
from k2d.data.rows import Hypothesis


@dataclass(frozen=True, slots=True)
class Labelled:
    """A recording with its segments, packed into chunks."""

    hypothesis: Hypothesis
    audio: str
    """Of the recording, as wav.scp has it."""
    packed: Packed


@dataclass(frozen=True, slots=True)
class Cutting:
    """Chunks whose audio is to be written below a folder."""

    labelled: Labelled
    folder: Path


def file_of(chunk_id: str) -> Path:
    """Where the audio of a chunk lies below its folder: named by a hash, in 4,096 blocks, for an id is no file name.

    >>> file_of("r1-0000000-0000240").as_posix()
    'c82/abe3a5906f6995829160.flac'
    """
    digest = hashlib.sha256(chunk_id.encode()).hexdigest()
    return Path(digest[:3], f"{digest[3:23]}.flac")


def cut(asked: Cutting) -> None:
    """Write the chunks of a recording, one channel at the rate that recognisers take.

    AudioError says why the recording cannot be read. For a worker: a decoder may die of a damaged file.
    """
    import numpy as np

    from k2d.data.audio import RATE_HZ, probe, read, resolve, write

    source = resolve(asked.labelled.audio)
    info = probe(source)
    for chunk in asked.labelled.packed.chunks:
        pieces = [read(source, start_s, end_s, expect=info) for start_s, end_s in chunk.pieces]
        write(asked.folder / file_of(chunk.id), np.concatenate(pieces), RATE_HZ)
