"""The cache of decoding workers' answers, kept under exp/<name>/cache/ until the unit is made.

After a crash, a rerun reads the cache and decodes only missing items. Each try at a share of items writes its own part
file, with one line for each finished item. An item that failed through its own fault also has a line, with the reason,
but a rerun tries it again. An item that failed through the machine has no line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.core.stamp import Recipe, fingerprint
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.rows import Rejected
from k2d.inference.decode_job import VERSION
from k2d.pipeline.answer_parts import part_lines
from k2d.pipeline.job import Job, Unit

FACTS = "model.json"
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """The result for an item: its hypothesis as JSON, or the reason why it failed."""

    id: str
    seconds: float
    hypothesis: Mapping[str, Any] | None
    failed: Rejected | None


def cache_of(unit: Unit[Any], job: Job) -> Path:
    """The folder with the answers for a unit until it is made. Each recipe has a folder of its own."""
    recipe = Recipe("decoding", VERSION, unit.settings, {str(n): fingerprint(p) for n, p in enumerate(unit.inputs)})
    return job.layout.answers(unit.output) / recipe.identity[:16]


def write_answer(answer: Answer) -> str:
    """A line of a part file."""
    record = {
        "s": round(answer.seconds, 4),
        "heard": answer.hypothesis,
        "failed": asdict(answer.failed) if answer.failed else None,
    }
    return f"{answer.id} {json.dumps(record, ensure_ascii=False)}\n"


def read_answers(cache: Path) -> Iterator[Answer]:
    """The answers of all part files by id, one for each id: its hypothesis, or the reason why the last try failed."""
    last: Answer | None = None
    for line in sort_lines((_with_number(number, line) for number, line in part_lines(cache)), cache):
        item_id, _, numbered = line.partition(" ")
        record = json.loads(numbered.partition(" ")[2])
        failed = Rejected(**record["failed"]) if record["failed"] else None
        answer = Answer(item_id, record["s"], record["heard"], failed)
        if last is not None and last.id != answer.id:
            yield last
            last = None
        # A hypothesis is kept, whichever try it comes from. Failures are in the order of tries, the last one counts.
        if last is None or last.hypothesis is None:
            last = answer
    if last is not None:
        yield last


def _with_number(number: int, line: str) -> str:
    """A line with its part's number after the id, for sorting."""
    item_id, _, record = line.partition(" ")
    return f"{item_id} {number:09d} {record}"


def model_facts(cache: Path) -> dict[str, Any]:
    """The model's window, size and device, as written by the worker that loaded it."""
    path = cache / FACTS
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return facts


# --- asked and answered ---


@dataclass
class _Named:
    """A number of ids, and the first of them by name, because there may be millions."""

    n: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, item_id: str) -> None:
        self.n += 1
        if self.n <= _MAX_NAMED:
            self.first.append(item_id)

    def __str__(self) -> str:
        return ", ".join([*self.first, *(["…"] if self.n > len(self.first) else [])])


def answers_to(asked: Path, cache: Path, answers: Iterable[Answer]) -> Iterator[Answer]:
    """The answers, compared with a file of the requested ids. In the end, K2DError lists the differences.

    Both are read in the order of ids, so any number of them fits in memory.
    """
    n_asked, twice, lacking, foreign = 0, _Named(), _Named(), _Named()
    waiting, last_id = iter(answers), ""
    answer = next(waiting, None)
    for item_id in sort_lines(read_lines(asked), cache):
        if item_id == last_id:
            twice.add(item_id)
            continue
        n_asked, last_id = n_asked + 1, item_id
        while answer is not None and answer.id < item_id:
            foreign.add(answer.id)
            answer = next(waiting, None)
        if answer is None or answer.id != item_id:
            lacking.add(item_id)
            continue
        yield answer
        answer = next(waiting, None)
    for other in chain([] if answer is None else [answer], waiting):
        foreign.add(other.id)
    _refuse(cache, n_asked, twice, lacking, foreign)


def _refuse(cache: Path, n_asked: int, twice: _Named, lacking: _Named, foreign: _Named) -> None:
    lines = []
    if twice.n:
        line = f"{_counted(twice.n, 'id is', 'ids are')} asked for twice: {twice}"
        lines.append(f"{line}; ids must be unique: look at the data directory with `python -m k2d data validate`")
    if lacking.n:
        line = f"{lacking.n:,} of {n_asked:,} items {'has' if lacking.n == 1 else 'have'} no answer: {lacking}"
        lost = "part files have lost lines since their workers wrote them (look at the disk)"
        lines.append(f"{line}; {lost}; run the same command again: it decodes what is missing")
    if foreign.n:
        line = f"{_counted(foreign.n, 'answer has', 'answers have')} an id that was not requested: {foreign}"
        lines.append(f"{line}; remove the folder and run the same command again: it decodes the whole set again")
    if lines:
        raise K2DError("\n  ".join([f"{shown(cache)}: the requested items and the answers differ:", *lines]))


def _counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
