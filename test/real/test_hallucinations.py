"""Text of a real Whisper for audio without speech, with and without the guards; guessed and mixed languages."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Source
from k2d.models.whisper.codec import codec_of
from k2d.models.whisper.recogniser import WhisperRecogniser
from k2d.select.loops import ngram_loops
from k2d.text.normalise import Normaliser
from k2d.text.script import simplified

RATE_HZ = 16_000
LENGTH_S = 30
MANDARIN = Options(languages=("zh",))
BUDGET = MANDARIN.max_tokens


def chords() -> np.ndarray:
    """Four chords of three decaying notes with overtones, a chord every two seconds."""
    time_s = np.arange(LENGTH_S * RATE_HZ) / RATE_HZ
    since_s = time_s % 2.0
    roots_hz = np.array([261.63, 349.23, 392.0, 261.63])[(time_s // 2.0).astype(int) % 4]
    notes = [np.sin(2 * np.pi * roots_hz * ratio * n * time_s) / n for ratio in (1, 1.26, 1.5) for n in (1, 2, 3, 4)]
    return 0.1 * np.exp(-1.5 * since_s) * np.sum(notes, axis=0)


@pytest.fixture(scope="module")
def not_speech(tmp_path_factory):
    """Recordings of one window each in which nobody speaks."""
    noise = np.random.default_rng(0).standard_normal(LENGTH_S * RATE_HZ)
    time_s = np.arange(LENGTH_S * RATE_HZ) / RATE_HZ
    hum = 0.1 * np.sin(2 * np.pi * 50 * time_s) + 0.03 * np.sin(2 * np.pi * 150 * time_s)
    sounds = {"silence": 0 * noise, "room": 0.0005 * noise, "music": chords(), "hum": hum}
    folder = tmp_path_factory.mktemp("sounds")
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.flac", samples.astype(np.float32), RATE_HZ)
    return [Source(name, str(folder / f"{name}.flac")) for name in sounds]


def is_loop(text: str) -> bool:
    return ngram_loops(Normaliser()(text))


def decoded(model, sources, options, stops_loops):
    found = decode_recordings(model, sources, options, is_loop if stops_loops else None)
    return {each.recording_id: each for each in found}


@pytest.fixture(scope="module")
def unguarded(fetched, not_speech):
    """Only silence and noise, one window of each, up to 150 tokens, because loops without a guard take long."""
    options = replace(MANDARIN, max_tokens=150, min_advance_s=LENGTH_S)
    return decoded(fetched, not_speech[:2], options, stops_loops=False)


@pytest.fixture(scope="module")
def guarded(fetched, not_speech):
    return decoded(fetched, not_speech, MANDARIN, stops_loops=True)


def loops(hypothesis):
    """Whether the text of any window loops, by the rule of selection."""
    starts_s = [window.start_s for window in hypothesis.windows] + [float("inf")]
    windows = pairwise(starts_s)
    return any(
        is_loop(" ".join(s.text for s in hypothesis.segments if start_s <= s.start_s < end_s))
        for start_s, end_s in windows
    )


def test_without_guards_the_model_loops_on_silence_and_on_noise(unguarded):
    assert {key: loops(each) for key, each in unguarded.items()} == {"silence": True, "room": True}


def test_a_loop_is_cut_long_before_the_budget_ends(unguarded, guarded):
    windows = [window for each in guarded.values() for window in each.windows]
    cut = [window for window in windows if window.ended == "loop"]
    assert len(cut) >= 3
    assert max(window.n_tokens for window in cut) < BUDGET / 2
    longest = max(window.n_tokens for each in unguarded.values() for window in each.windows)
    assert longest > 2 * max(window.n_tokens for window in cut), "without the guard a loop goes on"


def test_the_model_writes_words_for_each_sound(guarded):
    assert all(each.segments for each in guarded.values())


def test_selection_still_finds_a_loop_that_was_cut(guarded):
    """Its chunks are dropped with this reason."""
    looped = [each for each in guarded.values() if any(window.ended == "loop" for window in each.windows)]
    assert all(loops(each) for each in looped)


def test_the_silence_rule_keeps_only_likely_texts(fetched, not_speech, guarded):
    """Loops have a high probability, so Whisper's rule keeps them. It does not replace the guard."""
    rule = replace(MANDARIN, silence_threshold=0.6, logprob_threshold=-1.0)
    found = decoded(fetched, [each for each in not_speech if each.id != "room"], rule, stops_loops=True)
    windows = [window for each in found.values() for window in each.windows]
    silent = [window for window in windows if window.ended == "silence"]
    assert silent
    assert all(window.n_tokens == 0 for window in silent)
    assert any(window.ended == "loop" for window in windows)


def test_languages_of_real_speech_are_guessed(fetched, speech):
    some = (
        "aishell1_764",
        "aishell3_0018",
        "fleurs_zh_1883",
        "fleurs_en_004",
        "librispeech_1995",
        "librivox_sense_0880",
    )
    spoken = [speech[key] for key in some]
    sources = [Source(each.id, str(each.audio)) for each in spoken]
    found = decoded(fetched, sources, Options(max_tokens=8), stops_loops=False)
    assert {key: hypothesis.segments[0].language for key, hypothesis in found.items()} == {
        each.id: each.language for each in spoken
    }


def test_a_prompt_of_two_languages_transcribes_both_and_translates_neither(fetched, speech):
    pair = [speech[key] for key in ("aishell1_764", "librivox_sense_0880")]
    codec = codec_of(fetched.dims, fetched.generation, ("zh", "en"))
    model = WhisperRecogniser(fetched.network, fetched.dims, codec, fetched.generation)
    found = decoded(model, [Source(each.id, str(each.audio)) for each in pair], Options(), stops_loops=False)
    chinese, english = (" ".join(s.text for s in found[each.id].segments) for each in pair)
    assert simplified(chinese).startswith("甚至出现交易几乎停")
    assert english == "He was not an ill-disposed young man."
