"""Makes a teacher or an auxiliary: trained on labelled data from a model config, or loaded from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k2d.config import settings_of
from k2d.config.schema import Recogniser
from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT, shown
from k2d.data.kaldi.datadir import read_recordings, read_utterances
from k2d.fitting.new_model import inputs_of, new_recogniser, setting_of, window_of
from k2d.fitting.save_model import save_trained
from k2d.inference.decode_job import VERSION as DECODER_VERSION
from k2d.inference.decode_job import DecodeJob, loop_test, plan_long_recordings
from k2d.models.registry import FAMILIES
from k2d.pipeline.job import Counts, Job, Unit
from k2d.pipeline.unit_status import recipe_of
from k2d.train.sharing import check_batch

if TYPE_CHECKING:
    from k2d.core.stamp import Recipe
    from k2d.fitting.checkpoint_metric import Held

VERSION = 1

_NOT_DECIDING = ("languages", "batch_size", "beam")  # options of decoding that are stamped elsewhere or not used


@dataclass(frozen=True, slots=True)
class CheckpointModel:
    """A checkpoint, saved in the format of this toolkit."""

    name: str
    recogniser: Recogniser
    path: Path | None
    """None: its family fetches the checkpoint by its published name."""

    @property
    def settings(self) -> dict[str, Any]:
        found = {"name": self.name, "family": self.recogniser.family, "language": list(self.recogniser.language)}
        # A family knows the checksum of what it fetches, so the name determines the content.
        return found if self.path is not None else {**found, "checkpoint": self.recogniser.checkpoint}


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model that is trained on labelled data."""

    name: str
    recogniser: Recogniser
    seed: int
    dev: DecodeJob | None
    """How the development sets are decoded to choose checkpoints. None if there are no development sets."""

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "language": list(self.recogniser.language),
            "seed": self.seed,
            "training": settings_of(self.recogniser.training),
            "decode": None if self.dev is None else _choosing(self.dev),
        }


TeacherOrAuxiliary = CheckpointModel | TrainedModel


def unit_of(name: str, recogniser: Recogniser, key: str, job: Job) -> Unit[TeacherOrAuxiliary]:
    """The unit of a model. `key` is its place in the config."""
    output = job.layout.model(name)
    if recogniser.checkpoint is not None:
        path = PROJECT_ROOT / recogniser.checkpoint
        if path.exists():
            return Unit(output, CheckpointModel(name, recogniser, path), (path,))
        if is_published(recogniser):
            return Unit(output, CheckpointModel(name, recogniser, None))
        published = FAMILIES[recogniser.family].published
        names = f", or one of {', '.join(published)}" if published else ""
        raise UsageError(
            f"{key}.checkpoint: {shown(path)} is not there; expected a model folder or a file of one{names}"
        )
    if recogniser.model is None:
        raise UsageError(
            f"{key}: expected {key}.model (a config under conf/models/, to train it) or {key}.checkpoint (a model "
            "folder to use as it is), found neither"
        )
    config = PROJECT_ROOT / recogniser.model
    if not config.is_file():
        raise UsageError(f"{key}.model: {shown(config)} is not there; expected a model config such as conf/models/…")
    for phase_name, phase in recogniser.training.phases.items():
        check_batch(f"{key}.training.phases.{phase_name}", phase.batch_size, phase.accumulate, job.n_processes)
    corpora = job.config.corpora
    seed = job.config.seed if recogniser.seed is None else recogniser.seed
    content = TrainedModel(name, recogniser, seed, plan_long_recordings("", recogniser, job) if corpora.dev else None)
    data = tuple(job.layout.split(split) for split in (*corpora.labelled, *corpora.dev))
    return Unit(output, content, (*inputs_of(recogniser, job), *data), added=frozenset({"decode"}))


