"""A model folder is loaded completely or refused with a remedy."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from models_made import MINI, made_codec, made_config, made_vocabulary

from k2d.core.errors import K2DError, UsageError
from k2d.models.registry import load_recogniser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "teacher"
    tiny.save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "teacher"))


def change_config(folder, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}, allow_unicode=True))


def change_weights(folder, change):
    import torch

    state = torch.load(folder / "model.pth", weights_only=True)
    torch.save(change(state), folder / "model.pth")


def test_a_saved_model_is_loaded_with_equal_weights(tiny, saved):
    import torch

    loaded = load_recogniser(saved, languages=("eng",))
    for name, tensor in tiny.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor), name
    assert not loaded.network.training
    assert (loaded.window, loaded.max_tokens, loaded.family) == (MINI, 5000, "espnet_s2t")
    assert loaded.codec.vocabulary_hash == tiny.codec.vocabulary_hash
    assert loaded.codec.default_language == "eng"
    counts = json.loads((saved / "params.json").read_text())
    assert counts.pop("total") == sum(counts.values()) == sum(p.numel() for p in tiny.network.parameters())
    assert sorted(path.name for path in saved.iterdir()) == [
        "bpe.model",
        "config.yaml",
        "model.pth",
        "params.json",
        "tokens.txt",
    ]


def test_an_unfinished_folder_names_its_files_by_their_final_paths(tiny, tmp_path):
    tiny.save(tmp_path / "models" / ".teacher.partial")
    config = yaml.safe_load((tmp_path / "models" / ".teacher.partial" / "config.yaml").read_text())
    assert config["bpemodel"] == str(tmp_path / "models" / "teacher" / "bpe.model")


def test_a_file_of_weights_can_be_named_where_there_are_several(folder):
    shutil.move(folder / "model.pth", folder / "12epoch.pth")
    shutil.copy(folder / "12epoch.pth", folder / "13epoch.pth")
    with pytest.raises(K2DError, match=r"found 12epoch\.pth, 13epoch\.pth; name the file itself"):
        load_recogniser(folder)
    assert load_recogniser(folder / "12epoch.pth").window == MINI


def test_truncated_weights_are_refused(folder):
    content = (folder / "model.pth").read_bytes()
    for n_bytes in (0, 1000, len(content) - 100):
        (folder / "model.pth").write_bytes(content[:n_bytes])
        with pytest.raises(K2DError, match=r"model\.pth: cannot be read as weights: truncated"):
            load_recogniser(folder)


def test_a_file_with_other_content_is_named(folder):
    (folder / "bpe.model").write_bytes(bytes(range(256)))
    with pytest.raises(K2DError, match=r"bpe\.model: no sentencepiece model in its 256 bytes"):
        load_recogniser(folder)
    (folder / "tokens.txt").write_bytes(b"<blank>\n\xff\n")
    with pytest.raises(K2DError, match=r"tokens\.txt: byte 8 is not UTF-8; put the files of one model together"):
        load_recogniser(folder)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_payload_is_refused_and_never_run(folder, tmp_path):
    import torch

    torch.save({"weights": Payload(tmp_path / "was run")}, folder / "model.pth")
    with pytest.raises(K2DError, match="it holds more than weights, and such files can run code"):
        load_recogniser(folder)
    assert not (tmp_path / "was run").exists()


def test_a_training_checkpoint_is_not_a_model(folder):
    change_weights(folder, lambda state: {"model": state, "epoch": 3})
    with pytest.raises(K2DError, match="not a plain state dict"):
        load_recogniser(folder)


def test_missing_and_unexpected_weights_are_listed(folder):
    change_weights(folder, lambda state: {f"x.{n}" if "ctc" in n else n: t for n, t in state.items()})
    message = r"2 missing \(ctc\.ctc_lo\.weight, ctc\.ctc_lo\.bias\); 2 unexpected \(x\.ctc\.ctc_lo\.weight, x\.ctc"
    with pytest.raises(K2DError, match=message):
        load_recogniser(folder)


def test_of_many_differences_five_are_listed(folder):
    change_config(folder, decoder_conf={"attention_heads": 2, "linear_units": 32, "num_blocks": 1})
    with pytest.raises(K2DError, match=r"52 unexpected \((decoder\.decoders\.1\.[a-z0-9_.]+, ){5}…\)"):
        load_recogniser(folder)


def test_weights_of_another_size_are_refused_with_both_shapes(folder):
    change_config(folder, decoder_conf={"attention_heads": 2, "linear_units": 48, "num_blocks": 3})
    message = r"9 of another shape \(decoder\.decoders\.0\.feed_forward\.w_1\.weight \(32, 16\) instead of \(48, 16\)"
    with pytest.raises(K2DError, match=message):
        load_recogniser(folder)


def test_weights_that_are_not_numbers_are_refused(folder):
    name = "decoder.after_norm.bias"
    change_weights(folder, lambda state: {**state, name: state[name] * float("nan")})
    with pytest.raises(K2DError, match=r"broken weights: 1 with NaN or infinity \(decoder\.after_norm\.bias\); take"):
        load_recogniser(folder)


def test_a_vocabulary_of_another_size_is_refused(folder):
    (folder / "tokens.txt").unlink()
    tokens = yaml.safe_load((folder / "config.yaml").read_text())["token_list"]
    change_config(folder, token_list=[*tokens, "more"])
    message = rf"decoder\.embed\.0\.weight \({len(tokens)}, 16\) instead of \({len(tokens) + 1}, 16\)"
    with pytest.raises(K2DError, match=message):
        load_recogniser(folder)


def test_tokens_of_another_model_are_refused(folder):
    lines = (folder / "tokens.txt").read_text().splitlines()
    lines[120], lines[121] = lines[121], lines[120]
    (folder / "tokens.txt").write_text("\n".join(lines))
    with pytest.raises(K2DError, match=r"tokens\.txt: line 121 differs from token_list in config\.yaml"):
        load_recogniser(folder)


def test_pieces_of_another_model_or_none_are_refused(folder):
    from k2d.models.espnet_s2t.pieces import train_pieces

    (folder / "bpe.model").write_bytes(train_pieces(["abc def"], [], vocab_size=268, model_type="bpe"))
    with pytest.raises(K2DError, match="of the sentencepiece model's pieces are not in it"):
        load_recogniser(folder)
    (folder / "bpe.model").unlink()
    change_config(folder, bpemodel="data/elsewhere.model")
    message = r"its sentencepiece model is not there \(config.yaml names data/elsewhere.model\); put the file beside"
    with pytest.raises(K2DError, match=message):
        load_recogniser(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocessor": "s2t_ctc"}, "an OWSM-CTC model"),
        ({"encoder": "e_branchformer_ctc"}, "an OWSM-CTC model"),
        ({"model": "other"}, "model is 'other'; this toolkit reads ESPnet S2T models with model: espnet"),
        ({"frontend": "s3prl"}, "frontend is 's3prl'"),
        ({"decoder_conf": {"concat_after": True}}, "decoder_conf.concat_after is True; only False is supported"),
        ({"model_conf": {"ctc_weight": 1.0}}, "so the model has no decoder"),
        ({"use_adapter": True}, "the model has adapters"),
        ({"token_list": "tokens.txt"}, "token_list is not a list of tokens"),
        ({"encoder_conf": {"output_size": "wide"}}, "ESPnet cannot build the model of this config: Type"),
    ],
)
def test_other_kinds_of_model_are_refused_by_name(folder, changes, message):
    change_config(folder, **changes)
    with pytest.raises(K2DError, match=message):
        load_recogniser(folder)


def test_a_config_that_would_run_code_is_not_read(folder, tmp_path):
    (folder / "config.yaml").write_text(f"model: !!python/object/apply:os.mkdir ['{tmp_path / 'was run'}']\n")
    with pytest.raises(K2DError, match=r"config\.yaml: not a config of ESPnet"):
        load_recogniser(folder)
    assert not (tmp_path / "was run").exists()
    (folder / "config.yaml").unlink()
    with pytest.raises(K2DError, match=r"config\.yaml: not there; expected the training config of"):
        load_recogniser(folder)


def test_a_missing_model_is_reported(tmp_path):
    with pytest.raises(UsageError, match="nowhere: there is no such model; expected a model folder or a file of one"):
        load_recogniser(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"precision": "fp8"}, "precision 'fp8': expected one of fp32, bf16, fp16, fp64"),
        ({"languages": ("fra",)}, "'fra' is not one of this model's"),
        ({"languages": ("zho", "eng")}, "takes one language, not zho, eng"),
    ],
)
def test_impossible_requests_are_refused(saved, asked, message):
    with pytest.raises(UsageError, match=message):
        load_recogniser(saved, **asked)


def test_a_missing_gpu_is_reported(saved, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="device cuda: no GPU can be used here; use cpu"):
        load_recogniser(saved, device="cuda")


def test_a_config_for_training_may_omit_defaults_but_not_misspell_keys(tmp_path):
    from k2d.models.espnet_s2t.loading import new_s2t

    tokens, model = made_vocabulary()
    (tmp_path / "bpe.model").write_bytes(model)
    with pytest.raises(UsageError, match=r"encodr is no key of an ESPnet S2T config; did you mean encoder\?"):
        new_s2t({**made_config(), "encodr": "conformer"}, tokens, tmp_path / "bpe.model", seed=1)


def test_the_same_seed_gives_the_same_weights(tmp_path):
    import torch

    from k2d.models.espnet_s2t.loading import new_s2t

    tokens, model = made_vocabulary()
    (tmp_path / "bpe.model").write_bytes(model)

    def weight(seed):
        return new_s2t(made_config(), tokens, tmp_path / "bpe.model", seed=seed).network.decoder.output_layer.weight

    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    assert torch.equal(weight(1), weight(1))
    assert torch.equal(torch.rand(3), expected)  # nobody else's random numbers were used up
    assert not torch.equal(weight(1), weight(2))
    assert made_codec().default_language == "zho"
