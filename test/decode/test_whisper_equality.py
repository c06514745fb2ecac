"""Long-form decoding compared with `whisper.transcribe`, on a trained checkpoint."""

from dataclasses import replace
from functools import cache

import pytest
import soundfile
from encoded_once import encoding_once, openai_encoding_once
from whisper_tiny import talks, tiny_checkpoint, write_talks

from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Source
from k2d.models.whisper.recogniser import load_whisper

pytestmark = pytest.mark.slow  # a minute of training, once per machine
whisper = pytest.importorskip("whisper")

UNGUARDED = Options(min_advance_s=0.02, min_window_s=0.01, languages=("zh",))
PLAIN = {
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "compression_ratio_threshold": None,
    "logprob_threshold": None,
    "no_speech_threshold": None,
    "fp16": False,
}


@pytest.fixture(scope="module")
def checkpoint():
    return tiny_checkpoint()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return {path.stem: path for path in write_talks(tmp_path_factory.mktemp("talks"))}


@pytest.fixture(scope="module")
def theirs(checkpoint):
    return openai_encoding_once(whisper.load_model(str(checkpoint), device="cpu"))


@pytest.fixture(scope="module")
def model(checkpoint):
    return encoding_once(load_whisper(checkpoint))


def ours(model, files, options=UNGUARDED):
    """Start, end and text of each recording's segments."""
    sources = [Source(name, str(path)) for name, path in files.items()]
    hypotheses = decode_recordings(model, sources, options)
    return {h.recording_id: [(round(s.start_s, 2), round(s.end_s, 2), s.text) for s in h.segments] for h in hypotheses}


@pytest.fixture(scope="module")
def expected(theirs, files):
    """The same for `whisper.transcribe`. Its times after the recording's end, which it does not check, are cut."""

    @cache
    def expected(*names, **changed):
        found = {}
        for talk in talks():
            if names and talk.id not in names:
                continue
            audio, _ = soundfile.read(files[talk.id], dtype="float32")
            segments = theirs.transcribe(audio, **{**PLAIN, "language": "zh", **changed})["segments"]
            found[talk.id] = [
                (round(s["start"], 2), round(min(s["end"], talk.duration_s), 2), s["text"].strip())
                for s in segments
                if s["text"]
            ]
        return found

    return expected


def test_the_checkpoint_transcribes_correctly(expected):
    """Otherwise the other tests would compare nothing."""
    found = expected()
    for name in ("long", "short"):
        (talk,) = (talk for talk in talks() if talk.id == name)
        assert found[name] == [(s.start_s, s.end_s, s.text) for s in talk.sentences]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_segments_equal_those_of_whisper_with_any_batch(model, expected, files, batch_size):
    found = ours(model, files, replace(UNGUARDED, batch_size=batch_size))
    assert found == expected()
    assert len(found["long"]) == 26, "three windows, one of which ends in a cut segment"


def test_guards_change_nothing_if_they_do_not_trigger(model, expected, files):
    assert ours(model, files, Options(languages=("zh",))) == expected()


def test_each_segment_has_the_language_that_whisper_guesses(model, theirs, files):
    files = {name: files[name] for name in ("cut", "short")}
    sources = [Source(n, str(p)) for n, p in files.items()]
    hypotheses = decode_recordings(model, sources, replace(UNGUARDED, languages=()))
    languages = {h.recording_id: [s.language for s in h.segments] for h in hypotheses}
    for name, path in files.items():
        audio, _ = soundfile.read(path, dtype="float32")
        assert languages[name][0] == theirs.transcribe(audio, **PLAIN)["language"]
    assert len(set(languages["cut"])) == 2, "its second window is in another language"


@pytest.mark.parametrize(
    "rule",
    [
        {"no_speech_threshold": 0.6},
        {"no_speech_threshold": 0.6, "logprob_threshold": -1.0},
        {"no_speech_threshold": 0.6, "logprob_threshold": -0.01},
        {"no_speech_threshold": 0.0001},
    ],
    ids=str,
)
def test_the_no_speech_rule_equals_that_of_whisper(model, expected, files, rule):
    options = replace(
        UNGUARDED,
        silence_threshold=rule["no_speech_threshold"],
        logprob_threshold=rule.get("logprob_threshold"),
    )
    found = ours(model, files, options)
    assert found == expected(**rule)
    spoken = [start_s for start_s, _, _ in found["pause"] if 30.0 <= start_s < 60.0]
    assert bool(spoken) == (rule.get("logprob_threshold") == -1.0), "sure of its text, it is not taken for silence"


def test_previous_text_prompts_the_next_window_as_in_whisper(model, expected, files):
    conditioned = replace(UNGUARDED, condition_on_previous_text=True)
    names = ("long", "short")
    found = ours(model, {name: files[name] for name in names}, conditioned)
    theirs = expected(*names, condition_on_previous_text=True)
    assert found["short"] == theirs["short"]
    assert found["long"][:12] == theirs["long"][:12]


class TestFallback:
    def test_a_text_that_is_never_good_enough_uses_the_last_temperature(self, model, files):
        """No text is likely enough, so each window is sampled at 1.0, with the same result in any batch."""
        files = {name: files[name] for name in ("cut", "short")}
        doubtful = replace(UNGUARDED, temperatures=(0.0, 0.5, 1.0), logprob_threshold=-1e-9)
        alone = ours(model, files, replace(doubtful, batch_size=1))
        assert ours(model, files, replace(doubtful, batch_size=4)) == alone
        assert alone == ours(model, files, replace(UNGUARDED, temperatures=(1.0,)))

    def test_a_likely_text_is_not_decoded_again(self, model, files):
        sure = replace(UNGUARDED, temperatures=(0.0, 0.4, 0.8), logprob_threshold=-1.0, compression_ratio_threshold=2.4)
        assert ours(model, {"short": files["short"]}, sure) == ours(model, {"short": files["short"]})
