"""An ESPnet S2T model gives the same results in this toolkit and in ESPnet."""

import copy

import numpy as np
import pytest
from models_made import MINI, OWSM, made_config, made_recogniser, made_vocabulary

from k2d.models.codec import Request

pytestmark = pytest.mark.slow
LONGEST = 49  # 0.3 of the encoder's 165 frames


def speech(n_windows, seed=0, seconds=10.0):
    import torch

    n_samples = round(seconds * MINI.rate_hz)
    return torch.randn(n_windows, n_samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def greedy(recogniser, samples_N, request, previous_ids=(), longest=LONGEST):
    """A simple loop over start, constrain and step."""
    import torch

    with torch.no_grad():
        memory = recogniser.encode(samples_N.unsqueeze(0))
        started = recogniser.start(memory, request, [previous_ids] if previous_ids else None)
        logits, generated = started.logits_RV, torch.zeros(1, 0, dtype=torch.long)
        while generated.shape[1] < longest:
            best = recogniser.constrain(logits, generated, request).argmax(dim=1)
            if best.item() == recogniser.codec.eos_id:
                break
            generated = torch.cat((generated, best.unsqueeze(1)), dim=1)
            logits = started.decoding.step(best)
    return generated[0].tolist()


def in_one_line(text):
    return " ".join(text.split())


def speech2text(folder, weights="model.pth", **options):
    from espnet2.bin.s2t_inference import Speech2Text

    return Speech2Text(folder / "config.yaml", folder / weights, beam_size=1, task_sym="<asr>", **options)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("timestamps", [True, False], ids=["times", "no times"])
def test_a_saved_folder_gives_the_same_in_plain_espnet(tmp_path, seed, timestamps):
    recogniser = made_recogniser(tmp_path, seed=seed)
    recogniser.save(tmp_path / "model")
    theirs = speech2text(tmp_path / "model", lang_sym="<zho>", predict_time=timestamps, maxlenratio=0.3)
    codec, request, lengths = recogniser.codec, Request(("zho",), timestamps), []
    for n, previous in enumerate(["", "hello world 你"]):
        samples_N = speech(1, seed=n, seconds=10.0 - 3 * n)[0]
        text, _, ids, plain, _ = theirs(samples_N, text_prev=previous or None)[0]
        ours = greedy(recogniser, samples_N, request, codec.ids(previous))
        n_prompt = 2 if timestamps else 3
        assert [i for i in ours if i != codec.id_of("<blank>")] == ids[n_prompt:]
        words = [i for i in ids[n_prompt:] if not codec.tokens[i].startswith("<0x")]  # ESPnet loses those
        assert in_one_line(codec.text(words)) == in_one_line(plain)
        assert text.startswith("<zho><asr>")
        lengths.append(len(ours))
    assert max(lengths) > 3


def test_ids_equal_those_of_espnets_preprocessor(tiny, tmp_path):
    from espnet2.train.preprocessor import S2TPreprocessor

    tokens, model = made_vocabulary()
    (tmp_path / "bpe.model").write_bytes(model)
    made = S2TPreprocessor(False, "bpe", tokens, str(tmp_path / "bpe.model"), **made_config()["preprocessor_conf"])
    codec, text = tiny.codec, "<0.00> 我們 today 去<1.20><1.50> hello wörld 😀 你<9.90>"
    found = made("id", {"text": f"<zho><asr>{text}", "text_prev": "你 know", "text_ctc": "hello 我們"})
    ids, n_prompt = codec.label(text, Request())
    assert ids[1:-1] == found["text"].tolist()
    assert codec.label(text, Request(), "你 know")[0][1 : -len(ids)] == found["text_prev"].tolist()
    assert codec.ids("hello 我們") == found["text_ctc"].tolist()
    assert n_prompt == 3


def test_teacher_forced_logits_equal_those_of_espnets_decoder(tiny64):
    import torch

    tokens_BL = torch.randint(0, len(tiny64.codec.tokens), (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        memory = tiny64.encode(speech(2))
        lengths = torch.full((2,), memory.states_BTD.shape[1])
        (logits, hidden), _ = tiny64.network.decoder(
            memory.states_BTD, lengths, tokens_BL, torch.full((2,), 9), return_hs=True
        )
        torch.testing.assert_close(tiny64.hidden(memory, tokens_BL), hidden, rtol=0, atol=1e-12)
        torch.testing.assert_close(tiny64.logits(memory, tokens_BL), logits, rtol=0, atol=1e-12)


def test_a_batch_is_encoded_as_its_windows_one_by_one(tiny64):
    import torch

    with torch.no_grad():
        together = tiny64.encode(speech(5)).states_BTD  # more than are encoded at once on a CPU
        alone = torch.cat([tiny64.encode(samples.unsqueeze(0)).states_BTD for samples in speech(5)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


def test_short_audio_is_filled_up_with_silence_as_espnet_does(tiny64):
    import torch

    with torch.no_grad():
        short = tiny64.encode(speech(1)[:, :40_000]).states_BTD
        filled = speech(1)
        filled[:, 40_000:] = 0
        torch.testing.assert_close(short, tiny64.encode(filled).states_BTD, rtol=0, atol=0)
        memory, n_frames_B = tiny64.encode_unpadded(speech(1)[:, :40_000], torch.tensor([40_000]))
    assert n_frames_B.tolist() == [memory.states_BTD.shape[1]]
    assert memory.states_BTD.shape[1] < short.shape[1] / 3


def test_training_reaches_all_weights_and_follows_the_mode(tiny):
    import torch

    trained = copy.deepcopy(tiny)
    for modules in trained.parts().values():
        for module in modules:
            module.train()
    tokens_BL = torch.tensor([trained.codec.prompt(Request(("zho",)))] * 2)
    memory = trained.encode(speech(2))
    again = trained.encode(speech(2))
    assert not torch.equal(memory.states_BTD, again.states_BTD)  # dropout and SpecAugment
    ctc = trained.ctc_log_probs(memory)
    (trained.output(trained.hidden(memory, tokens_BL)).sum() + ctc[:, :, 3].sum()).backward()
    assert [name for name, p in trained.network.named_parameters() if p.grad is None] == []
    assert sum(trained.n_parameters().values()) == sum(p.numel() for p in trained.network.parameters())


def test_ctc_log_probs_equal_those_of_espnet(tiny64):
    import torch

    with torch.no_grad():
        memory = tiny64.encode(speech(1))
        expected = tiny64.network.ctc.log_softmax(memory.states_BTD)
        torch.testing.assert_close(tiny64.ctc_log_probs(memory), expected, rtol=0, atol=1e-12)
    assert tiny64.ctc_blank_id == 0


def test_bfloat16_stays_near_float32(tiny):
    import torch

    half = copy.deepcopy(tiny).to("cpu", torch.bfloat16)
    with torch.no_grad():
        exact, rounded = tiny.encode(speech(1)).states_BTD, half.encode(speech(1)).states_BTD
    assert rounded.dtype == half.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(exact, rounded.float(), dim=-1).min() > 0.99
    started = half.start(half.encode(speech(1)), Request(("zho",)))
    assert half.constrain(started.logits_RV, torch.zeros(1, 0).long(), Request(("zho",))).dtype == torch.float32


def test_a_folder_of_espnets_own_recipe_is_loaded(tmp_path, monkeypatch):
    """As for OWSM: 30 s, a grid of 0.02 s, features normalised by statistics, paths relative to the recipe."""
    import torch
    from espnet2.tasks.s2t import S2TTask
    from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump

    from k2d.models.registry import load_recogniser

    recipe, exp = tmp_path, tmp_path / "exp" / "s2t_train"
    exp.mkdir(parents=True)
    monkeypatch.chdir(recipe)
    tokens, model = made_vocabulary(OWSM)
    (recipe / "data").mkdir()
    (recipe / "data" / "bpe_unigram.model").write_bytes(model)
    np.savez(recipe / "exp" / "feats_stats.npz", count=100, sum=np.full(20, 50.0), sum_square=np.full(20, 900.0))
    args = S2TTask.get_parser().parse_args(["--output_dir", str(exp)])
    for key, value in made_config(OWSM).items():
        setattr(args, key, value)
    args.token_list, args.bpemodel = tokens, "data/bpe_unigram.model"
    args.normalize, args.normalize_conf = "global_mvn", {"stats_file": "exp/feats_stats.npz"}
    torch.manual_seed(5)
    network = S2TTask.build_model(args)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    torch.save(network.state_dict(), exp / "valid.acc.ave_5best.pth")
    (exp / "valid.acc.ave.pth").symlink_to("valid.acc.ave_5best.pth")
    with (exp / "config.yaml").open("w") as file:
        yaml_no_alias_safe_dump(vars(args), file, indent=4, sort_keys=False)

    samples_N = speech(1, seconds=12.0)[0]
    _, _, ids, _, _ = speech2text(exp, "valid.acc.ave.pth", lang_sym="<eng>", predict_time=True, maxlenratio=0.1)(
        samples_N
    )[0]
    monkeypatch.chdir("/")
    ours = load_recogniser(exp, languages=("eng",))
    assert (ours.window, ours.codec.default_language) == (OWSM, "eng")
    longest = int(0.1 * ours.encode(samples_N.unsqueeze(0)).states_BTD.shape[1])
    assert greedy(ours, samples_N, Request(), longest=longest) == ids[2:]
    assert len(ids) > 5

    ours.save(tmp_path / "again")  # with the statistics
    again = load_recogniser(tmp_path / "again", languages=("eng",))
    assert greedy(again, samples_N, Request(), longest=longest) == ids[2:]