def _choosing(decode_job: DecodeJob) -> dict[str, Any]:
    """The options of decoding the development sets that affect the choice of checkpoints."""
    options = {name: value for name, value in decode_job.options.items() if name not in _NOT_DECIDING}
    return {**options, "loop": asdict(decode_job.loop) if decode_job.loop else None, "decoder": DECODER_VERSION}


def is_published(recogniser: Recogniser) -> bool:
    """Whether the checkpoint is a name under which its family can fetch it."""
    name = str(recogniser.checkpoint)
    return name in FAMILIES[recogniser.family].published and not (PROJECT_ROOT / name).exists()


def make_teacher_or_auxiliary(verb: str, unit: Unit[TeacherOrAuxiliary], job: Job, folder: Path) -> Counts:
    """Train the model or load its checkpoint, and write its folder."""
    if isinstance(unit.content, CheckpointModel):
        return _take_checkpoint(unit.content, folder)
    return _train(unit.content, recipe_of(verb, VERSION, unit, job), job, folder)


def _take_checkpoint(model: CheckpointModel, folder: Path) -> Counts:
    """Load the checkpoint, which checks all of it, and save it in the format of this toolkit."""
    from k2d.models.registry import load_recogniser

    recogniser = model.recogniser
    path = str(recogniser.checkpoint) if model.path is None else model.path
    family, languages = recogniser.family, recogniser.language
    load_recogniser(path, family=family, languages=languages, cache=recogniser.cache).save(folder)
    return Counts(1, 1, {}, "checkpoints")


def _train(trained: TrainedModel, recipe: Recipe, job: Job, folder: Path) -> Counts:
    import torch

    from k2d.models.interface import Request
    from k2d.train.batches import Material
    from k2d.train.pool import open_pool
    from k2d.train.supervised import train_recogniser

    torch.set_num_threads(job.nj)
    recogniser, seed = trained.recogniser, trained.seed
    work = job.layout.training_work(trained.name)  # outside the folder being made, which a rerun starts again
    window = window_of(recogniser)
    labelled = [job.layout.split(split) for split in job.config.corpora.labelled]
    pool = open_pool(labelled, job.layout.cache / "pool", rate_hz=window.rate_hz, max_s=window.length_s)
    model = new_recogniser(recogniser, pool, work, job, seed=seed)
    setting = setting_of(work, seed, job)
    material = Material(pool, model.codec, model.window, Request(recogniser.language))
    measure = None if trained.dev is None else _measure(trained.dev, job)
    record = train_recogniser(model, recogniser.training, material, setting, measure, recipe=recipe)
    save_trained(model, record, work, folder)
    n_dropped = sum(pool.dropped.values())
    return Counts(len(pool) + n_dropped, len(pool), dict(pool.dropped), "utterances")


def _measure(decode_job: DecodeJob, job: Job) -> Any:
    """Free-running decoding of all development sets together. None if they are empty."""
    from k2d.fitting.checkpoint_metric import measure_on

    held = held_of(job.config.corpora.dev, job)
    if not held.texts:
        return None
    from k2d.decode.options import Options

    return measure_on(held, Options(**decode_job.options), loop_test(decode_job.loop))


def held_of(splits: tuple[str, ...], job: Job) -> Held:
    """The recordings of labelled splits, each with its whole reference text."""
    from k2d.decode.sources import Source
    from k2d.fitting.checkpoint_metric import Held

    sources: list[Source] = []
    parts_of: dict[str, list[str]] = {}
    for split in splits:
        folder = job.layout.split(split)
        sources += [Source(f"{split}/{row.id}", row.audio, row.duration_s) for row in read_recordings(folder)]
        in_order = sorted(read_utterances(folder), key=lambda row: (row.recording_id, row.start_s or 0.0))
        for row in in_order:
            parts_of.setdefault(f"{split}/{row.recording_id}", []).append(row.text or "")
    texts: Mapping[str, str] = {key: " ".join(parts) for key, parts in parts_of.items()}
    return Held(sources, texts)
