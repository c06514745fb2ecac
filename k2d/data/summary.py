"""Statistics of a data directory: hours, speakers, lengths, languages and switching between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from k2d.data.kaldi.datadir import read_recordings, read_utterances
from k2d.data.kaldi.external_sort import read_lines
from k2d.data.kaldi.joins import split_row
from k2d.data.rows import Utterance
from k2d.text.tokenise import Script, Token, mixed_tokens

LENGTHS_S = (1, 2, 5, 10, 20, 30, 60, 300)  # borders of the histogram


@dataclass
class Switching:
    """Code-switching in a set of utterances, as counts that can be added."""

    tokens: Counter[Script] = field(default_factory=Counter)
    n_utterances: int = 0
    n_mixed: int = 0
    n_switches: int = 0
    n_gaps: int = 0
    """Places where a switch is possible: between two tokens of an utterance."""
    cmi_sum: float = 0.0

    def add(self, tokens: Sequence[Token]) -> None:
        languages = [t.script for t in tokens if t.script in (Script.ZH, Script.EN)]
        self.tokens.update(t.script for t in tokens)
        self.n_utterances += 1
        self.n_mixed += len(set(languages)) > 1
        self.n_switches += sum(a is not b for a, b in pairwise(languages))
        self.n_gaps += max(0, len(languages) - 1)
        self.cmi_sum += code_mixing_index(tokens)

    @property
    def mean_cmi(self) -> float:
        return self.cmi_sum / self.n_utterances if self.n_utterances else 0.0

    @property
    def mean_cmi_of_mixed(self) -> float:
        return self.cmi_sum / self.n_mixed if self.n_mixed else 0.0

    @property
    def switch_rate(self) -> float:
        return self.n_switches / self.n_gaps if self.n_gaps else 0.0


def code_mixing_index(tokens: Sequence[Token]) -> float:
    """100 × (1 − share of the main language) among Mandarin and English tokens; 0 for one language.

    >>> code_mixing_index(mixed_tokens("這個 model 好")), code_mixing_index(mixed_tokens("very good"))
    (25.0, 0.0)
    """
    counts = Counter(t.script for t in tokens if t.script in (Script.ZH, Script.EN))
    return 100 * (1 - max(counts.values()) / counts.total()) if counts else 0.0


@dataclass
class Summary:
    """The statistics of one data directory."""

    name: str
    n_recordings: int = 0
    recordings_s: float = 0.0
    speech_s: float = 0.0
    speakers: set[str] = field(default_factory=set)
    lengths: list[int] = field(default_factory=lambda: [0] * (len(LENGTHS_S) + 1))
    languages: Counter[str] = field(default_factory=Counter)
    switching: Switching = field(default_factory=Switching)
    n_utterances: int = 0
    seconds_by_course: dict[str, float] = field(default_factory=dict)

    def add(self, row: Utterance, duration_s: float) -> None:
        self.n_utterances += 1
        self.speech_s += duration_s
        self.speakers.add(row.speaker)
        self.lengths[sum(duration_s > border for border in LENGTHS_S)] += 1
        if row.language:
            self.languages[row.language] += 1
        if row.text is not None:
            self.switching.add(mixed_tokens(row.text))


def summarise(folder: Path) -> Summary:
    """Read a data directory once and compute its statistics."""
    found = Summary(folder.name)
    durations_s: dict[str, float] = {}
    for recording in read_recordings(folder):
        found.n_recordings += 1
        durations_s[recording.id] = recording.duration_s or 0.0
        found.recordings_s += durations_s[recording.id]
    for row in read_utterances(folder):
        has_times = row.start_s is not None and row.end_s is not None
        found.add(row, row.end_s - row.start_s if has_times else durations_s[row.recording_id])  # type: ignore[operator]
    courses = folder / "reco2course"
    for recording_id, course in map(split_row, read_lines(courses)) if courses.exists() else ():
        so_far = found.seconds_by_course.get(course, 0.0)
        found.seconds_by_course[course] = so_far + durations_s.get(recording_id, 0.0)
    return found


def render(summaries: Sequence[Summary], by_course: bool) -> str:
    """The summaries as tables."""
    parts = [_table(_sizes(summaries)), _table(_lengths(summaries))]
    spoken = [s for s in summaries if s.switching.n_utterances]
    if spoken:
        parts.append(_table(_languages(spoken)))
    if by_course:
        parts.append(_table(_courses(summaries)))
    return "\n\n".join(parts)


def _sizes(summaries: Sequence[Summary]) -> Iterator[tuple[str, ...]]:
    yield "set", "hours", "speech h", "recordings", "utterances", "speakers", "mean s"
    for s in summaries:
        mean_s = s.speech_s / s.n_utterances if s.n_utterances else 0.0
        counts = (f"{s.n_recordings:,}", f"{s.n_utterances:,}", f"{len(s.speakers):,}", f"{mean_s:.1f}")
        yield s.name, _hours(s.recordings_s), _hours(s.speech_s), *counts


def _lengths(summaries: Sequence[Summary]) -> Iterator[tuple[str, ...]]:
    yield "utterances of", *(f"≤{border} s" for border in LENGTHS_S), "longer"
    for s in summaries:
        yield s.name, *(f"{n:,}" for n in s.lengths)


def _languages(summaries: Sequence[Summary]) -> Iterator[tuple[str, ...]]:
    scripts = [script.value for script in Script]
    yield "tokens of", *scripts, "mixed utt.", "CMI", "CMI (mixed)", "switches/gap", "utterances by language"
    for s in summaries:
        w = s.switching
        tokens = (f"{w.tokens[script]:,}" for script in Script)
        languages = ", ".join(f"{name} {n:,}" for name, n in sorted(s.languages.items()))
        mixing = (f"{w.n_mixed:,}", f"{w.mean_cmi:.2f}", f"{w.mean_cmi_of_mixed:.2f}", f"{w.switch_rate:.3f}")
        yield s.name, *tokens, *mixing, languages or "-"


def _courses(summaries: Sequence[Summary]) -> Iterator[tuple[str, ...]]:
    yield "course", "set", "hours", "share"
    for s in summaries:
        for course, seconds in sorted(s.seconds_by_course.items(), key=lambda pair: -pair[1]):
            yield course, s.name, _hours(seconds), f"{100 * seconds / s.recordings_s:.1f} %"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f}"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    """Columns under a header: text on the left, numbers on the right."""
    filled = list(rows)
    widths = [max(len(row[i]) for row in filled) for i in range(len(filled[0]))]
    lines = []
    for row in filled:
        figures = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *figures]))
    return "\n".join(lines)
