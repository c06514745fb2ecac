"""The inputs of decoding: recordings and clips of them, which are opened once and read by seeking."""

from __future__ import annotations

from dataclasses import dataclass

from k2d.data.audio import AudioError, AudioInfo, AudioSource, clamp, probe, read, resolve
from k2d.data.audio.decoders import Samples


@dataclass(frozen=True, slots=True)
class Source:
    """A recording of any length. `audio` is its value in `wav.scp`."""

    id: str
    audio: str
    duration_s: float | None = None
    """The duration from reco2dur, on which only the order of work depends."""
    start_s: float | None = None
    end_s: float | None = None
    """If both are given, this stretch of the file is the recording, and times count from the start of the stretch."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a recording that fits into one window. Without times, the whole file."""

    id: str
    audio: str
    start_s: float | None = None
    end_s: float | None = None
    speed: float = 1.0
    """At which it is played, at least 1, so that it still fits. A higher speed also has a higher pitch."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A recording (or a clip, by its own id) that could not be decoded. The others are not affected."""

    recording_id: str
    reason: str
    detail: str
    is_passing: bool = False
    """Whether the machine failed, not the recording, so that another try may succeed."""

    @classmethod
    def of(cls, recording_id: str, error: AudioError) -> Failed:
        return cls(recording_id, error.reason, str(error), error.is_passing)


@dataclass(frozen=True, slots=True)
class OpenAudio:
    """A file whose header has been read, or a stretch of it. Times count from the start of the stretch."""

    source: AudioSource
    info: AudioInfo
    start_s: float
    end_s: float

    @classmethod
    def of(cls, item: Source | Clip) -> OpenAudio:
        """Read the file's header. Raises AudioError if the file or the stretch cannot be read."""
        source = resolve(item.audio)
        info = probe(source)
        return cls(source, info, *clamp(source, info, item.start_s, item.end_s))

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    def samples(self, start_s: float, end_s: float, rate_hz: int) -> Samples:
        times = (self.start_s + start_s, self.start_s + end_s)
        return read(self.source, *times, rate_hz=rate_hz, expect=self.info)
