"""The losses, worked out by hand and compared with each other; trained and frozen parts; reasons to stop."""

import math

import pytest

from k2d.config.training import Augment, Phase, Training
from k2d.core.stamp import Recipe

pytestmark = pytest.mark.slow

STILL = {"augment": Augment(gain_db=0.0, noise=0.0, echo=0.0), "warmup_steps": 0}


@pytest.fixture
def run(fake, tmp_path):
    """Train the tiny recogniser in these phases, and return it, the record and the lines of its curves."""
    from k2d.train.engine import Setting
    from k2d.train.supervised import train_recogniser

    def run(phases, name="run", material=None, dropout=0.0, measure=None, **training):
        recogniser = fake.FakeRecogniser(seed=3, dropout=dropout)
        setting = Setting(tmp_path / name, seed=2, n_workers=0)
        record = train_recogniser(
            recogniser,
            Training(phases=phases, **training),
            material or fake.material(),
            setting,
            measure,
            recipe=Recipe("test", 1, {}, {}),
        )
        header, *lines = (tmp_path / name / "curves.csv").read_text().splitlines()
        return recogniser, record, [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]

    return run


def test_a_flat_start_expects_each_token_near_its_place():
    """One token in three frames: its place is the middle one. The others have the weight e^(-1/8) (2 frames = σ)."""
    import torch

    from k2d.train.supervised import FLAT_FRAMES, flat_start

    probabilities_TV = torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]])
    side = math.exp(-0.5 / FLAT_FRAMES**2)
    mean = (side * 0.5 + 0.8 + side * 0.1) / (1 + 2 * side)
    padded = torch.tensor([[1, 0]])  # what stands behind the text does not count
    loss = flat_start(probabilities_TV.log()[None], torch.tensor([3]), padded, torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(mean))


def test_the_attention_loss_by_hand(fake):
    """Two tokens and padding: the mean of -log p of the next token, with any padding."""
    import torch

    from k2d.train.batches import IGNORED, Batch
    from k2d.train.supervised import SupervisedLoss

    recogniser = fake.FakeRecogniser(dropout=0.0)
    logits_BLV = torch.zeros(1, 3, fake.VOCABULARY)
    logits_BLV[0, 0, 7] = math.log(fake.VOCABULARY - 1)  # one half
    logits_BLV[0, 2] = torch.nan  # padding
    recogniser.logits = lambda memory, inputs_BL: logits_BLV
    nothing = torch.zeros(1, 1, dtype=torch.int64)
    targets_BL = torch.tensor([[7, fake.EOS, IGNORED]])
    batch = Batch(("u",), torch.zeros(1, 100), torch.tensor([100]), nothing, targets_BL, nothing, torch.tensor([1]))
    objective = SupervisedLoss(recogniser, Phase(train="decoder", label_smoothing=0.0))
    assert objective.counts(batch) == {"attention": 2}
    expected = math.log(2) + math.log(fake.VOCABULARY)
    assert objective.sums(batch)["attention"].item() == pytest.approx(expected, abs=1e-5)


def test_the_ctc_loss_by_hand(fake):
    """Two frames and one letter give the paths a-, -a and aa."""
    import torch

    from k2d.train.supervised import SupervisedLoss

    recogniser = fake.FakeRecogniser(dropout=0.0)
    probabilities_TV = torch.full((2, fake.VOCABULARY), 1e-30)
    probabilities_TV[:, fake.BLANK], probabilities_TV[:, fake.FIRST_LETTER] = 0.75, 0.25
    recogniser.ctc_log_probs = lambda memory: probabilities_TV.log()[None]
    pool = {"texts": ["a"], "durations_s": [0.1]}  # two frames of 50 ms
    objective = SupervisedLoss(recogniser, Phase(data="utterances", train="encoder"))
    from k2d.train.batches import StepBatches, TrainingProcess

    phase = Phase(data="utterances", train="encoder", batch_size=1)
    (batch,) = StepBatches(fake.material(**pool), phase, (0, 0), TrainingProcess())[0]
    assert objective.counts(batch) == {"ctc": 1}
    assert objective.sums(batch)["ctc"].item() == pytest.approx(-math.log(2 * 0.75 * 0.25 + 0.25**2), abs=1e-5)


