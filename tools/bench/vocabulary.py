"""A step of Whisper's distillation on the vocabulary in use against one on the whole vocabulary.

    python tools/bench/vocabulary.py [--size base] [--batch-size 4] [--pairs 7] [--threads 1]

Teacher and student (the teacher's encoder, its first and last decoder layers) have the sizes of a published Whisper and
random weights; batches are windows of 30 s with 150 tokens. The teacher's outputs are kept (distill.keep_encoded), so
that a step is the student's decoder, both output layers, the loss, backward, clipping and AdamW. The labels use 3,000
tokens; control and time tokens and the default sample of the others take part as well. Times are processor seconds of
interleaved turns in one process. With all tokens in use, the first loss of both ways is compared.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2d.config.students import Distill
from k2d.models.codec import Codec
from k2d.models.student import shrink
from k2d.models.whisper.checkpoint import Generation, WhisperWeights
from k2d.models.whisper.dims import PUBLISHED, WhisperDims, shapes
from k2d.models.whisper.recogniser import WhisperRecogniser
from k2d.objectives.objective import Objective
from k2d.train.batches import Batch
from k2d.train.distillation import DistillationLoss, TeacherStudent
from k2d.train.trainable import let_learn, set_modes
from k2d.train.vocabulary import VocabularyInUse
from tools.bench.in_turns import timed_in_turns

N_LABEL, N_WORDS, WARM_TURNS = 150, 3000, 1
WEIGHTS = {"ce": 0.8, "kl": 1.0}

Step = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=PUBLISHED, default="base", help="whose sizes (default: base)")
    parser.add_argument("--batch-size", type=int, default=4, help="windows per step (default: 4)")
    parser.add_argument("--pairs", type=int, default=7, help="turns that are timed (default: 7)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.platform()}, {cores} cores, {options.threads} threads, torch {torch.__version__}")
    teacher = made_teacher(PUBLISHED[options.size])
    words = torch.randperm(teacher.codec.eos_id, generator=torch.Generator().manual_seed(0))
    batch = made_batch(teacher, words[:N_WORDS], options.batch_size)
    in_use, whole = (vocabulary_of(teacher.codec, words.numpy(), n_words) for n_words in (N_WORDS, len(words)))
    losses = {name: made_step(teacher, batch, ids)() for name, ids in (("all", None), ("in use", whole))}
    print("loss of the first step, everything in use:", ", ".join(f"{name} {loss}" for name, loss in losses.items()))
    assert losses["all"] == losses["in use"], "not the same loss"
    steps = {"all": made_step(teacher, batch, None), "in use": made_step(teacher, batch, in_use)}
    times, _ = timed_in_turns(steps, options.pairs, n_warm_turns=WARM_TURNS, clock=time.process_time)
    for (name, seconds), n_tokens in zip(times.items(), (len(whole.ids_K), len(in_use.ids_K)), strict=True):
        print(f"{name:>6}: {n_tokens:6,} tokens, {statistics.median(seconds):5.2f} s of processor a step")
    ratios = [a / b for a, b in zip(times["all"], times["in use"], strict=True)]
    print(f"faster: {statistics.median(ratios):.2f} × (of {min(ratios):.2f} to {max(ratios):.2f})")


def vocabulary_of(codec: Codec, words: NDArray[np.int64], n_words: int) -> VocabularyInUse:
    """So many words, the default sample of the others, and all that is no text."""
    special, sampled = list(codec.special_ids), words[n_words : n_words + Distill().sampled_tokens]
    ids_K = np.sort(np.concatenate([words[:n_words], sampled, special]))
    return VocabularyInUse(ids_K, codec.n_tokens, n_words, len(special), np.isin(ids_K, sampled))


def made_teacher(dims: WhisperDims) -> WhisperRecogniser:
    """A Whisper with random weights of a size at which a network's output depends on its input."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes(dims).items():
        is_norm = len(shape) == 1 and name.endswith("weight")
        scale = 0.02 if len(shape) == 1 else shape[-1] ** -0.5
        state[name] = torch.randn(shape, generator=generator) * scale + is_norm
    return WhisperRecogniser.of(WhisperWeights(dims, state, Generation()), ("zh",))


def made_batch(teacher: WhisperRecogniser, words_W: Tensor, batch_size: int) -> Batch:
    """Labels of these words, and the teacher's outputs as they are kept, of the size that they have."""
    torch.manual_seed(0)
    dims = teacher.dims
    ids_BL = words_W[torch.randint(len(words_W), (batch_size, N_LABEL + 1))]
    n_labels_B = torch.full((batch_size,), N_LABEL)
    return Batch(
        tuple(map(str, range(batch_size))),
        torch.zeros(batch_size, 0),
        torch.zeros(batch_size, dtype=torch.int64),
        ids_BL[:, :-1],
        ids_BL[:, 1:],
        ids_BL[:, 1:],
        n_labels_B,
        states_BTD=torch.randn(batch_size, dims.n_audio_ctx, dims.n_audio_state),
        teacher_hidden_BLD=torch.randn(batch_size, N_LABEL, dims.n_text_state),
    )


def made_step(teacher: WhisperRecogniser, batch: Batch, vocabulary: VocabularyInUse | None) -> Step:
    """A step as stage 10 makes it, on these tokens or on all."""
    teacher = copy.deepcopy(teacher)
    student: Any = shrink(teacher, [0, teacher.n_decoder_layers - 1])
    pair = TeacherStudent(student, teacher, shares_encoder=True)
    objective = DistillationLoss(pair, Objective(WEIGHTS, Distill().temperature), "token_mean")
    if vocabulary is not None:
        objective.restrict_vocabulary(vocabulary)
    let_learn(student, {"decoder"})
    set_modes(student, {"decoder"})
    learning = [parameter for parameter in student.network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-6, fused=True)

    def step() -> float:
        counts, sums = objective.counts(batch), objective.sums(batch)
        loss = torch.stack([objective.weights[name] * sums[name] / counts[name] for name in WEIGHTS]).sum()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


if __name__ == "__main__":
    main()
