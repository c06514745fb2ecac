"""Write the audio of chunks that are joined from pieces of a recording, without the gaps between the pieces."""

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
    """The recording's value in wav.scp."""
    packed: Packed


@dataclass(frozen=True, slots=True)
class Cutting:
    """Chunks whose audio is to be written below a folder."""

    labelled: Labelled
    folder: Path


def file_of(chunk_id: str) -> Path:
    """The path of a chunk's audio below its folder. The name is a hash, in 4,096 subfolders: an id is never a file
    name.

    >>> file_of("r1-0000000-0000240").as_posix()
    'c82/abe3a5906f6995829160.flac'
    """
    digest = hashlib.sha256(chunk_id.encode()).hexdigest()
    return Path(digest[:3], f"{digest[3:23]}.flac")


def cut(asked: Cutting) -> None:
    """Write the chunks of a recording: one channel at the sampling rate of recognisers.

    Raises AudioError if the recording cannot be read. Runs in a worker, because a damaged file may crash a decoder.
    """
    import numpy as np

    from k2d.data.audio import RATE_HZ, probe, read, resolve, write

    source = resolve(asked.labelled.audio)
    info = probe(source)
    for chunk in asked.labelled.packed.chunks:
        pieces = [read(source, start_s, end_s, expect=info) for start_s, end_s in chunk.pieces]
        write(asked.folder / file_of(chunk.id), np.concatenate(pieces), RATE_HZ)
