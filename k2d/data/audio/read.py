"""Read speech for models: one channel, float32, one sampling rate. Segments are read by seeking, long files streamed.

Samples do not depend on the way of reading: a segment equals that slice of the whole recording (within 1e-6 if it is
resampled), and the windows of a stream joined together equal one read of the whole recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from k2d.data.audio.decoders import BLOCK_FRAMES, Decoder, Samples, open_decoder
from k2d.data.audio.probe import MIN_DURATION_S, AudioInfo, check_channel, check_unchanged, glance
from k2d.data.audio.source import AudioError, AudioSource

RATE_HZ = 16_000
END_TOLERANCE_S = 0.5  # a segment that ends up to this much after its recording is cut there; more is a fault

# soxr's HQ filter uses less than 200 samples of the lower rate on either side (tested from 4 to 384 kHz).
_FILTER_REACH = 400


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of a recording: its frames, and the numbers of the resampled samples that they give."""

    first_frame: int
    n_frames: int
    first_sample: int  # of the wanted samples, counted from the sample at `first_frame`
    n_samples: int


def read(
    source: AudioSource,
    start_s: float | None = None,
    end_s: float | None = None,
    *,
    channel: int | None = None,
    rate_hz: int = RATE_HZ,
    expect: AudioInfo | None = None,
) -> Samples:
    """Read a recording or a segment of it: `round(end_s * rate_hz) - round(start_s * rate_hz)` samples.

    `expect` is the result of an earlier `probe`: the file must not have changed since. Without it, the header is read
    again. Probe each file once, because only that finds all damage. Of a stereo file, the live channels are averaged. A
    channel with only zeros in the stretch does not count.
    """
    info = _trusted(source, channel, expect)
    start_s, end_s = clamp(source, info, start_s, end_s)
    span = _span(info, start_s, end_s, rate_hz)
    with open_decoder(source) as decoder:
        decoder.seek(span.first_frame)
        frames = decoder.read(span.n_frames)
    mono = _mix(frames, [channel] if channel is not None else _live_channels(frames))
    _check_finite(mono, source)
    if rate_hz != info.sample_rate_hz:
        mono = soxr.resample(mono, info.sample_rate_hz, rate_hz, quality="HQ")
    return _exactly(mono[span.first_sample :], span.n_samples)


def stream(
    source: AudioSource,
    window_s: float,
    *,
    channel: int | None = None,
    rate_hz: int = RATE_HZ,
    expect: AudioInfo | None = None,
) -> Iterator[Samples]:
    """Yield a recording window by window (the last one may be shorter), with one window in memory.

    Window k has the samples from `round(k * window_s * rate_hz)` on. A channel counts as dead only if it is zero
    throughout, so a stereo file with one silent channel is decoded twice.
    """
    info = _trusted(source, channel, expect)
    n_left = round(info.n_frames * rate_hz / info.sample_rate_hz)
    blocks = _resampled(_mono_blocks(source, info, channel), info.sample_rate_hz, rate_hz)
    held: list[Samples] = []
    n_held, n_windows = 0, 0
    while n_left > 0:
        bounds = (round(k * window_s * rate_hz) for k in (n_windows, n_windows + 1))
        size = min(n_left, -next(bounds) + next(bounds))
        if size <= 0:
            raise ValueError(f"a window of {window_s} s holds no sample at {rate_hz} Hz")
        while n_held < size and (block := next(blocks, None)) is not None:
            held.append(block)
            n_held += len(block)
        joined = np.concatenate(held) if held else np.zeros(0, np.float32)
        yield _exactly(joined, size)
        held, n_held = [joined[size:]], max(0, n_held - size)
        n_left -= size
        n_windows += 1


def clamp(source: AudioSource, info: AudioInfo, start_s: float | None, end_s: float | None) -> tuple[float, float]:
    """The start and end to read. An end slightly after the recording's end is moved there."""
    start_s = 0.0 if start_s is None else start_s
    end_s = info.duration_s if end_s is None else end_s
    times = f"segment {start_s:g} to {end_s:g} s of a recording of {info.duration_s:.3f} s"
    if not (math.isfinite(start_s) and math.isfinite(end_s) and 0 <= start_s < end_s):
        message = f"{times}: its times are not in order"
        raise AudioError("segment_out_of_range", str(source), message, "correct it in segments")
    if start_s >= info.duration_s or end_s > info.duration_s + END_TOLERANCE_S:
        message = f"{times} lies beyond its end by more than {END_TOLERANCE_S:g} s"
        raise AudioError("segment_out_of_range", str(source), message, "correct it in segments")
    end_s = min(end_s, info.duration_s)
    if end_s - start_s < MIN_DURATION_S - 1e-9:
        message = f"{times} is shorter than one frame of {MIN_DURATION_S * 1000:g} ms"
        raise AudioError("too_short", str(source), message, "leave it out")
    return start_s, end_s


