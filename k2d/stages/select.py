"""Stage 8: compute the distances between two opinions on every chunk once; each method keeps what its rule allows.

`select/distances/<auxiliary>/` is used by all methods and every α. `select/<method>/` has the chunks that the method
keeps (data directories), its decision on every chunk, and the record of both.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from k2d.config.schema import Method, Select
from k2d.core.atomic import write_text
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import KEPT, PROJECT_ROOT, RECORD, shown
from k2d.data.kaldi.external_sort import sort_lines
from k2d.pipeline.job import Counts, Job, Unit
from k2d.score.label_errors import TRUTH_TABLES, errors_of_labels
from k2d.score.scoring import Conventions
from k2d.select import controls
from k2d.select.chunk_reader import Chunks
from k2d.select.chunk_row import ALIGNMENT, ChunkRow, Decision, with_alignment
from k2d.select.controls import VERSION as CONTROLS_VERSION
from k2d.select.distance_workers import Keeping, measured_lines
from k2d.select.distances import VERSION as MEASURING_VERSION
from k2d.select.distances import WHAT_IS_NEW, Comparer
from k2d.select.labels import VERSION as LABELS_VERSION
from k2d.select.labels import Label, label_rules, objection
from k2d.select.metrics import Measuring
from k2d.select.record import SelectionTally
from k2d.select.rules import ESTIMATED_ERROR, RULES, judge
from k2d.select.table_files import (
    ALIGNMENTS,
    DECISIONS,
    DISTANCES,
    read_alignments,
    read_distances,
    write_decisions,
    write_distances,
)
from k2d.study.estimating import VERSION as ESTIMATE_VERSION
from k2d.study.estimating import decisions_by_estimate, demand_labelled, estimated_errors
from k2d.study.gathering import facts_about, gather

VERSION = 1

TEACHER_ALONE = "_teacher_alone"  # stands for an auxiliary if there is none; an auxiliary cannot have this name


@dataclass(frozen=True, slots=True)
class ChunkDistances:
    """The distances between the labels of all chunks and an auxiliary's opinions on them."""

    auxiliary: str
    measuring: Measuring

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "auxiliary": self.auxiliary,
            "measuring": asdict(self.measuring),
            "measuring_version": f"{MEASURING_VERSION}: {WHAT_IS_NEW}",
        }


@dataclass(frozen=True, slots=True)
class KeptChunks:
    """The chunks that a method keeps."""

    method: str
    rule: str
    alpha: float
    auxiliary: str
    also: tuple[str, ...]
    measuring: Measuring
    """How the distances were measured. They are an input, whose stamp has these settings."""

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "rule": self.rule,
            "alpha": self.alpha,
            "auxiliary": self.auxiliary,
            "also": list(self.also),
            "also_version": LABELS_VERSION if self.also else None,
        }


@dataclass(frozen=True, slots=True)
class ControlChunks:
    """The chunks that a control keeps: as many hours as another method."""

    method: str
    rule: str
    hours_of: str
    draw: int
    auxiliary: str
    """Its table of distances is read for what it says of the chunks."""
    conventions: Conventions
    """How the oracle counts errors."""

    @property
    def settings(self) -> dict[str, Any]:
        counting = {"normaliser": self.conventions.normaliser.signature, "tokens": self.conventions.tokens}
        return {
            "method": self.method,
            "rule": self.rule,
            "hours_of": self.hours_of,
            **({"draw": self.draw} if self.rule == "random" else counting),
            "control_version": CONTROLS_VERSION,
        }


@dataclass(frozen=True, slots=True)
class EstimatedChunks:
    """The chunks whose labels have an estimated error below a limit."""

    method: str
    max_error: float
    fit: tuple[str, ...]
    """The splits on whose truth the model is fitted. None: no truth is used."""
    auxiliaries: tuple[str, ...]
    conventions: Conventions
    """How the errors of the splits to fit on are counted, and how labels are normalised."""

    @property
    def rule(self) -> str:
        return ESTIMATED_ERROR

    @property
    def auxiliary(self) -> str:
        """Its table of distances is read for what it says of the chunks."""
        return self.auxiliaries[0]

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "rule": self.rule,
            "max_error": self.max_error,
            "fit": list(self.fit),
            "auxiliaries": list(self.auxiliaries),
            "normaliser": self.conventions.normaliser.signature,
            "tokens": self.conventions.tokens,
            "estimate_version": ESTIMATE_VERSION,
        }


