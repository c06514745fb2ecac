"""Compare WAV headers with the file: libsndfile trusts them, and shortens a file that is cut off without any error.

A recorder that dies leaves a header with too few bytes. A size of 0 or of all ones, as written by programs that do not
know the length yet, means "to the end of the file". Any other size that is too small is refused.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from k2d.data.audio.content import audio_start, is_tag_or_padding
from k2d.data.audio.source import AudioError

_UNKNOWN_SIZE = 0xFFFFFFFF  # written by ffmpeg into a pipe, and by RF64, which has the size in `ds64`
_PIPE_SIZES = range(0x7FFFE000, 0x80000001)  # written by SoX and arecord: 0x7ffff000 minus a part of a frame
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BITS = {_PCM: (8, 12, 16, 20, 24, 32), _FLOAT: (32, 64)}
# Chunks that may be cut off at the end of the file, because they have facts about the audio but no audio.
_NOTES = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"axml", b"_PMX", b"cue ", b"fact", b"smpl", b"PEAK", b"JUNK")
_BLOCK_BYTES = 1 << 20
_AGAIN = "fetch or make the file again"


@dataclass(frozen=True, slots=True)
class WavLayout:
    """The content of a WAV header. `size_at` is the place of the data's size, `data_bytes` the real size."""

    rate_hz: int
    size_at: int
    data_bytes: int
    hides_size: bool  # the size in the header is smaller than the file, and means "to the end of the file"


@dataclass(frozen=True, slots=True)
class _Format:
    rate_hz: int = 0
    bytes_per_s: int = 0


@dataclass(frozen=True, slots=True)
class _Chunk:
    tag: bytes
    at: int  # the start of its content
    n_bytes: int


def read_wav_layout(file: BinaryIO, name: str) -> WavLayout:
    """Read the chunks of a RIFF or RF64 file. Raises if the header and the file do not agree."""
    file_bytes = file.seek(0, os.SEEK_END)
    start = audio_start(file)
    file.seek(start)
    riff_bytes = struct.unpack("<4xI4x", file.read(12).ljust(12, b"\0"))[0]
    form, long_data_bytes = _Format(), 0
    while len(header := file.read(8)) == 8:
        chunk = _Chunk(header[:4], file.tell(), int.from_bytes(header[4:], "little"))
        if chunk.tag == b"data":
            return _layout(file, name, chunk, form, long_data_bytes)
        if chunk.tag == b"fmt ":
            form = _format(file.read(min(chunk.n_bytes, 40)), name)
        elif chunk.tag == b"ds64":
            long_data_bytes = int.from_bytes(file.read(16)[8:16], "little")
        file.seek(chunk.at + chunk.n_bytes + chunk.n_bytes % 2)
    if start + riff_bytes + 8 > file_bytes:
        raise _cut_off(name, riff_bytes + 8, file_bytes - start)
    raise AudioError("no_samples", name, "has no data chunk", "make the file again from its source")


def _layout(file: BinaryIO, name: str, data: _Chunk, form: _Format, long_bytes: int) -> WavLayout:
    there = file.seek(0, os.SEEK_END) - data.at
    n_bytes = long_bytes if data.n_bytes == _UNKNOWN_SIZE and long_bytes else data.n_bytes
    is_open = not long_bytes and (n_bytes in _PIPE_SIZES or n_bytes in (0, _UNKNOWN_SIZE))
    if n_bytes == 0 and _chunks(file, data.at) is not None:
        is_open = False  # other chunks follow that are not audio, so zero is the real size
    if is_open:
        return WavLayout(form.rate_hz, data.at - 4, there, hides_size=n_bytes < there)
    if n_bytes > there:
        raise _cut_off(name, n_bytes, there)
    if n_bytes < there:
        _check_rest(file, name, _Chunk(data.tag, data.at, n_bytes), form)
    return WavLayout(form.rate_hz, data.at - 4, n_bytes, hides_size=False)


