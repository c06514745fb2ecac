"""Find recordings in the files and folders of a command line, and report the files that are left out."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from k2d.core.errors import UsageError
from k2d.data.audio.content import HEAD_BYTES, foreign_container

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus")  # the formats that k2d.data.audio reads


def find_audio(given: Sequence[Path]) -> list[Path]:
    """The given files, and all audio below the given folders, each once."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += _audio_below(path)
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: there is no such file")
    return list(dict.fromkeys(found))


def _audio_below(folder: Path) -> list[Path]:
    """Audio by its suffix. A broken link counts as a file, so that it is refused with its reason."""
    walk = os.walk(folder, onerror=_report_unreadable)
    files = sorted(Path(parent, name) for parent, _, names in walk for name in names)
    taken = [path for path in files if path.suffix.lower() in SUFFIXES]
    left_out = [path for path in files if path.suffix.lower() not in SUFFIXES]
    if not files:
        raise UsageError(f"{folder}: a folder without files; expected recordings ending in {' '.join(SUFFIXES)}")
    if left_out:
        message = f"{_balance(taken, left_out)}\n{_conversion_remedy(left_out)}"
        if not taken:
            raise UsageError(f"{folder}: a folder without audio: {message}")
        print(f"{folder}: {message}", file=sys.stderr)
    return taken


def _report_unreadable(error: OSError) -> None:
    print(f"{error.filename}: left out, it cannot be read: {error.strerror}", file=sys.stderr)


def _balance(taken: list[Path], left_out: list[Path]) -> str:
    """In = kept + left out.

    >>> _balance([Path("a.wav")], [Path("b.m4a"), Path("c.M4A"), Path("notes")])
    '4 files = 1 to transcribe + 3 left out (2 .m4a, 1 without a suffix)'
    """
    by_suffix = Counter(path.suffix.lower() or "without a suffix" for path in left_out)
    in_order = sorted(by_suffix.items(), key=lambda item: (-item[1], item[0].startswith("."), item[0]))
    parts = ", ".join(f"{n:,} {suffix}" for suffix, n in in_order)
    n_files = len(taken) + len(left_out)
    return f"{n_files:,} files = {len(taken):,} to transcribe + {len(left_out):,} left out ({parts})"


def _conversion_remedy(left_out: list[Path]) -> str:
    """The formats that can be read. If a file in another container is left out, also a command that converts it."""
    read = f"Read here are {' '.join(SUFFIXES)}."
    if (example := next(filter(_is_foreign_recording, left_out), None)) is None:
        return read
    command = shlex.join(["ffmpeg", "-i", str(example), str(example.with_suffix(".flac"))])
    return f"{read} Convert the others, for instance {command}; the recipe egs/lectures converts whole folders."


def _is_foreign_recording(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(foreign_container(file.read(HEAD_BYTES)))
    except OSError:
        return False
