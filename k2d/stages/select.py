"""Stage 8: two opinions on every chunk become distances, once; each method keeps what its rule allows.

`select/distances/<auxiliary>/` serves all methods and every α. `select/<method>/` holds what the method keeps (data
directories), its decision on every chunk, and the record of both.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import Any

from k2d.config.schema import Method, Select
from k2d.core.atomic import write_text
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import KEPT, PROJECT_ROOT, RECORD
from k2d.data.kaldi.external_sort import sort_lines
from k2d.pipeline.job import Counts, Job, Unit
from k2d.select.chunk_reader import Chunks
from k2d.select.chunk_row import ChunkRow, Decision
from k2d.select.distance_workers import Keeping, measured_lines
from k2d.select.distances import VERSION as MEASURING_VERSION
from k2d.select.distances import WHAT_IS_NEW, Comparer
from k2d.select.labels import VERSION as LABELS_VERSION
from k2d.select.labels import Label, label_rules, objection
from k2d.select.metrics import Measuring
from k2d.select.record import SelectionTally
from k2d.select.rules import RULES, judge
from k2d.select.table_files import DECISIONS, DISTANCES, read_distances, write_decisions, write_distances

VERSION = 1

TEACHER_ALONE = "_teacher_alone"  # in place of an auxiliary where there is none; no auxiliary can have this name


def units(job: Job) -> list[Unit]:
    """The distances to every auxiliary, then what every method keeps."""
    methods = job.config.select.methods
    if not job.config.corpora.unlabelled:
        if not methods:
            return []
        raise UsageError("corpora.unlabelled: found no split, expected at least one for select.methods to choose from")
    for name, method in methods.items():
        try:
            label_rules(method.also)
        except UsageError as error:
            raise UsageError(f"select.methods.{name}.{error}") from None
    distances = [_distances_unit(auxiliary, job) for auxiliary in _auxiliaries(job)]
    return [*distances, *(_method_unit(name, method, job) for name, method in methods.items())]


def make(unit: Unit, job: Job, folder: Path) -> Counts:
    """Measure all chunks against one auxiliary, or decide on them by one method."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder)))
        splits = sorted(job.config.corpora.unlabelled, key=lambda split: f"{split}/")  # so that all ids are in order
        chunks = [Chunks(split, _chunks_folder(split, job), scratch / str(n)) for n, split in enumerate(splits)]
        what = _make_distances if "measuring" in unit.settings else _make_method
        return what(unit, job, chunks, folder)


# --- units ---


def _auxiliaries(job: Job) -> list[str]:
    return list(job.config.auxiliaries) or [TEACHER_ALONE]


def _chunks_folder(split: str, job: Job) -> Path:
    return job.layout.chunks(split)


def _opinion(auxiliary: str, split: str, job: Job) -> Path | None:
    return None if auxiliary == TEACHER_ALONE else job.layout.opinions(auxiliary, split) / "text"


def _distances_folder(auxiliary: str, job: Job) -> Path:
    return job.layout.distances(auxiliary)


def _distances_unit(auxiliary: str, job: Job) -> Unit:
    splits = job.config.corpora.unlabelled
    settings = {
        "auxiliary": auxiliary,
        "measuring": asdict(_measuring(job.config.select)),
        "measuring_version": f"{MEASURING_VERSION}: {WHAT_IS_NEW}",
    }
    opinions = (_opinion(auxiliary, split, job) for split in splits)
    inputs = [*(_chunks_folder(split, job) for split in splits), *(path for path in opinions if path is not None)]
    if job.config.select.lexicon:
        inputs.append(PROJECT_ROOT / job.config.select.lexicon)
    return Unit(_distances_folder(auxiliary, job), settings, tuple(inputs))


def _method_unit(name: str, method: Method, job: Job) -> Unit:
    select = job.config.select
    auxiliary = method.auxiliary or _auxiliaries(job)[0]
    settings = {
        "method": name,
        "rule": method.rule,
        "alpha": select.alpha if method.alpha is None else method.alpha,
        "auxiliary": auxiliary,
        "also": list(method.also),
        "also_version": LABELS_VERSION if method.also else None,
    }
    chunks = (_chunks_folder(split, job) for split in job.config.corpora.unlabelled)
    return Unit(job.layout.selection(name), settings, (_distances_folder(auxiliary, job), *chunks))


