"""The facts of an audio file and whether it is sound, without decoding it.

`probe` reads all pages of an Ogg file and counts the frames of an MP3, because their decoders ignore damage and a
second file after the first. Of other formats it reads the header and the last block.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from k2d.data.audio import ogg
from k2d.data.audio.content import recognise
from k2d.data.audio.decoders import Decoder, open_decoder, open_raw
from k2d.data.audio.mp3 import check_stated_length, counted_length
from k2d.data.audio.source import AudioError, AudioSource, Cause, stat_regular
from k2d.data.audio.wav import read_wav_layout

MIN_DURATION_S = 0.025  # one analysis frame
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
_MAX_MIXED_CHANNELS = 2
_TAIL_FRAMES = 4_096
_UNKNOWN_LENGTH = 1 << 62  # of a FLAC that was written into a pipe


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The facts of a recording. `size_bytes` and `mtime_ns` are the file's (or archive's), to detect changes."""

    container: str
    subtype: str
    sample_rate_hz: int
    n_channels: int
    n_frames: int
    size_bytes: int
    mtime_ns: int

    @property
    def duration_s(self) -> float:
        return self.n_frames / self.sample_rate_hz


def probe(source: AudioSource, *, channel: int | None = None) -> AudioInfo:
    """The facts of a recording that can be used. Raises AudioError with a named reason for others.

    An archive entry must be decoded for this. A file need not be.
    """
    return _facts(source, channel, is_known=False)


def glance(source: AudioSource, channel: int | None) -> AudioInfo:
    """The same facts of a recording that was probed before, from its header and its last block.

    A segment of a long file is read in this way only if the facts of the probe are not available.
    """
    return _facts(source, channel, is_known=True)


def _facts(source: AudioSource, channel: int | None, *, is_known: bool) -> AudioInfo:
    facts = stat_regular(source)
    stated = None if source.ark_offset is not None else _check_file(source, is_known=is_known)
    with open_decoder(source) as decoder:
        n_frames = decoder.n_frames if stated is None else stated
        info = AudioInfo(
            decoder.container,
            decoder.subtype,
            decoder.rate_hz,
            decoder.n_channels,
            n_frames,
            facts.st_size,
            facts.st_mtime_ns,
        )
        _check_rate(info.sample_rate_hz, str(source))
        _check_length(info, str(source))
        check_channel(info, channel, str(source))
        if info.container == "mp3" and stated is None and not is_known:
            with open_raw(source) as raw:
                check_stated_length(raw, str(source), n_frames)
        if info.container in ("flac", "mp3", "ogg"):
            _check_tail(decoder, info, str(source))
    return info


def check_unchanged(source: AudioSource, expect: AudioInfo) -> None:
    """Raise `changed` if the file was deleted or differs from the one that was probed."""
    remedy = "run the earlier stages again, or restore the file"
    try:
        facts = stat_regular(source)
    except AudioError as error:
        message = f"was there when it was planned, and now {error.message}"
        raise AudioError("changed", str(source), message, remedy, error.cause) from error
    if (facts.st_size, facts.st_mtime_ns) != (expect.size_bytes, expect.mtime_ns):
        message = (
            "was changed since it was planned: "
            f"{expect.size_bytes:,} bytes then, {facts.st_size:,} now, or another time of change"
        )
        raise AudioError("changed", str(source), message, remedy, Cause.MACHINE)


def check_channel(info: AudioInfo, channel: int | None, name: str) -> None:
    """Raise unless the channel exists or, if none is chosen, there are few enough channels to mix."""
    if channel is None and info.n_channels > _MAX_MIXED_CHANNELS:
        message = f"has {info.n_channels} channels; at most {_MAX_MIXED_CHANNELS} are mixed"
        raise AudioError("too_many_channels", name, message, "choose a channel")
    if channel is not None and not 0 <= channel < info.n_channels:
        message = f"has no channel {channel}: its channels are 0 to {info.n_channels - 1}"
        raise AudioError("no_such_channel", name, message, "choose another")


def _check_file(source: AudioSource, *, is_known: bool) -> int | None:
    """Check the bytes of a file, in addition to libsndfile. Returns the length if only this check finds it."""
    name = str(source)
    with open_raw(source) as raw:
        container = recognise(raw, name)
        if container in ("wav", "rf64"):
            _check_wav(raw, name)
        elif container == "ogg":
            (ogg.check_end if is_known else ogg.check_pages)(raw, name)
        elif container == "mp3":
            return counted_length(raw, name)
    return None


def _check_wav(raw: io.FileIO, name: str) -> None:
    layout = read_wav_layout(raw, name)
    _check_rate(layout.rate_hz, name)  # libsndfile refuses a rate of 0 with an "internal error"
    if layout.data_bytes == 0:
        raise _no_samples(name)


def _check_rate(rate_hz: int, name: str) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        message = f"has a sample rate of {rate_hz:,} Hz; between {MIN_RATE_HZ:,} and {MAX_RATE_HZ:,} is expected"
        raise AudioError("bad_rate", name, message, "its header is wrong: make the file again")


def _check_length(info: AudioInfo, name: str) -> None:
    if info.n_frames >= _UNKNOWN_LENGTH:
        message = "was written into a pipe: its header states no length"
        raise AudioError("no_length", name, message, "write it again to a file, for instance with ffmpeg")
    if info.n_frames <= 0:
        raise _no_samples(name)
    if info.duration_s < MIN_DURATION_S:
        message = f"lasts {info.duration_s * 1000:.1f} ms, shorter than one frame of {MIN_DURATION_S * 1000:g} ms"
        raise AudioError("too_short", name, message, "leave it out")


def _no_samples(name: str) -> AudioError:
    return AudioError("no_samples", name, "has a header and no samples", "make the file again from its source")


def _check_tail(decoder: Decoder, info: AudioInfo, name: str) -> None:
    """Decode the last block. A compressed file that was cut off fails here."""
    n_frames = min(_TAIL_FRAMES, info.n_frames)
    try:
        decoder.seek(info.n_frames - n_frames)
        decoder.read(n_frames)
    except AudioError as error:
        if error.is_passing:
            raise
        message = f"is cut off or damaged: its last block, before {info.duration_s:.3f} s, cannot be decoded"
        raise AudioError("truncated", name, message, "fetch or make the file again") from error
