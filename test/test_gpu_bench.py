"""The benchmark for a GPU: its arithmetic by hand, its behaviour without memory or time, and a run on a CPU."""

import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from k2d.models.shape import Shape
from tools.bench import gpu
from tools.bench.gpu_arithmetic import decoding_bytes, share, training_flops
from tools.bench.gpu_cases import SMALL, Case, Measuring, cases_of
from tools.bench.gpu_peaks import peak_of
from tools.bench.gpu_table import table

PROJECT_ROOT = Path(__file__).resolve().parents[1]

STUDENT = Shape("tiny", 30.0, 3, 2, 1, 1, 1, 5, 8, 10, 20, 30, position_parameters=16)
TEACHER = STUDENT.with_decoder_layers(2)


def test_a_decoder_reads_its_weights_and_all_keys_and_values_at_every_step():
    weights = 20 + 30 - 16  # a layer and the rest without positions
    frames, one_place = 2 * 4 * 1 * 2 * 3, 2 * 4 * 1 * 2  # 4 windows, 1 layer, width 2, 3 frames
    places = (2 + 1) + (2 + 2) + (2 + 3)  # a prompt of 2, and the tokens so far
    assert decoding_bytes(STUDENT, 4, 2, 3, "bf16") == 2 * (3 * (weights + frames) + places * one_place)
    assert decoding_bytes(STUDENT, 4, 2, 3, "fp32") == 2 * decoding_bytes(STUDENT, 4, 2, 3, "bf16")


def test_a_step_makes_three_times_the_students_forward_pass_and_the_teachers_once():
    layer = 2 * 4 * (20 - 8) + 2 * 3 * 8 + 4 * 4 * (4 + 3) * 2  # 4 tokens, 3 frames; 8 weights for keys and values
    output = 2 * 4 * 2 * 5
    encoder = 2 * 10 * 3 + 4 * 3**2 * 2
    learning = 3 * (layer + output) - 2 * 3 * 8  # the frozen encoder needs no gradients
    flops = training_flops(STUDENT, TEACHER, 4, 5, keep_encoded=False)
    assert flops == learning + encoder + 2 * layer + output
    assert training_flops(STUDENT, TEACHER, 4, 5, keep_encoded=True) == learning + output
    assert training_flops(STUDENT, TEACHER, 4, 3, keep_encoded=True) == learning + output - 4 * 2 * 4 * 2 * 2


@pytest.mark.parametrize(
    ("device", "name", "tb_per_s"),
    [
        ("NVIDIA H100 80GB HBM3", "h100", 3.35),
        ("NVIDIA H100 PCIe", "h100-pcie", 2.0),
        ("NVIDIA H200", "h200", 4.8),
        ("NVIDIA A100-SXM4-80GB", "a100", 2.04),
        ("NVIDIA A100-SXM4-40GB", "a100-40", 1.555),
        ("NVIDIA A100 80GB PCIe", "a100-pcie", 1.935),
        ("NVIDIA GeForce RTX 4090", "rtx4090", 1.008),
    ],
)
def test_the_limits_of_a_device_are_found_by_the_name_of_its_driver(device, name, tb_per_s):
    found = peak_of(device)
    assert (found.name, found.bytes_per_s) == (name, tb_per_s * 1e12)


@pytest.mark.parametrize("device", ["NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4090 D", "Tesla T4"])
def test_an_unknown_device_has_no_share_unless_its_limits_are_given(device):
    assert share(1.0, 1.0, peak_of(device).bytes_per_s) is None
    assert peak_of(device, 1e12).bytes_per_s == 1e12


def test_two_ranks_are_measured_with_two_gpus():
    assert [case.n_ranks for case in cases_of(["base"], 1)] == [1] * 5
    assert [case.n_ranks for case in cases_of(["base"], 2)] == [1] * 5 + [2]


def test_a_case_is_restored_from_json():
    measuring = Measuring(Case("distillation", "base", in_use=True), "cuda", 64, None, "bf16", 20.0)
    assert Measuring.from_json(measuring.to_json()) == measuring


# --- without memory or time ---


@pytest.fixture
def run():
    options = Namespace(device="cuda", batch_size=64, accumulate=None, precision="bf16", seconds=20.0)
    options.bandwidth = options.flops = None
    options.profile = False
    return gpu.Run(options, time.monotonic() + 600)


def answering(run, answers, monkeypatch):
    """The requests to the processes, which return these answers."""
    asked = []

    def measure(self, measuring):
        asked.append((measuring.batch_size, measuring.accumulate))
        return answers.pop(0)

    monkeypatch.setattr(gpu.Run, "_measure", measure)
    return asked


def test_labelling_halves_a_batch_that_does_not_fit(run, monkeypatch):
    asked = answering(run, [{"status": "out of memory"}, {"status": "measured"}], monkeypatch)
    (found,) = run.all_cases([Case("labelling", "base")], None)
    assert asked == [(64, None), (32, None)]
    assert (found["status"], found["batch_size"], found["did_not_fit"]) == ("measured", 32, ["batch 64"])