def _measuring(select: Select) -> Measuring:
    return Measuring(
        ngram=select.ngram,
        ngram_count=select.ngram_count,
        denominator=select.denominator,
        empty_validator_distance=select.empty_validator_distance,
        script=select.script,
        out_of_vocabulary=select.out_of_vocabulary,
        steps=select.steps,
        lexicon=select.lexicon,
    )


# --- distances ---


def _make_distances(unit: Unit, job: Job, chunks: list[Chunks], folder: Path) -> Counts:
    auxiliary = str(unit.settings["auxiliary"])
    total = sum(each.n_chunks for each in chunks)
    pairs = (pair for each in chunks for pair in each.pairs(_opinion(auxiliary, each.split, job)))
    cache = job.layout.cache  # saves time and decides nothing
    keeping = Keeping(guesses=cache / "phonemes", blocks=cache / "distances" / auxiliary)
    lines = measured_lines(pairs, _measuring(job.config.select), nj=job.nj, total=total, keeping=keeping)
    n_rows = write_distances(folder / DISTANCES, sort_lines(lines, chunks[0].scratch))
    shutil.rmtree(cache / "distances" / auxiliary, ignore_errors=True)
    return Counts(total, n_rows, {}, "chunks")


# --- methods ---


def _make_method(unit: Unit, job: Job, chunks: list[Chunks], folder: Path) -> Counts:
    settings, tally = unit.settings, SelectionTally()
    with ExitStack() as stack:
        kept = {each.split: stack.enter_context(each.kept_ids.open("w", encoding="utf-8")) for each in chunks}

        def decisions() -> Iterator[Decision]:
            course_of = {each.split: each.courses() for each in chunks}
            for row, decision in _decided(settings, job, chunks):
                tally.add(row, decision.reason, course_of[row.split](row.chunk_id, row.recording))
                if not decision.reason:
                    kept[row.split].write(f"{row.chunk_id}\n")
                yield decision

        write_decisions(folder / DECISIONS, decisions())
    if not tally.all.kept.n_chunks and not job.config.select.allow_empty:
        raise K2DError(_nothing_kept(tally, settings))
    for each in chunks:
        each.write_kept(folder / KEPT / each.split)
    write_text(folder / RECORD, json.dumps(_record(settings, tally, job), ensure_ascii=False, indent=1) + "\n")
    return Counts(tally.all.total.n_chunks, tally.all.kept.n_chunks, tally.n_dropped(), "chunks")


def _decided(settings: Mapping[str, Any], job: Job, chunks: list[Chunks]) -> Iterator[tuple[ChunkRow, Decision]]:
    """Each chunk with the decision on it, by id."""
    rule, alpha, also = RULES[settings["rule"]], settings["alpha"], label_rules(settings["also"])
    rows = read_distances(_distances_folder(settings["auxiliary"], job) / DISTANCES)
    normalise = Comparer(_measuring(job.config.select)).normalise
    known = (label for each in chunks for label in each.labels(normalise))
    labels: Iterator[Label | None] = known if also else repeat(None)
    for row, label in zip(rows, labels, strict=bool(also)):
        distance, reason = judge(row.distances, rule, alpha)
        if label is not None and not reason:
            assert label.id == row.id, f"the distances are of {row.id}, the label of {label.id}"
            reason = objection(label, also)
        yield row, Decision(row.id, reason, distance)


def _nothing_kept(tally: SelectionTally, settings: Mapping[str, Any]) -> str:
    dropped = ", ".join(f"{reason} {n:,}" for reason, n in tally.n_dropped().items()) or "none"
    found = f"the method {settings['method']} (rule {settings['rule']}, alpha {settings['alpha']:g}) keeps nothing"
    remedy = "look at the distances (python -m k2d select --sweep 0.1:0.9:0.1), or go on with select.allow_empty=true"
    return f"{found} of {tally.all.total.n_chunks:,} chunks: dropped {dropped}; {remedy}"


def _record(settings: Mapping[str, Any], tally: SelectionTally, job: Job) -> dict[str, Any]:
    measuring = _measuring(job.config.select)
    signature = Comparer(measuring).signature
    auxiliary = settings["auxiliary"]
    return {
        **{key: settings[key] for key in ("method", "rule", "alpha")},
        "auxiliary": None if auxiliary == TEACHER_ALONE else auxiliary,
        "also": settings["also"],
        "settings": asdict(measuring),
        "signature": f"{signature}|also:{LABELS_VERSION}" if settings["also"] else signature,
        **tally.as_json(),
    }
