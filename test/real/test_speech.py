"""Real weights on recorded speech: the same text and times as in other libraries, and error rates below a bar."""

import subprocess
import sys

import pytest
from real_speech import faster_whisper_segments, our_segments, whisper_segments

from k2d.core.layout import PROJECT_ROOT
from k2d.models.whisper.ctranslate2_engine import load
from k2d.models.whisper.recogniser import load_whisper
from k2d.score.pairing import UtterancePair
from k2d.score.rates import total
from k2d.score.scoring import Conventions, score_pair

LANGUAGES = ("zh", "en")
COMPARED = {"zh": "", "en": "earnings"}
"""How the ids of the recordings begin that other libraries decode as well: the English one has two windows."""


@pytest.fixture(scope="module")
def by_torch(checkpoint, speech):
    """Segments of all recordings, decoded in torch with the spoken language."""
    return {
        language: our_segments(load_whisper(checkpoint, (language,)), paths_of(speech, language))
        for language in LANGUAGES
    }


def paths_of(speech, language, beginning=""):
    return [each.audio for each in speech.values() if each.language == language and each.id.startswith(beginning)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_segments_equal_those_of_openai_whisper(exported, speech, by_torch, language):
    import whisper

    theirs = whisper.load_model(str(exported["openai"]), device="cpu")
    paths = paths_of(speech, language, COMPARED[language])
    assert {path.stem: by_torch[language][path.stem] for path in paths} == whisper_segments(theirs, paths, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_segments_in_ctranslate2_equal_those_of_faster_whisper_and_of_torch(exported, speech, by_torch, language):
    from faster_whisper import WhisperModel

    paths = paths_of(speech, language, COMPARED[language])
    folder = exported["ctranslate2"]
    ours = our_segments(load(folder, "cpu", "fp32", n_threads=1), paths, languages=(language,))
    assert ours == {path.stem: by_torch[language][path.stem] for path in paths}
    theirs = WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)
    assert ours == faster_whisper_segments(theirs, paths, language)


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


def test_transcribe_accepts_a_published_name(checkpoint, speech, by_torch):
    audio = speech["librispeech_1995"].audio
    words = ["transcribe", "--model", "base", "--language", "en", "--threads", "1", audio]
    done = subprocess.run(
        [sys.executable, "-m", "k2d", *map(str, words)], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == " ".join(text for _, _, text in by_torch["en"]["librispeech_1995"]).split()
