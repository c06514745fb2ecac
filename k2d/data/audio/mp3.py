"""MP3, where libsndfile needs help: lengths that no header states, and a decoder that writes to the terminal."""

from __future__ import annotations

import mmap
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from k2d.data.audio.content import audio_start, is_mpeg_audio, is_tag_or_padding
from k2d.data.audio.source import AudioError

# A frame may need main data from up to 511 bytes back. At 8 kbit/s and 24 kHz that is 24 frames and more (0.6 s
# and up): two seconds of decoding before the wanted sample gave the samples of a whole decode in every case tried.
PREROLL_S = 2.0

_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = (44100, 48000, 32000)
_RATE_DIVISOR = {3: 1, 2: 2, 0: 4}  # MPEG 1, 2, 2.5
_COMPLAINT = re.compile(rb"\[src/libmpg123/|(Note|Warning|Error): ")
_STDERR_FD = 2
_stderr_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Frame:
    kbps: int
    n_bytes: int
    n_samples: int
    length_at: int  # where a Xing header stands if this frame holds one


def counted_length(file: BinaryIO, name: str) -> int | None:
    """Samples in a constant-rate MP3 whose header states no length; None where a header does.

    libsndfile estimates the length from the first frame: of a variable-rate file without a length header it
    would silently read a part, so that one is refused.
    """
    if os.fstat(file.fileno()).st_size == 0:
        return 0
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = audio_start(file)
        first = _frame(data[start : start + 4])
        if first is None or _states_length(data, start, first):
            return None
        return _count(data, start, name)


def _states_length(data: mmap.mmap, start: int, first: _Frame) -> bool:
    xing = data[start + first.length_at : start + first.length_at + 8]
    has_count = xing[:4] in (b"Xing", b"Info") and bool(xing[7] & 1)
    return has_count or data[start + 36 : start + 40] == b"VBRI"


def _count(data: mmap.mmap, at: int, name: str) -> int:
    rates_kbps: set[int] = set()
    n_samples = 0
    while frame := _frame(data[at : at + 4]):
        if at + frame.n_bytes > len(data):
            message = f"is cut off: its last frame needs {frame.n_bytes} bytes, {len(data) - at} are there"
            raise AudioError("truncated", name, message, "fetch or make the file again")
        rates_kbps.add(frame.kbps)
        n_samples += frame.n_samples
        at += frame.n_bytes
    rest = data[at : at + 16]
    if not is_tag_or_padding(rest):
        message = f"has no length header, and bytes that are no MP3 frame at byte {at:,}"
        raise AudioError("no_length", name, message, "convert it to FLAC with ffmpeg")
    if len(rates_kbps) > 1:
        message = "is an MP3 of variable rate without a length header: only a part of it would be read"
        raise AudioError("no_length", name, message, "convert it to FLAC with ffmpeg")
    return n_samples


def _frame(head: bytes) -> _Frame | None:
    """Facts of a layer III frame from its four header bytes.

    >>> _frame(bytes.fromhex("fffb90c4"))
    _Frame(kbps=128, n_bytes=417, n_samples=1152, length_at=21)
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
    return _Frame(kbps, n_bytes, n_samples, 4 + side_bytes)


@contextmanager
def hushed() -> Iterator[list[bytes]]:
    """Keep mpg123's complaints off the terminal: it writes them to file descriptor 2 itself, with no switch.

    The list holds them when the block has ended. What anyone else wrote meanwhile is passed on. The descriptor
    belongs to the whole process: hence the lock, and blocks of milliseconds.
    """
    complaints: list[bytes] = []
    with _stderr_lock, tempfile.TemporaryFile() as sink:
        try:
            terminal = os.dup(_STDERR_FD)
        except OSError:  # there is no standard error, so nothing to hush
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
