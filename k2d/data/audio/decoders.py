"""Open audio and return its frames: float32, one row per frame, one column per channel. The adapter of libsndfile."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import accumulate
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from k2d.data.audio import ark, ogg
from k2d.data.audio.content import recognise
from k2d.data.audio.file_slice import FileSlice
from k2d.data.audio.mp3 import PREROLL_S, hushed
from k2d.data.audio.source import AudioError, AudioSource, Cause, from_os_error, stat_regular
from k2d.data.audio.wav import read_wav_layout

Samples = NDArray[np.float32]
BLOCK_FRAMES = 1 << 16
_VORBIS_BLOCK_FRAMES = 1 << 13  # the longest block of the format

_AGAIN = "fetch or make the file again"
_SYSTEM_ERROR = 2  # libsndfile's code for errors of the operating system


class Decoder(Protocol):
    """An open recording. `read` returns exactly as many frames as requested, or raises."""

    container: str
    subtype: str
    rate_hz: int
    n_channels: int
    n_frames: int
    n_complaints: int  # how often an MP3 decoder found damage and continued

    def seek(self, frame: int) -> None: ...

    def read(self, n_frames: int) -> Samples: ...


@contextmanager
def open_decoder(source: AudioSource) -> Iterator[Decoder]:
    """Open a file or an archive entry. All faults are raised as AudioErrors."""
    if source.ark_offset is not None:
        yield _EntryDecoder(source)
        return
    with open_raw(source) as raw:
        container = recognise(raw, str(source))
        links = ogg.find_links(raw, str(source)) if container == "ogg" else []
        if links and links != [(0, os.fstat(raw.fileno()).st_size)]:
            with closing(_ChainDecoder(raw, links, str(source))) as chain:
                yield chain
            return
        last_page_at = ogg.last_page_at(raw) if container == "ogg" else None
        with _open_libsndfile(raw, container, str(source)) as file:  # from here on, it controls the position of `raw`
            yield _FileDecoder(file, container, str(source), last_page_at)


@contextmanager
def open_raw(source: AudioSource) -> Iterator[io.FileIO]:
    """The bytes of a regular file, unbuffered (libsndfile continues from the position of the descriptor)."""
    stat_regular(source)
    try:
        raw = io.FileIO(source.path, "rb")
    except OSError as error:
        raise from_os_error(error, source) from error
    with raw:
        try:
            yield raw
        except OSError as error:
            raise from_os_error(error, source) from error


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A SoundFile without the seek after every read, which soundfile does to keep its position.

    In an MP3 such a seek discards the bit reservoir, and the next block starts with wrong samples.
    """

    def seekable(self) -> bool:
        return False


class _UnsizedWav(io.FileIO):
    """A WAV file of unknown size, shown with a size of 0xFFFFFFFF. libsndfile then takes the length from the file."""

    def __init__(self, descriptor: int, size_at: int) -> None:
        super().__init__(descriptor, "rb", closefd=False)
        self._size_at = size_at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        at = self.tell()
        n_read = super().readinto(buffer) or 0
        for i in range(max(at, self._size_at), min(at + n_read, self._size_at + 4)):
            buffer[i - at : i - at + 1] = b"\xff"
        return n_read


def _open_libsndfile(raw: io.FileIO, container: str, name: str) -> _Sequential:
    target: int | io.FileIO = raw.fileno()
    if container == "wav" and (layout := read_wav_layout(raw, name)).hides_size:
        target = _UnsizedWav(raw.fileno(), layout.size_at)
    os.lseek(raw.fileno(), 0, os.SEEK_SET)
    return _opened(target, container, name)


def _opened(target: int | io.RawIOBase, container: str, name: str) -> _Sequential:
    try:
        with hushed() if container == "mp3" else nullcontext():
            file = _Sequential(target, closefd=False)
    except soundfile.LibsndfileError as error:
        message = f"cannot be decoded: {error.error_string}"
        raise AudioError("unreadable", name, message, _AGAIN, _cause(error)) from error
    if not soundfile.SoundFile.seekable(file):
        message = f"is encoded as {file.subtype}, in which libsndfile cannot seek"
        raise AudioError("unsupported_encoding", name, message, "convert it to FLAC or PCM WAV")
    return file


