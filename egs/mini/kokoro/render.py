"""Make the audio files and the record of a unit with Kokoro's voices. Runs in a new process, as with eSpeak."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import soxr

from egs.mini import render as espeak
from egs.mini.kokoro.model import Kokoro, installed_versions
from egs.mini.records import Made, Record, write_record
from egs.mini.render import Job, audio_path, mixed, record_path
from egs.mini.rooms import SAMPLE_RATE, Samples
from egs.mini.sentences import spoken
from egs.mini.units import Line
from k2d.core.errors import K2DError
from k2d.data.audio import write
from k2d.models.published import kokoro as published

MAKERS = ("english.py", "mandarin.py", "model.py", "phonemes.py", "render.py", "voices.py")
"""Files whose code changes the audio, besides those that eSpeak needs as well."""

_SILENT = 0.003  # relative to full scale
_MILLISECOND = SAMPLE_RATE // 1000


def makers() -> list[str]:
    """Everything besides a unit's description that determines its audio: code, versions of libraries, and weights."""
    folder = Path(__file__).parent
    code = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in MAKERS]
    weights = [file.sha256 for file in published.published_source().files.values()]
    return [*espeak.makers(), *code, *installed_versions(), *weights]


def render(job: Job) -> float:
    """Make a unit: its audio, then the record that marks it as complete. Returns the seconds of audio."""
    kokoro = Kokoro(published.obtain())
    made = []
    n_samples = 0
    for recording in job.unit.recordings:
        samples, spans = mixed(recording, [_say(kokoro, line) for line in recording.lines])
        path = job.root / audio_path(job.unit.split, recording.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, samples, SAMPLE_RATE)
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(Made(audio_path(job.unit.split, recording.id), checksum, spans))
        n_samples += len(samples)
    write_record(record_path(job.root, job.unit), Record(job.spec, tuple(made)))
    return n_samples / SAMPLE_RATE


def _say(kokoro: Kokoro, line: Line) -> Samples:
    """A line's speech at SAMPLE_RATE, without the silence around it, on whole milliseconds."""
    native, rate = kokoro.say(spoken(line.text), line.voice, line.speed_wpm)
    samples = soxr.resample(native, rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(samples) > _SILENT)
    if not loud.size:
        raise K2DError(f"Kokoro says nothing for {line.text!r} with the voice {line.voice.id}; change egs/mini/words")
    speech: Samples = samples[loud[0] : loud[-1] + 1]
    padded: Samples = np.concatenate([speech, np.zeros(-len(speech) % _MILLISECOND, dtype=np.float32)])
    return padded