def _check_rest(file: BinaryIO, name: str, data: _Chunk, form: _Format) -> None:
    """Raise unless the data are followed by chunks, tags or zeros only."""
    end = data.at + data.n_bytes
    file.seek(end)
    if _is_tag(file):
        return
    # A chunk of odd length is followed by a byte of padding, which some programs forget.
    chunks = _chunks(file, end + data.n_bytes % 2)
    if chunks is None:
        chunks = _chunks(file, end)
    if chunks is None:
        raise _wrong_length(name, data, form, file.seek(0, os.SEEK_END) - end)
    for chunk in chunks:
        if chunk.tag == b"RIFF":
            message = f"a second WAV file begins at byte {chunk.at - 8:,}: only the first would be read"
            raise AudioError("wrong_length", name, message, "cut it apart there, or make the file again")
        if chunk.tag == b"data" and chunk.n_bytes:
            message = (
                f"has two data chunks, of {data.n_bytes:,} bytes at byte {data.at:,} and of {chunk.n_bytes:,} bytes "
                f"at byte {chunk.at:,}: which is the recording?"
            )
            raise AudioError("wrong_length", name, message, "make the file again, with one")


def _is_tag(file: BinaryIO) -> bool:
    """Whether a tag follows here, or zeros up to the end of the file."""
    block = file.read(_BLOCK_BYTES)
    while is_tag_or_padding(block):
        if any(block) or not (block := file.read(_BLOCK_BYTES)):
            return True
    return False


def _chunks(file: BinaryIO, at: int) -> list[_Chunk] | None:
    """The chunks from `at` to the end of the file. None if there is anything else."""
    file_bytes = file.seek(0, os.SEEK_END)
    found: list[_Chunk] = []
    while file_bytes - at >= 8:
        file.seek(at)
        header = file.read(8)
        chunk = _Chunk(header[:4], at + 8, int.from_bytes(header[4:], "little"))
        if found and is_tag_or_padding(header):
            break
        if not all(32 <= byte < 127 for byte in chunk.tag):
            return None
        at = chunk.at + chunk.n_bytes
        if at > file_bytes and chunk.tag not in _NOTES:
            return None
        found.append(chunk)
        at += chunk.n_bytes % 2
    return found


def _format(body: bytes, name: str) -> _Format:
    """The content of a `fmt ` chunk. Raises for values with which speech would be read as noise."""
    if len(body) < 16:
        return _Format()  # libsndfile reports the fault
    code, n_channels, rate_hz, bytes_per_s, frame_bytes, n_bits = struct.unpack("<HHIIHH", body[:16])
    if code == _EXTENSIBLE and len(body) >= 26:
        code = int.from_bytes(body[24:26], "little")
    if code in _BITS:
        _check_format(name, code, n_bits, n_channels, frame_bytes)
    return _Format(rate_hz, bytes_per_s)


def _check_format(name: str, code: int, n_bits: int, n_channels: int, frame_bytes: int) -> None:
    if n_bits not in _BITS[code]:
        known = ", ".join(map(str, _BITS[code]))
        message = f"its header says {n_bits} bits a sample, expected one of {known}"
        raise AudioError("bad_header", name, message, _AGAIN)
    is_padded = code == _PCM and n_bits == 24 and frame_bytes == 4 * n_channels  # 24 bits in 32
    if frame_bytes != n_channels * -(-n_bits // 8) and not is_padded:
        message = (
            f"its header contradicts itself: {n_channels} channel(s) of {n_bits} bits a sample, "
            f"and {frame_bytes} bytes a frame"
        )
        raise AudioError("bad_header", name, message, _AGAIN)


def _cut_off(name: str, declared: int, there: int) -> AudioError:
    message = f"is cut off: its header promises {declared:,} bytes, {there:,} are there"
    return AudioError("truncated", name, message, _AGAIN)


def _wrong_length(name: str, data: _Chunk, form: _Format, n_rest: int) -> AudioError:
    length = f" ({data.n_bytes / form.bytes_per_s:.3f} s)" if form.bytes_per_s else ""
    message = (
        f"the header says {data.n_bytes:,} bytes of audio{length}, and {n_rest:,} bytes follow that are not a chunk "
        "of a WAV file"
    )
    remedy = "did the recorder stop early? `ffmpeg -ignore_length 1 -i IN.wav OUT.flac` reads to the end of the file"
    return AudioError("wrong_length", name, message, remedy)
