"""SEAME (LDC2015S04): conversations and interviews from Singapore and Malaysia, with the two published test sets.

<root>/…/{conversation,interview}/audio/*.flac
<root>/…/{conversation,interview}/transcript/{phaseI,phaseII}/*.txt
<root>/…/{dev_man,dev_sge}/{text,segments}, train/wav_file.txt     the repository SEAME-dev-set, cloned
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from egs.seame.devsets import FOLDERS, PUBLISHED, Listed, Tokens, count_tokens, match, read_set, train_recordings
from egs.seame.markup import words
from egs.seame.transcripts import Phase, Spoken, read_transcripts
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.cut_audio import cut_out
from k2d.data.raw.files import by_name, only_place
from k2d.data.raw.tally import Tally
from k2d.data.rows import Utterance
from k2d.text.tokenise import spoken_language

STYLES = ("conversation", "interview")
VALID_SHARE = 0.05
SHORTEST_MS = 20  # a line of one hundredth of a second is a transcriber's mistake
_REPOSITORY = "https://github.com/zengzp0912/SEAME-dev-set"

log = logging.getLogger("k2d")


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Options:
    """Which transcripts are used for training, and whose text and times the test sets have."""

    phase: Phase = "phaseII"
    references: Literal["published", "release"] = "published"
    """`published`: text and times of the repository. `release`: LDC's text for lines with the same times."""


def variant(options: Options) -> str:
    """Which counts of corpus.yaml are expected."""
    return options.references


