"""egs/nonspeech: recordings of silence, hum, noise, applause and music. Their text is empty."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from egs.mini import rooms
from egs.mini.rooms import SAMPLE_RATE, Samples
from k2d.data.audio import write
from k2d.data.rows import Utterance

__all__ = ["Options", "inventory", "prepare", "tables", "variant"]

LEVELS_DB = (-45.0, -20.0)  # of full scale; the first recording of a kind is the softest one
SILENCE_DB = -80.0
_HUM_HZ = 50.0


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Options:
    """The amount of audio. The defaults are an hour for each split."""

    recordings: Annotated[int, Field(ge=1)] = 10
    """Recordings of each kind, in each split."""
    length_s: Annotated[float, Field(gt=0)] = 60.0
    """The length of a recording."""
    seed: Annotated[int, Field(ge=0)] = 1


def silence(n_samples: int, rng: np.random.Generator) -> Samples:
    """As a microphone without sound gives it: faint noise."""
    return rng.standard_normal(n_samples).astype(np.float32)


def hum(n_samples: int, rng: np.random.Generator) -> Samples:
    """Of the mains, with its overtones."""
    time = np.arange(n_samples) / SAMPLE_RATE
    parts = [np.sin(2 * np.pi * _HUM_HZ * k * time + rng.uniform(0, 2 * np.pi)) / k for k in range(1, 9)]
    summed: Samples = np.sum(parts, axis=0).astype(np.float32)
    return summed


KINDS: Mapping[str, Callable[[int, np.random.Generator], Samples]] = {
    "silence": silence,
    "hum": hum,
    "hiss": silence,
    "room": rooms.noise,
    "applause": rooms.applause,
    "music": rooms.music,
}


def prepare(root: Path, options: Options, nj: int) -> Iterator[tuple[str, Utterance]]:
    """Make missing files under `root`, then yield every recording."""
    folder = root.resolve() / "audio" / hashlib.sha256(inventory(root, options).encode()).hexdigest()[:12]
    for split, kind, number in _recordings(options):
        path = folder / f"{_id(split, kind, number)}.flac"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, sound(kind, number, options, split), SAMPLE_RATE)
        yield split, Utterance(path.stem, path.stem, str(path), path.stem, "")


def sound(kind: str, number: int, options: Options, split: str = "test") -> Samples:
    """The samples of a recording, which depend on nothing else. Each one of a kind is louder than the one before."""
    own = [] if split == "test" else [1]
    rng = np.random.default_rng([options.seed, list(KINDS).index(kind), number, *own])
    softest_db, loudest_db = LEVELS_DB
    share = number / max(options.recordings - 1, 1)
    level_db = SILENCE_DB if kind == "silence" else softest_db + share * (loudest_db - softest_db)
    made = KINDS[kind](round(options.length_s * SAMPLE_RATE), rng)
    scaled = rooms.scaled_to(made, rooms.db(level_db))
    limited: Samples = np.clip(scaled, -rooms.PEAK, rooms.PEAK)
    return limited


def tables(root: Path, options: Options) -> Iterator[tuple[str, str, str, str]]:
    """The kind of each recording, `reco2kind`."""
    for split, kind, number in _recordings(options):
        yield split, "reco2kind", _id(split, kind, number), kind


def variant(options: Options) -> str | None:
    return "default" if (options.recordings, options.length_s) == (Options.recordings, Options.length_s) else None


def inventory(root: Path, options: Options) -> str:
    """What decides the audio besides this file: the options, and the sounds of egs/mini."""
    made_by = hashlib.sha256(Path(rooms.__file__).read_bytes()).hexdigest()
    return f"{options} {made_by}"


def _recordings(options: Options) -> Iterator[tuple[str, str, int]]:
    for split in ("train", "test"):
        for kind in KINDS:
            for number in range(options.recordings):
                yield split, kind, number


def _id(split: str, kind: str, number: int) -> str:
    return f"{kind}-{number:03d}" if split == "test" else f"{split}-{kind}-{number:03d}"