def test_ctc_over_the_classes_of_each_text_is_ctc_over_all():
    """Value and gradient, with doubled letters, padding, an empty text, and a blank that is not class 0."""
    import torch
    from torch.nn import functional as F

    from k2d.train.supervised import ctc

    blank = 6
    text_BC = torch.tensor([[3, 3, 1, 3], [5, 2, 0, 0], [0, 0, 0, 0]])
    n_text_B, n_frames_B = torch.tensor([4, 2, 0]), torch.tensor([9, 5, 3])
    logits_BTV = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for of_all in (True, False):
        leaf = logits_BTV.clone().requires_grad_()
        log_probs_BTV = leaf.log_softmax(-1)
        if of_all:
            log_probs_TBV = log_probs_BTV.transpose(0, 1)
            loss = F.ctc_loss(log_probs_TBV, text_BC, n_frames_B, n_text_B, blank=blank, reduction="sum")
        else:
            loss = ctc(log_probs_BTV, n_frames_B, text_BC, n_text_B, blank)
        (2 * loss).backward()
        found.append((loss.detach(), leaf.grad))
    (expected, expected_gradient), (got, gradient) = found
    assert torch.allclose(got, expected)
    assert torch.allclose(gradient, expected_gradient, atol=1e-9)


@pytest.mark.parametrize(("train", "still"), [("encoder", "decoder"), ("decoder", "encoder")])
def test_only_selected_parts_change(run, fake, train, still):
    from k2d.train.trainable import names_of

    before = fake.FakeRecogniser(seed=3).network.state_dict()
    after = run({"one": Phase(train=train, steps=2, batch_size=2, **STILL)}, dropout=0.5)[0]
    state = after.network.state_dict()
    assert all(state[name].equal(before[name]) for name in names_of(after, {still}))
    assert any(not state[name].equal(before[name]) for name in names_of(after, {train}))


def test_a_fixed_encoder_runs_once_a_step(run):
    clean = run({"one": Phase(train="decoder", steps=3, batch_size=2, **STILL)}, name="clean")
    assert clean[0].n_encoded == 3

    noisy = run({"one": Phase(train="decoder", steps=3, batch_size=2, **STILL)}, name="noisy", dropout=0.5)
    assert noisy[2] != clean[2]  # the decoder's dropout is at work


@pytest.mark.parametrize(("learning", "encoder", "decoder"), [({"decoder"}, False, True), (set(), False, False)])
def test_frozen_parts_are_in_inference_mode(fake, learning, encoder, decoder):
    from k2d.train.trainable import set_modes

    recogniser = fake.FakeRecogniser()
    set_modes(recogniser, learning)
    assert recogniser.network.training is False  # ESPnet's SpecAugment looks here
    assert [module.training for module in recogniser.parts()["encoder"]] == [encoder] * 2
    assert [module.training for module in recogniser.parts()["decoder"]] == [decoder] * 2


def test_several_backward_passes_equal_one(run):
    """Also if the passes have different numbers of tokens: the loss is the mean over all tokens."""
    phase = {"steps": 4, "batch_size": 6, "lr": 1e-2, **STILL}
    one = run({"one": Phase(**phase)}, "one")
    three = run({"one": Phase(accumulate=3, **phase)}, "three")
    for a, b in zip(one[2], three[2], strict=True):
        for name in ("loss", "ctc", "attention", "gradient_norm"):
            assert float(a[name]) == pytest.approx(float(b[name]), rel=1e-5)
    weights = zip(one[0].network.parameters(), three[0].network.parameters(), strict=True)
    assert all(a.allclose(b, atol=1e-5) for a, b in weights)


def test_a_sum_does_not_depend_on_the_number_of_passes(run, monkeypatch):
    from k2d.train.supervised import SupervisedLoss

    monkeypatch.setattr(SupervisedLoss, "counts", lambda self, batch: dict.fromkeys(self.weights, 0))
    phase = {"steps": 2, "batch_size": 6, "lr": 1e-3, **STILL}
    one, three = (run({"one": Phase(accumulate=n, **phase)}, f"in {n}")[2] for n in (1, 3))
    assert float(one[0]["loss"]) > 20  # of all the tokens of six samples
    for a, b in zip(one, three, strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-5)
        assert float(a["gradient_norm"]) == pytest.approx(float(b["gradient_norm"]), rel=1e-5)


def test_training_lowers_the_loss(run):
    phases = {
        "encoder": Phase(data="utterances", train="encoder", steps=60, batch_size=4, lr=2e-2, **STILL),
        "decoder": Phase(train="decoder", steps=60, batch_size=8, lr=2e-2, timestamps=False, **STILL),
    }
    _, record, lines = run(phases, dropout=0.1)
    assert record.phases["encoder"].last["ctc"] < 0.5 * record.phases["encoder"].first["ctc"]
    assert record.phases["decoder"].last["attention"] < 0.8 * record.phases["decoder"].first["attention"]
    assert [line["phase"] for line in lines] == ["encoder"] * 60 + ["decoder"] * 60
    assert [int(line["total_step"]) for line in lines] == list(range(1, 121))
    assert lines[0]["attention"] == lines[-1]["ctc"] == ""


