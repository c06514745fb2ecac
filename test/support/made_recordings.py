"""Typical folders of recordings, and the output of their recipe."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from made_audio import speechlike, write_audio

from k2d.data.rows import Utterance

SRT = "1\n00:00:00,200 --> 00:00:01,000\n我們用 <i>model</i>\n\n2\n00:00:01,200 --> 00:00:01,900\n對 OK\n"


def sound(path: Path, duration_s: float = 2.0, rate_hz: int = 16000, **how: str) -> Path:
    return write_audio(path, speechlike(duration_s, rate_hz, seed=len(path.name)), rate_hz, **how)


def flac_bytes(folder: Path, duration_s: float = 2.0) -> bytes:
    return sound(folder / "made.flac", duration_s).read_bytes()


def names(found: Iterable[Utterance]) -> set[str]:
    return {row.audio.rpartition("/")[2] for row in found}


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
