"""Make the audio files and the record of a unit. Runs in a new process, so its imports must be light."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from egs.mini import rooms
from egs.mini.records import Made, Record, Span, write_record
from egs.mini.rooms import PEAK, SAMPLE_RATE, Samples
from egs.mini.sentences import spoken
from egs.mini.speak import Espeak, installed_version
from egs.mini.units import Line, Recording, Unit
from k2d.data.audio import write

MAKERS = ("render.py", "rooms.py", "speak.py", "sentences.py")  # files whose code changes the audio

_SILENT = 0.002  # relative to full scale
_GRID = SAMPLE_RATE // 1000  # speech starts and ends on whole milliseconds
EVENT_AFTER_S = 0.2  # from the end of speech to an event
_EVENT_DB = {"applause": -4.0, "music": -8.0}  # relative to speech


@dataclass(frozen=True, slots=True)
class Job:
    """A unit to be made under `root`."""

    root: Path
    unit: Unit
    spec: str


def makers() -> list[str]:
    """Everything besides a unit's description that determines its audio: code and versions of libraries."""
    folder = Path(__file__).parent
    code = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in MAKERS]
    return [*code, installed_version(), np.__version__, soxr.__version__, soundfile.__libsndfile_version__]


def audio_path(split: str, recording_id: str) -> str:
    """The path of a recording relative to the root. The ids are safe: letters, digits and hyphens from the plan."""
    return f"audio/{split}/{recording_id}.flac"


def record_path(root: Path, unit: Unit) -> Path:
    return root / "units" / unit.split / f"{unit.id}.json"


def render(job: Job) -> float:
    """Make a unit: its audio, then the record that marks it as complete. Returns the seconds of audio."""
    espeak = Espeak()
    made = []
    n_samples = 0
    (job.root / "audio" / job.unit.split).mkdir(parents=True, exist_ok=True)
    for recording in job.unit.recordings:
        speech = [_say(espeak, line) for line in recording.lines]
        samples, spans = mixed(recording, speech)
        path = audio_path(job.unit.split, recording.id)
        made.append(Made(path, _write_flac(job.root / path, samples), spans))
        n_samples += len(samples)
    write_record(record_path(job.root, job.unit), Record(job.spec, tuple(made)))
    return n_samples / SAMPLE_RATE


def mixed(recording: Recording, speech: Sequence[Samples]) -> tuple[Samples, tuple[Span, ...]]:
    """The recording's samples, and the time span of each line in them."""
    scene = recording.scene
    rng = np.random.default_rng(scene.seed)
    room = rooms.echo(scene.reverb_s, rng)
    level = rooms.db(scene.level_db)
    pauses = [_on_grid(line.pause_s) for line in recording.lines]
    n_samples = sum(pauses) + sum(map(len, speech)) + _on_grid(recording.tail_s)
    mix = np.zeros(n_samples + len(room), dtype=np.float32)
    spans = []
    now = 0
    for line, pause, words in zip(recording.lines, pauses, speech, strict=True):
        if line.event:
            _add(mix, now + _on_grid(EVENT_AFTER_S), _event(line, level, rng))
        now += pause
        _add(mix, now, rooms.in_room(rooms.scaled_to(words, level), room))
        spans.append(Span(now / SAMPLE_RATE, (now + len(words)) / SAMPLE_RATE))
        now += len(words)
    mix = mix[:n_samples] + rooms.noise(n_samples, rng) * np.float32(level * rooms.db(-scene.snr_db))
    mix *= np.float32(min(1.0, PEAK / max(float(np.abs(mix).max()), 1e-9)))
    return mix, tuple(spans)


def _say(espeak: Espeak, line: Line) -> Samples:
    """A line's speech at SAMPLE_RATE, without the silence around it, on whole milliseconds."""
    native = espeak.say(spoken(line.text), line.voice, line.speed_wpm)
    samples = soxr.resample(native, espeak.sample_rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(samples) > _SILENT)
    speech: Samples = samples[loud[0] : loud[-1] + 1]
    padded: Samples = np.concatenate([speech, np.zeros(-len(speech) % _GRID, dtype=np.float32)])
    return padded


def _event(line: Line, level: float, rng: np.random.Generator) -> Samples:
    assert line.event is not None, "asked for by a line with an event"
    make = {"applause": rooms.applause, "music": rooms.music}[line.event.kind]
    heard = make(_on_grid(line.event.duration_s), rng)
    return rooms.scaled_to(heard, level * rooms.db(_EVENT_DB[line.event.kind]))


def _on_grid(duration_s: float) -> int:
    """The number of samples, rounded to whole milliseconds."""
    return round(duration_s * 1000) * _GRID


def _add(mix: Samples, at: int, samples: Samples) -> None:
    end = min(len(mix), at + len(samples))
    mix[at:end] += samples[: end - at]


def _write_flac(path: Path, samples: Samples) -> str:
    """Write a file as a whole or not at all, and return its checksum."""
    write(path, samples, SAMPLE_RATE)
    return hashlib.sha256(path.read_bytes()).hexdigest()
