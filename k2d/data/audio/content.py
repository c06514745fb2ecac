"""Recognise an audio file by its content.

libsndfile tries about twenty rare formats on any bytes. Only files of the five formats below are passed to it.
"""

from __future__ import annotations

from typing import BinaryIO

from k2d.data.audio.source import AudioError

HEAD_BYTES = 64
_OGG_MAGIC = b"OggS"
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")
_FROM_SOURCE = "make the file again from its source"
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
    (b"<", "is a web page or XML, not audio", "it was probably saved instead of a failed download"),
    (b"{", "is JSON, not audio", "it was probably saved instead of a failed download"),
    (b"version https://git-lfs", "is a Git LFS pointer, not audio", "fetch the file with `git lfs pull`"),
    (b"PK\x03\x04", "is a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "is a gzip archive", "unpack it"),
)


def recognise(file: BinaryIO, name: str) -> str:
    """The container of an open file: wav, rf64, flac, ogg or mp3. Raises for anything else.

    >>> import io
    >>> recognise(io.BytesIO(b"fLaC" + bytes(60)), "a.wav")
    'flac'
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        raise AudioError("empty_file", name, "has 0 bytes", "fetch or make the file again")
    if head[:3] == b"ID3":
        file.seek(audio_start(file))
        head = file.read(HEAD_BYTES)
        if not head:
            raise AudioError("no_samples", name, "holds ID3 tags and nothing else", _FROM_SOURCE)
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
    """The container of a file that starts with these bytes, by its name in ffmpeg. Empty if it is unknown.

    >>> foreign_container(b"\\0\\0\\0\\x20ftypM4A "), foreign_container(b"fLaC")
    ('mov', '')
    """
    return next((name for at, magic, name, _ in _SIGNATURES if head[at : at + len(magic)] == magic), "")


def id3_bytes(head: bytes) -> int:
    """The length of an ID3v2 tag with its header. Seven bits of each size byte count."""
    a, b, c, d = (byte & 0x7F for byte in head[6:10].ljust(4, b"\0"))
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def audio_start(file: BinaryIO) -> int:
    """The byte at which the audio starts, after any ID3v2 tags."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(10)
        if head[:3] != b"ID3":
            return at
        at += id3_bytes(head)


def is_tag_or_padding(rest: bytes) -> bool:
    """Whether the bytes after the audio are tags, or only zeros.

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
