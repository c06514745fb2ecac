"""`transcribe` with both engines: the same text, one conversion of the model, and refusal of unsupported settings."""

import pytest
import torch
from ctranslate2_made import write_ctranslate2
from made_audio import speechlike, write_audio
from models_made import made_recogniser
from whisper_made import ENGLISH
from whisper_tiny import tiny_checkpoint, write_talks

from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import user_cache
from k2d.decode.cli import main
from k2d.models.whisper.ctranslate2_engine import is_converted

BY_ENGINE = ("--engine", "ctranslate2")


@pytest.fixture
def talk(tmp_path):
    return next(path for path in write_talks(tmp_path / "talks") if path.stem == "short")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "k2d" / "ctranslate2"


def transcribe(capsys, *words):
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr()


@pytest.mark.slow
def test_both_engines_write_the_same_and_the_model_is_converted_once(talk, cache, capsys):
    words = ("--model", tiny_checkpoint(), "--language", "zh", "--format", "srt", talk)
    torchs = transcribe(capsys, *words)
    assert "-->" in torchs.out
    first = transcribe(capsys, *words, *BY_ENGINE, "--threads", "1")
    assert first.out == torchs.out
    assert "is converted for CTranslate2 (fp32), once" in first.err
    (folder,) = cache.glob("*/fp32")
    assert str(folder) in first.err
    again = transcribe(capsys, *words, *BY_ENGINE)
    assert (again.out, "converted" in again.err) == (torchs.out, False)
    quantized = transcribe(capsys, *words, *BY_ENGINE, "--compute-type", "int8")
    assert quantized.out == torchs.out
    assert sorted(path.name for path in folder.parent.iterdir() if not path.name.startswith(".")) == ["fp32", "int8"]


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["float32", "int8"])
def test_a_ctranslate2_folder_is_decoded_without_conversion_and_in_torch(stored, talk, cache, capsys, caplog, tmp_path):
    from ctranslate2.converters import TransformersConverter

    from k2d.export import huggingface
    from k2d.export.request import ExportRequest

    (tmp_path / "huggingface").mkdir()
    huggingface.write(tiny_checkpoint(), ExportRequest("tiny"), tmp_path / "huggingface")
    folder = tmp_path / "ct2"
    TransformersConverter(str(tmp_path / "huggingface")).convert(str(folder), quantization=stored)
    words = ("--language", "zh", "--format", "srt", talk)
    expected = transcribe(capsys, "--model", tiny_checkpoint(), *words).out
    before = sorted(folder.iterdir())
    for engine in ((), (*BY_ENGINE, "--threads", "1"), (*BY_ENGINE, "--compute-type", "int8")):
        found = transcribe(capsys, "--model", folder, *words, *engine)
        assert found.out == expected
        assert "converted" not in found.err
        assert ("its weights are int8 numbers with scales" in caplog.text) == (stored == "int8" and engine == ())
        caplog.clear()
    assert not cache.exists()
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("config", "is_taken"),
    [
        ({"suppress_ids_begin": [220, 50257], "lang_ids": [*range(50259, 50358)]}, True),
        ({"suppress_ids_begin": [220, 50257], "lang_ids": [*range(50259, 50357)]}, False),
        ({"suppress_ids_begin": [220, 50257], "lang_ids": [*range(50259, 50358), 50362]}, False),
        ({"suppress_ids_begin": [220, 50257]}, False),
        ({"lang_ids": [*range(50259, 50358)]}, False),
    ],
)
def test_a_ctranslate2_folder_with_a_complete_config_needs_no_conversion(tmp_path, config, is_taken):
    assert is_converted(write_ctranslate2(tmp_path / "ct2", **config)) == is_taken


@pytest.mark.slow
def test_an_english_model_needs_no_languages(tmp_path):
    assert is_converted(write_ctranslate2(tmp_path / "ct2", ENGLISH, suppress_ids_begin=[220, 50256], lang_ids=[50258]))
    assert not is_converted(tmp_path)


def test_a_damaged_ctranslate2_folder_is_refused_before_its_library_reads_it(tmp_path):
    folder = write_ctranslate2(tmp_path / "ct2")
    binary = folder / "model.bin"
    binary.write_bytes(binary.read_bytes()[:-1])
    audio = write_audio(tmp_path / "a.wav", speechlike(1.0))
    with pytest.raises(K2DError, match=r"ct2/model\.bin: damaged at byte .*: it is truncated"):
        main(["--model", str(folder), *BY_ENGINE, str(audio)])


@pytest.mark.slow
def test_a_model_of_another_family_is_refused(tmp_path):
    model = made_recogniser(tmp_path / "made")
    model.save(tmp_path / "espnet")
    audio = write_audio(tmp_path / "a.wav", speechlike(1.0))
    with pytest.raises(UsageError) as caught:
        main(["--model", str(tmp_path / "espnet"), *BY_ENGINE, str(audio)])
    assert str(caught.value) == (
        f"{tmp_path / 'espnet'}: a model of the family espnet_s2t, and ctranslate2 runs only whisper models; "
        "leave --engine ctranslate2 out"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compute-type", "int8"], "--compute-type int8: needs --engine ctranslate2"),
        ([*BY_ENGINE, "--mode", "joint"], "--mode joint: needs a CTC head, which no model in CTranslate2 has"),
        ([*BY_ENGINE, "--language", "zh", "--language", "en"], "--language: at most one with --engine ctranslate2"),
    ],
)
def test_contradictory_options_are_refused_before_any_work(tmp_path, words, message):
    audio = write_audio(tmp_path / "a.wav", speechlike(1.0))
    with pytest.raises(UsageError) as caught:
        main(["--model", "tiny.pt", *words, str(audio)])
    assert str(caught.value).startswith(message)


def test_the_folder_of_the_cache(tmp_path, monkeypatch):
    assert user_cache() == tmp_path / "cache" / "k2d"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_cache() == tmp_path / "home" / ".cache" / "k2d"


def test_a_cache_that_cannot_be_written_is_named_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    audio = write_audio(tmp_path / "a.wav", speechlike(1.0))
    (tmp_path / "tiny.pt").write_bytes(b"no model yet")
    with pytest.raises(
        UsageError, match=r"file/k2d/ctranslate2.*: cannot be written .*; set XDG_CACHE_HOME to a folder"
    ):
        main(["--model", str(tmp_path / "tiny.pt"), *BY_ENGINE, str(audio)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nobody"], "nobody: there is no such model"),
        (
            ["--model", "tiny.pt", "--compute-type", "fp16"],
            "--compute-type: found fp16, expected a type that this cpu supports",
        ),
        (["--model", "tiny.pt", "--device", "cuda"], "device cuda: no GPU can be used here"),
    ],
)
def test_an_unsupported_setting_is_refused_before_a_model_is_converted(tmp_path, cache, monkeypatch, words, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    audio = write_audio(tmp_path / "a.wav", speechlike(1.0))
    with pytest.raises(UsageError) as caught:
        main([*words, *BY_ENGINE, str(audio)])
    assert str(caught.value).startswith(message)
    assert not cache.exists()
