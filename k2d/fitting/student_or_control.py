"""Trains a student on the chunks that a method kept, or a control on the labelled data."""

from __future__ import annotations

import enum
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from k2d.config import settings_of
from k2d.core.layout import STUDENT, TEACHER, shown
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import plain_text, read_hypotheses
from k2d.data.kaldi.datadir import read_recordings
from k2d.fitting.checkpoint_metric import Held
from k2d.fitting.chunk_tables import heldout_of, nonspeech_chunks, table_of, teacher_outputs, tokens_in_use
from k2d.fitting.new_model import setting_of
from k2d.fitting.save_model import save_trained
from k2d.inference.decode_job import loop_test, plan_long_recordings
from k2d.pipeline.job import Counts, Job
from k2d.select.table_files import read_decisions

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from k2d.config.training import Phase
    from k2d.core.stamp import Recipe
    from k2d.models.interface import Trainable
    from k2d.models.student import Shrinkable
    from k2d.train.batches import Batch, Material, TrainingProcess
    from k2d.train.distillation import DistillationLoss, TeacherStudent
    from k2d.train.learner import Objective
    from k2d.train.vocabulary import VocabularyInUse

log = logging.getLogger("k2d")

PHASE = "distill"


class TrainingKind(enum.Enum):
    """What is trained, and on which data."""

    STUDENT = "a student, trained on the chunks that the method kept"
    TEACHER_MORE = "the teacher's decoder, trained further on the labelled data for the same number of steps"
    TEACHER_SELF = "the teacher with all of its layers, trained on the chunks of a method as a student is, by ce alone"
    STUDENT_POOL = "a student, trained on the labelled data"

    @property
    def is_of_pool(self) -> bool:
        """Whether it is trained on the labelled data. Otherwise on chunks."""
        return self in (TrainingKind.TEACHER_MORE, TrainingKind.STUDENT_POOL)

    @property
    def is_teacher(self) -> bool:
        """Whether it has the teacher's network. Otherwise a student's."""
        return self in (TrainingKind.TEACHER_MORE, TrainingKind.TEACHER_SELF)


CONTROLS = {
    "teacher_more": TrainingKind.TEACHER_MORE,
    "teacher_self": TrainingKind.TEACHER_SELF,
    "student_pool": TrainingKind.STUDENT_POOL,
}
"""The controls, by their names in distill.controls."""

SELF_TRAINING = {"ce": 1.0}
"""The objective of a teacher on its own labels: its distribution cannot teach it."""


@dataclass(frozen=True, slots=True)
class KeptData:
    """The chunks that a method keeps."""

    folders: Mapping[str, Path]
    """Data directories by split."""
    weighed_by: Path | None = None
    """The method's decisions, whose distances weight the losses. None: all weights are 1."""

    def distances(self) -> Iterator[tuple[str, float]]:
        """Id and distance of each kept chunk, split by split."""
        assert self.weighed_by is not None
        for split in self.folders:
            for decision in read_decisions(self.weighed_by):
                at, _, chunk_id = decision.id.rpartition("/")
                if at == split and not decision.reason:
                    yield chunk_id, decision.distance


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is trained, with which objective and data."""

    learner: Trainable
    objective: Objective
    batches: Callable[[TrainingProcess, int], Dataset[list[Batch]]]
    counts: Counts
    vocabulary: VocabularyInUse | None = None
    """The tokens that are trained. None: all."""


def train_student_or_control(
    kind: TrainingKind, name: str, seed: int, kept: KeptData, recipe: Recipe, job: Job, folder: Path
) -> Counts:
    """Train one and write its folder. `recipe` is that of the unit."""
    import torch

    from k2d.train.engine import PhasePlan, train
    from k2d.train.schedule import measured_steps

    torch.set_num_threads(job.nj)
    distill, work = job.config.distill, job.layout.training_work(name)
    training = distill.training
    heldout = heldout_of(job)
    log.info("%s: %s", name, kind.value)
    lesson = _lesson(kind, seed, kept, heldout, job)
    part: Literal["decoder", "all"] = (
        "decoder" if job.config.student.freeze_encoder or kind is TrainingKind.TEACHER_MORE else "all"
    )
    plan = PhasePlan(PHASE, training, part, lesson.objective, lesson.batches, measured_steps(training, training))
    lesson.learner.freeze_positions = job.config.student.freeze_positions
    setting = setting_of(work, seed, job)
    record = train(lesson.learner, [plan], training, setting, recipe=recipe, measure=_measure(heldout, job))
    if lesson.vocabulary is not None:
        lesson.learner.restore_vocabulary()
        record.vocabulary = lesson.vocabulary.record()
    save_trained(lesson.learner, record, work, folder)
    return lesson.counts


def _lesson(kind: TrainingKind, seed: int, kept: KeptData, heldout: Mapping[str, frozenset[str]], job: Job) -> Lesson:
    from k2d.models.student import check_pair
    from k2d.objectives.objective import Objective as Terms
    from k2d.train.distillation import DistillationLoss, TeacherStudent

    teacher = _load(TEACHER, job)
    if kind is TrainingKind.TEACHER_MORE:
        return _more_of_the_teacher(teacher, seed, job)
    student = _load(TEACHER if kind.is_teacher else STUDENT, job)
    check_pair(teacher, student)
    distill = job.config.distill
    pair = TeacherStudent(student, teacher, shares_encoder=job.config.student.freeze_encoder)
    terms = SELF_TRAINING if kind is TrainingKind.TEACHER_SELF else distill.objective
    objective = DistillationLoss(pair, Terms(terms, distill.temperature), distill.reduction)
    if not kind.is_of_pool:
        return _from_chunks(pair, objective, seed, kept, heldout, job)
    material, phase = _pool(teacher, job), _pool_phase(job)
    return Lesson(student, objective, _windows(material, phase, seed), _counts_of(material))


def _from_chunks(
    pair: TeacherStudent,
    objective: DistillationLoss,
    seed: int,
    kept: KeptData,
    heldout: Mapping[str, frozenset[str]],
    job: Job,
) -> Lesson:
    """A student trained on the chunks that a method kept. Chunks of held-out recordings are counted as left out."""
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial, Labelling
    from k2d.train.chunk_weights import weights_of

    distill = job.config.distill
    labelling = Labelling(
        distill.timestamps_probability,
        distill.previous_text_probability,
        tuple(job.config.teacher.language),
        distill.token_noise,
    )
    table = table_of({folder: heldout[split] for split, folder in kept.folders.items()}, pair.student, job)
    weights_N = None if kept.weighed_by is None else weights_of(table, kept.distances(), shown(kept.weighed_by))
    encoded = teacher_outputs(pair.teacher, labelling, job) if distill.keep_encoded else None
    vocabulary = tokens_in_use(table, pair.student, seed, job) if distill.vocabulary == "in_use" else None
    if vocabulary is not None:
        log.info("%s", vocabulary)
        objective.restrict_vocabulary(vocabulary)
    student, silent = pair.student, nonspeech_chunks(pair.student, job)
    material = ChunkMaterial(table, student.codec, student.window, labelling, encoded, vocabulary, weights_N, silent)
    training = distill.training

    def batches(process: TrainingProcess, _first_step: int) -> ChunkBatches:
        return ChunkBatches(material, training.batch_size, training.accumulate, (seed, 0), process)

    tables = [table.index, *([] if silent is None else [silent.chunks.index])]
    dropped = sum((Counter(index.dropped) for index in tables), Counter[str]())
    counts = Counts(sum(i.n_in for i in tables), sum(i.kept for i in tables), dict(dropped), "chunks")
    return Lesson(pair.student, objective, batches, counts, vocabulary)


def _more_of_the_teacher(teacher: Trainable, seed: int, job: Job) -> Lesson:
    """The teacher's decoder, trained further in the same way."""
    from k2d.train.supervised import SupervisedLoss

    material, phase = _pool(teacher, job), _pool_phase(job)
    return Lesson(teacher, SupervisedLoss(teacher, phase), _windows(material, phase, seed), _counts_of(material))


