"""Decoding in worker processes for stages 5, 7 and 11: what is decoded once is never decoded again.

Workers append a line per finished item to part files under exp/<name>/cache/. After a crash, a rerun reads them and
decodes what is missing. Which worker decodes what, and with whom in a batch, decides nothing.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from k2d.config.fields import ComputeType
from k2d.config.schema import Recogniser
from k2d.crew import Crew
from k2d.data.kaldi.external_sort import sort_lines
from k2d.data.rows import Rejected
from k2d.faults import K2DError
from k2d.progress import Progress
from k2d.stages.job import Job, Unit
from k2d.stamp import Recipe, fingerprint
from k2d.workers import Outcome

VERSION = 1  # of the decoder: raised when the same settings would give another text

MAX_SHARE = 64
"""Items that a worker gets at once, in batches."""
CLIPS_PER_SHARE = 512
POLL_S = 1.0
FACTS = "model.json"


@dataclass(frozen=True, slots=True)
class LoopTest:
    """The n-gram test of selection, as a worker applies it."""

    ngram: int
    count: int
    script: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What is decoded by which model and how; alike for all shares."""

    model: Path
    family: str
    languages: tuple[str, ...]
    options: Mapping[str, Any]
    """Fields of k2d.decode.options.Options."""
    precision: str
    loop: LoopTest | None
    clips: bool = False
    """The items are clips, one window each, not recordings."""
    compute_type: ComputeType | None = None
    """Of CTranslate2, in whose converted form the model then decodes; None: torch."""

    @property
    def engine(self) -> str:
        return "torch" if self.compute_type is None else f"ctranslate2-{version('ctranslate2')}"

    @property
    def numbers(self) -> str:
        """What it computes in."""
        return self.precision if self.compute_type is None else f"{self.compute_type} (ctranslate2)"


@dataclass(frozen=True, slots=True)
class Item:
    """A recording, or a clip of one."""

    id: str
    audio: str
    start_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None

    @property
    def length_s(self) -> float:
        if self.start_s is not None and self.end_s is not None:
            return self.end_s - self.start_s
        return self.duration_s or 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker gets at once, and the part file that it writes."""

    work: Work
    part: Path
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """A stretch of a set to be decoded several times for the time it takes."""

    work: Work
    items: tuple[Item, ...]
    """Recordings, or stretches of them, in the order of their ids."""
    batch_size: int
    n_runs: int
    n_threads: int


Task = Share | Speed
Answered = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a worker works."""

    device: str
    threads: int


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


def work_of(model: str, recogniser: Recogniser, job: Job, *, clips: bool = False, **options: Any) -> Work:
    """How the config wants a model to decode; `options` are added to what the section `decode` says."""
    decode, select = job.config.decode, job.config.select
    loop = LoopTest(select.ngram, select.ngram_count, select.script, select.steps) if decode.stop_loops else None
    chosen = {
        "batch_size": decode.batch_size,
        "beam": decode.beam,
        "max_tokens": decode.max_tokens,
        "min_advance_s": decode.min_advance_s,
        "condition_on_previous_text": decode.condition_on_previous_text,
        "silence_threshold": decode.silence_threshold,
        "temperatures": decode.temperatures,
        "compression_ratio_threshold": decode.compression_ratio_threshold,
        "logprob_threshold": decode.logprob_threshold,
        "languages": recogniser.language,
        **options,
    }
    if chosen.get("mode") == "joint":
        chosen["ctc_weight"] = decode.ctc_weight
    folder = job.places.exp / "models" / model
    compute_type = decode.compute_type if decode.engine == "ctranslate2" else None
    return Work(folder, recogniser.family, recogniser.language, chosen, decode.precision, loop, clips, compute_type)


def longform_work(model: str, recogniser: Recogniser, job: Job) -> Work:
    """How a model hears whole recordings: one that is decoded by CTC has no timestamps to move on by."""
    return work_of(model, recogniser, job, mode=recogniser.decode, timestamps=recogniser.decode != "ctc")


def settings_of_work(work: Work) -> dict[str, Any]:
    """What of it decides the result: for the stamp. The batch does not."""
    settings = asdict(work)
    for other in ("model", "languages"):  # an input of the unit; part of the options
        del settings[other]
    if work.compute_type is None:
        del settings["compute_type"]
    else:
        settings["engine"] = work.engine
    settings["options"] = {name: value for name, value in work.options.items() if name != "batch_size"}
    return settings


def decode_items(work: Work, items: Iterable[Item], cache: Path, job: Job, label: str) -> Iterator[Answer]:
    """Decode what `cache` does not have yet, then yield every answer by id."""
    cache.mkdir(parents=True, exist_ok=True)
    finished = set_of_finished(cache)
    wanted = [item for item in items if item.id not in finished]
    if wanted:
        _make_ready(work)
        crew = _crew(*_seats(job))
        with _showing(cache, label, sum(item.length_s for item in wanted)):
            outcomes = crew.map(_shares(work, wanted, cache, crew.size))
            deaths = [outcome for outcome in outcomes if outcome.error and _reason(outcome)]
            _one_by_one(deaths, crew, cache)
    yield from read_answers(cache)


