"""ESPnet's own networks: the losses equal those of ESPnet's model, and all phases train the networks."""

import numpy as np
import pytest

from k2d.config.training import Augment, Phase, Training
from k2d.core.stamp import Recipe
from k2d.train.pool import Pool, PoolIndex

pytestmark = pytest.mark.slow

RATE_HZ = 16_000
TEXTS = ("我們 today", "hello world", "the plan 很 smart", "去玩")
STILL = Augment(gain_db=0.0, noise=0.0, echo=0.0)


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory):
    import torch
    from models_made import made_recogniser

    torch.set_num_threads(1)
    return made_recogniser(tmp_path_factory.mktemp("espnet"))


@pytest.fixture
def material(recogniser):
    from k2d.models.codec import Request
    from k2d.train.batches import Material

    rng = np.random.default_rng(0)
    counts = [round(s * RATE_HZ) for s in (1.5, 2.0, 2.5, 1.2)]
    audio = rng.integers(-5000, 5000, sum(counts)).astype(np.int16)
    pool = Pool(PoolIndex({}, ["a", "b", "c", "d"], TEXTS, counts, {}), audio, RATE_HZ)
    return Material(pool, recogniser.codec, recogniser.window, Request(("zho",)))


@pytest.mark.parametrize(("data", "train"), [("utterances", "encoder"), ("windows", "all"), ("windows", "decoder")])
def test_the_losses_equal_those_of_espnets_model(recogniser, material, data, train):
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from k2d.train.batches import StepBatches, TrainingProcess
    from k2d.train.supervised import SupervisedLoss

    phase = Phase(data=data, train=train, batch_size=3, label_smoothing=0.0, augment=STILL)
    (batch,) = StepBatches(material, phase, (0, 0), TrainingProcess())[0]
    labels = [
        row[: int((targets != -100).sum()) + 2] for row, targets in zip(batch.inputs_BL, batch.targets_BL, strict=True)
    ]
    shown = batch._replace(targets_BL=batch.targets_BL.clone())
    shown.targets_BL[:, :2] = batch.inputs_BL[:, 1:3]  # ESPnet counts the prompt, too
    network = recogniser.network.eval()
    texts = [label[1:] for label in labels]
    n_texts = torch.tensor([len(text) for text in texts])
    nothing = torch.full((3, 1), network.na)
    text_BC = batch.text_BC.masked_fill(torch.arange(batch.text_BC.shape[1]) >= batch.n_text_B[:, None], -1)
    network.error_calculator = None
    _, stats, _ = network(
        batch.speech_BN,
        batch.n_samples_B,
        pad_sequence(texts, batch_first=True, padding_value=-1),
        n_texts,
        nothing,
        torch.ones(3, dtype=torch.int64),
        text_BC,
        batch.n_text_B,
    )
    with torch.no_grad():
        sums = SupervisedLoss(recogniser, phase).sums(shown)
    for name, theirs in (("ctc", "loss_ctc"), ("attention", "loss_att")):
        if name in sums:
            assert sums[name].item() / 3 == pytest.approx(stats[theirs].item(), rel=1e-4)


def test_three_phases(recogniser, material, tmp_path):
    from k2d.train.engine import Setting
    from k2d.train.supervised import train_recogniser
    from k2d.train.trainable import names_of

    before = {name: value.clone() for name, value in recogniser.network.state_dict().items()}
    short = {"steps": 3, "batch_size": 2, "warmup_steps": 0}
    phases = {
        "encoder": Phase(data="utterances", train="encoder", **short),
        "decoder": Phase(train="decoder", token_noise=0.2, **short),
        "all": Phase(train="all", window_s=3.0, accumulate=2, **short),
    }
    seen = []

    def measure(trained):
        seen.append({name: value.clone() for name, value in trained.network.state_dict().items()})
        return 0.5

    training = Training(phases=phases, evaluations=1)
    setting, recipe = Setting(tmp_path, seed=1, n_workers=0), Recipe("test", 1, {}, {})
    record = train_recogniser(recogniser, training, material, setting, measure, recipe=recipe)
    after_decoder, after_all = seen
    assert list(record.error_rates) == [6, 9]
    weights = [name for name in names_of(recogniser, {"encoder"}) if before[name].is_floating_point()]
    assert any(not before[name].equal(after_decoder[name]) for name in weights)
    assert any(not after_decoder[name].equal(after_all[name]) for name in weights)
    assert all(value.isfinite().all() for value in after_all.values())
    assert not recogniser.network.training
    assert set(names_of(recogniser, {"encoder", "ctc_head", "decoder", "output_layer"})) == set(before)


def test_specaugment_is_only_used_for_encoders_that_learn(recogniser, material):
    import torch

    from k2d.train.trainable import set_modes

    speech_BN = torch.from_numpy(material.pool.samples(1))[None]
    n_samples_B = torch.tensor([speech_BN.shape[1]])

    def inputs_of(learning):
        set_modes(recogniser, learning)
        with torch.no_grad():
            return [recogniser.encode_unpadded(speech_BN, n_samples_B)[0].states_BTD for _ in range(2)]

    one, other = inputs_of({"decoder"})
    assert one.equal(other)
    one, other = inputs_of({"encoder"})
    assert not one.equal(other)
