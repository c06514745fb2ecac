"""Compute the figures of a test set from pairs of texts: first each utterance, then the sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from k2d.config.schema import Score
from k2d.score.align import Alignment, align
from k2d.score.confidence import USUAL, Draws, Interval, bootstrap
from k2d.score.invention import Invention, invented
from k2d.score.measures import MEASURES, PARTS, Measure, Part, measures, part_of
from k2d.score.pairing import UtterancePair
from k2d.score.rates import ErrorRate
from k2d.score.term_recall import TermRecall, term_recall
from k2d.select.loops import count_repetitions
from k2d.text.normalise import Normaliser
from k2d.text.tokenise import mixed_tokens

ScriptConversion = Literal["t2s", "per_char", "none"]
TokenMode = Literal["default", "paper"]

MAX_TOKENS_PER_S = 12.0  # twice the speed of a lecture; longer text was not spoken
SLACK_TOKENS = 5  # short utterances may be faster


@dataclass(frozen=True)
class Conventions:
    """How texts are converted to tokens."""

    script: ScriptConversion = "t2s"
    tokens: TokenMode = "default"
    steps: tuple[str, ...] = ()

    @classmethod
    def of(cls, score: Score) -> Conventions:
        """Those of an experiment."""
        return cls(score.script, score.tokens, score.steps)

    @cached_property
    def normaliser(self) -> Normaliser:
        return Normaliser(script=self.script, steps=self.steps)


USUAL_CONVENTIONS = Conventions()


@dataclass(frozen=True, slots=True)
class ScoredUtterance:
    """One pair, aligned and counted."""

    id: str
    group: str
    part: Part
    alignment: Alignment
    rates: dict[Measure, ErrorRate]
    repetitions: int
    is_missing: bool
    is_empty: bool
    """The hypothesis has no token, although the reference has."""
    is_too_long: bool | None
    """The hypothesis has more tokens than can be spoken in the time. None if the time is unknown."""
    invention: Invention | None
    """What was invented, if the reference has no words."""


def scored(pairs: Iterable[UtterancePair], conventions: Conventions) -> Iterator[ScoredUtterance]:
    """Score each pair. A missing hypothesis counts as empty."""
    for pair in pairs:
        yield score_pair(pair, conventions)


def score_pair(pair: UtterancePair, conventions: Conventions) -> ScoredUtterance:
    """Normalise, tokenise, align and count one pair."""
    hypothesis = conventions.normaliser(pair.hypothesis or "")
    hyp = mixed_tokens(hypothesis, mode=conventions.tokens)
    ref = mixed_tokens(conventions.normaliser(pair.reference), mode=conventions.tokens)
    alignment = align(ref, hyp)
    return ScoredUtterance(
        pair.id,
        pair.group,
        part_of(ref),
        alignment,
        measures(alignment),
        repetitions=count_repetitions(hypothesis),
        is_missing=pair.hypothesis is None,
        is_empty=pair.hypothesis is not None and bool(ref) and not hyp,
        is_too_long=None if pair.duration_s is None else is_too_long(len(hyp), pair.duration_s),
        invention=None if ref else invented(len(hyp), pair.duration_s),
    )


def is_too_long(n_tokens: int, duration_s: float) -> bool:
    """Whether the text is too long to be spoken in the time.

    >>> is_too_long(65, 5.0), is_too_long(66, 5.0)
    (False, True)
    """
    return n_tokens > MAX_TOKENS_PER_S * duration_s + SLACK_TOKENS


@dataclass(frozen=True, slots=True)
class SetScore:
    """The figures of a test set."""

    n_utterances: int
    rates: dict[Measure, ErrorRate]
    parts: dict[Part, ErrorRate]
    interval: Interval | None
    terms: TermRecall
    repetitions: int
    empty: int
    too_long: int
    timed: int
    """The number of references with a known duration, among which `too_long` is counted."""
    missing: tuple[str, ...]
    invention: Invention
    """Over the utterances whose reference has no words."""

    @property
    def empty_references(self) -> int:
        return self.invention.n_utterances


@dataclass
class ScoreTally:
    """Adds up utterances one by one."""

    draws: Draws = USUAL
    n_utterances: int = 0
    rates: dict[Measure, ErrorRate] = field(default_factory=lambda: dict.fromkeys(MEASURES, ErrorRate()))
    parts: dict[Part, ErrorRate] = field(default_factory=lambda: dict.fromkeys(PARTS, ErrorRate()))
    groups: dict[str, ErrorRate] = field(default_factory=dict)
    term_groups: dict[str, ErrorRate] = field(default_factory=dict)
    """The errors on the English words of mixed utterances."""
    repetitions: int = 0
    empty: int = 0
    too_long: int = 0
    timed: int = 0
    missing: list[str] = field(default_factory=list)
    invention: Invention = field(default_factory=Invention)

    def add(self, utterance: ScoredUtterance) -> None:
        mer = utterance.rates["mer"]
        self.n_utterances += 1
        for measure in MEASURES:
            self.rates[measure] += utterance.rates[measure]
        self.parts[utterance.part] += mer
        self.groups[utterance.group] = self.groups.get(utterance.group, ErrorRate()) + mer
        of_terms = self.term_groups.get(utterance.group, ErrorRate()) + utterance.rates["pier"]
        self.term_groups[utterance.group] = of_terms
        self.repetitions += utterance.repetitions
        self.empty += utterance.is_empty
        if utterance.invention is not None:
            self.invention += utterance.invention
        self.too_long += utterance.is_too_long or 0
        self.timed += utterance.is_too_long is not None
        if utterance.is_missing:
            self.missing.append(utterance.id)

    def score(self) -> SetScore:
        assert sum(self.parts[part].n for part in PARTS) == self.rates["mer"].n, "the parts do not add up"
        return SetScore(
            self.n_utterances,
            self.rates,
            self.parts,
            bootstrap(list(self.groups.values()), self.draws),
            term_recall(self.term_groups.values(), self.draws),
            self.repetitions,
            self.empty,
            self.too_long,
            self.timed,
            tuple(self.missing),
            self.invention,
        )
