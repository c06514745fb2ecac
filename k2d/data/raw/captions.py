"""Read SubRip and WebVTT files of any origin as text with times. The reverse of `k2d/data/subtitles.py`.

Markup, sound descriptions and repetitions for the screen (rolling lines, overlapping cues) are removed. Case, script
and punctuation stay. Everything that is left out is counted by reason.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from k2d.core.errors import K2DError

SUFFIXES = (".vtt", ".srt")
MAX_BYTES = 1 << 25  # an hour of captions takes about 100 kB
MAX_LINE = 10_000
ROLLING_SHARE = 0.2
CONTIGUOUS_S = 0.1

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s|$)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>|<[\d:.]{1,20}>|\{\\[^{}]{0,200}\}")  # does not match "x < y"
_RUBY = re.compile(r"<rt>[^<>]{0,200}</rt>")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe0f]")
_MUSIC = re.compile("[♩♪♫♬♭♮♯🎵🎶🎼]")
_SOUND = re.compile(r"[\[【〔][^\[\]【】〔〕]{0,80}[\]】〕]")
_ASIDE = re.compile(r"\([^()]{0,80}\)|（[^（）]{0,80}）")
_TURN = re.compile(r"^(?:>{2,}|[-–—]\s)\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Cue:
    """The text between two times, as lines on the screen until they are joined."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass
class Captions:
    """The cues of a file in order, without overlaps, and how many were left out by reason."""

    cues: list[Cue] = field(default_factory=list)
    n_in: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    n_merged: int = 0
    """Cues that were shown at the same time and have been merged into one."""


def read_captions(path: Path) -> Captions:
    """Read a file. K2DError if it is not a captions file."""
    if (n_bytes := path.stat().st_size) > MAX_BYTES:
        raise K2DError(f"{path}: has {n_bytes:,} bytes, expected at most {MAX_BYTES:,}: is it a captions file?")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise K2DError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    found = parse_captions(text)
    if not found.n_in and text.strip() not in ("", "WEBVTT"):
        raise K2DError(f"{path}: found no line such as 00:01:02.345 --> 00:01:04.000, expected SRT or WebVTT")
    return found


def parse_captions(text: str) -> Captions:
    """The cues of a text, cleaned.

    >>> made = parse_captions("1\\n00:00:01,000 --> 00:00:02,500\\n<i>我們</i>\\n\\n00:03.0 --> 00:04.0\\n[音樂]\\n")
    >>> [(cue.start_s, cue.end_s, cue.text) for cue in made.cues], dict(made.dropped)
    ([(1.0, 2.5, '我們')], {'no_words': 1})
    """
    return tidy(_blocks(text))


def tidy(found: Iterable[tuple[tuple[float, float] | None, Sequence[str]]]) -> Captions:
    """Cues from the times and lines of a file. Times that could not be read are None."""
    made = Captions()
    timed = []
    for times, lines in found:
        made.n_in += 1
        cleaned = tuple(line for line in map(clean_line, lines) if line)
        if times is None or times[1] <= times[0]:
            made.dropped["bad_times"] += 1
        elif not any(map(str.isalnum, "".join(cleaned))):
            made.dropped["no_words"] += 1
        else:
            timed.append(Cue(*times, cleaned))
    cues = sorted(timed, key=lambda cue: (cue.start_s, cue.end_s))
    if _is_rolling(cues):
        cues = list(_unrolled(cues))
    made.cues = list(_one_after_another(cues))
    made.n_merged = len(cues) - len(made.cues)
    made.dropped["shown_before"] += len(timed) - len(cues)
    made.dropped += Counter()  # removes reasons with a count of 0
    return made


def clean_line(line: str) -> str:
    """A line of a cue without markup, notes, sounds and speaker names. Empty if no speech is left.

    >>> clean_line("<v 李老師>- 這個 <c.yellow>loss</c> &amp; accuracy ♪"), clean_line("[掌聲]"), clean_line("(laughs)")
    ('這個 loss & accuracy', '', '')
    """
    text = _TAG.sub("", _RUBY.sub("", line[:MAX_LINE]))
    text = _INVISIBLE.sub("", html.unescape(text))
    text = _SOUND.sub(" ", _MUSIC.sub(" ", text))
    text = " ".join(_CONTROL.sub(" ", text).split())
    text = _TURN.sub("", text)
    return "" if _ASIDE.fullmatch(text) else text


def _blocks(text: str) -> Iterator[tuple[tuple[float, float] | None, list[str]]]:
    """The times and lines of each cue. None for times that cannot be read."""
    times: tuple[float, float] | None = None
    lines: list[str] | None = None  # of the cue being read; None between cues
    for line in [*text.splitlines(), ""]:
        if "-->" in line:
            if lines is not None:
                yield times, lines[:-1] if lines and lines[-1].strip().isdecimal() else lines
            times, lines = _times(line), []
        elif not line:  # a line with a single space does not end a cue: YouTube's cues have such lines
            if lines is not None:
                yield times, lines
            lines = None
        elif lines is not None:
            lines.append(line)


def _times(line: str) -> tuple[float, float] | None:
    if (match := _TIMES.match(line)) is None:
        return None
    hours, minutes, seconds, parts = zip(match.groups()[:4], match.groups()[4:], strict=True)
    start_s, end_s = (
        int(h or 0) * 3600 + int(m) * 60 + int(s) + int((p or "0").ljust(3, "0")) / 1000
        for h, m, s, p in zip(hours, minutes, seconds, parts, strict=True)
    )
    return start_s, end_s


def _overlap(before: Sequence[str], now: Sequence[str]) -> int:
    """How many of the last lines of `before` are also the first lines of `now`."""
    return next((n for n in range(min(len(before), len(now)), 0, -1) if tuple(before[-n:]) == tuple(now[:n])), 0)


def _is_rolling(cues: Sequence[Cue]) -> bool:
    """Whether lines stay on the screen while the next one appears, as in automatic captions.

    A few lines that are really spoken twice do not count as rolling.
    """
    n_rolled = sum(0 < _overlap(a.lines, b.lines) < max(len(a.lines), len(b.lines)) for a, b in pairwise(cues))
    return n_rolled >= 2 and n_rolled >= ROLLING_SHARE * len(cues)


def _unrolled(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Each line only where it first appears."""
    before: Cue | None = None
    for cue in cues:
        is_next = before is not None and cue.start_s <= before.end_s + CONTIGUOUS_S
        n_seen = _overlap(before.lines, cue.lines) if before is not None and is_next else 0
        if cue.lines[n_seen:]:
            yield replace(cue, lines=cue.lines[n_seen:])
        before = cue


def _one_after_another(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Cues without overlaps: an end is moved back to the next start, and cues with the same start are merged."""
    held: Cue | None = None
    for cue in cues:
        if held is not None and cue.start_s == held.start_s:
            more = tuple(line for line in cue.lines if line not in held.lines)
            held = Cue(held.start_s, max(held.end_s, cue.end_s), held.lines + more)
            continue
        if held is not None:
            yield replace(held, end_s=min(held.end_s, cue.start_s))
        held = cue
    if held is not None:
        yield held
