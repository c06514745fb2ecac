"""Make the whole plan from a config, the shapes of its models and a machine, and find what makes it impossible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from k2d.config.schema import Config, Recogniser
from k2d.config.training import Steps
from k2d.models.shape import Shape
from k2d.objectives.terms import terms_with_teacher
from k2d.plan.disk import Amounts, disk_lines
from k2d.plan.hours import Pieces, StageHours, stage_hours
from k2d.plan.machines import GIB, Machine
from k2d.plan.memory import (
    USABLE,
    Decoding,
    Distillation,
    Line,
    decoding_lines,
    fits,
    largest_batch,
    largest_part,
    total,
    training_lines,
)
from k2d.plan.paper import Published, against_the_paper
from k2d.plan.throughput import tokens_of, window_s
from k2d.train.sharing import batch_fault, most_per_pass

USUAL_HOURS = 1000.0
_ENCODED_BYTES = {"fp32": 4, "fp16": 2}
"""Used if neither `--hours` nor the data give the hours."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The devices of the experiment, and the hours of its audio."""

    machine: Machine
    n_devices: int
    memory_bytes: float
    """The memory of one device. The cores of a CPU share theirs."""
    hours: float | None = None
    test_hours: float | None = None
    measured: Mapping[str, float] | None = None
    """Throughput by stage, to be used instead of the estimate."""

    @property
    def n_processes(self) -> int:
        return self.n_devices if self.machine.is_gpu else 1


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the experiment, by its role."""

    role: str
    shape: Shape
    trainable: int = 0


@dataclass(frozen=True, slots=True)
class Demand:
    """The memory of one device that a stage needs."""

    what: str
    lines: tuple[Line, ...]
    would_fit: str
    """A setting that would fit. Empty if this one fits."""

    @property
    def bytes(self) -> float:
        return total(self.lines)


@dataclass(frozen=True, slots=True)
class Plan:
    """The cost of an experiment."""

    setup: Setup
    hours: float
    n_chunks: float
    models: tuple[Model, ...]
    memory: tuple[Demand, ...]
    disk: tuple[Line, ...]
    stages: tuple[StageHours, ...]
    paper: tuple[Published, ...]
    faults: tuple[str, ...]
    """Why the experiment cannot be carried out, and what would work. Empty if it can."""


def make_plan(config: Config, teacher: Shape, auxiliaries: Mapping[str, Shape], setup: Setup) -> Plan:
    """The plan of an experiment whose models have these shapes."""
    hours = USUAL_HOURS if setup.hours is None else setup.hours
    chunk_s = min(config.chunk.max_s or teacher.window_s, teacher.window_s) * window_s(teacher) / teacher.window_s
    n_chunks = hours * 3600 / chunk_s
    n_layers, layer_faults = _student_layers(config, teacher)
    student = teacher.with_decoder_layers(n_layers)
    step = distillation(config, teacher, student, setup.n_processes)
    pieces = Pieces(teacher, dict(auxiliaries), student, step, hours, n_chunks, setup.test_hours)
    demands = tuple(_demands(config, pieces, setup))
    amounts = Amounts(
        hours=hours,
        n_chunks=n_chunks,
        n_auxiliaries=len(config.auxiliaries),
        n_methods=len(config.select.methods),
        n_students=len(config.students()),
        kept_checkpoints=config.distill.training.average_best,
        cuts_audio=config.chunk.duration == "sum",
        encoded_bytes=_ENCODED_BYTES[config.distill.encoded_precision] if config.distill.keep_encoded else 0,
        n_exports=len(config.exported()) * len(config.export_formats()),
    )
    return Plan(
        setup=setup,
        hours=hours,
        n_chunks=n_chunks,
        models=(
            Model("teacher", teacher),
            *(Model(name, shape) for name, shape in auxiliaries.items()),
            Model("student", student, step.trainable),
        ),
        memory=demands,
        disk=tuple(disk_lines(amounts, teacher, list(auxiliaries.values()), step)),
        stages=tuple(stage_hours(config, pieces, setup.machine, setup.n_devices, setup.measured or {})),
        paper=tuple(against_the_paper()),
        faults=(
            *layer_faults,
            *_sharing_faults(config, setup.n_processes),
            *(f"{demand.what}: {demand.would_fit}" for demand in demands if demand.would_fit),
        ),
    )


def distillation(config: Config, teacher: Shape, student: Shape, n_processes: int) -> Distillation:
    """The training step of one process."""
    training = config.distill.training
    n_tokens = min(student.n_context, round(1.5 * tokens_of(student)))  # a batch is padded to its longest label
    return Distillation(
        student=student,
        teacher=teacher,
        n_windows=_most_per_pass(training, training.accumulate, n_processes),
        n_tokens=n_tokens,
        precision=training.precision,
        freeze_encoder=config.student.freeze_encoder,
        freeze_positions=config.student.freeze_positions,
        keep_encoded=config.distill.keep_encoded,
        runs_teacher=bool(terms_with_teacher(config.distill.objective)),
    )


def _most_per_pass(steps: Steps, accumulate: int, n_processes: int) -> int:
    """Samples in the largest backward pass. More processes than samples count like one process per sample."""
    return most_per_pass(steps.batch_size, min(n_processes, steps.batch_size), accumulate)


def _sharing_faults(config: Config, n_processes: int) -> Iterator[str]:
    """Batch sizes that cannot be divided among the processes."""
    models = {"teacher": config.teacher, **{f"auxiliaries.{name}": each for name, each in config.auxiliaries.items()}}
    trained = {key: model.training.phases for key, model in models.items() if model.model is not None}
    batches: dict[str, Steps] = {
        f"{key}.training.phases.{name}": phase for key, phases in trained.items() for name, phase in phases.items()
    }
    batches["distill.training"] = config.distill.training
    for key, steps in batches.items():
        if fault := batch_fault(key, steps.batch_size, steps.accumulate, n_processes):
            yield fault


def _student_layers(config: Config, teacher: Shape) -> tuple[int, list[str]]:
    """The number of the student's decoder layers, and a fault if the teacher does not have them."""
    asked, n_teacher = config.student.decoder_layers, teacher.n_decoder_layers
    if isinstance(asked, str):
        n_wanted, key, highest = config.student.n_decoder_layers, "n_decoder_layers", n_teacher
        is_possible = n_wanted <= highest
    else:
        n_wanted, key, highest = len(asked), "decoder_layers", n_teacher - 1
        is_possible = max(asked, default=0) <= highest
    if is_possible:
        return n_wanted, []
    found = n_wanted if isinstance(asked, str) else max(asked)
    return n_wanted, [f"student.{key}: found {found}, expected at most {highest}: the teacher has {n_teacher} layers"]


