"""A score on disk: score.json, and the counts of every utterance behind it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text, writing
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.score.columns import alignment_block, parse_trn_line, trn_line
from k2d.score.measures import MEASURES, PARTS
from k2d.score.rates import ErrorRate
from k2d.score.scoring import ScoredUtterance, SetScore
from k2d.score.stored_row import Score, score_of
from k2d.score.timing import RealTimeFactor

SCORE = "score.json"
CTC_ROW = "_ctc"  # appended to a model's name: the same model, decoded by CTC alone
UTTERANCES = "per_utt.jsonl"
REF, HYP, ALIGNMENT = "ref.trn", "hyp.trn", "align.txt"


@dataclass(frozen=True, slots=True)
class Heading:
    """The system and set of a score, and how it was made."""

    model: str
    set: str
    role: str | None
    signature: str
    over: str
    unit: str
    rtf: RealTimeFactor | None = None


Record = dict[str, Any]  # a score.json


def record_of(score: SetScore, heading: Heading) -> Record:
    """The content of score.json."""
    low, high = (score.interval.low, score.interval.high) if score.interval else (None, None)
    level = score.interval.level if score.interval else None
    return {
        "model": heading.model,
        "set": heading.set,
        "role": heading.role,
        "signature": heading.signature,
        "unit": heading.unit,
        "n_utterances": score.n_utterances,
        **{measure: score.rates[measure].as_figure() for measure in MEASURES},
        "parts": {part: score.parts[part].as_figure() for part in PARTS},
        "interval": {"level": level, "low": _rounded(low), "high": _rounded(high), "over": heading.over},
        "terms": score.terms.as_json(),
        "repetitions": score.repetitions,
        "empty": score.empty,
        "too_long": score.too_long,
        "timed": score.timed,
        "missing": list(score.missing),
        "empty_references": score.empty_references,
        **({"invented": score.invention.as_json()} if score.empty_references else {}),
        "rtf": asdict(heading.rtf) if heading.rtf else None,
    }


def _rounded(percent: float | None) -> float | None:
    return None if percent is None else round(percent, 4)


def write_record(folder: Path, record: Record) -> None:
    write_text(folder / SCORE, json.dumps(record, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def written(folder: Path, utterances: Iterable[ScoredUtterance]) -> Iterator[Iterator[ScoredUtterance]]:
    """The same utterances. They are written as they pass: per_utt.jsonl, ref.trn, hyp.trn and align.txt."""
    with ExitStack() as stack:
        per_utt, ref, hyp, alignment = (
            stack.enter_context(writing(folder / name)) for name in (UTTERANCES, REF, HYP, ALIGNMENT)
        )

        def passing() -> Iterator[ScoredUtterance]:
            for row in utterances:
                per_utt.write(json.dumps(utterance_row(row), ensure_ascii=False) + "\n")
                ref.write(trn_line(row.id, row.alignment.ref) + "\n")
                hyp.write(trn_line(row.id, row.alignment.hyp) + "\n")
                alignment.write(alignment_block(row.id, row.alignment) + "\n\n")
                yield row

        yield passing()


def utterance_row(row: ScoredUtterance) -> dict[str, Any]:
    """A line of per_utt.jsonl. `group` is the bootstrap's group, `part` the languages of the reference."""
    counts = asdict(row.rates["mer"])
    marks = {"missing": row.is_missing, "empty": row.is_empty, "too_long": row.is_too_long}
    said = {name: True for name, is_so in marks.items() if is_so}
    return {"id": row.id, "group": row.group, "part": row.part, **counts, "repetitions": row.repetitions, **said}


@dataclass(frozen=True)
class StoredScore:
    """A folder with a score, loaded."""

    folder: Path
    score: Score

    @property
    def signature(self) -> str:
        return self.score.signature

    def rate(self, name: str) -> ErrorRate:
        """A figure by its name: a measure, or a part of the set (`mixed`, `zh`, `en`: the MER there)."""
        return self.score.rates[name] if name in MEASURES else self.score.parts[name]

    def lacking(self) -> list[str]:
        """The missing files beside score.json that are needed for a test against another score."""
        return [shown(self.folder / name) for name in (UTTERANCES, REF, HYP) if not (self.folder / name).is_file()]

    def groups(self) -> dict[str, ErrorRate]:
        """The counts of every group of the bootstrap."""
        sums: dict[str, ErrorRate] = {}
        path = self.folder / UTTERANCES
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                group, counts = _group_and_counts(line, f"{shown(path)}:{number}")
                sums[group] = sums.get(group, ErrorRate()) + counts
        return sums

    def tokens(self, name: str) -> Iterator[tuple[str, list[str]]]:
        """The ids and words of ref.trn or hyp.trn."""
        with (self.folder / name).open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield parse_trn_line(line.rstrip("\n"))


def _group_and_counts(line: str, where: str) -> tuple[str, ErrorRate]:
    try:
        row: dict[str, Any] = json.loads(line)
        return str(row["group"]), ErrorRate(row["n"], row["s"], row["d"], row["i"])
    except (ValueError, KeyError, TypeError, AssertionError) as problem:
        raise K2DError(f"{where}: not the counts of an utterance ({problem}); run stage 12 (score) again") from problem


def read_score(folder: Path) -> StoredScore:
    """A stored score. K2DError if it cannot be parsed."""
    path = folder / SCORE
    try:
        stored = StoredScore(folder, score_of(json.loads(path.read_text(encoding="utf-8"))))
        for name in (*MEASURES, *PARTS):
            stored.rate(name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as problem:
        message = f"{shown(path)}: not a score of this toolkit ({type(problem).__name__}: {problem})"
        raise K2DError(f"{message}; run stage 12 (score) again") from problem
    return stored
