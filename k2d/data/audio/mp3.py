"""MP3 faults that libsndfile does not handle: lengths without a header, and a decoder that writes to the terminal."""

from __future__ import annotations

import mmap
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from k2d.data.audio.content import audio_start, id3_bytes, is_mpeg_audio, is_tag_or_padding
from k2d.data.audio.source import AudioError

# A frame may need main data from up to 511 bytes before it. At 8 kbit/s and 24 kHz these are 24 frames or more (from
# 0.6 s). Two seconds of decoding before the wanted sample gave the samples of a whole decode in every tested case.
PREROLL_S = 2.0

_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = (44100, 48000, 32000)
_RATE_DIVISOR = {3: 1, 2: 2, 0: 4}  # MPEG 1, 2, 2.5
_LENGTH_HEADERS = (b"Xing", b"Info")
_MOST_CUT_OFF = 2 * 4095  # samples that an encoder adds at either end, and whose removal its header requests
_MAX_JUNK_BYTES = 1 << 16
_AGAIN, _CONVERT = "fetch or make the file again", "convert it to FLAC with ffmpeg"
_COMPLAINT = re.compile(rb"\[src/libmpg123/|(Note|Warning|Error): ")
_STDERR_FD = 2
_stderr_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Frame:
    rate_hz: int
    kbps: int
    n_bytes: int
    n_samples: int
    length_at: int  # the position of a Xing header, if this frame has one


@dataclass
class _Frames:
    """The frames of a file, counted from header to header."""

    n_samples: int = 0
    rates_kbps: set[int] = field(default_factory=set)
    junk_at: int | None = None  # the first byte that belongs to no frame and to no tag
    second_at: int | None = None  # the position of a length header after the first frame
    cut_at: int | None = None  # the start of an incomplete frame


def counted_length(file: BinaryIO, name: str) -> int | None:
    """The number of samples in a constant-rate MP3 without a length header. None if there is a header.

    libsndfile estimates the length from the first frame. It would silently read only a part of a variable-rate file
    without a length header, so such a file is refused.
    """
    if os.fstat(file.fileno()).st_size == 0:
        return 0
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = audio_start(file)
        first = _frame(data[start : start + 4])
        if first is None or _states_length(data, start, first):
            return None
        frames = _walk(data, start, first)
        _check_constant(frames, data, name)
        return frames.n_samples


def holds_second_file(file: BinaryIO) -> bool:
    """Whether there is a frame with a length header after the first frame: then files were concatenated."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = audio_start(file)
        first = _frame(data[start : start + 4])
        return first is not None and _walk(data, start, first).second_at is not None


def check_stated_length(file: BinaryIO, name: str, n_decoded: int) -> None:
    """Raise unless the number of frames in an MP3 with a length header agrees with the decoder's."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = audio_start(file)
        first = _frame(data[start : start + 4])
        if first is None:
            return
        frames = _walk(data, start, first)
    if frames.second_at is not None:
        lengths = _lengths(n_decoded, frames.n_samples, first)
        raise _wrong_length(name, f"{lengths}: a second file begins at byte {frames.second_at:,}")
    n_held = frames.n_samples - first.n_samples  # the frame with the length header has no audio
    if n_decoded < n_held - _MOST_CUT_OFF - first.n_samples:
        raise _wrong_length(name, _lengths(n_decoded, n_held, first))
    if n_decoded > n_held + first.n_samples:
        if frames.junk_at is not None:
            message = f"is damaged: the bytes from {frames.junk_at:,} on are no MP3 frame"
            raise AudioError("damaged", name, message, _AGAIN)
        raise AudioError("truncated", name, f"is cut off: {_lengths(n_decoded, n_held, first)}", _AGAIN)


def _lengths(n_decoded: int, n_held: int, frame: _Frame) -> str:
    promised_s, held_s = n_decoded / frame.rate_hz, n_held / frame.rate_hz
    return f"its length header promises {promised_s:.3f} s, its frames hold {held_s:.3f} s"


def _wrong_length(name: str, message: str) -> AudioError:
    remedy = "if files were put together, cut them apart; otherwise convert it to FLAC with ffmpeg, which reads all"
    return AudioError("wrong_length", name, message, remedy)


def _states_length(data: mmap.mmap, start: int, first: _Frame) -> bool:
    xing = data[start + first.length_at : start + first.length_at + 8]
    has_count = xing[:4] in _LENGTH_HEADERS and bool(xing[7] & 1)
    return has_count or data[start + 36 : start + 40] == b"VBRI"


def _walk(data: mmap.mmap, start: int, first: _Frame) -> _Frames:
    """Count the frames from `start` on. Other bytes between two frames are skipped, as by the decoder."""
    frames = _Frames()
    at: int | None = start
    while at is not None:
        frame = _frame(data[at : at + 4])
        if frame is None or frame.rate_hz != first.rate_hz:
            at = _pass_over(data, at, first, frames)
            continue
        if at + frame.n_bytes > len(data):
            frames.cut_at = at
            break
        if at > start and data[at + frame.length_at : at + frame.length_at + 4] in _LENGTH_HEADERS:
            frames.second_at = frames.second_at or at
        frames.rates_kbps.add(frame.kbps)
        frames.n_samples += frame.n_samples
        at += frame.n_bytes
    return frames