def _demands(config: Config, pieces: Pieces, setup: Setup) -> Iterator[Demand]:
    """The memory of every stage that may need more than there is."""
    decoded: dict[str, tuple[str, Recogniser, Shape]] = {}
    if config.pseudo_label.from_ is None:
        decoded["5 pseudo_label: teacher"] = ("teacher", config.teacher, pieces.teacher)
    for name, shape in pieces.auxiliaries.items():
        decoded[f"7 second_opinion: {name}"] = (f"auxiliaries.{name}", config.auxiliaries[name], shape)
    for what, (key, by_whom, shape) in decoded.items():
        has_its_own = by_whom.decoding.batch_size is not None or by_whom.decoding.precision is not None
        section = f"{key}.decoding" if has_its_own else "decode"
        yield _decoding_demand(what, section, pieces.decoding(shape, by_whom, config), setup)
    yield _training_demand(config, pieces.step, setup)


def _decoding_demand(what: str, section: str, work: Decoding, setup: Setup) -> Demand:
    """The memory of decoding. `section` is the config section whose batch size could be reduced."""
    on_gpu = setup.machine.is_gpu
    lines = tuple(decoding_lines(work, on_gpu=on_gpu))
    title = f"{what}, {work.batch_size} windows in {work.precision}"
    if fits(lines, setup.memory_bytes):
        return Demand(title, lines, "")
    fitting = []
    if n := largest_batch(work, setup.memory_bytes, on_gpu=on_gpu):
        fitting.append(f"{section}.batch_size={n}")
    half = replace(work, precision="bf16")
    if work.precision == "fp32" and (n := largest_batch(half, setup.memory_bytes, on_gpu=on_gpu)):
        fitting.append(f"{section}.precision=bf16 with {section}.batch_size={n}")
    least = total(decoding_lines(replace(work, batch_size=1), on_gpu=on_gpu))
    return Demand(title, lines, _too_much(total(lines), fitting, least, setup))


def _training_demand(config: Config, step: Distillation, setup: Setup) -> Demand:
    on_gpu, training = setup.machine.is_gpu, config.distill.training
    lines = tuple(training_lines(step, on_gpu=on_gpu))
    title = f"10 distill, {step.n_windows} windows a pass in {step.precision}"
    if fits(lines, setup.memory_bytes):
        return Demand(title, lines, "")
    fitting = []
    for precision in dict.fromkeys((step.precision, "bf16")):
        most = largest_part(replace(step, precision=precision), setup.memory_bytes, on_gpu=on_gpu)
        divisors = (n for n in range(1, training.batch_size + 1) if training.batch_size % n == 0)
        accumulate = next((n for n in divisors if _most_per_pass(training, n, setup.n_processes) <= most), None)
        if accumulate is not None:
            other = "" if precision == step.precision else " with distill.training.precision=bf16"
            fitting.append(f"distill.training.accumulate={accumulate}{other}")
    least = total(training_lines(replace(step, n_windows=1), on_gpu=on_gpu))
    return Demand(title, lines, _too_much(total(lines), fitting, least, setup))


def _too_much(found: float, fitting: list[str], least: float, setup: Setup) -> str:
    have = f"{USABLE * setup.memory_bytes / GIB:.1f} GiB of a {setup.machine.name}"
    would = " or ".join(fitting) or f"no batch size; use a device with at least {least / USABLE / GIB:.1f} GiB"
    return f"needs {found / GIB:.1f} GiB, and {have} can be used; what fits: {would}"