def test_distillation_doubles_the_passes_that_the_plan_chose(run, monkeypatch):
    asked = answering(run, [{"status": "out of memory", "accumulate": 2}, {"status": "measured"}], monkeypatch)
    (found,) = run.all_cases([Case("distillation", "base")], None)
    assert asked == [(64, None), (64, 4)]
    assert found["did_not_fit"] == ["batch 64 in 2 passes"]


def test_a_case_that_never_fits_is_reported_and_the_next_one_is_measured(run, monkeypatch):
    answering(run, [{"status": "out of memory"}] * 7 + [{"status": "measured"}], monkeypatch)
    first, second = run.all_cases([Case("labelling", "large-v2"), Case("labelling", "base")], None)
    assert (first["status"], first["batch_size"], len(first["did_not_fit"])) == ("out of memory", 1, 7)
    assert second["status"] == "measured"
    assert "out of memory" in table([first])


@pytest.mark.parametrize(
    ("errors", "status"), [("torch.OutOfMemoryError: CUDA out of memory", "out of memory"), ("KeyError", "failed")]
)
def test_a_second_rank_without_memory_is_recognised_by_its_messages(run, monkeypatch, errors, status):
    def dies(self, words, limit_s):
        return subprocess.CompletedProcess(words, 1, b"", errors.encode())

    monkeypatch.setattr(gpu.Programs, "run", dies)
    measuring = Measuring(Case("distillation", "base", n_ranks=2), "cuda", 64, None, "bf16", 20.0)
    assert run._measure(measuring)["status"] == status


def test_a_case_without_time_is_not_started(run, monkeypatch):
    asked = answering(run, [], monkeypatch)
    run.until = time.monotonic() + gpu.LEAST_S - 1
    found = list(run.all_cases(cases_of(["base"], 1), "base.pt"))
    assert not asked
    assert {each["status"] for each in found} == {"out of time"}


# --- from outside ---


@pytest.mark.slow
def test_without_its_packages_it_names_all_of_them(tmp_path):
    python = tmp_path / "bare"  # a Python without site-packages
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    environment = {**os.environ, "K2D_PYTHON": str(python)}
    done = subprocess.run(["tools/bench/gpu.sh"], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    for package in ("torch", "numpy", "lightning", "openai-whisper", "pyyaml", "soundfile"):
        assert package in done.stderr


@pytest.mark.slow
def test_a_small_run_on_a_cpu(tmp_path, monkeypatch, capsys, warm_python):
    """The processes of its cases are forked from a warm Python."""

    def run(self, words, limit_s):
        assert words[0] == sys.executable
        return subprocess.run([warm_python, *words[1:]], cwd=PROJECT_ROOT, capture_output=True, timeout=limit_s)

    monkeypatch.setattr(gpu.Programs, "run", run)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))
    limits = ["--bandwidth", 1e10, "--flops", 1e11]
    how = ["--device", "cpu", "--size", SMALL, "--batch-size", 2, "--seconds", 0.1, "--profile"]
    only = ["--only", "labelling", "kept outputs, vocabulary"]
    words = ["gpu.py", *how, *limits, *only, "--output", tmp_path / "gpu.json"]
    monkeypatch.setattr(sys, "argv", [*map(str, words)])
    code, out = gpu.main(), capsys.readouterr().out
    assert code == 0, out
    found = json.loads((tmp_path / "gpu.json").read_text())
    labelling, distillation = found["cases"]
    assert {each["status"] for each in found["cases"]} == {"measured"}
    # 3 layers, the embedding and the last norm; 2 windows with 1,500 frames; 3 tokens of prompt and 150 steps
    weights = 3 * 66_624 + 51_865 * 64 + 128
    places = 150 * 3 + 150 * 151 // 2
    n_bytes = 2 * (150 * (weights + 2 * 2 * 3 * 64 * 1500) + places * 2 * 2 * 3 * 64)
    assert labelling["decoder_bytes"] == n_bytes
    assert labelling["share_of_bandwidth"] == pytest.approx(n_bytes / labelling["decoder_s"] / 1e10)
    assert labelling["audio_s_a_round"] == pytest.approx(2 * 2 * 26.7)
    assert labelling["hours_per_hour"] == pytest.approx(2 * 2 * 26.7 / labelling["rounds_s"][0])
    assert distillation["classes"] == 5000 + 51_865 - 50_257
    assert distillation["hours_per_hour"] == pytest.approx(2 * 30 / distillation["step_s"])
    assert distillation["share_of_flops"] == pytest.approx(distillation["step_flops"] / distillation["step_s"] / 1e11)
    assert distillation["planned_memory_bytes"] > 0
    assert all(len(each["kernels"]) == 10 for each in found["cases"])
    assert "| labelling small-test " in out
