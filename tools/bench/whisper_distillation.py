"""A distillation step of Whisper here, compared with a plain one in transformers: time and memory.

    python tools/bench/whisper_distillation.py [--size base] [--batch-size 4] [--pairs 5]

Teacher and student (the teacher's encoder, its first and last decoder layers) have the sizes of a published Whisper and
random weights, the same on both sides. Batches are 30 s of noise with 150 tokens. Here the frozen encoder runs once for
both, logits are computed in pieces, and features are computed from samples. There teacher and student run one after the
other, each with its encoder, on precomputed features, and with all logits in memory. Both do the whole step: 0.8 CE +
KL at T = 2 per token, backward, clipping, AdamW. First the losses are compared. Times are processor seconds of
interleaved turns in one process. Memory is the growth of the peak over the memory before the first step, with a process
for each way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from k2d.models.student import shrink
from k2d.models.whisper.checkpoint import WhisperWeights
from k2d.models.whisper.dims import PUBLISHED, WhisperDims, shapes
from k2d.models.whisper.huggingface_names import to_hugging_face
from k2d.models.whisper.library import features, powers
from k2d.models.whisper.recogniser import WhisperRecogniser
from k2d.objectives.objective import Objective
from k2d.train.batches import Batch
from k2d.train.distillation import DistillationLoss, TeacherStudent

N_LABEL, TEMPERATURE = 150, 2.0
WEIGHTS = {"ce": 0.8, "kl": 1.0}
N_STEPS_FOR_MEMORY = 2

Step = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=PUBLISHED, default="base", help="whose sizes (default: base)")
    parser.add_argument("--batch-size", type=int, default=4, help="windows per step (default: 4)")
    parser.add_argument("--pairs", type=int, default=5, help="turns that are timed (default: 5)")
    options = parser.parse_args()
    threads = torch.get_num_threads()
    print(f"{platform.platform()}, {len(os.sched_getaffinity(0))} cores, {threads} threads, torch {torch.__version__}")
    dims = PUBLISHED[options.size]
    batch = make_batch(dims, options.batch_size)
    steps = {name: make(dims, batch) for name, make in WAYS.items()}
    losses = {name: step() for name, step in steps.items()}
    print("loss of the first step:", ", ".join(f"{name} {loss:.5f}" for name, loss in losses.items()))
    assert abs(losses["here"] - losses["there"]) < 1e-3 * losses["there"], "not the same loss"
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.pairs):
        for name, step in steps.items():
            started = time.process_time()
            step()
            times[name].append(time.process_time() - started)
    ratios = [there / here for here, there in zip(times["here"], times["there"], strict=True)]
    grown = {name: in_a_process_of_its_own(name, options.size, options.batch_size) for name in WAYS}
    for name, seconds in times.items():
        took, grew = statistics.median(seconds), grown[name] / 1e6
        print(f"{name:>6}: {took:6.2f} s of processor a step, {grew:6,.0f} MB beside the models")
    print(f"faster: {statistics.median(ratios):.2f} × (of {min(ratios):.2f} to {max(ratios):.2f})")
    print(f"memory: {grown['there'] / grown['here']:.2f} × less")


def make_batch(dims: WhisperDims, batch_size: int) -> Batch:
    torch.manual_seed(0)
    ids_BL = torch.randint(100, 40_000, (batch_size, N_LABEL + 1))
    speech_BN = 0.1 * torch.randn(batch_size, 480_000)
    n_samples_B, n_labels_B = torch.full((batch_size,), 480_000), torch.full((batch_size,), N_LABEL)
    names = tuple(map(str, range(batch_size)))
    return Batch(names, speech_BN, n_samples_B, ids_BL[:, :-1], ids_BL[:, 1:], ids_BL[:, 1:], n_labels_B)


def made_weights(dims: WhisperDims) -> dict[str, Tensor]:
    """Random weights under OpenAI's names, scaled so that the network's output depends on its input."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes(dims).items():
        is_norm = len(shape) == 1 and name.endswith("weight")
        scale = 0.02 if len(shape) == 1 else shape[-1] ** -0.5
        state[name] = torch.randn(shape, generator=generator) * scale + is_norm
    return state


