"""The answers of decoding workers, kept under exp/<name>/cache/ until the unit is made.

After a crash, a rerun reads them and decodes what is missing. A worker appends a line per finished item to a part
file of its own; beside it, it says how much it has heard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from k2d.data.kaldi.external_sort import sort_lines
from k2d.data.rows import Rejected
from k2d.stages.job import Job, Unit
from k2d.stages.work import VERSION
from k2d.stamp import Recipe, fingerprint

FACTS = "model.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an item: the JSON of what was heard, or why it failed."""

    id: str
    seconds: float
    heard: Mapping[str, Any] | None
    failed: Rejected | None


def cache_of(unit: Unit, job: Job) -> Path:
    """Where the answers for a unit are kept until it is made: another place for every other way to make it."""
    recipe = Recipe("decoding", VERSION, unit.settings, {str(n): fingerprint(p) for n, p in enumerate(unit.inputs)})
    return job.places.exp / "cache" / unit.output.relative_to(job.places.exp) / recipe.identity[:16]


def set_of_finished(cache: Path) -> frozenset[str]:
    """Ids that some part file has an answer for."""
    return frozenset(line.partition(" ")[0] for line in _lines(cache))


def read_answers(cache: Path) -> Iterator[Answer]:
    """The answers of all part files by id, each once."""
    last = ""
    for line in sort_lines(_lines(cache), cache):
        item_id, _, text = line.partition(" ")
        if item_id != last:
            yield _parsed(item_id, json.loads(text))
        last = item_id


def model_facts(cache: Path) -> dict[str, Any]:
    """What the worker that loaded the model said of it: its window, size and device."""
    path = cache / FACTS
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return facts


def part_of(cache: Path, number: int) -> Path:
    """A part file by its number."""
    return cache / f"part-{number:06d}.lines"


def first_free_part(cache: Path) -> int:
    """Above all that are there: a part that a killed worker left may end in half a line, and is never gone on with."""
    numbers = (int(part.stem.split("-")[1]) for part in cache.glob("part-*.lines"))
    return max(numbers, default=-1) + 1


def write_answer(answer: Answer) -> str:
    """A line of a part file."""
    record = {
        "s": round(answer.seconds, 4),
        "heard": answer.heard,
        "failed": asdict(answer.failed) if answer.failed else None,
    }
    return f"{answer.id} {json.dumps(record, ensure_ascii=False)}\n"


def _parsed(item_id: str, record: Mapping[str, Any]) -> Answer:
    failed = record["failed"]
    return Answer(item_id, record["s"], record["heard"], Rejected(**failed) if failed else None)


def _lines(cache: Path) -> Iterator[str]:
    """Whole lines only: a worker that was killed may have left half of one."""
    for part in sorted(cache.glob("part-*.lines")):
        with part.open(encoding="utf-8", newline="\n", errors="replace") as file:
            yield from (line[:-1] for line in file if line.endswith("\n"))


def heard_s(cache: Path) -> float:
    """Seconds of audio that the workers have heard by now."""
    return sum(float(path.read_text() or 0) for path in cache.glob("*.heard"))