def test_a_text_too_long_for_its_audio_stops_the_training_and_is_named(run, fake):
    from k2d.train.learner import Diverged

    pool = {"texts": ["ab", "abcdefgh", "fg"], "durations_s": [0.5, 0.2, 0.5]}
    phases = {"one": Phase(data="utterances", train="encoder", steps=3, batch_size=3, **STILL)}
    with pytest.raises(Diverged, match=r"step 1: ctc, loss, gradient_norm no longer finite; samples u1; look at"):
        run(phases, material=fake.material(**pool))


def test_if_the_weights_are_broken_the_whole_batch_is_named(run, fake, monkeypatch):
    import torch

    from k2d.train.learner import Diverged

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(torch.inf))
    phases = {"one": Phase(data="utterances", train="encoder", steps=3, batch_size=2, **STILL)}
    pool = {"texts": ["ab", "cd"], "durations_s": [0.5, 0.5]}
    with pytest.raises(Diverged, match=r"step 1: gradient_norm no longer finite; batch (u0, u1|u1, u0); "):
        run(phases, material=fake.material(**pool))


def test_the_best_checkpoints_are_averaged_if_that_is_better(run):
    """Measured at steps 2, 4, 6, 8 and 10. The best two are 8 and 4, and their mean is even better."""
    rates = iter([0.6, 0.3, 0.5, 0.25, 0.4, 0.2])
    recogniser, record, _ = run(
        {"one": Phase(steps=10, batch_size=2, **STILL)},
        measure=lambda recogniser: next(rates),
        average_best=2,
        checkpoint_every_steps=100,
    )
    assert record.error_rates == {2: 0.6, 4: 0.3, 6: 0.5, 8: 0.25, 10: 0.4}
    assert (record.chosen_steps, record.final_error_rate, record.undertrained) == ([8, 4], 0.2, False)
    assert not recogniser.network.training


def test_the_best_checkpoint_is_used_if_the_mean_is_worse(run, fake, tmp_path):
    import torch

    rates = iter([0.6, 0.3, 0.5, 0.25, 0.2, 0.7])
    recogniser, record, _ = run(
        {"one": Phase(steps=10, batch_size=2, **STILL)},
        measure=lambda recogniser: next(rates),
        checkpoint_every_steps=100,
    )
    assert (record.chosen_steps, record.final_error_rate, record.undertrained) == ([10], 0.2, True)
    state = torch.load(tmp_path / "run/checkpoints/step-00000010.pt", weights_only=True)["network"]
    assert all(value.equal(state[name]) for name, value in recogniser.network.state_dict().items())


def test_without_a_measurement_no_checkpoint_is_saved_for_it(run, tmp_path):
    run({"one": Phase(steps=10, batch_size=2, **STILL)}, checkpoint_every_steps=7)
    saved = sorted(path.stem for path in (tmp_path / "run" / "checkpoints").glob("*.pt"))
    assert saved == ["step-00000007", "step-00000010"]


def test_measuring_does_not_disturb_the_training(run):
    """It is done without dropout and gradients, and does not change the random numbers of the steps."""
    import torch

    seen = []

    def measure(recogniser):
        seen.append((recogniser.network.training, torch.is_grad_enabled(), torch.rand(1).item())[:2])
        return 0.5

    phases = {"one": Phase(steps=10, batch_size=2, **STILL)}
    measured = run(phases, "measured", dropout=0.3, measure=measure)
    plain = run(phases, "plain", dropout=0.3)
    assert measured[2] == plain[2]
    assert set(seen[:5]) == {(False, False)}


def test_the_mean_of_weights():
    import torch

    from k2d.train.engine import mean_of

    states = [{"w": torch.tensor([float(n)]), "n": torch.tensor(n)} for n in (1, 2, 6)]
    assert mean_of(states) == {"w": torch.tensor([3.0]), "n": torch.tensor(1)}


def test_kept_batches_are_encoded_once(run):
    """The losses of a second round equal those of batches that are encoded again, because the encoder is frozen."""
    phase = {"data": "utterances", "train": "decoder", "steps": 7, "batch_size": 2, **STILL}
    n_encoded = []
    import train_fake

    encode = train_fake.FakeRecogniser.encode_unpadded

    def counting(self, *given):
        n_encoded.append(1)
        return encode(self, *given)

    train_fake.FakeRecogniser.encode_unpadded = counting
    try:
        run({"all": Phase(**phase, keep_batches=3)})
        assert len(n_encoded) == 3
    finally:
        train_fake.FakeRecogniser.encode_unpadded = encode