def _pool(teacher: Trainable, job: Job) -> Material:
    """The labelled data, as the teacher used them."""
    from k2d.models.interface import Request
    from k2d.train.batches import Material
    from k2d.train.pool import open_pool

    window = teacher.window
    labelled = [job.layout.split(split) for split in job.config.corpora.labelled]
    pool = open_pool(labelled, job.layout.cache / "pool", rate_hz=window.rate_hz, max_s=window.length_s)
    return Material(pool, teacher.codec, window, Request(tuple(job.config.teacher.language)))


def pool_phase_settings(job: Job) -> dict[str, Any]:
    """The settings that a control takes from the teacher's last phase. A checkpoint's stamp does not have them."""
    from k2d.config.training import Steps

    last = settings_of(list(job.config.teacher.training.phases.values())[-1])
    own = {field.name for field in fields(Steps)} | {"data", "train", "keep_batches"}
    return {name: value for name, value in last.items() if name not in own}


def _pool_phase(job: Job) -> Phase:
    """Like the last phase of the teacher's training, but with the steps, batch size and learning rate of the students,
    and always on new windows, because students have many more chunks than such a phase keeps.
    """
    from k2d.config.training import Steps

    training = job.config.distill.training
    last = list(job.config.teacher.training.phases.values())[-1]
    steps = {f.name: getattr(training, f.name) for f in fields(Steps)}
    return replace(last, data="windows", train="decoder", keep_batches=0, **steps)


def _windows(material: Material, phase: Phase, seed: int) -> Callable[[TrainingProcess, int], Dataset[list[Batch]]]:
    from k2d.train.batches import StepBatches

    return lambda process, first_step: StepBatches(material, phase, (seed, 0), process, first_step)


def _counts_of(material: Material) -> Counts:
    n_dropped = sum(material.pool.dropped.values())
    return Counts(len(material.pool) + n_dropped, len(material.pool), dict(material.pool.dropped), "utterances")


def _load(name: str, job: Job) -> Any:
    from k2d.models.registry import load_recogniser

    teacher = job.config.teacher
    loaded = load_recogniser(job.layout.model(name), family=teacher.family, languages=teacher.language)
    return cast("Shrinkable", loaded)


# --- held-out recordings ---


def _measure(heldout: Mapping[str, frozenset[str]], job: Job) -> Any:
    """Free-running decoding of the held-out recordings, compared with the teacher's hypotheses. None without any."""
    from k2d.decode.options import Options
    from k2d.fitting.checkpoint_metric import measure_on

    held = _held(heldout, job)
    if not held.texts:
        return None
    decode_job = plan_long_recordings("", job.config.teacher, job)
    return measure_on(held, Options(**decode_job.options), loop_test(decode_job.loop))


def _held(heldout: Mapping[str, frozenset[str]], job: Job) -> Held:
    from k2d.decode.sources import Source

    sources, texts = [], {}
    for split, names in heldout.items():
        labels = read_hypotheses(job.layout.pseudo_labels(split) / HYPOTHESES, names)
        text_of = {each.recording_id: plain_text(each) for each in labels}
        for row in read_recordings(job.layout.split(split)):
            if row.id in names and text_of.get(row.id):
                sources.append(Source(f"{split}/{row.id}", row.audio, row.duration_s))
                texts[f"{split}/{row.id}"] = text_of[row.id]
    return Held(sources, texts)
