"""A user's pronunciations, `lexicon.tsv`: a word, a tab and its phonemes per line. The first line of a word counts."""

from __future__ import annotations

import re
from pathlib import Path

from k2d.core.errors import Fault, FaultReport, K2DError, Treatment

_ARPABET_STRESS = re.compile(r"(?<=^[A-Z]{2})[012]$")


def read_lexicon(path: Path) -> dict[str, tuple[str, ...]]:
    """Words in lower case, with phonemes without stress. All bad lines are reported together."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise K2DError(f"{path}: cannot read the lexicon ({error.strerror})") from error
    report = FaultReport()
    words: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            word, phonemes = _entry(line)
        except ValueError as error:
            report.add(Fault(Treatment.REJECT, "lexicon_line", str(error), path=str(path), line=number))
        else:
            words.setdefault(word, phonemes)
    if not words and not report.count():
        report.add(Fault(Treatment.REJECT, "lexicon_empty", "no words", "leave the option out", path=str(path)))
    if report.count():
        raise K2DError("\n".join(report.lines()))
    return words


def _entry(line: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        word, tab, phonemes = line.decode("utf-8").partition("\t")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    sounds = tuple(_ARPABET_STRESS.sub("", sound.strip("ˈˌ")) for sound in phonemes.split())
    if not tab or not all(sounds) or not sounds or word.split() != [word]:
        raise ValueError(f"found {line.decode()!r}, expected a word, a tab and phonemes parted by spaces")
    return word.lower(), sounds
