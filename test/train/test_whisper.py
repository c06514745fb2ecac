"""A Whisper that is trained from random weights: its losses, its training, and the saved Whisper."""

import math
from dataclasses import replace

import numpy as np
import pytest

from k2d.config.training import Augment, Phase, Training
from k2d.core.stamp import Recipe
from k2d.train.pool import Pool, PoolIndex

pytest.importorskip("whisper")

RATE_HZ = 16_000
TEXTS = ("我們 today", "hello world", "去玩", "today 去")
STILL = {"augment": Augment(gain_db=0.0, noise=0.0, echo=0.0), "spec_augment": False, "warmup_steps": 0}


def new(seed=1, languages=("zh",)):
    import torch
    from whisper_made import TINY

    from k2d.models.whisper.new_network import NewWhisper

    torch.set_num_threads(1)
    return NewWhisper.new(replace(TINY, n_text_layer=2), TEXTS, languages, seed=seed)


def material(recogniser):
    """Utterances with a different tone for each word."""
    from k2d.models.codec import Request
    from k2d.train.batches import Material

    spoken = []
    for text in TEXTS:
        tones = [np.sin(np.arange(8000) * 2 * math.pi * (300 + 400 * (ord(word[0]) % 7)) / RATE_HZ) for word in text]
        spoken.append((np.concatenate(tones) * 8000).astype(np.int16)[: 8000 * (1 + len(text) // 3)])
    counts = [len(samples) for samples in spoken]
    pool = Pool(PoolIndex({}, [*"abcd"], TEXTS, counts, {}), np.concatenate(spoken), RATE_HZ)
    return Material(pool, recogniser.codec, recogniser.window, Request(("zh",)))


@pytest.mark.slow
def test_classes_give_the_loss_over_the_whole_vocabulary():
    """-log p of each token among 51,865 equals that of its class, plus the log of the number of tokens in the class."""
    import torch

    from k2d.models.interface import Memory

    recogniser = new()
    memory = Memory(torch.randn(1, 7, recogniser.width, generator=torch.Generator().manual_seed(0)))
    label, _ = recogniser.codec.label("<0.00>去玩<1.20>", material(recogniser).request)
    unused = 1234
    assert recogniser.classes(torch.tensor([unused])).item() == 0
    tokens_BL, targets_L = torch.tensor([label[:-1]]), torch.tensor([*label[1:-1], unused])
    with torch.no_grad():
        classes_LC = recogniser.logits(memory, tokens_BL)[0].log_softmax(-1)
        found_L = classes_LC.gather(1, recogniser.classes(targets_L)[:, None])[:, 0]
        whole_VD = recogniser.network.decoder.token_embedding.weight
        whole_LV = (recogniser.hidden(memory, tokens_BL)[0] @ whole_VD.T).log_softmax(-1)
        expected_L = whole_LV.gather(1, targets_L[:, None])[:, 0]
    n_others = recogniser.network.decoder.token_embedding.n_others
    assert n_others == 51_865 - (classes_LC.shape[1] - 1)
    expected_L[-1] += math.log(n_others)
    assert torch.allclose(found_L, expected_L, atol=1e-4)


def test_ids_without_loss_have_no_class():
    import torch

    from k2d.train.batches import IGNORED

    recogniser = new()
    codec = recogniser.codec
    words = torch.tensor(sorted({token for text in TEXTS for token in codec.ids(text)}))
    assert recogniser.classes(words).tolist() == list(range(1, len(words) + 1))
    assert recogniser.classes(torch.tensor([IGNORED, codec.eos_id])).tolist() == [IGNORED, len(words) + 1]
    assert recogniser.ctc_blank_id == 0


def test_a_whole_window_is_encoded_as_by_whisper():
    import torch

    recogniser = new()
    speech_BN = torch.randn(1, 480_000, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        ours, n_frames_B = recogniser.encode_unpadded(speech_BN, torch.tensor([480_000]))
        theirs = recogniser.encode(speech_BN)
        shorter, n_shorter_B = recogniser.encode_unpadded(speech_BN[:, :16_000], torch.tensor([16_000]))
    assert torch.allclose(ours.states_BTD, theirs.states_BTD, atol=1e-4)
    assert n_frames_B.tolist() == [1500]
    assert (shorter.states_BTD.shape[1], n_shorter_B.tolist()) == (50, [50])


def test_the_end_of_a_recording_has_the_features_of_decoding():
    """A sound ends at 1 s, and the recording 0.4 s later. Then follow zero features, which differ from silence."""
    import torch

    from k2d.models.interface import WindowInContext
    from k2d.models.whisper.library import MARGIN

    recogniser = new()
    speech_N = torch.zeros(480_000)
    speech_N[1600:16_000] = torch.randn(14_400, generator=torch.Generator().manual_seed(0)) * 0.1
    around_N = torch.nn.functional.pad(speech_N, (MARGIN, MARGIN))
    with torch.no_grad():
        ours, _ = recogniser.encode_unpadded(speech_N[None], torch.tensor([480_000]))
        window = WindowInContext(around_N[: 22_400 + 2 * MARGIN], 22_400, recogniser.loudest(around_N))
        theirs = recogniser.encode_in_context([window])
    assert torch.allclose(ours.states_BTD, theirs.states_BTD, atol=1e-4)


@pytest.mark.parametrize(("head", "offset"), [(0, -3), (1, 4)])
def test_a_new_encoder_attends_to_near_frames(head, offset):
    """With positions alone, the frame at this distance has the largest score."""
    import torch
    from torch import nn
    from whisper.model import MultiHeadAttention, sinusoids

    from k2d.models.whisper.init import look_around

    attention = MultiHeadAttention(64, 2)
    for projection in (attention.query, attention.key):
        nn.init.zeros_(projection.weight)
    with torch.no_grad():
        look_around(attention, (-3, 4))
        places_TD = sinusoids(40, 64)
        query, key = (part(places_TD).unflatten(1, (2, 32))[:, head] for part in (attention.query, attention.key))
    assert (query @ key.T)[20].argmax().item() == 20 + offset


@pytest.mark.slow
def test_a_new_whisper_learns_and_is_saved_as_a_whisper(tmp_path):
    import torch
    import whisper

    from k2d.models.whisper.recogniser import load_whisper
    from k2d.train.engine import Setting
    from k2d.train.supervised import train_recogniser

    recogniser = new()
    phases = {
        "hear": Phase(data="utterances", train="encoder", steps=40, batch_size=4, lr=5e-3, flat_start=0.2, **STILL),
        "listen": Phase(data="utterances", steps=60, batch_size=4, lr=5e-3, lean_on_ctc=True, **STILL),
        "windows": Phase(train="decoder", window_s=4.0, keep_batches=2, steps=10, batch_size=2, lr=2e-3, **STILL),
    }
    training = Training(phases=phases, evaluations=1)
    setting = Setting(tmp_path / "w", seed=1, n_workers=0)
    record = train_recogniser(recogniser, training, material(recogniser), setting, recipe=Recipe("test", 1, {}, {}))
    assert record.phases["hear"].last["ctc"] < 0.6 * record.phases["hear"].first["ctc"]
    assert record.phases["listen"].last["attention"] < 0.6 * record.phases["listen"].first["attention"]
    recogniser.save(tmp_path / "model")
    theirs, ours = (
        whisper.load_model(str(tmp_path / "model" / "model.pt"), device="cpu"),
        load_whisper(tmp_path / "model"),
    )
    assert not [name for name in theirs.state_dict() if "ctc" in name]
    label, _ = ours.codec.label("<0.00>去玩<1.20>", material(recogniser).request)
    tokens_BL, memory = torch.tensor([label]), ours.encode(torch.zeros(1, 16_000))
    with torch.no_grad():
        expected_BLV = theirs.decoder(tokens_BL, memory.states_BTD)
        assert torch.allclose(ours.logits(memory, tokens_BL), expected_BLV, atol=1e-4)
        assert torch.allclose(recogniser.hidden(memory, tokens_BL), ours.hidden(memory, tokens_BL), atol=1e-4)


@pytest.mark.slow
def test_a_continued_training_is_bit_identical(tmp_path):
    from k2d.train.engine import Setting
    from k2d.train.supervised import train_recogniser

    phase = {"data": "utterances", "batch_size": 2, "lr": 2e-3, **STILL}
    phases = {"hear": Phase(train="encoder", steps=4, **phase), "listen": Phase(steps=6, lean_on_ctc=True, **phase)}
    training = Training(phases=phases, evaluations=3, checkpoint_every_steps=2)

    class Stopped(Exception):
        pass

    def train(folder, measure):
        recogniser = new()
        setting = Setting(tmp_path / folder, seed=4, n_workers=0)
        recipe = Recipe("test", 1, {}, {})
        train_recogniser(recogniser, training, material(recogniser), setting, measure, recipe=recipe)
        return recogniser.network.state_dict()

    seen = []

    def stop(_):
        seen.append(1)
        if len(seen) == 2:
            raise Stopped
        return 0.5

    undisturbed = train("whole", lambda _: 0.5)
    with pytest.raises(Stopped):
        train("stopped", stop)
    again = train("stopped", lambda _: 0.5)
    assert all(again[name].equal(undisturbed[name]) for name in undisturbed)
    assert (tmp_path / "whole" / "curves.csv").read_bytes() == (tmp_path / "stopped" / "curves.csv").read_bytes()
