"""Memory of a small model, worked out by hand line by line, and the suggestions if it does not fit."""

from dataclasses import replace

import pytest

from k2d.config import Config
from k2d.config.decoding import Decode
from k2d.config.schema import Recogniser
from k2d.config.students import Distill, Student
from k2d.config.training import Phase, StudentTraining, Training
from k2d.plan.memory import CUDA_BYTES, Decoding, Distillation, decoding_lines, largest_batch, total, training_lines
from k2d.plan.planning import Setup, make_plan
from k2d.plan.throughput import sample_flops, tokens_of


def amounts(lines):
    return {line.what: line.amount for line in lines}


def test_decoding_by_hand(small):
    found = amounts(decoding_lines(Decoding(small, 2, 3, 5, "fp32"), on_gpu=False))
    assert found == {
        "weights": 180 * 4,
        "encoder at work": 8 * 2 * 4 * 2 * 4,
        "keys and values of frames": 2 * 2 * 1 * 4 * 2 * 4,  # once per window, whatever the beam
        "keys and values of tokens": 2 * 6 * 1 * 5 * 2 * 4,
        "logits": 6 * 10 * 4 * 2,
    }
    halved = amounts(decoding_lines(Decoding(small, 2, 3, 5, "bf16"), on_gpu=True))
    assert halved.pop("CUDA") == CUDA_BYTES
    assert halved == {what: amount / (1 if what == "logits" else 2) for what, amount in found.items()}


def test_a_training_step_by_hand(small):
    step = Distillation(small, small.with_decoder_layers(2), n_windows=2, n_tokens=3, precision="fp32")
    assert step.trainable == 80
    found = amounts(training_lines(step, on_gpu=False))
    assert found == {
        "weights of student and teacher": (180 + 230) * 4,
        "gradients": 80 * 4,
        "optimiser": 80 * 8,
        "activations for the backward pass": 2 * (2 * 3 * 2 * 47 + 2 * 2 * 4 * 2 * 2),
        "encoder at work": 8 * 2 * 4 * 2 * 4,
        "teacher's decoder at work": 2 * (8 * 3 + 2 * 4) * 2 * 4,
        "logits of both, in pieces": 2 * 3 * 10 * 4 * 6,
    }
    mixed = amounts(training_lines(replace(step, precision="bf16", keep_encoded=True), on_gpu=False))
    assert mixed["bf16 copies of what learns"] == 80 * 2
    assert mixed["optimiser"] == found["optimiser"]
    assert mixed["activations for the backward pass"] == found["activations for the backward pass"] / 2
    assert "encoder at work" not in mixed


def test_the_teachers_decoder_has_no_cost_if_it_does_not_run(small):
    whole = Distillation(small, small.with_decoder_layers(1), n_windows=2, n_tokens=3, precision="fp32")
    alone = replace(whole, runs_teacher=False)
    names = [[line.what for line in training_lines(step, on_gpu=False)] for step in (whole, alone)]
    assert set(names[0]) - set(names[1]) == {"teacher's decoder at work"}
    assert sample_flops(whole) - sample_flops(alone) == small.with_decoder_layers(1).decoder_flops(tokens_of(small))


def test_the_parameters_that_learn_are_counted(small):
    student = replace(small, position_parameters=16)
    step = Distillation(student, small, 2, 3, "fp32")
    assert replace(step, freeze_positions=True).trainable == 64
    whole = replace(step, freeze_encoder=False)
    assert whole.trainable == 180
    more = amounts(training_lines(whole, on_gpu=False))["activations for the backward pass"]
    less = amounts(training_lines(step, on_gpu=False))["activations for the backward pass"]
    assert more - less == 2 * 2 * 4 * 2 * 34


def test_logits_are_planned_in_blocks(small):
    words = replace(small, n_vocabulary=1 << 20)
    line = training_lines(Distillation(words, words, 64, 100, "bf16"), on_gpu=False)[-1]
    assert line.amount == 6 * (1 << 25) * 4
    assert line.formula.endswith("150.0 GiB if made at once")  # 6 × 6,400 × 2²⁰ × 4 bytes


def test_the_largest_batch_is_the_last_that_fits(small):
    work = Decoding(small, 64, 1, 5, "fp32")
    room = total(decoding_lines(replace(work, batch_size=20), on_gpu=False)) / 0.9199
    assert largest_batch(work, room, on_gpu=False) == 20
    assert largest_batch(work, room * 100, on_gpu=False) == 64
    assert largest_batch(work, 700, on_gpu=False) == 0


