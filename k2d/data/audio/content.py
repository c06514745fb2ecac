"""Recognise an audio file by its content, and see what libsndfile does not say: that a WAV file was cut off.

libsndfile shortens the length of a truncated WAV to what is there and reports no error. It also offers some
twenty rare formats to whatever bytes come; only the five below ever reach it.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from k2d.data.audio.source import AudioError

HEAD_BYTES = 64
_OGG_MAGIC = b"OggS"
_UNKNOWN_SIZE = 0xFFFFFFFF  # what ffmpeg writes into a pipe; RF64 writes it too and gives the size in `ds64`
_PIPE_SIZES = range(0x7FFFE000, 0x80000001)  # what SoX and arecord write: 0x7ffff000 less a part of a frame
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")
_CONVERT = "convert it to FLAC or WAV, for instance with ffmpeg"

_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    # where, what, the name of the container in ffmpeg, and in words
    (4, b"ftyp", "mov", "an MP4/M4A/MOV container (which may be protected)"),
    (0, b"\x1aE\xdf\xa3", "matroska", "a Matroska or WebM container"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "asf", "an ASF/WMA/WMV container"),
    (8, b"AVI ", "avi", "an AVI container"),
    (0, b"FLV\x01", "flv", "a Flash video"),
    (0, b"\x00\x00\x01\xba", "mpeg", "an MPEG programme stream"),
    (0, b"FORM", "aiff", "an AIFF file"),
    (0, b"caff", "caf", "a Core Audio file"),
    (0, b".snd", "au", "an AU file"),
    (0, b"NIST_1A", "nistsphere", "a NIST SPHERE file"),
    (0, b"riff", "w64", "a Wave64 file"),
    (0, b"RIFX", "wav", "a big-endian WAV file"),
    (0, b"#!AMR", "amr", "an AMR file"),
    (0, b"\xff\xf1", "aac", "an AAC stream"),
    (0, b"\xff\xf9", "aac", "an AAC stream"),
    (0, b"\xff\xfd", "mp3", "an MPEG layer II file"),
)
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"<", "is a web page or XML, not audio", "it was probably saved in place of a download that failed"),
    (b"{", "is JSON, not audio", "it was probably saved in place of a download that failed"),
    (b"version https://git-lfs", "is a Git LFS pointer, not audio", "fetch the file with `git lfs pull`"),
    (b"PK\x03\x04", "is a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "is a gzip archive", "unpack it"),
)


def recognise(file: BinaryIO, name: str) -> str:
    """The container of an open file: wav, rf64, flac, ogg or mp3; raises for anything else.

    >>> import io
    >>> recognise(io.BytesIO(b"fLaC" + bytes(60)), "a.wav")
    'flac'
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        raise AudioError("empty_file", name, "has 0 bytes", "fetch or make the file again")
    if head[:3] == b"ID3":
        file.seek(id3_bytes(head))
        head = file.read(HEAD_BYTES)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav" if head[:4] == b"RIFF" else "rf64"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == _OGG_MAGIC:
        return "ogg"
    if is_mpeg_audio(head):
        return "mp3"
    raise _foreign(head, name)


def foreign_container(head: bytes) -> str:
    """The container of a file that begins with these bytes by its name in ffmpeg; empty if it is none of the known.

    >>> foreign_container(b"\\0\\0\\0\\x20ftypM4A "), foreign_container(b"fLaC")
    ('mov', '')
    """
    return next((name for at, magic, name, _ in _SIGNATURES if head[at : at + len(magic)] == magic), "")


def id3_bytes(head: bytes) -> int:
    """Length of an ID3v2 tag with its header; seven bits of each size byte count."""
    a, b, c, d = (byte & 0x7F for byte in head[6:10].ljust(4, b"\0"))
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def audio_start(file: BinaryIO) -> int:
    """The byte at which the audio begins, after an ID3v2 tag if there is one."""
    file.seek(0)
    head = file.read(10)
    return id3_bytes(head) if head[:3] == b"ID3" else 0


def is_tag_or_padding(rest: bytes) -> bool:
    """Whether what follows the audio is what taggers write there, or nothing but zeros.

    >>> is_tag_or_padding(b"TAGA title"), is_tag_or_padding(bytes(100)), is_tag_or_padding(b"RIFF")
    (True, True, False)
    """
    return rest.startswith(_TAGS) or not rest.strip(b"\0")


def is_mpeg_audio(head: bytes) -> bool:
    """Whether these bytes start with the header of an MPEG layer III frame."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bitrate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate != 15 and rate != 3


def _foreign(head: bytes, name: str) -> AudioError:
    for offset, magic, _, words in _SIGNATURES:
        if head[offset : offset + len(magic)] == magic:
            return AudioError("unsupported_container", name, f"is {words}", _CONVERT)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, words, remedy in _FOREIGN:
        if text.startswith(magic):
            return AudioError("not_audio", name, words, remedy)
    message = f"is not WAV, FLAC, MP3 or Ogg: it begins with {head[:8]!r}"
    return AudioError("not_audio", name, message, _CONVERT + ", if it is audio")


@dataclass(frozen=True, slots=True)
class WavLayout:
    """What a WAV header says. `size_at` is where the size of the data stands, `data_bytes` what is really there."""

    rate_hz: int
    size_at: int
    data_bytes: int
    size_is_zero: bool  # written into a pipe by a program that puts 0 for an unknown size


def read_wav_layout(file: BinaryIO, name: str) -> WavLayout:
    """Walk the chunks of a RIFF or RF64 file up to its data; raises `truncated` where the data is not all there."""
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    riff_bytes = struct.unpack("<4xI4x", file.read(12).ljust(12, b"\0"))[0]
    rate_hz, long_data_bytes = 0, None
    while len(header := file.read(8)) == 8:
        tag, size = struct.unpack("<4sI", header)
        if tag == b"data":
            declared = long_data_bytes if size == _UNKNOWN_SIZE and long_data_bytes else size
            there = file_bytes - file.tell()
            streamed = _is_streamed(size, riff_bytes + 8 == file_bytes)
            if declared > there and (long_data_bytes or not streamed):
                raise _cut_wav(name, declared, there)
            size_is_zero = size == 0 and streamed
            return WavLayout(rate_hz, file.tell() - 4, there if streamed else declared, size_is_zero)
        body_at = file.tell()
        if tag == b"fmt ":
            rate_hz = int.from_bytes(file.read(8)[4:8], "little")
        elif tag == b"ds64":
            long_data_bytes = int.from_bytes(file.read(16)[8:16], "little")
        file.seek(body_at + size + size % 2)
    if riff_bytes + 8 > file_bytes:
        raise _cut_wav(name, riff_bytes + 8, file_bytes)
    raise AudioError("no_samples", name, "has no data chunk", "make the file again from its source")


def _is_streamed(data_size: int, riff_size_is_right: bool) -> bool:
    """Whether the size of the data is a placeholder: the file was written into a pipe, its length unknown."""
    return data_size in _PIPE_SIZES or data_size == _UNKNOWN_SIZE or (data_size == 0 and not riff_size_is_right)


def _cut_wav(name: str, declared: int, there: int) -> AudioError:
    message = f"is cut off: its header promises {declared:,} bytes, {there:,} are there"
    return AudioError("truncated", name, message, "fetch or make the file again")
