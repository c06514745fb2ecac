"""A training on a part of the vocabulary: exact if all tokens are in use; otherwise other rows do not change."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from train_cases import Case

from k2d.config.training import Running
from k2d.core.stamp import Recipe

pytestmark = pytest.mark.slow

RUNNING = Running(weight_decay=0.3, checkpoint_every_steps=2)
N_STEPS = 4
STUDENTS = {
    "whisper": Case("whisper", terms=("ce", "kl")),
    "whisper-dkd-encoded": Case("whisper", terms=("ce", "dkd"), keep_encoded=True),
    "s2t": Case("s2t", terms=("ce", "kl")),
    "s2t-free": Case("s2t", terms=("ce", "kl", "ctc"), freeze_encoder=False),
}


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    import torch
    from train_families import Families

    torch.set_num_threads(1)
    return Families(tmp_path_factory.mktemp("families"))


class Stopping:
    """Batches up to a step, at which an error stops the training."""

    def __init__(self, batches, at):
        self._batches, self._at = batches, at

    def __getitem__(self, step):
        if step == self._at:
            raise KeyError("killed")
        return self._batches[step]


def whole(codec):
    from k2d.train.vocabulary import VocabularyInUse

    n_special = len(codec.special_ids)
    n_words = codec.n_tokens - n_special
    nobody = np.zeros(codec.n_tokens, bool)
    return VocabularyInUse(np.arange(codec.n_tokens), codec.n_tokens, n_words, n_special, nobody)


def train(families, case, folder, vocabulary_of=None, *, stop_at=None):
    """The saved student after some steps, and its curves."""
    import torch

    from k2d.train import engine
    from k2d.train.engine import Setting

    student, plan = families.made(case)
    teacher = plan.objective._pair.teacher
    for each in (student, teacher):
        each.to("cpu", torch.float32)
        each.network.float()
    if vocabulary_of is not None:
        plan.objective.restrict_vocabulary(vocabulary_of(student.codec))
    _, of_case = families.made(case)
    batches = of_case.batches
    if stop_at is not None:
        plan = replace(plan, batches=lambda share, first: Stopping(batches(share, first), stop_at))
    plan = replace(plan, steps=replace(plan.steps, steps=N_STEPS))
    setting = Setting(folder, seed=5, n_workers=0)
    engine.train(student, [plan], RUNNING, setting, recipe=Recipe("case", 1, {}, {}))
    if vocabulary_of is not None:
        student.restore_vocabulary()
    return student, (folder / "curves.csv").read_text()


@pytest.fixture(scope="module")
def trained(families, tmp_path_factory):
    """The trainings that several tests look at: of a student, on the whole vocabulary or on a part."""

    @cache
    def trained(name, vocabulary_of=None):
        return train(families, STUDENTS[name], tmp_path_factory.mktemp("trained"), vocabulary_of)

    return trained


@pytest.mark.parametrize("name", STUDENTS)
def test_with_all_tokens_in_use_training_is_bit_identical(families, trained, name, tmp_path):
    """Losses, norms of gradients and weights are compared, with weight decay."""
    student, curves = trained(name)
    same, same_curves = train(families, STUDENTS[name], tmp_path / "in_use", whole)
    assert curves == same_curves
    weights, same_weights = student.network.state_dict(), same.network.state_dict()
    assert list(weights) == list(same_weights)
    assert [name for name in weights if not weights[name].equal(same_weights[name])] == []


def vocabulary_layers(student):
    decoder = student.network.decoder
    if student.family == "whisper":
        return {"embedding": decoder.token_embedding.weight}
    output = decoder.output_layer
    return {"embedding": decoder.embed[0].weight, "output": output.weight, "bias": output.bias}


@pytest.mark.parametrize("name", STUDENTS)
def test_rows_that_are_not_in_use_stay_as_they_are(families, trained, name):
    """If all rows are in use, weight decay changes each of them."""
    from train_families import some_in_use

    start, _ = families.made(STUDENTS[name])
    start.network.float()
    student, _ = trained(name, some_in_use)
    in_use = some_in_use(student.codec).ids_K
    others = sorted({*range(student.codec.n_tokens)} - {*in_use.tolist()})
    on_all, _ = trained(name)
    for layer, before in vocabulary_layers(start).items():
        after = vocabulary_layers(student)[layer]
        assert after.shape == before.shape
        assert after[others].equal(before[others])
        assert not (after[in_use] == before[in_use]).any(), "all of these learn"
        assert not vocabulary_layers(on_all)[layer][others].equal(before[others])


@pytest.mark.parametrize("name", ["whisper", "s2t"])
def test_the_loss_is_a_softmax_over_the_tokens_in_use(families, name):
    """Computed from the logits of the whole vocabulary, token by token. A sampled token represents about ten."""
    import torch
    from train_families import some_in_use

    from k2d.train.batches import IGNORED, TrainingProcess

    student, plan = families.made(STUDENTS[name])
    teacher, loss = plan.objective._pair.teacher, plan.objective
    (batch,) = plan.batches(TrainingProcess(), 0)[0]
    vocabulary = some_in_use(student.codec)
    ids, n_others = vocabulary.ids_K.tolist(), student.codec.n_tokens - vocabulary.n_of_labels - vocabulary.n_special
    n_each = [n_others / vocabulary.n_sampled if sampled else 1.0 for sampled in vocabulary.is_sampled_K]
    assert max(n_each) == pytest.approx(10, rel=0.1)
    ce = kl = 0.0
    with torch.no_grad():
        memory = teacher.encode(batch.speech_BN)
        ours, theirs = (each.logits(memory, batch.inputs_BL).numpy() for each in (student, teacher))
    for b, place in zip(*np.nonzero(batch.targets_BL.numpy() != IGNORED), strict=True):

        def weights(logits, t, at=(b, place)):
            """The share of each token, and of those that it represents, in a softmax before normalisation."""
            return [n * math.exp(logits[(*at, token)] / t) for token, n in zip(ids, n_each, strict=True)]

        q, q2, p2 = weights(ours, 1.0), weights(ours, 2.0), weights(theirs, 2.0)
        ce -= math.log(q[ids.index(int(batch.targets_BL[b, place]))] / sum(q))
        sum_p2, sum_q2 = sum(p2), sum(q2)
        pairs = ((x / sum_p2, y / sum_q2) for x, y in zip(p2, q2, strict=True))
        kl += 4.0 * sum(x * math.log(x / y) for x, y in pairs)
    loss.restrict_vocabulary(vocabulary)
    sums = loss.sums(batch)
    assert sums["ce"].item() == pytest.approx(ce, rel=1e-6)
    assert sums["kl"].item() == pytest.approx(kl, rel=1e-6)


@pytest.mark.parametrize("name", ["whisper", "s2t"])
def test_a_killed_training_is_continued_with_the_same_result(families, trained, name, tmp_path):
    from train_families import some_in_use

    student, curves = trained(name, some_in_use)
    with pytest.raises(KeyError, match="killed"):
        train(families, STUDENTS[name], tmp_path, some_in_use, stop_at=3)
    assert len(list(tmp_path.rglob("step-*.pt"))) == 1
    resumed, same_curves = train(families, STUDENTS[name], tmp_path, some_in_use)
    assert curves == same_curves
    weights, same = student.network.state_dict(), resumed.network.state_dict()
    assert [name for name in weights if not weights[name].equal(same[name])] == []


def test_a_training_is_not_continued_with_other_tokens(families, tmp_path):
    from train_families import some_in_use

    from k2d.core.errors import K2DError

    def fewer(codec):
        found = some_in_use(codec)
        return replace(found, ids_K=found.ids_K[1:], is_sampled_K=found.is_sampled_K[1:])

    with pytest.raises(KeyError):
        train(families, STUDENTS["whisper"], tmp_path, some_in_use, stop_at=3)
    with pytest.raises(K2DError, match=r"the checkpoint is of a training on .* other tokens than"):
        train(families, STUDENTS["whisper"], tmp_path, fewer)


@pytest.mark.parametrize("name", ["whisper", "s2t"])
def test_checkpoints_are_measured_on_the_whole_vocabulary(families, name):
    """Decoding during the training uses all tokens, as the saved student does, with the rows trained so far."""
    import torch
    from train_families import some_in_use

    from k2d.models.codec import Request

    student, _ = families.made(STUDENTS[name])
    ids = torch.from_numpy(some_in_use(student.codec).ids_K)
    odd = min({*range(student.codec.n_tokens)} - {*ids.tolist()})
    student.restrict_vocabulary(ids)
    with torch.no_grad():
        for parameter in student.network.decoder.parameters():
            parameter += 0.01

    def logits():
        with torch.no_grad():
            started = student.start(student.encode(torch.ones(1, 16_000)), Request())
            return [started.logits_RV, started.decoding.step(torch.tensor([odd])), started.decoding.step(ids[:1])]

    in_between = logits()
    student.restore_vocabulary()
    assert in_between[0].shape[1] == student.codec.n_tokens
    assert all(one.equal(other) for one, other in zip(in_between, logits(), strict=True))