def config(**training) -> Config:
    return Config(
        name="x",
        decode=Decode(batch_size=4),
        student=Student(n_decoder_layers=1),
        distill=Distill(training=StudentTraining(batch_size=12, **training)),
    )


def faults(small, slow, memory_bytes, **training):
    return make_plan(config(**training), small, {}, Setup(replace(slow, is_gpu=False), 1, memory_bytes)).faults


def test_a_plan_that_fits_is_accepted(small, slow):
    assert faults(small, slow, 1e6) == ()


def test_a_plan_that_does_not_fit_is_refused_with_one_that_does(small, slow):
    """There is room for four and a half windows, so 12 are divided by 3. In half precision, there is room for more."""
    step = Distillation(small, small, 1, 8, "fp32")
    one, two = (total(training_lines(replace(step, n_windows=n), on_gpu=False)) for n in (1, 2))
    memory = (one + 3.5 * (two - one)) / 0.92
    (faults_with,) = faults(small, slow, memory)
    assert faults_with.startswith("10 distill, 12 windows a pass in fp32: needs ")
    assert "what fits: distill.training.accumulate=3 or distill.training.accumulate=" in faults_with
    assert faults_with.endswith("with distill.training.precision=bf16")
    assert faults(small, slow, memory, accumulate=3) == ()
    assert faults(small, slow, memory, accumulate=2) != ()


def test_if_no_batch_fits_a_larger_device_is_named(small, slow):
    decoding, training = faults(small, slow, 500)
    assert decoding.startswith("5 pseudo_label: teacher, 4 windows in fp32: needs")
    assert "no batch size; use a device with at least" in decoding
    assert "no batch size; use a device with at least" in training


@pytest.mark.parametrize(("precision", "n_bytes"), [("fp32", 4), ("fp16", 2)])
def test_kept_encoder_outputs_have_their_precision_on_disk(small, slow, precision, n_bytes):
    distill = Distill(keep_encoded=True, encoded_precision=precision)
    plan = make_plan(replace(config(), distill=distill), small, {}, Setup(slow, 1, 1e12))
    (line,) = [line for line in plan.disk if line.what == "10 distill: encoder's output"]
    assert line.amount == plan.n_chunks * 4 * 2 * n_bytes  # 4 frames of 2 features


def test_more_layers_than_the_teacher_has_are_refused(small, slow):
    def faults_with(student):
        return make_plan(Config(name="x", student=student), small, {}, Setup(slow, 1, 1e12)).faults

    assert faults_with(Student()) == (
        "student.n_decoder_layers: found 2, expected at most 1: the teacher has 1 layers",
    )
    assert faults_with(Student(decoder_layers=(0, 3))) == (
        "student.decoder_layers: found 3, expected at most 0: the teacher has 1 layers",
    )
    assert faults_with(Student(decoder_layers=(0,))) == ()


@pytest.mark.parametrize(("n_devices", "n_windows"), [(1, 12), (4, 3), (5, 3)])
def test_gpus_share_a_batch(small, slow, n_devices, n_windows):
    plan = make_plan(config(), small, {}, Setup(slow, n_devices, 1e12))
    assert f"10 distill, {n_windows} windows a pass in fp32" in [demand.what for demand in plan.memory]


def test_a_batch_that_the_gpus_cannot_share_is_refused_with_one_that_they_can(small, slow):
    teacher = Recogniser(model="a.yaml", training=Training(phases={"one": Phase(batch_size=4)}))
    experiment = replace(config(accumulate=3), teacher=teacher)

    def faults_with(n_gpus):
        return make_plan(experiment, small, {}, Setup(replace(slow, is_gpu=True), n_gpus, 1e12)).faults

    assert faults_with(4) == ()
    assert faults_with(16) == (
        "teacher.training.phases.one.batch_size: found 4, expected at least 16, as 16 processes share each step and "
        "each needs a sample; set teacher.training.phases.one.batch_size=16, or use at most 4 GPUs",
        "distill.training.batch_size: found 12, expected at least 16, as 16 processes share each step and each needs a "
        "sample; set distill.training.batch_size=18, or use at most 12 GPUs",
    )