def here(dims: WhisperDims, batch: Batch) -> Step:
    """The step of stage 10."""
    teacher = WhisperRecogniser.of(WhisperWeights(dims, made_weights(dims)), ("zh",))
    student: Any = shrink(teacher, [0, dims.n_text_layer - 1])
    student.network.encoder.requires_grad_(False)
    objective = DistillationLoss(
        TeacherStudent(student, teacher, shares_encoder=True), Objective(WEIGHTS, TEMPERATURE), "token_mean"
    )
    learning = [parameter for parameter in student.network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-6, fused=True)

    def step() -> float:
        counts, sums = objective.counts(batch), objective.sums(batch)
        loss = torch.stack([objective.weights[name] * sums[name] / counts[name] for name in WEIGHTS]).sum()
        return _learn(loss, learning, optimizer)

    return step


def there(dims: WhisperDims, batch: Batch) -> Step:
    """The step of a trainer on transformers, with precomputed features."""
    state = made_weights(dims)
    teacher = _transformer(dims, state).requires_grad_(False)
    last = f"decoder.blocks.{dims.n_text_layer - 1}."
    kept = {n.replace(last, "decoder.blocks.1."): t for n, t in state.items() if _is_kept(n, last)}
    student = _transformer(dims.with_text_layers(2), kept)
    student.model.encoder.requires_grad_(False)
    features_BMF = torch.stack([features(powers(speech_N, dims.n_mels)) for speech_N in batch.speech_BN])
    learning = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-6, fused=True)

    def step() -> float:
        asked = {"input_features": features_BMF, "decoder_input_ids": batch.inputs_BL, "use_cache": False}
        with torch.no_grad():
            teacher_BLV = teacher(**asked).logits
        student_BLV = student(**asked).logits
        ce = F.cross_entropy(student_BLV.flatten(0, 1), batch.targets_BL.flatten())
        teachers = F.softmax(teacher_BLV / TEMPERATURE, dim=-1)
        students = F.log_softmax(student_BLV / TEMPERATURE, dim=-1)
        kl = F.kl_div(students, teachers, reduction="none").sum(-1).mean() * TEMPERATURE**2
        return _learn(WEIGHTS["ce"] * ce + WEIGHTS["kl"] * kl, learning, optimizer)

    return step


WAYS: dict[str, Callable[[WhisperDims, Batch], Step]] = {"here": here, "there": there}


def _learn(loss: Tensor, learning: Sequence[Any], optimizer: torch.optim.Optimizer) -> float:
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(learning, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def _is_kept(name: str, last: str) -> bool:
    return not name.startswith("decoder.blocks.") or name.startswith(("decoder.blocks.0.", last))


def _transformer(dims: WhisperDims, state: dict[str, Tensor]) -> Any:
    """transformers' network with these weights. Its output layer is its embedding."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    width = dims.n_audio_state
    config = WhisperConfig(
        vocab_size=dims.n_vocab,
        num_mel_bins=dims.n_mels,
        d_model=width,
        encoder_layers=dims.n_audio_layer,
        encoder_attention_heads=dims.n_audio_head,
        decoder_layers=dims.n_text_layer,
        decoder_attention_heads=dims.n_text_head,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        pad_token_id=50257,
        bos_token_id=50257,
        eos_token_id=50257,
        decoder_start_token_id=50258,
    )
    network: Any = WhisperForConditionalGeneration(config)
    odd = network.load_state_dict(to_hugging_face(state), strict=False)
    assert not odd.unexpected_keys, odd.unexpected_keys
    assert set(odd.missing_keys) <= {"proj_out.weight"}, odd.missing_keys
    network.tie_weights()
    network.eval()
    return network


def in_a_process_of_its_own(name: str, size: str, batch_size: int) -> int:
    """The growth of the peak of memory during some steps, in bytes."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (name, size, batch_size))


def _grown(name: str, size: str, batch_size: int) -> int:
    step = WAYS[name](PUBLISHED[size], make_batch(PUBLISHED[size], batch_size))
    before = _status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    for _ in range(N_STEPS_FOR_MEMORY):
        step()
    return _status_bytes("VmHWM") - before


def _status_bytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


if __name__ == "__main__":
    main()
