"""Audio entries of Kaldi archives, read with kaldiio after their kind has been checked.

kaldiio runs commands when given a string, and unpickles an entry that starts with `PKL`. Here it gets neither: only the
bytes of one entry whose kind and length have been checked.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2d.data.audio.source import AudioError, AudioSource

MAX_ENTRY_BYTES = 1 << 28  # 2.3 hours of 16 kHz PCM16; a limit is needed because an entry is decoded as a whole

_HEADER_BYTES = 16
_REMEDY = "take the offset from the scp file written together with the archive"


@dataclass(frozen=True, slots=True)
class ArkEntry:
    """A decoded entry: samples as float32, one row per frame, one column per channel."""

    kind: str
    rate_hz: int
    samples: NDArray[np.float32]


def read_entry(file: io.FileIO, source: AudioSource) -> ArkEntry:
    """Read the audio entry at the source's offset in an open archive."""
    kind, n_bytes = _measure(file, source)
    file.seek(source.ark_offset or 0)
    entry = file.read(n_bytes)
    try:
        import kaldiio.matio

        rate_hz, samples = kaldiio.matio.read_kaldi(io.BytesIO(entry))
    except MemoryError:
        raise
    except Exception as error:  # any error of kaldiio, its wave reader or soundfile means that the entry is bad
        message = f"the {kind} entry cannot be decoded: {error or type(error).__name__}"
        raise AudioError("unreadable", str(source), message, "write the archive again, as PCM16") from error
    return ArkEntry(kind, int(rate_hz), _as_float(samples))


def _measure(file: io.FileIO, source: AudioSource) -> tuple[str, int]:
    """The kind of the entry and its length in bytes. Raises if it is not audio or not complete."""
    name, offset = str(source), source.ark_offset or 0
    file_bytes = file.seek(0, os.SEEK_END)
    if offset >= file_bytes:
        message = f"byte {offset:,} lies beyond the end of the archive ({file_bytes:,} bytes)"
        raise AudioError("ark_offset", name, message, _REMEDY)
    file.seek(offset)
    header = file.read(_HEADER_BYTES)
    kind, n_bytes = _kind_and_length(header, name, file_bytes - offset)
    if offset + n_bytes > file_bytes:
        message = f"the archive is cut off: the entry needs {n_bytes:,} bytes, {file_bytes - offset:,} are there"
        raise AudioError("truncated", name, message, "fetch or make the archive again")
    if n_bytes > MAX_ENTRY_BYTES:
        message = f"the entry has {n_bytes:,} bytes, more than {MAX_ENTRY_BYTES:,} to be decoded at once"
        raise AudioError("ark_entry_too_long", name, message, "keep long recordings as files of their own")
    return kind, n_bytes


def _kind_and_length(header: bytes, name: str, bytes_left: int) -> tuple[str, int]:
    if header[:4] == b"RIFF" and header[8:12] == b"WAVE":
        return "RIFF", 8 + int.from_bytes(header[4:8], "little")
    if header[:5] == b"AUDIO" and 0 < header[5] <= 8:
        length_bytes = header[5]  # followed by the length itself, least significant byte first
        return "AUDIO", 6 + length_bytes + int.from_bytes(header[6 : 6 + length_bytes], "little")
    if header[:4] == b"fLaC":
        return "fLaC", bytes_left  # it has no length; its decoder stops at the end of the stream
    if header[:3] == b"PKL":
        message = "the entry is a Python pickle, which can run code when it is loaded"
        raise AudioError("pickled_ark", name, message, "write the archive as audio (RIFF or FLAC)")
    if header[:2] == b"\0B" or header[:3] == b"NPY" or header.lstrip()[:1] == b"[":
        message = "the entry is a matrix or vector without a sample rate, not audio"
        raise AudioError("ark_not_audio", name, message, "point wav.scp at audio; features belong in feats.scp")
    message = f"no entry starts at this byte: it begins with {header[:8]!r}"
    raise AudioError("ark_offset", name, message, _REMEDY)


def _as_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of any type that kaldiio returns, scaled to full scale 1.

    >>> _as_float(np.array([-32768, 16384], dtype=np.int16)).tolist()
    [[-1.0], [0.5]]
    """
    zero, full_scale = {"uint8": (128, 128), "int16": (0, 32768)}.get(samples.dtype.name, (0, 1))
    columns = samples[:, None] if samples.ndim == 1 else samples
    scaled: NDArray[np.float32] = (columns.astype(np.float32) - np.float32(zero)) / np.float32(full_scale)
    return scaled
