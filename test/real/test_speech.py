"""Real weights on recorded speech: the same text and times as in other libraries, and error rates below a bar."""

import json

import pytest
from made_once import made_once
from real_speech import faster_whisper_segments, our_segments, whisper_segments

from k2d.__main__ import main
from k2d.models.whisper.ctranslate2_engine import load
from k2d.score.pairing import UtterancePair
from k2d.score.rates import total
from k2d.score.scoring import Conventions, score_pair

LANGUAGES = ("zh", "en")
COMPARED = {"zh": ("aishell1", "fleurs"), "en": ("earnings",)}
"""How the ids of the recordings begin that other libraries decode as well: the English one has two windows."""


@pytest.fixture(scope="module")
def by_torch(checkpoint, speech, tmp_path_factory, request):
    """Segments of all recordings, decoded in torch with the spoken language."""

    def decode(folder):
        model = request.getfixturevalue("fetched")
        found = {
            language: our_segments(model, paths_of(speech, language), languages=(language,)) for language in LANGUAGES
        }
        (folder / "segments.json").write_text(json.dumps(found))

    found = json.loads((made_once(tmp_path_factory, "by_torch", decode) / "segments.json").read_text())
    return {
        language: {key: [tuple(segment) for segment in segments] for key, segments in of_language.items()}
        for language, of_language in found.items()
    }


@pytest.fixture(scope="module")
def in_ctranslate2(exported):
    return load(exported["ctranslate2"], "cpu", "fp32", n_threads=1)


@pytest.fixture(scope="module")
def openai_whisper(exported):
    import whisper

    return whisper.load_model(str(exported["openai"]), device="cpu")


@pytest.fixture(scope="module")
def faster_whisper(exported):
    from faster_whisper import WhisperModel

    return WhisperModel(str(exported["ctranslate2"]), device="cpu", compute_type="float32", cpu_threads=1)


def paths_of(speech, language, beginning=("",)):
    return [each.audio for each in speech.values() if each.language == language and each.id.startswith(beginning)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_segments_equal_those_of_openai_whisper(openai_whisper, speech, by_torch, language):
    paths = paths_of(speech, language, COMPARED[language])
    theirs = whisper_segments(openai_whisper, paths, language)
    assert {path.stem: by_torch[language][path.stem] for path in paths} == theirs


@pytest.mark.parametrize("language", LANGUAGES)
def test_segments_in_ctranslate2_equal_those_of_faster_whisper_and_of_torch(
    in_ctranslate2, faster_whisper, speech, by_torch, language
):
    paths = paths_of(speech, language, COMPARED[language])
    ours = our_segments(in_ctranslate2, paths, languages=(language,))
    assert ours == {path.stem: by_torch[language][path.stem] for path in paths}
    assert ours == faster_whisper_segments(faster_whisper, paths, language)


def test_the_recordings_have_windows_and_segments_to_compare(by_torch):
    assert len(by_torch["en"]["earnings22_4482311"]) >= 9, "two windows"
    assert sum(len(segments) for found in by_torch.values() for segments in found.values()) >= 20


@pytest.mark.parametrize(
    ("language", "prefix", "percent"),
    [("zh", "aishell", 20), ("zh", "fleurs_zh", 35), ("en", "lib", 5), ("en", "fleurs_en", 25), ("en", "earnings", 20)],
)
def test_errors_stay_below_the_bar(speech, by_torch, language, prefix, percent):
    rates = [error_rate(speech[key], found) for key, found in by_torch[language].items() if key.startswith(prefix)]
    assert total(rates).percent < percent


def error_rate(spoken, segments):
    hypothesis = " ".join(text for _, _, text in segments)
    return score_pair(UtterancePair(spoken.id, spoken.id, spoken.text, hypothesis), Conventions()).rates["mer"]


def test_transcribe_accepts_a_published_name(checkpoint, speech, by_torch, capsys):
    audio = speech["librispeech_1995"].audio
    words = ["transcribe", "--model", "base", "--language", "en", "--threads", "1", audio]
    assert main([*map(str, words)]) == 0
    expected = " ".join(text for _, _, text in by_torch["en"]["librispeech_1995"])
    assert capsys.readouterr().out.split() == expected.split()
