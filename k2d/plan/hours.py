"""The hours of each stage on the given devices. Stages that take a few minutes are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from k2d.config.schema import Config, Recogniser
from k2d.config.training import Phase
from k2d.models.shape import Shape
from k2d.plan.machines import Machine
from k2d.plan.memory import Decoding, Distillation
from k2d.plan.throughput import (
    SELECT_CHUNKS_PER_S,
    Rate,
    decoding_rate,
    distilling_rate,
    tokens_of,
    window_s,
)

TIMES_REAL_TIME, SAMPLES_PER_S = "× real time", "samples/s"
FROM_FILE = "from a file"
"""In place of an amount of work."""

UNITS: Mapping[str, str] = {
    "teacher": SAMPLES_PER_S,
    "auxiliary": SAMPLES_PER_S,
    "pseudo_label": TIMES_REAL_TIME,
    "second_opinion": TIMES_REAL_TIME,
    "distill": SAMPLES_PER_S,
    "decode": TIMES_REAL_TIME,
}
"""Stages whose throughput on one device can be given as an option, with its unit."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The models, the step and the amounts of data that determine the hours."""

    teacher: Shape
    auxiliaries: Mapping[str, Shape]
    student: Shape
    step: Distillation
    hours: float
    n_chunks: float
    test_hours: float | None

    def decoding(self, shape: Shape, by_whom: Recogniser, config: Config) -> Decoding:
        decode = config.decode_of(by_whom)
        return Decoding(shape, decode.batch_size, decode.beam, decode.max_tokens, decode.precision)


@dataclass(frozen=True, slots=True)
class StageHours:
    """The time that a stage takes."""

    stage: str
    amount: str
    throughput: float
    unit: str
    is_measured: bool
    """Whether the throughput was given as an option, not estimated."""
    flops: float
    """Operations for one window or sample."""
    share_of_peak: float
    device_hours: float
    wall_hours: float


def stage_hours(
    config: Config, pieces: Pieces, machine: Machine, n_devices: int, measured: Mapping[str, float]
) -> Iterator[StageHours]:
    """The stages in order, without those that take a few minutes."""
    clock = _Clock(config, pieces, machine, n_devices, measured)
    yield from clock.training("3 teacher", "teacher", config.teacher, pieces.teacher)
    for name, shape in pieces.auxiliaries.items():
        yield from clock.training(f"4 auxiliary: {name}", "auxiliary", config.auxiliaries[name], shape)
    if config.pseudo_label.from_ is not None:
        yield _from_file("5 pseudo_label")
    else:
        yield clock.decoding("5 pseudo_label", "pseudo_label", config.teacher, pieces.teacher, pieces.hours)
    for name, by_whom in config.auxiliaries.items():
        stage = f"7 second_opinion: {name}"
        if by_whom.from_ is not None:
            yield _from_file(stage)
        else:
            yield clock.decoding(stage, "second_opinion", by_whom, pieces.auxiliaries[name], pieces.hours)
    yield clock.selection()
    yield from clock.distillation()
    yield from clock.test_decoding()


