"""Check Ogg files page by page, because the decoder skips bad pages without any error.

libsndfile omits a page with a wrong checksum, and it stops where a second stream starts, as in concatenated files. Both
would make a recording shorter. An Ogg file whose streams follow one another is legal ("chained").
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from k2d.data.audio.content import audio_start, is_tag_or_padding
from k2d.data.audio.source import AudioError

_MAGIC = b"OggS"
_HEAD_BYTES = 27
_TAIL_BYTES = 1 << 17  # two pages of the largest size
_BUFFER_BYTES = 1 << 16
_MAX_REST_BYTES = 1 << 20
_CONTINUES, _BEGINS = 1, 2  # flags of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_AGAIN = "fetch or make the file again"


@dataclass(frozen=True, slots=True)
class _Page:
    at: int
    n_bytes: int
    begins_stream: bool
    serial: int
    number: int
    granule: int  # the time at its end; -1 if no packet ends in it


@dataclass
class _Progress:
    """The state of one logical stream."""

    begins_at: int
    number: int
    has_audio: bool = False


@dataclass
class _Walk:
    """The state of a file's pages so far."""

    name: str
    links: list[int] = field(default_factory=list)  # the start of each group of streams
    streams: dict[int, _Progress] = field(default_factory=dict)
    was_beginning: bool = False

    def take(self, page: _Page) -> None:
        if page.begins_stream:
            self._begin(page)
        else:
            self._go_on(page)
        self.was_beginning = page.begins_stream

    def _begin(self, page: _Page) -> None:
        if earlier := self.streams.get(page.serial):
            message = (
                f"two of its streams, at byte {earlier.begins_at:,} and at byte {page.at:,}, have one serial number: "
                "they cannot be told apart"
            )
            raise AudioError("repeated_stream", self.name, message, "convert it to FLAC, for instance with ffmpeg")
        if not self.was_beginning:  # streams that run in parallel all start before any continues
            self.links.append(page.at)
        self.streams[page.serial] = _Progress(page.at, page.number)

    def _go_on(self, page: _Page) -> None:
        if (stream := self.streams.get(page.serial)) is None:
            raise _damaged(self.name, f"the Ogg page at byte {page.at:,} is of a stream whose beginning is missing")
        n_missing = page.number - stream.number - 1
        # The recording of a broadcast starts with its headers, followed by the page that was being sent.
        if n_missing and stream.has_audio:
            pages = "1 Ogg page is" if n_missing == 1 else f"{n_missing:,} Ogg pages are"
            what = f"{pages} missing before" if n_missing > 0 else "Ogg pages are out of order at"
            raise _damaged(self.name, f"{what} byte {page.at:,}")
        stream.number = page.number
        stream.has_audio |= page.granule > 0


def check_pages(file: io.FileIO, name: str) -> None:
    """Read every page. Raises if one is damaged, missing or cut off.

    A cut exactly between two pages looks like a recorder that was stopped, and is accepted.
    """
    _walked(file, name, verify=True)


def check_end(file: io.RawIOBase, name: str) -> None:
    """Raise `truncated` if the last page is incomplete. The other pages are not checked."""
    page = _tail(file)[-1]
    n_segments = page[26] if len(page) >= _HEAD_BYTES else None
    if n_segments is None or len(page) < _HEAD_BYTES + n_segments + sum(page[_HEAD_BYTES : _HEAD_BYTES + n_segments]):
        raise _cut_off(name)


def find_links(file: io.FileIO, name: str) -> list[tuple[int, int]]:
    """The byte ranges of the streams that follow one another. An ordinary file has one.

    Serial numbers of streams differ (`check_pages` ensures it), so two pages show whether a file is an ordinary one.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    start = audio_start(file)
    file.seek(start)
    if file.read(_HEAD_BYTES)[14:18] == _tail(file)[-1][14:18]:
        return [(start, n_bytes)]
    links = _walked(file, name, verify=False).links
    return list(zip(links, [*links[1:], n_bytes], strict=True))


def last_page_at(file: io.RawIOBase) -> int:
    """The frame at which the last page of an Ogg Vorbis file starts: the end of the page before it."""
    ends = (int.from_bytes(page[6:14], "little", signed=True) for page in _tail(file)[:-1])
    return max(0, *ends, 0)


def page_checksum(page: bytes) -> int:
    """The checksum of a page whose own checksum field is zero.

    It is the CRC of zip files with reversed bits in every byte, and without inversions.

    >>> hex(page_checksum(b"OggS"))
    '0x5fb0a94f'
    """
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)


def _walked(file: io.FileIO, name: str, *, verify: bool) -> _Walk:
    walk = _Walk(name)
    for page in _pages(file, name, verify=verify):
        walk.take(page)
    return walk


def _pages(file: io.FileIO, name: str, *, verify: bool) -> Iterator[_Page]:
    n_bytes = file.seek(0, os.SEEK_END)
    at = audio_start(file)
    file.seek(at)
    buffered: io.BufferedReader[io.FileIO] = io.BufferedReader(file, _BUFFER_BYTES)
    try:
        while at < n_bytes:
            head = buffered.read(_HEAD_BYTES)
            if not head.startswith(_MAGIC):
                _check_rest(head + buffered.read(_MAX_REST_BYTES), at, n_bytes, name)
                return
            page = _page(head, buffered, at, name, verify=verify)
            yield page
            at += page.n_bytes
    finally:
        buffered.detach()  # otherwise it would close the file


def _page(head: bytes, file: io.BufferedReader[io.FileIO], at: int, name: str, *, verify: bool) -> _Page:
    """The page with this head. The file's position is after the head, and afterwards after the page."""
    lengths = file.read(head[26]) if len(head) == _HEAD_BYTES else b""
    n_body = sum(lengths)
    body = file.read(n_body)
    if len(head) < _HEAD_BYTES or len(lengths) < head[26] or len(body) < n_body:
        raise _cut_off(name)
    if verify and page_checksum(head[:22] + bytes(4) + head[26:] + lengths + body) != int.from_bytes(
        head[22:26], "little"
    ):
        n_bytes = os.fstat(file.fileno()).st_size
        raise _damaged(name, f"its Ogg page at byte {at:,} of {n_bytes:,} has a wrong checksum")
    return _Page(
        at,
        len(head) + len(lengths) + n_body,
        begins_stream=bool(head[5] & _BEGINS),
        serial=int.from_bytes(head[14:18], "little"),
        number=int.from_bytes(head[18:22], "little"),
        granule=int.from_bytes(head[6:14], "little", signed=True),
    )


def _check_rest(rest: bytes, at: int, n_bytes: int, name: str) -> None:
    """Raise for bytes that are not a page, except tags after the last one."""
    if _MAGIC.startswith(rest):
        raise _cut_off(name)
    if not is_tag_or_padding(rest) or _MAGIC in rest:
        raise _damaged(name, f"what follows byte {at:,} of {n_bytes:,} is no Ogg page")


def _cut_off(name: str) -> AudioError:
    return AudioError("truncated", name, "is cut off: its last Ogg page is incomplete", _AGAIN)


def _damaged(name: str, what: str) -> AudioError:
    return AudioError("damaged", name, f"is damaged: {what}", _AGAIN)


def _tail(file: io.RawIOBase) -> list[bytes]:
    """The last pages of the file. The very last one includes whatever follows it."""
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, file_bytes - _TAIL_BYTES))
    return [_MAGIC + page for page in file.readall().split(_MAGIC)[1:]] or [b""]
