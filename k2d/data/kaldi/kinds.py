"""The tables of a Kaldi data directory: which ids they have as keys, and the format of their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from k2d.data.kaldi.ids import PLAIN_ID


class Key(Enum):
    """The sort of id in the first column of a table."""

    UTTERANCE = "utterance"
    RECORDING = "recording"
    SPEAKER = "speaker"


class Style(Enum):
    """How the value is parsed."""

    TEXT = "transcript"  # free text: NFC, single spaces, may be empty
    FIELDS = "fields"  # columns separated by spaces
    PATH = "path"  # kept byte for byte, including spaces


class Problem(NamedTuple):
    """Why a value is refused."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of table, named after its file."""

    name: str
    key: Key
    style: Style
    good_value: str  # a pattern that every good value matches in full
    expected: str  # the same in words
    explain: Callable[[Kind, str], Problem]
    plain_line: re.Pattern[str] = field(init=False)  # a line that needs no further check
    _value: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        value = f" (?:{self.good_value})"
        line = f"{PLAIN_ID}(?:{value})?" if self.style is Style.TEXT else f"{PLAIN_ID}{value}"
        object.__setattr__(self, "plain_line", re.compile(line))
        object.__setattr__(self, "_value", re.compile(self.good_value))

    def problem(self, value: str) -> Problem | None:
        """What is wrong with a value. None if it is valid.

        >>> KINDS["utt2dur"].problem("1.5"), KINDS["utt2dur"].problem("0").code
        (None, 'bad_value')
        """
        return None if self._value.fullmatch(value) else self.explain(self, value)


RESERVED_SYMBOLS = ("<s>", "</s>", "#0")  # Kaldi's symbols, which must not be words of a transcript

_TIME = r"[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,2})?"
_POSITIVE = rf"(?=[0-9.]*[1-9]){_TIME}"
_ID_LIKE = r"\S+"  # these ids are compared with another table's, where their format is checked


def _odd_value(kind: Kind, value: str) -> Problem:
    found = f"found {value[:80]!r}" if value else "found nothing after the id"
    return Problem("bad_value", f"expected {kind.expected}, {found}", "correct the line")


def _odd_path(kind: Kind, value: str) -> Problem:
    if not value:
        return _odd_value(kind, value)
    if value.startswith("~"):
        return Problem("tilde", f"the path {value!r} starts with '~'", "write the path in full")
    remedy = "convert the audio to files first; K2D never runs commands from data"
    return Problem("pipe", f"{value[:80]!r} is a pipe, not a file", remedy)


def _odd_segment(kind: Kind, value: str) -> Problem:
    fields = value.split(" ")
    if len(fields) != 3:
        message = f"expected {kind.expected}, found {len(fields)} fields after the id"
        return Problem("bad_segment", message, "correct the line")
    for name, time in zip(("start", "end"), fields[1:], strict=True):
        if not re.fullmatch(_TIME, time):
            remedy = "write seconds as 1.5" if "," in time else "write seconds from 0 upwards, such as 1.5"
            return Problem("bad_time", f"the {name} time is {time!r}", remedy)
    return _odd_value(kind, value)


def _kinds() -> dict[str, Kind]:
    utterance, recording, speaker = Key
    words, fields, path = Style
    transcript = (words, ".+", "a transcript", _odd_value)
    file = (path, r"(?![~|]).*[^|\s]", "a path or `file.ark:offset`", _odd_path)
    an_id = (fields, _ID_LIKE, "one id", _odd_value)
    duration = (fields, _POSITIVE, "a duration in seconds above 0", _odd_value)
    factor = r"(?:0?\.(?!50*$)[5-9][0-9]*|1(?:\.(?:[0-4][0-9]*)?)?)"
    warp = (fields, factor, "a factor between 0.5 and 1.5", _odd_value)
    channel = (fields, r"\S+ [AB1]", "a file name and channel A or B", _odd_value)
    pieces = (fields, rf"\S+(?: {_TIME} {_TIME})+", "recording, then start and end of each piece", _odd_value)
    rows = [
        ("wav.scp", recording, *file),
        ("segments", utterance, fields, rf"\S+ {_TIME} {_TIME}", "recording, start and end", _odd_segment),
        ("text", utterance, *transcript),
        ("text.ctc", utterance, *transcript),  # from ESPnet's S2T recipes, like text.prev
        ("text.prev", utterance, *transcript),
        ("utt2spk", utterance, fields, _ID_LIKE, "one speaker id", _odd_value),
        ("spk2utt", speaker, fields, r"\S.*", "utterance ids", _odd_value),
        ("utt2dur", utterance, *duration),
        ("reco2dur", recording, *duration),
        ("utt2lang", utterance, *an_id),
        ("utt2uniq", utterance, *an_id),
        ("utt2category", utterance, *an_id),
        ("utt2source", utterance, *pieces),  # K2D's own: the source of a chunk that has audio of its own
        ("utt2num_frames", utterance, fields, r"0*[1-9][0-9]*", "a whole number above 0", _odd_value),
        ("utt2warp", utterance, *warp),
        ("spk2warp", speaker, *warp),
        ("spk2gender", speaker, fields, "[mf]", "m or f", _odd_value),
        ("reco2file_and_channel", recording, *channel),
        ("feats.scp", utterance, *file),
        ("vad.scp", utterance, *file),
        ("cmvn.scp", speaker, *file),
    ]
    return {row[0]: Kind(*row) for row in rows}


KINDS = _kinds()
