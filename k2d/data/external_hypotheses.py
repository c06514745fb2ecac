"""Reads transcripts of recordings that another system wrote, and compares them with the recordings.

They are checked as strictly as the project's own: everything that stage 6 would reject is reported here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.audio import AudioError
from k2d.data.audio.read import END_TOLERANCE_S
from k2d.data.external_lines import ExternalFile, ExternalLine, first_mark
from k2d.data.hypotheses import hypothesis_from, hypothesis_line
from k2d.data.label_segments import label_segments
from k2d.data.recordings import duration_s, is_machines
from k2d.data.rows import Hypothesis, Recording, Rejected, Segment

NO_TRANSCRIPT = "no_transcript"
"""The reason for which a recording without a line in the file is rejected."""


@dataclass
class SegmentTally:
    """Counts the segments of a file, and, by reason, those that cannot be in a chunk."""

    n: int = 0
    n_silent: int = 0
    """Recordings without any segment."""
    bad: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Rejected] = field(default_factory=dict)
    longest_s: float = 0.0

    def add(self, hypothesis: Hypothesis, max_s: float) -> None:
        self.n += len(hypothesis.segments)
        self.n_silent += not hypothesis.segments
        for segment in hypothesis.segments:
            self.longest_s = max(self.longest_s, segment.end_s - segment.start_s)
        for found in label_segments(hypothesis, max_s):
            if isinstance(found, Rejected):
                self.bad[found.reason] += 1
                self.examples.setdefault(found.reason, found)


@dataclass(frozen=True, slots=True)
class Demands:
    """Conditions that transcripts must meet besides their format."""

    window_s: float
    """The length of the teacher's window. A segment must fit into it."""
    max_bad: float
    supports_language: Callable[[str], bool] | None = None
    """Tells whether the teacher supports a language. Each text must name one if the teacher's prompt names none.

    None: the teacher's prompt names one.
    """


class ExternalHypotheses:
    """The hypotheses in a file for the recordings of a data directory."""

    def __init__(self, path: Path, demands: Demands) -> None:
        self.file, self.demands, self.tally = ExternalFile.at(path), demands, SegmentTally()

    def of(self, recordings: Iterable[Recording], scratch: Path) -> Iterator[Hypothesis | Rejected]:
        """Yield each recording's hypothesis, or why it has none. At the end, K2DError lists all faults of the file."""
        lines = self.file.lines(scratch)
        line = next(lines, None)
        for recording in recordings:
            while line is not None and line.id < recording.id:
                self._refuse_unknown(line)
                line = next(lines, None)
            if line is None or line.id != recording.id:
                detail = f"{shown(self.file.path)} has no line with this id"
                yield Rejected(recording.id, NO_TRANSCRIPT, detail, recording.audio)
                continue
            if (found := self._checked(line, recording)) is not None:
                yield found
            line = next(lines, None)
        while line is not None:
            self._refuse_unknown(line)
            line = next(lines, None)
        self.file.demand_sound()
        self._demand_good_segments()

    def _refuse_unknown(self, line: ExternalLine) -> None:
        message = f"{line.id!r} is not a recording of these data; expected ids of their wav.scp"
        self.file.refuse("unknown_recording", message, line.number)

    def _checked(self, line: ExternalLine, recording: Recording) -> Hypothesis | Rejected | None:
        """The hypothesis of a line. None if the line has a fault, which is recorded."""
        try:
            length_s = recording.duration_s or duration_s((recording.id, recording.audio))
        except AudioError as error:
            if is_machines(error):
                raise
            return Rejected(recording.id, error.reason, str(error), recording.audio)
        try:
            stated = hypothesis_from({"duration_s": length_s, "windows": [], **line.record})
        except (ValueError, RecursionError) as error:
            self.file.refuse("bad_line", str(error), line.number)
            return None
        if abs(stated.duration_s - length_s) > END_TOLERANCE_S:
            message = f"duration_s: found {stated.duration_s:g}, the recording {line.id!r} lasts {length_s:.2f} s"
            self.file.refuse("other_audio", message, line.number, "transcribe the audio that wav.scp names")
            return None
        hypothesis = Hypothesis(line.id, length_s, stated.segments, stated.windows)
        if not self._is_writable(hypothesis, line.number):
            return None
        self._check_texts(hypothesis.segments, line.number)
        self.tally.add(hypothesis, self.demands.window_s)
        return hypothesis

    def _is_writable(self, hypothesis: Hypothesis, number: int) -> bool:
        """Whether the hypothesis can be written as JSON in UTF-8. JSON can contain text and numbers that cannot."""
        try:
            hypothesis_line(hypothesis).encode("utf-8")
        except UnicodeEncodeError:
            self.file.refuse("encoding", "a text is not Unicode: it contains half of a surrogate pair", number)
        except (ValueError, OverflowError):
            self.file.refuse("bad_line", "a time is not a finite number", number)
        else:
            return True
        return False

    def _check_texts(self, segments: Sequence[Segment], number: int) -> None:
        if mark := first_mark(segment.text for segment in segments):
            message = f"a text contains {mark!r}; expected words only"
            self.file.refuse("mark", message, number, "remove such marks")
        if (supports := self.demands.supports_language) is not None:
            languages = dict.fromkeys(segment.language for segment in segments if segment.text.strip())
            remedy = 'give each segment one ("language": "zh"), or set teacher.language'
            if None in languages:
                message = "a segment names no language, and teacher.language is empty"
                self.file.refuse("no_language", message, number, remedy)
            if unknown := [each for each in languages if each is not None and not supports(each)]:
                message = f"language: the teacher does not support {unknown[0]!r}"
                self.file.refuse("unknown_language", message, number, remedy)

    def _demand_good_segments(self) -> None:
        """Refuse a file if more than the share `max_bad` of its segments cannot be in a chunk."""
        tally, name = self.tally, shown(self.file.path)
        if not tally.n:
            raise K2DError(f"{name}: no recording has a text; expected segments with start_s, end_s and text")
        if tally.bad.total() <= self.demands.max_bad * tally.n:
            return
        share = f"more than max_bad ({self.demands.max_bad:.1%})"
        lines = [f"{name}: {tally.bad.total():,} of {tally.n:,} segments cannot be in a chunk, {share}:"]
        for reason, n in tally.bad.most_common():
            lines.append(f"  {reason} {n:,}, such as {tally.examples[reason].id}: {tally.examples[reason].detail}")
        if "too_long" in tally.bad:
            lines.append(
                f"  a text must fit into the teacher's window of {self.demands.window_s:g} s, because K2D does not "
                "align text with audio: cut the recordings at silences first, and give a text for each piece"
            )
        lines.append("correct them, or allow more of them: max_bad=SHARE after the command, or in the config")
        raise K2DError("\n".join(lines))
