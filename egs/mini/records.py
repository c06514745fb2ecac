"""The record of each finished unit: a small JSON file with its spec, the checksums of its files and its times."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from k2d.core import atomic


@dataclass(frozen=True, slots=True)
class Span:
    """The time span of a line's speech, without the silence around it."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Made:
    """A finished recording. `path` is relative to the corpus root."""

    path: str
    sha256: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A finished unit: its recordings, in the unit's order."""

    spec: str
    recordings: tuple[Made, ...]


def write_record(path: Path, record: Record) -> None:
    atomic.write_text(path, json.dumps(asdict(record), indent=1) + "\n")


def read_record(path: Path) -> Record | None:
    """The record. None if there is none or it cannot be read; then the unit is made again."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        made = (Made(m["path"], m["sha256"], tuple(Span(**span) for span in m["spans"])) for m in data["recordings"])
        return Record(data["spec"], tuple(made))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_whole(made: Made, root: Path, path: str) -> bool:
    """Whether the recording exists at `path` and is unchanged."""
    try:
        return made.path == path and hashlib.sha256((root / path).read_bytes()).hexdigest() == made.sha256
    except OSError:
        return False