class _FileDecoder:
    def __init__(self, file: _Sequential, container: str, name: str, last_page_at: int | None) -> None:
        self.container, self.subtype = container, str(file.subtype)
        self.rate_hz, self.n_channels = int(file.samplerate), int(file.channels)
        self.n_frames = int(file.frames)
        self._file, self._name, self._at = file, name, 0
        self.n_complaints = 0
        self._last_page_at = last_page_at if file.subtype == "VORBIS" else None

    def seek(self, frame: int) -> None:
        if frame == self._at:
            return
        start = self._start_for(frame)
        with hushed() if self.container == "mp3" else nullcontext():
            self._seek_exactly(start)
            self._read(frame - start)  # discarded, with the decoder's messages about it

    def _start_for(self, frame: int) -> int:
        """The frame at which decoding must start so that `frame` is the same as in a decode of the whole file."""
        if self.container == "mp3":
            return max(0, frame - int(PREROLL_S * self.rate_hz))
        if self._last_page_at is not None and frame >= self._last_page_at:
            # A seek into the last page of a Vorbis file gives samples shifted by the part that was cut off that page.
            return max(0, self._last_page_at - _VORBIS_BLOCK_FRAMES)
        return frame

    def _seek_exactly(self, frame: int) -> None:
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise self._damaged(frame, error) from error
        self._at = frame

    def read(self, n_frames: int) -> Samples:
        if self.container != "mp3":
            return self._read(n_frames)
        with hushed() as complaints:
            samples = self._read(n_frames)
        self.n_complaints += len(complaints)
        return samples

    def _read(self, n_frames: int) -> Samples:
        try:
            samples: Samples = self._file.read(n_frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._damaged(self._at, error) from error
        if len(samples) < n_frames:
            at_s, there_s = (frames / self.rate_hz for frames in (self._at + n_frames, self._at + len(samples)))
            message = f"is cut off: frames up to {at_s:.3f} s are promised, they end at {there_s:.3f} s"
            raise AudioError("truncated", self._name, message, _AGAIN)
        self._at += n_frames
        return samples

    def close(self) -> None:
        self._file.close()

    def _damaged(self, frame: int, error: soundfile.LibsndfileError) -> AudioError:
        message = f"is damaged: decoding fails after {frame / self.rate_hz:.3f} s ({error.error_string})"
        return AudioError("damaged", self._name, message, _AGAIN, _cause(error))


def _cause(error: soundfile.LibsndfileError) -> Cause:
    return Cause.MACHINE if error.code == _SYSTEM_ERROR else Cause.FILE


class _ChainDecoder:
    """Ogg streams that follow one another in a file, as one recording. One of them is open at a time."""

    container = "ogg"
    n_complaints = 0

    def __init__(self, raw: io.FileIO, links: list[tuple[int, int]], name: str) -> None:
        self._raw, self._links, self._name = raw, links, name
        self._open: tuple[int, _FileDecoder] | None = None
        self._at = 0
        n_frames = []
        for number in range(len(links)):
            decoder = self._link(number)
            facts = (decoder.subtype, decoder.rate_hz, decoder.n_channels)
            if number == 0:
                self.subtype, self.rate_hz, self.n_channels = facts
            elif facts != (self.subtype, self.rate_hz, self.n_channels):
                raise self._mixed(number, facts)
            n_frames.append(decoder.n_frames)
        self._starts = [0, *accumulate(n_frames)]
        self.n_frames = self._starts[-1]

    def seek(self, frame: int) -> None:
        self._at = frame

    def read(self, n_frames: int) -> Samples:
        blocks = [np.zeros((0, self.n_channels), np.float32)]
        end = self._at + n_frames
        while self._at < end:
            # After the last stream, its decoder is asked for more than it has, and raises.
            number = min(bisect_right(self._starts, self._at) - 1, len(self._links) - 1)
            until = end if number == len(self._links) - 1 else min(end, self._starts[number + 1])
            decoder = self._link(number)
            decoder.seek(self._at - self._starts[number])
            blocks.append(decoder.read(until - self._at))
            self._at = until
        return np.concatenate(blocks)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _link(self, number: int) -> _FileDecoder:
        if self._open is None or self._open[0] != number:
            self.close()
            link = FileSlice(self._raw.fileno(), *self._links[number])
            name = f"{self._name} (stream {number + 1} of {len(self._links)})"
            last_page_at = ogg.last_page_at(link)
            link.seek(0)  # from here on, libsndfile controls its position
            self._open = number, _FileDecoder(_opened(link, "ogg", name), "ogg", name, last_page_at)
        return self._open[1]

    def _mixed(self, number: int, facts: tuple[str, int, int]) -> AudioError:
        one, other = (
            f"{subtype} with {rate_hz:,} Hz and {n_channels} channel(s)"
            for subtype, rate_hz, n_channels in ((self.subtype, self.rate_hz, self.n_channels), facts)
        )
        message = (
            f"holds {len(self._links)} Ogg streams that do not fit together: stream 1 is {one}, "
            f"stream {number + 1} is {other}"
        )
        return AudioError("mixed_streams", self._name, message, "cut it apart, or convert it to FLAC with ffmpeg")


class _EntryDecoder:
    """An archive entry, decoded as a whole, because kaldiio cannot decode parts."""

    container = "ark"
    n_complaints = 0

    def __init__(self, source: AudioSource) -> None:
        with open_raw(source) as raw:
            entry = ark.read_entry(raw, source)
        self.subtype, self.rate_hz, self._samples = entry.kind, entry.rate_hz, entry.samples
        self.n_frames, self.n_channels = entry.samples.shape
        self._at = 0

    def seek(self, frame: int) -> None:
        self._at = frame

    def read(self, n_frames: int) -> Samples:
        self._at += n_frames
        assert self._at <= self.n_frames
        return self._samples[self._at - n_frames : self._at]