def _pass_over(data: mmap.mmap, at: int, first: _Frame, frames: _Frames) -> int | None:
    """The frame after bytes that are not a frame. None if there is none. Junk is recorded; tags and zeros are not."""
    rest_at = _after_tags(data, at)
    following = _next_frame(data, rest_at, first)
    rest = data[rest_at : rest_at + _MAX_JUNK_BYTES if following is None else following]
    if frames.junk_at is None and not is_tag_or_padding(rest):
        frames.junk_at = rest_at
    return following


def _after_tags(data: mmap.mmap, at: int) -> int:
    """The end of the tags that start here: ID3v1, APE and ID3v2, in any order."""
    while True:
        head = data[at : at + 32]
        if head.startswith(b"TAG"):
            n_bytes = 128
        elif head.startswith(b"APETAGEX"):
            n_bytes = 32 + int.from_bytes(head[12:16], "little")
        elif head.startswith(b"ID3"):
            n_bytes = id3_bytes(head)
        else:
            return min(at, len(data))
        at += n_bytes


def _next_frame(data: mmap.mmap, at: int, first: _Frame) -> int | None:
    """The next frame near `at` that is followed by another frame (or by nothing): a single one may be chance."""
    until = min(len(data), at + _MAX_JUNK_BYTES)
    while (at := data.find(b"\xff", at, until)) != -1:
        frame = _frame(data[at : at + 4])
        if frame is not None and frame.rate_hz == first.rate_hz:
            after = at + frame.n_bytes
            follower = _frame(data[after : after + 4])
            if after == len(data) or (follower is not None and follower.rate_hz == first.rate_hz):
                return at
        at += 1
    return None


def _check_constant(frames: _Frames, data: mmap.mmap, name: str) -> None:
    """Raise unless a file without a length header is complete and has a constant rate."""
    if frames.cut_at is not None:
        last = _frame(data[frames.cut_at : frames.cut_at + 4])
        assert last is not None, "a frame begins there"
        message = f"is cut off: its last frame needs {last.n_bytes} bytes, {len(data) - frames.cut_at} are there"
        raise AudioError("truncated", name, message, _AGAIN)
    if frames.junk_at is not None:
        message = f"has no length header, and bytes that are no MP3 frame at byte {frames.junk_at:,}"
        raise AudioError("no_length", name, message, _CONVERT)
    if frames.second_at is not None:
        raise _wrong_length(name, f"a second file begins at byte {frames.second_at:,}")
    if len(frames.rates_kbps) > 1:
        message = "is an MP3 of variable rate without a length header: only a part of it would be read"
        raise AudioError("no_length", name, message, _CONVERT)


@lru_cache(maxsize=1 << 12)
def _frame(head: bytes) -> _Frame | None:
    """Facts of a layer III frame from its four header bytes.

    >>> _frame(bytes.fromhex("fffb90c4"))
    _Frame(rate_hz=44100, kbps=128, n_bytes=417, n_samples=1152, length_at=21)
    """
    if not is_mpeg_audio(head) or head[2] >> 4 == 0:
        return None
    version, padding, mono = head[1] >> 3 & 3, head[2] >> 1 & 1, head[3] >> 6 == 3
    first_version = version == 3
    kbps = (_KBPS_1 if first_version else _KBPS_2)[head[2] >> 4]
    rate_hz = _RATES_HZ[head[2] >> 2 & 3] // _RATE_DIVISOR[version]
    n_samples = 1152 if first_version else 576
    side_bytes = (17 if mono else 32) if first_version else (9 if mono else 17)
    n_bytes = n_samples // 8 * kbps * 1000 // rate_hz + padding
    return _Frame(rate_hz, kbps, n_bytes, n_samples, 4 + side_bytes)


@contextmanager
def hushed() -> Iterator[list[bytes]]:
    """Suppress mpg123's messages: it writes them to file descriptor 2 itself, without an option to turn them off.

    After the block, the list has these messages. Messages of others are passed on. The descriptor belongs to the whole
    process, so a lock is needed, and blocks take only milliseconds.
    """
    complaints: list[bytes] = []
    with _stderr_lock, tempfile.TemporaryFile() as sink:
        try:
            terminal = os.dup(_STDERR_FD)
        except OSError:  # there is no standard error, so nothing to suppress
            yield complaints
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(sink.fileno(), _STDERR_FD)
        try:
            yield complaints
        finally:
            os.dup2(terminal, _STDERR_FD)
            os.close(terminal)
            sink.seek(0)
            for line in sink:
                if _COMPLAINT.match(line):
                    complaints.append(line.strip())
                elif line.strip():
                    os.write(_STDERR_FD, line)
