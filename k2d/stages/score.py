"""Stage 12: compare hypotheses with references, and the distances of selection with the truth."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from k2d.config import Config, settings_of
from k2d.config.schema import Score as ScoreConfig
from k2d.core.atomic import write_text
from k2d.core.errors import K2DError, MissingInput
from k2d.core.layout import SCORED_ROLES, TEACHER, VALIDATOR, shown
from k2d.data.chunk_sources import FILE as SOURCES
from k2d.inference.decode_job import compute_type_of
from k2d.pipeline.job import Counts, Job, Unit
from k2d.score.confidence import Draws
from k2d.score.label_errors import TRUTH_TABLES, errors_of_labels
from k2d.score.rates import ErrorRate
from k2d.score.scored_files import Task, score_files
from k2d.score.scoring import Conventions
from k2d.score.signature import settings_digest
from k2d.score.store import CTC_ROW
from k2d.score.text_files import TABLES_BESIDE
from k2d.score.timing import TIMING, summed
from k2d.score.timing_files import read_timing
from k2d.score.validator import JudgedChunk, study
from k2d.select.chunk_row import ChunkRow
from k2d.select.table_files import read_distances

VERSION = 3  # 3: the recall of English terms

log = logging.getLogger("k2d")


@dataclass(frozen=True, slots=True)
class SystemScore:
    """The score of a system on a set."""

    system: str
    set: str
    role: str
    config: Config
    decode: str
    """The settings of decoding as text, for the signature."""

    @property
    def settings(self) -> dict[str, Any]:
        score = settings_of(self.config.score)
        for other in ("bad_label_mer", "speed_runs", "speed_sets"):  # settings of the validator study and of timing
            del score[other]
        return {
            "model": self.system,
            "set": self.set,
            "role": self.role,
            "seed": self.config.seed,
            "score": score,
            "normaliser": Conventions.of(self.config.score).normaliser.signature,
            "decode": self.decode,
        }


@dataclass(frozen=True, slots=True)
class ValidatorStudy:
    """How well the distances detect bad labels, for splits whose truth is known."""

    splits: tuple[str, ...]
    auxiliaries: tuple[str, ...]
    score: ScoreConfig

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "splits": list(self.splits),
            "auxiliaries": list(self.auxiliaries),
            "bad_label_mer": self.score.bad_label_mer,
            "normaliser": Conventions.of(self.score).normaliser.signature,
            "tokens": self.score.tokens,
        }


def units(job: Job) -> list[Unit[SystemScore | ValidatorStudy]]:
    """Each model on each test set is a unit. So is the validator study, if the truth is known."""
    sets = sets_to_score(job)
    if not sets:
        log.info("nothing to score: no set has the role dev, in_domain or out_domain (corpora)")
    scores = [_score_unit(model, split, role, job) for model in models(job) for split, role in sets.items()]
    return [*scores, *_study_units(job)]


def models(job: Job) -> list[str]:
    """Every model that was decoded. If there is none yet, the teacher, so that the stage reports what is missing."""
    folder = job.layout.decoded
    found = sorted(path.name for path in folder.glob("[!.]*") if path.is_dir())
    if VALIDATOR in found:
        raise K2DError(
            f"{shown(folder / VALIDATOR)}: {VALIDATOR!r} is not allowed as a model's name; rename it in the config"
        )
    return found or [TEACHER]


def sets_to_score(job: Job) -> dict[str, str]:
    """The splits to score with their roles. Splits of a corpus that is not in the config are `out_domain`."""
    named = {split: role for split, role in job.config.corpora.roles().items() if role in SCORED_ROLES}
    if job.corpus is None:
        return named
    if job.corpus in job.config.corpora.names():
        return {split: role for split, role in named.items() if split.split("/")[0] == job.corpus}
    decoded = job.layout.decoded.glob(f"*/{job.corpus}/[!.]*/text")
    found = sorted({f"{job.corpus}/{path.parent.name}" for path in decoded})
    if not found:
        raise MissingInput(f"no set of the corpus {job.corpus!r} has been decoded; run stage 11 (decode) on it first")
    return dict.fromkeys(found, "out_domain")


def make(unit: Unit[SystemScore | ValidatorStudy], job: Job, folder: Path) -> Counts:
    """Score a system on a set, or make the validator study."""
    if isinstance(unit.content, SystemScore):
        return _make_score(unit.content, job, folder)
    return _make_study(unit.content, job, folder)


# --- a model on a test set ---


def _score_unit(model: str, split: str, role: str, job: Job) -> Unit[SystemScore]:
    data, decoded = job.layout.split(split), job.layout.hypotheses(model, split)
    optional = [data / name for name in TABLES_BESIDE]
    inputs = (data / "text", decoded / "text", *(path for path in optional if path.exists()))
    return Unit(
        job.layout.score(model, split), SystemScore(model, split, role, job.config, _decode(model, job)), inputs
    )


def _decode(model: str, job: Job) -> str:
    """The settings of decoding that determine results, for the signature. Settings for speed are left out."""
    by_name = {TEACHER: job.config.teacher, **job.config.auxiliaries}
    recogniser = by_name.get(model.removesuffix(CTC_ROW), job.config.teacher)
    decode = job.config.decode_of(recogniser)
    settings = settings_of(decode)
    for other in ("batch_size", "ctc_rows", "beam", "ctc_weight"):
        del settings[other]
    beam, ctc_weight = decode.beam, decode.ctc_weight
    mode = "ctc" if model.endswith(CTC_ROW) else recogniser.decode
    way = {"attention": f"beam-{beam}", "ctc": "ctc", "joint": f"joint-{ctc_weight:g}-beam-{beam}"}[mode]
    del settings["compute_type"]
    compute_type = compute_type_of(decode)
    if compute_type is None:
        settings["engine"] = "torch"
    else:
        way, settings["precision"] = f"ctranslate2-{compute_type}-{way}", "fp32"
    return f"{way}-{settings_digest(settings)}"


def _make_score(asked: SystemScore, job: Job, folder: Path) -> Counts:
    model, split, role = asked.system, asked.set, asked.role
    score = job.config.score
    task = Task(
        job.layout.split(split) / "text",
        job.layout.hypotheses(model, split) / "text",
        model,
        split,
        role,
        Conventions.of(score),
        Draws(score.bootstrap_resamples, score.confidence, job.config.seed),
        decode=asked.decode,
    )
    done = score_files(task, folder)
    for note in done.notes:
        log.info("%s", note)
    n_missing = len(done.score.missing)
    if n_missing:
        named = ", ".join(done.score.missing[:5])
        log.warning("%s on %s: %d hypotheses are missing and count as deletions: %s", model, split, n_missing, named)
    percent = done.score.rates["mer"].percent
    invention = done.score.invention
    if percent is None and invention.per_minute is not None:
        log.info("%s on %s: %.2f words a minute, where nobody speaks", model, split, invention.per_minute)
    else:
        log.info("%s on %s: MER %s %%", model, split, "–" if percent is None else f"{percent:.2f}")
    return Counts(done.score.n_utterances, done.score.n_utterances, {}, done.record["unit"])


# --- the validator study ---


def _study_units(job: Job) -> list[Unit[ValidatorStudy]]:
    """The validator study. It needs distances, and the truth of at least one unlabelled split."""
    splits = [split for split in job.config.corpora.unlabelled if job.layout.truth(split).is_dir()]
    tables = {name: _table(name, job) for name in job.config.auxiliaries if _table(name, job).exists()}
    if job.corpus is not None or not splits or not tables:
        return []
    content = ValidatorStudy(tuple(splits), tuple(tables), job.config.score)
    where = SOURCES if job.config.chunk.duration == "sum" else "segments"
    chunks = [job.layout.chunks(split) / name for split in splits for name in ("text", where)]
    truth = [job.layout.truth(split) / name for split in splits for name in TRUTH_TABLES]
    timings = [path for name in tables for split in splits if (path := _timing(name, split, job)).exists()]
    inputs = (*tables.values(), *chunks, *truth, *timings)
    return [Unit(job.layout.validator_study, content, inputs)]


def _table(auxiliary: str, job: Job) -> Path:
    return job.layout.distances(auxiliary) / "distances.tsv"


def _timing(auxiliary: str, split: str, job: Job) -> Path:
    return job.layout.opinions(auxiliary, split) / TIMING


def _make_study(asked: ValidatorStudy, job: Job, folder: Path) -> Counts:
    splits, conventions = asked.splits, Conventions.of(asked.score)
    found = (errors_of_labels(s, job.layout.chunks(s), job.layout.truth(s), conventions) for s in splits)
    errors = dict(chain.from_iterable(found))
    for auxiliary in asked.auxiliaries:
        distances = {row.id: row for row in read_distances(_table(auxiliary, job)) if row.split in splits}
        _demand_same_chunks(errors, distances, _table(auxiliary, job))
        judged = [JudgedChunk(distances[key], of_label) for key, of_label in errors.items()]
        paths = [_timing(auxiliary, split, job) for split in splits]
        cost = summed(read_timing(path) for path in paths) if all(path.exists() for path in paths) else None
        figures = {"auxiliary": auxiliary, **study(judged, asked.score.bad_label_mer)}
        record = {**figures, "cost": None if cost is None else asdict(cost)}
        write_text(folder / f"{auxiliary}.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return Counts(len(errors), len(errors), {}, "chunks")


def _demand_same_chunks(errors: dict[str, ErrorRate], distances: dict[str, ChunkRow], table: Path) -> None:
    differing = sorted(errors.keys() ^ distances.keys())
    if differing:
        named = ", ".join(differing[:5])
        message = f"{len(differing):,} chunks are either missing here or missing in chunks/: {named}"
        raise K2DError(f"{shown(table)}: {message}; run stage 8 (select) again")