def _from_file(stage: str) -> StageHours:
    """A stage that takes its transcripts from a file, which costs nothing to speak of."""
    return StageHours(stage, FROM_FILE, 0.0, "", False, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Clock:
    config: Config
    pieces: Pieces
    machine: Machine
    n_devices: int
    measured: Mapping[str, float]

    def decoding(self, stage: str, verb: str, by_whom: Recogniser, shape: Shape, hours: float) -> StageHours:
        """Decoding this many hours of audio."""
        work = self.pieces.decoding(shape, by_whom, self.config)
        rate = decoding_rate(work, self.machine, by_ctc=by_whom.decode == "ctc")
        times = self.measured.get(verb, rate.per_s * window_s(shape))
        per_s = times / window_s(shape)
        return self._row(stage, verb, f"{hours:,.0f} h", times, Rate(per_s, rate.flops), hours / times, work.precision)

    def training(self, stage: str, verb: str, by_whom: Recogniser, shape: Shape) -> Iterator[StageHours]:
        """Training of a model that is not loaded from a checkpoint. Every sample counts as a full window."""
        if by_whom.model is None:
            return
        training, phases = by_whom.training, by_whom.training.phases.values()
        n_samples = sum(phase.steps * phase.batch_size for phase in phases)
        flops = sum(phase.steps * phase.batch_size * _sample_flops(phase, shape) for phase in phases) / n_samples
        estimate = self.machine.compute_share * self.machine.flops_per_s[training.precision] / flops
        rate = Rate(self.measured.get(verb, estimate), flops)
        hours = n_samples / rate.per_s / 3600
        yield self._row(stage, verb, f"{n_samples:,} samples", rate.per_s, rate, hours, training.precision)

    def selection(self) -> StageHours:
        """Selection on one CPU core."""
        n_auxiliaries = max(1, len(self.config.auxiliaries))
        n_pairs = self.pieces.n_chunks * n_auxiliaries
        hours = n_pairs / SELECT_CHUNKS_PER_S / 3600
        amount = f"{n_pairs:,.0f} pairs"
        return StageHours("8 select (CPU)", amount, SELECT_CHUNKS_PER_S, "pairs/s", False, 0.0, 0.0, hours, hours)

    def distillation(self) -> Iterator[StageHours]:
        """All students: the encoding beforehand, their steps, and the measurements on held-out recordings."""
        pieces, distill = self.pieces, self.config.distill
        n_students, step, training = len(self.config.students()), pieces.step, distill.training
        if distill.keep_encoded:
            flops = pieces.teacher.encoder_flops()
            encoding = Rate(self.machine.compute_share * self.machine.flops_per_s["fp32"] / flops, flops)
            encoding_h = pieces.n_chunks / encoding.per_s / 3600
            amount = f"{pieces.n_chunks:,.0f} chunks"
            yield self._row("10 distill: encode", "", amount, encoding.per_s, encoding, encoding_h, "fp32")
        estimate = distilling_rate(step, self.machine)
        rate = Rate(self.measured.get("distill", estimate.per_s), estimate.flops)
        n_samples = n_students * training.steps * training.batch_size
        amount = f"{n_students} × {training.steps:,} × {training.batch_size}"
        hours = n_samples / rate.per_s / 3600
        yield self._row("10 distill: learn", "distill", amount, rate.per_s, rate, hours, step.precision)
        heldout_hours = n_students * training.evaluations * distill.heldout_share * pieces.hours
        if heldout_hours:
            yield self.decoding("10 distill: held-out", "decode", Recogniser(), pieces.student, heldout_hours)

    def test_decoding(self) -> Iterator[StageHours]:
        """Decoding of the test and development sets of known length by every model."""
        pieces = self.pieces
        if not pieces.test_hours:
            return
        models = {"teacher": (self.config.teacher, pieces.teacher, 1)}
        models |= {name: (self.config.auxiliaries[name], shape, 1) for name, shape in pieces.auxiliaries.items()}
        models |= {"students": (self.config.teacher, pieces.student, len(self.config.students()))}
        for name, (by_whom, shape, n_models) in models.items():
            yield self.decoding(f"11 decode: {name}", "decode", by_whom, shape, n_models * pieces.test_hours)

    def _row(
        self, stage: str, verb: str, amount: str, throughput: float, rate: Rate, hours: float, precision: str
    ) -> StageHours:
        share = rate.share_of_peak(self.machine, precision)
        unit = UNITS.get(verb, SAMPLES_PER_S)
        is_measured = verb in self.measured
        return StageHours(
            stage, amount, throughput, unit, is_measured, rate.flops, share, hours, hours / self.n_devices
        )


def _sample_flops(phase: Phase, shape: Shape) -> int:
    """The forward pass, and twice as much for the backward pass of trained parts. Kept batches are already encoded."""
    encoder, decoder = shape.encoder_flops(), shape.decoder_flops(tokens_of(shape))
    if phase.train == "encoder":
        return 3 * encoder
    if phase.train == "decoder":
        return (0 if phase.keep_batches else encoder) + 3 * decoder
    return 3 * (encoder + decoder)