Content = ChunkDistances | KeptChunks | ControlChunks | EstimatedChunks
Selecting = KeptChunks | ControlChunks | EstimatedChunks


def units(job: Job) -> list[Unit[Content]]:
    """The distances to every auxiliary, then the kept chunks of every method, and last those of the controls."""
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
    return [
        *(_distances_unit(auxiliary, job) for auxiliary in _auxiliaries(job)),
        *(_method_or_estimate(name, method, job) for name, method in methods.items() if not method.is_control),
        *(_control_unit(name, method, job) for name, method in methods.items() if method.is_control),
    ]


def make(unit: Unit[Content], job: Job, folder: Path) -> Counts:
    """Measure the distances of all chunks to one auxiliary, or decide on the chunks with one method."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder)))
        splits = sorted(job.config.corpora.unlabelled, key=lambda split: f"{split}/")  # all ids are then in order
        chunks = [Chunks(split, job.layout.chunks(split), scratch / str(n)) for n, split in enumerate(splits)]
        if isinstance(unit.content, ChunkDistances):
            return _measure_chunks(unit.content, job, chunks, folder)
        return _keep_chunks(unit.content, job, chunks, folder)


# --- units ---


def _auxiliaries(job: Job) -> list[str]:
    return list(job.config.auxiliaries) or [TEACHER_ALONE]


def _opinion(auxiliary: str, split: str, job: Job) -> Path | None:
    return None if auxiliary == TEACHER_ALONE else job.layout.opinions(auxiliary, split) / "text"


def _distances_unit(auxiliary: str, job: Job) -> Unit[Content]:
    splits = job.config.corpora.unlabelled
    opinions = (_opinion(auxiliary, split, job) for split in splits)
    inputs = [*(job.layout.chunks(split) for split in splits), *(path for path in opinions if path is not None)]
    if job.config.select.lexicon:
        inputs.append(PROJECT_ROOT / job.config.select.lexicon)
    content = ChunkDistances(auxiliary, _measuring(job.config.select))
    return Unit(job.layout.distances(auxiliary), content, tuple(inputs))


def _method_or_estimate(name: str, method: Method, job: Job) -> Unit[Content]:
    return (_estimate_unit if method.rule == ESTIMATED_ERROR else _method_unit)(name, method, job)


def _estimate_unit(name: str, method: Method, job: Job) -> Unit[Content]:
    layout, select, splits = job.layout, job.config.select, job.config.corpora.unlabelled
    limit = select.max_error if method.alpha is None else method.alpha
    content = EstimatedChunks(name, limit, select.fit, tuple(job.config.auxiliaries), Conventions.of(job.config.score))
    aligning = [auxiliary for auxiliary, each in job.config.auxiliaries.items() if each.alignment]
    inputs = (
        *(layout.distances(auxiliary) for auxiliary in content.auxiliaries),
        *(layout.alignments(auxiliary, split) for auxiliary in aligning for split in splits),
        *(layout.chunks(split) for split in splits),
        *(layout.pseudo_labels(split) for split in splits),
        *(layout.truth(split) / table for split in select.fit for table in TRUTH_TABLES),
    )
    return Unit(layout.selection(name), content, inputs)


def _method_unit(name: str, method: Method, job: Job) -> Unit[Content]:
    select = job.config.select
    auxiliary = method.auxiliary or _auxiliaries(job)[0]
    alpha = select.alpha if method.alpha is None else method.alpha
    content = KeptChunks(name, method.rule, alpha, auxiliary, method.also, _measuring(select))
    splits = job.config.corpora.unlabelled
    chunks = (job.layout.chunks(split) for split in splits)
    aligned = (job.layout.alignments(auxiliary, split) for split in splits if method.rule == ALIGNMENT)
    return Unit(job.layout.selection(name), content, (job.layout.distances(auxiliary), *chunks, *aligned))


def _control_unit(name: str, control: Method, job: Job) -> Unit[Content]:
    assert control.hours_of is not None, "the config refuses it"
    splits = job.config.corpora.unlabelled
    auxiliary = job.config.select.methods[control.hours_of].auxiliary or _auxiliaries(job)[0]
    content = ControlChunks(
        name, control.rule, control.hours_of, control.draw, auxiliary, Conventions.of(job.config.score)
    )
    truth = [job.layout.truth(split) / table for split in splits for table in TRUTH_TABLES]
    chunks = (job.layout.chunks(split) for split in splits)
    inputs = (
        job.layout.distances(auxiliary),
        job.layout.selection(control.hours_of),
        *chunks,
        *(truth if control.rule == "oracle" else ()),
    )
    return Unit(job.layout.selection(name), content, inputs)


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


def _measure_chunks(asked: ChunkDistances, job: Job, chunks: list[Chunks], folder: Path) -> Counts:
    auxiliary = asked.auxiliary
    total = sum(each.n_chunks for each in chunks)
    pairs = (pair for each in chunks for pair in each.pairs(_opinion(auxiliary, each.split, job)))
    cache = job.layout.cache  # only saves time
    keeping = Keeping(guesses=cache / "phonemes", blocks=cache / "distances" / auxiliary)
    lines = measured_lines(pairs, asked.measuring, nj=job.nj, total=total, keeping=keeping)
    n_rows = write_distances(folder / DISTANCES, sort_lines(lines, chunks[0].scratch))
    shutil.rmtree(cache / "distances" / auxiliary, ignore_errors=True)
    return Counts(total, n_rows, {}, "chunks")


# --- methods and controls ---


def _keep_chunks(asked: Selecting, job: Job, chunks: list[Chunks], folder: Path) -> Counts:
    tally = SelectionTally()
    rows = read_distances(job.layout.distances(asked.auxiliary) / DISTANCES)
    with ExitStack() as stack:
        kept = {each.split: stack.enter_context(each.kept_ids.open("w", encoding="utf-8")) for each in chunks}

        def decisions() -> Iterator[Decision]:
            course_of = {each.split: each.courses() for each in chunks}
            for row, decision in zip(rows, _decisions(asked, job, chunks), strict=True):
                assert decision.id == row.id, f"the distances are of {row.id}, the decision is on {decision.id}"
                tally.add(row, decision.reason, course_of[row.split](row.chunk_id, row.recording))
                if not decision.reason:
                    kept[row.split].write(f"{row.chunk_id}\n")
                yield decision

        write_decisions(folder / DECISIONS, decisions())
    if not tally.all.kept.n_chunks and not job.config.select.allow_empty:
        raise K2DError(_nothing_kept(tally, asked))
    for each in chunks:
        each.write_kept(folder / KEPT / each.split)
    record = {**_record(asked, job), **tally.as_json()}
    write_text(folder / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return Counts(tally.all.total.n_chunks, tally.all.kept.n_chunks, tally.n_dropped(), "chunks")


def _decisions(asked: Selecting, job: Job, chunks: list[Chunks]) -> Iterator[Decision]:
    """The decision on each chunk, by id."""
    table = job.layout.distances(asked.auxiliary) / DISTANCES
    if isinstance(asked, KeptChunks):
        rows = read_distances(table)
        return _by_rule(
            asked, _aligned(rows, asked.auxiliary, job, chunks) if asked.rule == ALIGNMENT else rows, chunks
        )
    if isinstance(asked, EstimatedChunks):
        return _by_estimate(asked, read_distances(table), job, chunks)
    rank = controls.drawn(asked.draw) if asked.rule == "random" else _true_error(asked, job, chunks)
    record = json.loads((job.layout.selection(asked.hours_of) / RECORD).read_text(encoding="utf-8"))
    wanted_s = 3600 * float(record["kept"]["hours"])
    return controls.decisions(lambda: read_distances(table), rank, wanted_s, controls.REASONS[asked.rule])


def _aligned(rows: Iterator[ChunkRow], auxiliary: str, job: Job, chunks: list[Chunks]) -> Iterator[ChunkRow]:
    """The rows with their distances by alignment. Both are in the order of ids."""
    for each in chunks:
        path = job.layout.alignments(auxiliary, each.split) / ALIGNMENTS
        for found in read_alignments(path):
            row = next(rows, None)
            if row is None or row.id != f"{each.split}/{found.chunk_id}":
                expected = "no further chunk" if row is None else row.id
                message = f"{shown(path)}: found {found.chunk_id}, expected {expected}, as in the distances"
                raise K2DError(f"{message}; run stages 7 and 8 again")
            yield with_alignment(row, found.distance)
    if (row := next(rows, None)) is not None:
        path = job.layout.alignments(auxiliary, row.split) / ALIGNMENTS
        raise K2DError(f"{shown(path)}: {row.chunk_id} is missing, which the distances have; run stages 7 and 8 again")


def _by_rule(asked: KeptChunks, rows: Iterator[ChunkRow], chunks: list[Chunks]) -> Iterator[Decision]:
    rule, alpha, also = RULES[asked.rule], asked.alpha, label_rules(asked.also)
    normalise = Comparer(asked.measuring).normalise
    known = (label for each in chunks for label in each.labels(normalise))
    labels: Iterator[Label | None] = known if also else repeat(None)
    for row, label in zip(rows, labels, strict=bool(also)):
        distance, reason = judge(row.distances, rule, alpha)
        if label is not None and not reason:
            assert label.id == row.id, f"the distances are of {row.id}, the label of {label.id}"
            reason = objection(label, also)
        yield Decision(row.id, reason, distance)


def _by_estimate(
    asked: EstimatedChunks, rows: Iterator[ChunkRow], job: Job, chunks: list[Chunks]
) -> Iterator[Decision]:
    labelled = []
    if asked.fit:
        labelled = gather({split: job.layout.truth(split) for split in asked.fit}, job.config, job.layout).chunks
        demand_labelled(labelled, asked.fit)
    facts = facts_about([each.split for each in chunks], job.config, job.layout)
    return decisions_by_estimate(rows, estimated_errors(facts, labelled), asked.max_error)


def _true_error(asked: ControlChunks, job: Job, chunks: list[Chunks]) -> controls.Rank:
    """The true error rate of each label. Where nothing was spoken, each word of the label counts as a whole error."""
    errors = (
        errors_of_labels(each.split, each.folder, job.layout.truth(each.split), asked.conventions) for each in chunks
    )
    rate_of = {key: found.errors / max(found.n, 1) for key, found in chain.from_iterable(errors)}
    return lambda row: rate_of[row.id]


def _nothing_kept(tally: SelectionTally, asked: Selecting) -> str:
    dropped = ", ".join(f"{reason} {n:,}" for reason, n in tally.n_dropped().items()) or "none"
    if isinstance(asked, EstimatedChunks):
        how = f"max_error {asked.max_error:g}"
    else:
        how = f"alpha {asked.alpha:g}" if isinstance(asked, KeptChunks) else f"the hours of {asked.hours_of}"
    found = f"the method {asked.method} (rule {asked.rule}, {how}) keeps nothing"
    remedy = (
        "look at the distances (python -m k2d select --sweep 0.1:0.9:0.1), or continue with select.allow_empty=true"
    )
    return f"{found} of {tally.all.total.n_chunks:,} chunks: dropped {dropped}; {remedy}"


def _record(asked: Selecting, job: Job) -> dict[str, Any]:
    """The record without its sums."""
    measuring = _measuring(job.config.select)
    record: dict[str, Any] = {"method": asked.method, "rule": asked.rule, "alpha": None, "auxiliary": None, "also": []}
    signature = Comparer(measuring).signature
    if isinstance(asked, EstimatedChunks):
        learnt = ",".join(asked.fit) or "no truth"
        signature = f"k2d-estimate:{ESTIMATE_VERSION}|fit:{learnt}|of:{','.join(asked.auxiliaries)}|{signature}"
        limit = {"alpha": asked.max_error, "fit": list(asked.fit)}
        return {**record, **limit, "settings": asdict(measuring), "signature": signature}
    if isinstance(asked, ControlChunks):
        which = {"hours_of": asked.hours_of, "draw": asked.draw if asked.rule == "random" else None}
        signature = f"k2d-control:{CONTROLS_VERSION}|{asked.rule}|hours of {asked.hours_of}|{signature}"
        return {**record, **which, "settings": asdict(measuring), "signature": signature}
    return {
        **record,
        "alpha": asked.alpha,
        "auxiliary": None if asked.auxiliary == TEACHER_ALONE else asked.auxiliary,
        "also": list(asked.also),
        "settings": asdict(asked.measuring),
        "signature": f"{signature}|also:{LABELS_VERSION}" if asked.also else signature,
    }