def prepare(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield training utterances as parts of recordings, then development and test utterances as files of their own."""
    lists = _lists(root)
    may_train = train_recordings(lists / "train" / "wav_file.txt")
    sets = {split: read_set(lists / folder) for split, folder in FOLDERS.items()}
    tested = {utterance.recording for utterances in sets.values() for utterance in utterances}
    if both := sorted(may_train & tested):
        raise K2DError(f"{shown(lists)}: {', '.join(both)} are listed for training and for a test; clone it again")
    audio = _audio(root)
    for recording in (may_train | tested) - audio.keys():
        audio[recording] = root / f"{recording}.flac"  # a missing file: stage 1 rejects its utterances
    tally = Tally("seame/train", "transcript lines")
    lines: dict[str, list[Spoken]] = defaultdict(list)  # of the recordings with test utterances, about thirty
    held_out: list[Utterance] = []
    heard: set[str] = set()
    for line in read_transcripts(_transcripts(root, options.phase), options.phase, tally):
        heard.add(line.recording)
        if line.recording in tested:
            lines[line.recording].append(line)
            tally.drop("of_the_test_recordings", line.where)
        elif row := _train_row(line, line.recording in may_train, audio, tally):
            if _is_held_out(row.id):
                held_out.append(row)
            else:
                yield "train", row
    tally.tell()
    yield from (("valid", row) for row in cut_out(held_out, store, nj=nj))
    _tell_silent(sorted((may_train | tested) - heard), options.phase)
    for split, utterances in sets.items():
        _hold_against_published(split, count_tokens(utterance.text for utterance in utterances))
        rows = _test_rows(split, utterances, lines, audio, options)
        yield from ((split, row) for row in cut_out(rows, store, nj=nj))


def tables(root: Path, options: Options) -> Iterator[tuple[str, str, str, str]]:
    """`reco2style`: conversation or interview. For the test sets also `reco2recording`."""
    styles = {recording: path.parents[1].name for recording, path in _audio(root).items()}
    for recording, style in styles.items():
        yield "train", "reco2style", recording, style
    lists = _lists(root)
    for split, folder in FOLDERS.items():
        for utterance in read_set(lists / folder):
            yield split, "reco2recording", utterance.id, utterance.recording
            yield split, "reco2style", utterance.id, styles.get(utterance.recording, "unknown")


def speaker_of(recording: str) -> str:
    """The speaker in a recording's name. Names of conversations start with the number of the session.

    >>> speaker_of("01nc01fbx_0101"), speaker_of("ni01max_0101")
    ('nc01f', 'ni01m')
    """
    name = recording.partition("_")[0]
    return name[2:-2] if name[0].isdigit() else name[:5]


def utterance_id(recording: str, start_ms: int, end_ms: int) -> str:
    """The id in the published lists: times in hundredths of a second, with five digits or more.

    >>> utterance_id("01nc01fbx_0101", 4605, 1_000_249)
    'nc01f-01nc01fbx_0101-00461-100025'
    """
    return f"{speaker_of(recording)}-{recording}-{_hundredths(start_ms):05d}-{_hundredths(end_ms):05d}"


def _hundredths(time_ms: int) -> int:
    return (time_ms + 5) // 10


def _lists(root: Path) -> Path:
    what = f"the lists of {_REPOSITORY}: clone it into this folder"
    return only_place(root, "**/train/wav_file.txt", what).parents[1]


def _audio(root: Path) -> dict[str, Path]:
    """The recordings by their names in lower case."""
    folders = [only_place(root, f"**/{style}/audio", "LDC2015S04, unpacked") for style in STYLES]
    return by_name((path for folder in folders for path in folder.glob("*.flac")), any_case=True)


def _transcripts(root: Path, phase: Phase) -> list[Path]:
    folders = [only_place(root, f"**/{style}/transcript/{phase}", "LDC2015S04, unpacked") for style in STYLES]
    return [path for folder in folders for path in sorted(folder.glob("*.txt"))]


def _train_row(line: Spoken, is_listed: bool, audio: dict[str, Path], tally: Tally) -> Utterance | None:
    if not is_listed:
        tally.drop("not_in_the_lists", line.where)
    elif line.end_ms - line.start_ms < SHORTEST_MS:
        tally.drop("too_short", line.where)
    elif not (text := words(line.text)):
        tally.drop("no_words", line.where)
    else:
        tally.keep()
        return Utterance(
            utterance_id(line.recording, line.start_ms, line.end_ms),
            line.recording,
            str(audio[line.recording]),
            speaker_of(line.recording),
            text,
            line.start_ms / 1000,
            line.end_ms / 1000,
            line.language or spoken_language(text),
        )
    return None


def _is_held_out(key: str) -> bool:
    """Whether an utterance is for tuning. The share is chosen by id, so it does not depend on other utterances."""
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return drawn < VALID_SHARE * 2**64


def _test_rows(
    split: str, utterances: list[Listed], lines: dict[str, list[Spoken]], audio: dict[str, Path], options: Options
) -> Iterator[Utterance]:
    """The published utterances under their published ids."""
    tally = Tally(f"seame/{split}", "published utterances")
    n_matched = 0
    for listed, line in match(utterances, lines):
        n_matched += line is not None
        text, start_s, end_s = listed.text, listed.start_s, listed.end_s
        if options.references == "release":
            if line is None:
                tally.drop("not_in_the_release", listed.id)
                continue
            text, start_s, end_s = line.text, line.start_ms / 1000, line.end_ms / 1000
        if not (text := words(text)):
            tally.drop("no_words", listed.id)
            continue
        tally.keep()
        language = (line.language if line else None) or spoken_language(text)
        path = audio[listed.recording]
        yield Utterance(listed.id, listed.recording, str(path), listed.speaker, text, start_s, end_s, language)
    tally.tell()
    level = logging.INFO if n_matched == len(utterances) else logging.WARNING
    log.log(level, "seame/%s: %d of %d are in the release's transcripts", split, n_matched, len(utterances))


def _tell_silent(recordings: list[str], phase: Phase) -> None:
    if recordings:
        log.warning("seame: %d listed recordings have no line in %s: %s", len(recordings), phase, ", ".join(recordings))


def _hold_against_published(split: str, found: Tokens) -> None:
    """Log whether this is the set of the published scores."""
    published = PUBLISHED[split]
    level = logging.INFO if found == published else logging.WARNING
    counts = "found %d Han, %d English, %d noise tags; the published set has %d, %d and %d"
    log.log(level, f"seame/%s: {counts}", split, *found, *published)