def _trusted(source: AudioSource, channel: int | None, expect: AudioInfo | None) -> AudioInfo:
    if expect is None:
        return glance(source, channel)
    check_unchanged(source, expect)
    check_channel(expect, channel, str(source))
    return expect


def _span(info: AudioInfo, start_s: float, end_s: float, rate_hz: int) -> _Span:
    """The frames to read for these times, including those that the resampling filter needs on either side.

    Reading starts at a frame whose time is a whole sample of the other rate, too, so that both grids agree.
    """
    first, last = round(start_s * rate_hz), round(end_s * rate_hz)
    if rate_hz == info.sample_rate_hz:
        last = min(last, info.n_frames)
        return _Span(first, last - first, 0, last - first)
    common = math.gcd(info.sample_rate_hz, rate_hz)
    frames_per_beat, samples_per_beat = info.sample_rate_hz // common, rate_hz // common
    reach_s = _FILTER_REACH / min(info.sample_rate_hz, rate_hz)
    beat = max(0, math.floor((first / rate_hz - reach_s) * info.sample_rate_hz)) // frames_per_beat
    end_frame = min(info.n_frames, math.ceil((last / rate_hz + reach_s) * info.sample_rate_hz))
    first_frame = beat * frames_per_beat
    return _Span(first_frame, end_frame - first_frame, first - beat * samples_per_beat, last - first)


def _live_channels(frames: Samples) -> list[int]:
    """The channels that are not silent. If all are silent, all of them."""
    return np.flatnonzero(frames.any(axis=0)).tolist() or list(range(frames.shape[1]))


def _mix(frames: Samples, channels: list[int]) -> Samples:
    if len(channels) == 1:
        return np.ascontiguousarray(frames[:, channels[0]])
    mixed: Samples = frames[:, channels].mean(axis=1, dtype=np.float32)
    return mixed


def _check_finite(mono: Samples, source: AudioSource) -> None:
    if not np.isfinite(mono).all():
        n_bad = int(np.count_nonzero(~np.isfinite(mono)))
        message = f"holds {n_bad:,} samples that are no numbers (NaN or infinite)"
        raise AudioError("nan_samples", str(source), message, "make the file again from its source")


def _exactly(samples: Samples, n_samples: int) -> Samples:
    """Cut the samples, or append the zero or one sample that may be missing at the very end due to rounding."""
    missing = n_samples - len(samples)
    assert missing <= 1, f"{missing} samples are missing"
    return np.pad(samples, (0, 1)) if missing == 1 else samples[:n_samples]


def blocks_of(decoder: Decoder, n_frames: int) -> Iterator[Samples]:
    """Every frame of an open recording, in blocks."""
    for at in range(0, n_frames, BLOCK_FRAMES):
        yield decoder.read(min(BLOCK_FRAMES, n_frames - at))


def _mono_blocks(source: AudioSource, info: AudioInfo, channel: int | None) -> Iterator[Samples]:
    channels = [channel] if channel is not None else _live_throughout(source, info)
    with open_decoder(source) as decoder:
        for frames in blocks_of(decoder, info.n_frames):
            mono = _mix(frames, channels)
            _check_finite(mono, source)
            yield mono


def _live_throughout(source: AudioSource, info: AudioInfo) -> list[int]:
    """The live channels of a whole recording. They are known after its first block, unless one is silent there."""
    if info.n_channels == 1:
        return [0]
    live: NDArray[np.bool_] = np.zeros(info.n_channels, bool)
    with open_decoder(source) as decoder:
        for frames in blocks_of(decoder, info.n_frames):
            live |= frames.any(axis=0)
            if live.all():
                break
    return np.flatnonzero(live).tolist() or list(range(info.n_channels))


def _resampled(blocks: Iterator[Samples], from_hz: int, to_hz: int) -> Iterator[Samples]:
    if from_hz == to_hz:
        yield from blocks
        return
    resampler = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
