"""References and hypotheses joined by id, and the groups that the bootstrap resamples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.kaldi.validation import N_LISTED, listed

MIN_BLOCKS = 10
LONGEST_BLOCK = 10


@dataclass(frozen=True, slots=True)
class Texts:
    """The lines of a `text` file by id, in order of id, and what was normalised to read them."""

    path: Path
    rows: Mapping[str, str]
    normalised: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reference, an utterance or a whole recording, with the known facts about it."""

    id: str
    text: str
    recording_id: str | None = None
    speaker: str | None = None
    start_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class UtterancePair:
    """A reference with its hypothesis (None if it is missing) and the group with which it is resampled."""

    id: str
    group: str
    reference: str
    hypothesis: str | None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class JoinedSet:
    """All pairs of a test set, in order of id."""

    pairs: tuple[UtterancePair, ...]
    over: str
    """The kind of groups, as text: `12 recordings`."""
    unit: str
    """The kind of pairs: `utterances` or `recordings`."""


def whole_recordings(spoken: Iterable[Spoken]) -> list[Spoken]:
    """The utterances of each recording joined in the order of time. The end is that of the last utterance."""
    by_recording: dict[str, list[Spoken]] = {}
    for row in spoken:
        by_recording.setdefault(row.recording_id or row.id, []).append(row)
    return [_one_recording(key, by_recording[key]) for key in sorted(by_recording)]


def _one_recording(recording_id: str, parts: list[Spoken]) -> Spoken:
    parts = sorted(parts, key=lambda row: (row.start_s, row.id))
    speakers = {row.speaker for row in parts}
    ends_s = [row.start_s + row.duration_s for row in parts if row.duration_s is not None]
    return Spoken(
        recording_id,
        " ".join(row.text for row in parts if row.text),
        recording_id,
        speakers.pop() if len(speakers) == 1 else None,
        duration_s=max(ends_s) if len(ends_s) == len(parts) else None,
    )


def joined(references: list[Spoken], hypotheses: Texts, name: str) -> JoinedSet:
    """References and hypotheses joined by id: by utterances, or by recordings if recordings were decoded.

    A reference without hypothesis is kept. A hypothesis without reference is an error. `name` is the reference's.
    """
    unit = "utterances"
    recordings = {row.recording_id for row in references}
    if not hypotheses.rows.keys() & {row.id for row in references} and hypotheses.rows.keys() & recordings:
        references, unit = whole_recordings(references), "recordings"
    references = sorted(references, key=lambda row: row.id)
    _refuse_extra(references, hypotheses, name)
    over, groups = grouping(references, unit)
    pairs = [
        UtterancePair(row.id, group, row.text, hypotheses.rows.get(row.id), row.duration_s)
        for row, group in zip(references, groups, strict=True)
    ]
    return JoinedSet(tuple(pairs), over, unit)


def _refuse_extra(references: list[Spoken], hypotheses: Texts, name: str) -> None:
    extra = sorted(hypotheses.rows.keys() - {row.id for row in references})
    if extra:
        message = f"{len(extra):,} of {len(hypotheses.rows):,} ids are not in the reference {name}"
        example = f"{listed(extra[:N_LISTED], len(extra))} (the reference has {references[0].id}, …)"
        remedy = "score them against the set that they were decoded from, or take them out"
        raise K2DError(f"{shown(hypotheses.path)}: {message}: {example}; {remedy}")


def grouping(references: list[Spoken], unit: str) -> tuple[str, list[str]]:
    """The kind of group, and the group of each reference: recordings, else speakers, else neighbours by id."""
    if unit == "recordings":
        return f"{len(references)} recordings", [row.id for row in references]
    for what, keys in (
        ("recordings", [row.recording_id or "" for row in references]),
        ("speakers", [row.speaker or "" for row in references]),
    ):
        if 2 <= len(set(keys)) < len(keys):
            return f"{len(set(keys))} {what}", keys
    length = min(LONGEST_BLOCK, max(1, len(references) // MIN_BLOCKS))
    blocks = [f"block {at // length + 1}" for at in range(len(references))]
    what = f"blocks of {length} utterances" if length > 1 else "utterances"
    return f"{len(set(blocks))} {what} (recordings and speakers are not known, or one each)", blocks
