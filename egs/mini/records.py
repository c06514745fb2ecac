"""What has been made: a small JSON file for each finished unit, with its spec, its files' checksums and its times."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from k2d.core import atomic


@dataclass(frozen=True, slots=True)
class Span:
    """Where a line is said: the speech itself, without the silence around it."""

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
    """A finished unit: a recording each, in the unit's order."""

    spec: str
    recordings: tuple[Made, ...]


def write_record(path: Path, record: Record) -> None:
    atomic.write_text(path, json.dumps(asdict(record), indent=1) + "\n")


def read_record(path: Path) -> Record | None:
    """The record, or None where there is none that can be read: then the unit is made again."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        made = (Made(m["path"], m["sha256"], tuple(Span(**span) for span in m["spans"])) for m in data["recordings"])
        return Record(data["spec"], tuple(made))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_whole(made: Made, root: Path, path: str) -> bool:
    """Whether the recording lies at `path`, as it was made."""
    try:
        return made.path == path and hashlib.sha256((root / path).read_bytes()).hexdigest() == made.sha256
    except OSError:
        return False
