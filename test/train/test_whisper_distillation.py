"""A tiny Whisper student learns from its teacher, and both share one encoder."""

import numpy as np
import pytest
import torch
from whisper_made import ENGLISH, write_openai

from k2d.models.interface import Request
from k2d.models.student import check_pair, shrink
from k2d.models.whisper.recogniser import load_whisper
from k2d.objectives.objective import Objective
from k2d.train.batches import IGNORED, Sample, collate
from k2d.train.chunk_batches import decoder_sequence
from k2d.train.chunk_table import LabelledChunk
from k2d.train.distillation import DistillationLoss, TeacherStudent
from k2d.train.trainable import let_learn, set_modes

pytest.importorskip("whisper")

LABELS = ["<0.00>我們 today 去<1.20><1.50>hello<2.40>", "<0.00>world<1.00>"]


@pytest.fixture(scope="module", params=[("zh",), ("zh", "en")], ids="+".join)
def pair(request, tmp_path_factory):
    teacher = load_whisper(write_openai(tmp_path_factory.mktemp("w") / "tiny.pt"), request.param)
    return teacher, shrink(teacher, [0, 2])


def batch(codec, previous=""):
    """A batch as in stage 10: whole windows, and no loss on the prompt."""
    rng = np.random.default_rng(0)
    samples = []
    for n, label in enumerate(LABELS):
        ids, n_prompt = codec.label(label, Request(), previous)
        sequence = np.array(ids)
        targets = sequence[1:].copy()
        targets[: n_prompt - 1] = IGNORED
        speech = rng.standard_normal(480_000).astype(np.float32) * 0.1
        samples.append(Sample(str(n), speech, sequence[:-1], targets, np.array(codec.ids("x"))))
    return collate(samples)


def distilling(teacher, student):
    let_learn(student, {"decoder"})
    set_modes(student, {"decoder"})
    return DistillationLoss(
        TeacherStudent(student, teacher, shares_encoder=True), Objective({"ce": 0.8, "kl": 1.0}, 2.0), "token_mean"
    )


def test_teacher_and_student_pass_the_check_of_a_pair(pair):
    check_pair(*pair)


@pytest.mark.slow
def test_steps_lower_the_loss_and_the_encoder_runs_once(pair, monkeypatch):
    teacher, student = pair
    objective, made = distilling(teacher, student), batch(student.codec)
    n_encoded = []
    for each in (teacher, student):
        each.network.encoder.register_forward_hook(lambda *_: n_encoded.append(1))
    optimizer = torch.optim.AdamW([p for p in student.network.parameters() if p.requires_grad], lr=1e-2)
    counts, losses = objective.counts(made), []
    for _ in range(8):
        terms = objective.sums(made)
        loss = sum(objective.weights[name] * terms[name] / counts[name] for name in terms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert len(n_encoded) == 8 * len(LABELS), "each window once a step, for both decoders"
    assert all(parameter.grad is None for parameter in student.network.encoder.parameters())
    assert all(parameter.grad is None for parameter in teacher.network.parameters())


@pytest.mark.parametrize("freezes", [True, False])
@pytest.mark.slow
def test_frozen_positions_do_not_change(pair, freezes):
    teacher, student = pair
    student.freeze_positions = freezes
    objective = distilling(teacher, student)
    sum(objective.sums(batch(student.codec)).values()).backward()
    (positions,) = student.positions()
    assert positions.requires_grad is not freezes
    assert all(p.requires_grad for p in student.network.decoder.parameters() if p is not positions)
    student.network.zero_grad()


def test_prompt_and_previous_text_have_no_loss(pair):
    """Only the tokens of the text and the end have a loss, with any text before them."""
    codec = pair[1].codec
    n_text = sum(len(codec.ids(label)) + 1 for label in LABELS)
    for previous in ("", "the previous text"):
        targets_BL = batch(codec, previous).targets_BL
        assert int((targets_BL != IGNORED).sum()) == n_text
        assert int(targets_BL.max()) < codec.n_tokens, "the token of mixed languages is never a target"


class TestGuessedLanguage:
    """The prompt of the label has the language, and the student learns to guess it, but no other token of it."""

    @pytest.fixture
    def codec(self, tmp_path):
        return load_whisper(write_openai(tmp_path / "tiny.pt")).codec

    @staticmethod
    def sample(codec, language, languages=(), previous="", **how):
        label = LABELS[1]
        chunk = LabelledChunk("c", "c.wav", 0.0, 3.0, label, language, codec.ids(label), codec.ids("world"))
        return decoder_sequence(chunk, codec, languages, previous_ids=codec.ids(previous), **how)

    @pytest.mark.parametrize("previous", ["", "before"])
    @pytest.mark.parametrize("timestamps", [True, False])
    def test_only_this_token_of_the_prompt_has_loss(self, codec, timestamps, previous):
        sample = self.sample(codec, "en", timestamps=timestamps, previous=previous)
        ids = codec.ids(LABELS[1] if timestamps else "world")
        learnt = [token for token in sample.targets.tolist() if token != IGNORED]
        assert learnt == [codec.language_id("en"), *ids, codec.eos_id]
        (place,) = np.flatnonzero(sample.targets == codec.language_id("en"))
        assert sample.inputs[place] == codec.tokenizer.sot
        assert sample.inputs[place + 1] == codec.language_id("en")
        assert sample.inputs[sample.n_prompt :].tolist() == ids

    def test_a_configured_language_replaces_it_and_has_no_loss(self, codec):
        sample = self.sample(codec, "en", ("zh",))
        assert codec.language_id("zh") in sample.inputs
        assert codec.language_id("en") not in sample.inputs
        assert not {codec.language_id("zh"), codec.language_id("en")} & set(sample.targets.tolist())

    def test_a_model_of_one_language_guesses_none(self, tmp_path):
        codec = load_whisper(write_openai(tmp_path / "english.pt", ENGLISH)).codec
        sample = self.sample(codec, "en")
        assert int((sample.targets != IGNORED).sum()) == len(codec.ids(LABELS[1])) + 1