def _make_ready(work: Work) -> None:
    """What workers must find: the model in its engine's form."""
    if work.compute_type is not None:
        from k2d.stages.engine import convert

        convert(work.model, work.compute_type)


def measure_speed(speed: Speed, job: Job) -> dict[str, Any] | None:
    """Decode the same stretch of audio several times, alone on the machine: a timing.json; None without audio."""
    _make_ready(speed.work)
    outcome = next(_crew(*_seats(job)).map([speed]))
    if outcome.error:
        raise K2DError(f"{speed.work.model.name}: measuring its speed failed: {_reason(outcome)}")
    return outcome.value


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


# --- workers ---


def _seats(job: Job) -> tuple[Seat, ...]:
    cores = len(os.sched_getaffinity(0))
    if job.ngpu:
        return tuple(Seat(f"cuda:{n}", max(1, cores // job.ngpu)) for n in range(job.ngpu))
    return (Seat("cpu", max(1, cores // job.nj)),) * job.nj


@lru_cache(maxsize=1)
def _crew(*seats: Seat) -> Crew[Seat, Task, Answered]:
    """The workers; they stay for all units of a stage, as a worker takes ten seconds to import its libraries."""
    from k2d.stages.decoding_worker import do

    return Crew(do, seats)


def _shares(work: Work, items: list[Item], cache: Path, n_workers: int) -> Iterator[Share]:
    number = len(list(cache.glob("part-*.lines")))
    for dealt in _dealt_clips(items, n_workers) if work.clips else _dealt(items, n_workers):
        yield Share(work, cache / f"part-{number:06d}.lines", dealt)
        number += 1


def _dealt(items: list[Item], n_workers: int) -> list[tuple[Item, ...]]:
    """Recordings, longest first, dealt like cards: every worker gets as much to do, and long ones together."""
    if not items:
        return []
    ordered = sorted(items, key=lambda item: (-item.length_s, item.id))
    n_shares = min(n_workers * -(-len(items) // (n_workers * MAX_SHARE)), len(items))
    return [tuple(ordered[n::n_shares]) for n in range(n_shares)]


def _dealt_clips(items: list[Item], n_workers: int) -> Iterator[tuple[Item, ...]]:
    """Clips in their order, so that those of one recording stay together."""
    size = max(1, min(CLIPS_PER_SHARE, -(-len(items) // n_workers)))
    queue = iter(items)
    while dealt := tuple(islice(queue, size)):
        yield dealt


def _one_by_one(deaths: list[Outcome[Task, Answered]], crew: Crew[Seat, Task, Answered], cache: Path) -> None:
    """After workers died: what they had not finished again, each item alone; one that kills again is the culprit."""
    finished = set_of_finished(cache)
    left = [
        replace(share, part=_beside(share.part, f"{n:04d}"), items=(item,))
        for share in (death.item for death in deaths if isinstance(death.item, Share))
        for n, item in enumerate(share.items)
        if item.id not in finished
    ]
    for again in crew.map(left):
        share = again.item
        if again.error and isinstance(share, Share):
            item = share.items[0]
            failed = Rejected(item.id, "decoder_failed", _reason(again), item.audio)
            with _beside(share.part, "failed").open("w", encoding="utf-8") as file:
                file.write(write_answer(Answer(item.id, 0.0, None, failed)))


def _reason(outcome: Outcome[Task, Answered]) -> str:
    """Why a worker has no answer; what it raised is raised here, because it is not the item's fault."""
    if outcome.exception is None:
        return outcome.error
    logging.getLogger("k2d.file").error("in a worker: %s", outcome.error)
    if isinstance(outcome.exception, K2DError):
        raise outcome.exception
    raise RuntimeError(f"a decoding worker failed: {outcome.error}") from outcome.exception


def _beside(part: Path, mark: str) -> Path:
    return part.with_name(f"{part.stem}-{mark}{part.suffix}")


# --- progress ---


@contextmanager
def _showing(cache: Path, label: str, total_s: float) -> Iterator[None]:
    """Show how many minutes of audio the workers have heard, which they write beside their parts."""
    over = threading.Event()

    def watch() -> None:
        with Progress(label, total_s / 60, "min of audio") as progress:
            while not over.wait(POLL_S):
                progress.update(min(_heard_s(cache), total_s) / 60 - progress.done)

    for old in cache.glob("*.heard"):
        old.unlink()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _heard_s(cache: Path) -> float:
    return sum(float(path.read_text() or 0) for path in cache.glob("*.heard"))
