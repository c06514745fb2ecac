"""The size and the difficulty of the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_serializer, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs
from pydantic_core.core_schema import SerializerFunctionWrapHandler
from typing_extensions import Self

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=_STRICT)
class Range:
    """A range from which values are drawn uniformly."""

    low: Annotated[float, Field(ge=0)]
    high: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self


@dataclass(frozen=True, config=_STRICT)
class Long:
    """Long recordings: their number, and their approximate lengths."""

    recordings: Count
    shortest_s: Positive
    longest_s: Positive

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.shortest_s > self.longest_s:
            raise ValueError(f"shortest_s {self.shortest_s:g} is above longest_s {self.longest_s:g}")
        return self


SMOKE: Mapping[str, Any] = {
    "pool": 120,
    "pool_dev": 10,
    "read_test": 10,
    "lectures": Long(4, 30.0, 40.0),
    "lectures_dev": Long(1, 20.0, 20.0),
    "talk_dev": Long(1, 20.0, 20.0),
    "lectures_test": Long(1, 20.0, 20.0),
    "course_test": Long(1, 20.0, 20.0),
    "talk_test": Long(1, 20.0, 20.0),
    "clean_snr_db": Range(60.0, 60.0),
    "lecture_snr_db": Range(60.0, 60.0),
    "talk_snr_db": Range(60.0, 60.0),
    "reverb_s": Range(0.0, 0.0),
    "pause_s": Range(0.3, 0.6),
    "pace": Range(1.0, 1.0),
    "stammer_rate": 0.0,
    "hesitation_rate": 0.0,
    "event_rate": 0.0,
}


KOKORO: Mapping[str, Any] = {
    "pool": 1160,
    "pool_dev": 60,
    "read_test": 100,
    "lectures": Long(64, 100.0, 260.0),
    "clean_snr_db": Range(20.0, 35.0),
    "lecture_snr_db": Range(10.0, 25.0),
    "talk_snr_db": Range(10.0, 25.0),
    "reverb_s": Range(0.02, 0.12),
}


@dataclass(frozen=True, config=_STRICT)
class Options:
    """The defaults are the preset `mini`. The preset `smoke` has other values (SMOKE), and a vocabulary of 12 words.

    `voices: kokoro` has other values, too (KOKORO): less speech, as it is slow to make, more noise and milder rooms.
    """

    preset: Literal["mini", "smoke"] = "mini"
    """`smoke`: a dozen words, one voice, no noise, a few minutes of audio. A small model learns it in a minute."""
    voices: Literal["espeak", "kokoro"] = "espeak"
    """`kokoro`: neural voices, which recognisers of real speech understand (`python -m k2d fetch kokoro`)."""
    seed: Annotated[int, Field(ge=0)] = 2
    """Another seed gives another corpus of the same kind."""

    pool: Count = 8000
    """Utterances of labelled general speech."""
    random_share: Share = 0.5
    """The share of the pool (and of pool_dev) that is random word sequences, which a decoder cannot guess."""
    pool_voices: Count = 36
    """Speakers of the pool."""
    lecturers: Count = 16
    """Speakers of the lectures."""
    pool_dev: Count = 100
    """Utterances like those of the pool, for tuning."""
    read_test: Count = 150
    """Utterances of read Mandarin."""
    lectures: Long = Long(100, 130.0, 340.0)
    """Unlabelled lectures. Short ones are more frequent than long ones."""
    lectures_dev: Long = Long(2, 150.0, 150.0)
    """Lectures for tuning."""
    talk_dev: Long = Long(6, 50.0, 50.0)
    """Conversations for tuning."""
    lectures_test: Long = Long(12, 90.0, 90.0)
    """Lectures of the same courses as `lectures`."""
    course_test: Long = Long(10, 60.0, 60.0)
    """Lectures of another course with another speaker."""
    talk_test: Long = Long(12, 50.0, 50.0)
    """Conversations: fast, with several speakers in turn."""

    clean_snr_db: Range = Range(25.0, 40.0)
    """Speech-to-noise ratio in pool, pool_dev and read_test."""
    lecture_snr_db: Range = Range(18.0, 32.0)
    """Speech-to-noise ratio in lectures."""
    talk_snr_db: Range = Range(18.0, 32.0)
    """Speech-to-noise ratio in conversations."""
    reverb_s: Range = Range(0.05, 0.25)
    """The time in which a room's echo falls by 60 dB, in lectures and conversations."""
    pause_s: Range = Range(0.3, 1.5)
    """The silence between two utterances of a lecture. Conversations have a third of it."""
    pace: Range = Range(0.92, 1.08)
    """The speed of an utterance relative to its speaker's usual speed."""
    stammer_rate: Share = 0.12
    """The share of the utterances in lectures and conversations in which a word is repeated."""
    hesitation_rate: Share = 0.08
    """The share of the utterances with a filler, including the sentences of the pool."""
    event_rate: Share = 0.02
    """The share of the pauses in lectures that contain applause or music."""
    event_s: Range = Range(3.0, 8.0)
    """The length of applause or music."""

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, given: Any) -> Any:
        if isinstance(given, ArgsKwargs):
            return ArgsKwargs(given.args, _filled(given.kwargs or {}))
        return _filled(given) if isinstance(given, dict) else given

    @field_validator("voices")
    @classmethod
    def _refuse_smoke(cls, voices: str, known: ValidationInfo) -> str:
        if voices == "kokoro" and known.data.get("preset") == "smoke":
            raise ValueError("preset smoke has one voice of eSpeak; leave out one of the two settings")
        return voices

    @model_serializer(mode="wrap")
    def _without_former_default(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Stamps of earlier versions know no `voices`, so they do not record eSpeak's."""
        recorded: dict[str, Any] = serialise(self)
        if self.voices == "espeak":
            del recorded["voices"]
        return recorded

    def long_splits(self) -> Mapping[str, Long]:
        """The splits of long recordings, the tests first. Their sentences occur in no other split."""
        names = ("lectures_test", "course_test", "talk_test", "lectures_dev", "talk_dev", "lectures")
        return {name: getattr(self, name) for name in names}


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, over the values of its preset or its voices."""
    other = SMOKE if given.get("preset") == "smoke" else KOKORO if given.get("voices") == "kokoro" else {}
    return {**other, **given}
