"""The cost of a distillation step beside its arithmetic, and the gain from sharing the encoder.

    python tools/bench/distillation.py [--batch-size 16] [--pairs 20]

Teacher (conf/models/mini_teacher.yaml) and student (its first and last decoder layers) have random weights. Batches are
10 s of noise with 50 tokens. Timed in turn: a whole step of the engine's objective with the optimiser; the bare
arithmetic (the encoder's forward, the teacher's decoder forward, the student's forward and backward); the same with an
encoder run for each of the two; and with the encoder's output kept (distill.keep_encoded).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from k2d.models.espnet_s2t.loading import new_s2t
from k2d.models.espnet_s2t.pieces import pieces_of, train_pieces
from k2d.models.espnet_s2t.training_config import read_config
from k2d.models.espnet_s2t.vocabulary import layout_of, special_symbols, token_list
from k2d.models.interface import Memory
from k2d.models.student import shrink
from k2d.objectives.objective import Objective
from k2d.objectives.terms import Tokens, kl
from k2d.train.batches import Batch
from k2d.train.distillation import DistillationLoss, TeacherStudent
from k2d.train.trainable import let_learn
from tools.bench.in_turns import timed_in_turns

PROJECT_ROOT = Path(__file__).resolve().parents[2]
N_LABEL, WARM_TURNS = 50, 3
WEIGHTS = {"ce": 0.8, "kl": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=16, help="chunks per step (default: 16)")
    parser.add_argument("--pairs", type=int, default=20, help="turns that are timed (default: 20)")
    options = parser.parse_args()
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    print(f"{platform.platform()}, {len(os.sched_getaffinity(0))} cores, {threads} threads, torch {torch.__version__}")
    teacher = make_teacher()
    student: Any = shrink(teacher, [0, teacher.n_decoder_layers - 1])
    let_learn(student, {"decoder", "output_layer"})
    student.network.decoder.train()
    steps = ways(teacher, student, options.batch_size)
    times, _ = timed_in_turns(steps, options.pairs, n_warm_turns=WARM_TURNS)
    bare = times["bare"]
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, bare, strict=True))
        print(f"{name:>10}: {1000 * statistics.median(seconds):6.0f} ms, {ratio:.2f} × bare")


def make_teacher() -> Any:
    """The mini teacher with random weights, and a vocabulary of its size."""
    config = read_config(PROJECT_ROOT / "conf" / "models" / "mini_teacher.yaml")
    config["normalize"] = None
    config["normalize_conf"] = {}
    window = layout_of(config).window
    texts = ["".join(chr(0x4E00 + n) for n in range(at, at + 20)) for at in range(0, 1200, 20)]
    symbols = special_symbols(window, ["zho"])
    model = train_pieces(texts, symbols, vocab_size=len(symbols) + 256 + 3 + 1201, model_type="char")
    with tempfile.TemporaryDirectory() as folder:
        pieces = Path(folder) / "bpe.model"
        pieces.write_bytes(model)
        return new_s2t(config, token_list(pieces_of(model), window, ["zho"]), pieces, seed=1)


def ways(teacher: Any, student: Any, batch_size: int) -> dict[str, Callable[[], None]]:
    """The ways that are timed, by name."""
    batch = make_batch(teacher, batch_size)
    kept = batch._replace(states_BTD=teacher.encode(batch.speech_BN).states_BTD.detach())
    pairs = {
        name: TeacherStudent(student, teacher, shares_encoder=shared)
        for name, shared in (("step", True), ("twice", False))
    }
    learning = [p for p in student.network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, fused=True)

    def step(pair: TeacherStudent, batch: Batch) -> None:
        objective = DistillationLoss(pair, Objective(WEIGHTS, 2.0), "token_mean")
        counts, sums = objective.counts(batch), objective.sums(batch)
        loss = torch.stack([objective.weights[name] * sums[name] / counts[name] for name in WEIGHTS]).sum()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    def bare() -> None:
        with torch.no_grad():
            memory: Memory = teacher.encode(batch.speech_BN)
            teacher_logits_NV: Tensor = teacher.logits(memory, batch.inputs_BL).flatten(0, 1)
        student_logits_NV: Tensor = student.logits(memory, batch.inputs_BL).flatten(0, 1)
        targets_N, nothing = batch.targets_BL.flatten(), torch.zeros(0)
        tokens = Tokens(targets_N, nothing, student_logits_NV, nothing, teacher_logits_NV, 2.0)
        loss = 0.8 * F.cross_entropy(student_logits_NV, targets_N) + kl(tokens).mean()
        torch.autograd.grad(loss, learning)

    return {
        "bare": bare,
        "step": lambda: step(pairs["step"], batch),
        "twice": lambda: step(pairs["twice"], batch),
        "kept": lambda: step(pairs["step"], kept),
    }


def make_batch(teacher: Any, batch_size: int) -> Batch:
    ids_BL = torch.randint(400, teacher.codec.n_tokens - 10, (batch_size, N_LABEL + 1))
    n_samples = teacher.window.n_samples
    return Batch(
        tuple(map(str, range(batch_size))),
        0.1 * torch.randn(batch_size, n_samples),
        torch.full((batch_size,), n_samples),
        ids_BL[:, :-1],
        ids_BL[:, 1:],
        ids_BL[:, 1:],
        torch.full((batch_size,), N_LABEL),
    )


if __name__ == "__main__":
    main()
