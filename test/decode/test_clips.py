"""Clips: plain text in the order of the input."""

import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from decode_fake import FIRST_LETTER, N_IDS, FakeRecogniser, write_tape, writing_script

from k2d.core.errors import UsageError
from k2d.decode.clips import _clip_text, decode_clips, read_clip
from k2d.decode.options import Options
from k2d.decode.search import Decoded
from k2d.decode.sources import Clip, Failed
from k2d.select.loops import ngram_loops

PLAIN = Options(batch_size=3, timestamps=False)


def letters(tape: str) -> str:
    return tape.replace("_", "")


def test_clips_keep_their_order_and_their_text(tmp_path):
    path = str(write_tape(tmp_path / "a.wav", "abcdefghijklmnopqrstuvwxyz" * 8))
    clips = [Clip(f"c{n:02d}", path, n / 10, n / 10 + 0.1 * (1 + n % 7)) for n in range(60)]
    recogniser = FakeRecogniser(writing_script(letters))
    found = list(decode_clips(recogniser, iter(clips), PLAIN))
    alphabet = "abcdefghijklmnopqrstuvwxyz" * 8
    assert [clip.id for clip in found] == [clip.id for clip in clips]
    assert [clip.text for clip in found] == [alphabet[n : n + 1 + n % 7] for n in range(60)]
    assert found[6].duration_s == pytest.approx(0.7)
    assert (found[6].n_tokens, found[6].ended) == (8, "end")
    assert set(recogniser.batch_sizes) == {3}


def test_at_a_higher_speed_a_clip_is_shorter_and_higher_and_keeps_its_duration(tmp_path):
    """A tone of 400 Hz that lasts 1.5 s, at speed 1.25: 500 Hz for 1.2 s."""
    path, recogniser = str(tmp_path / "tone.wav"), FakeRecogniser(writing_script(letters))
    rate_hz = recogniser.window.rate_hz
    time_N = np.arange(2 * rate_hz) / rate_hz
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 400 * time_N), rate_hz)
    clip = Clip("tone", path, 0.25, 1.75, speed=1.25)
    samples = read_clip(clip, recogniser).samples
    assert len(samples) == pytest.approx(1.2 * rate_hz, abs=1)
    assert np.abs(np.fft.rfft(samples)).argmax() / 1.2 == pytest.approx(500, abs=1)
    (found,) = decode_clips(recogniser, [clip], PLAIN)
    assert found.duration_s == pytest.approx(1.5, abs=0.001)


def test_a_clip_that_cannot_be_read_is_reported_in_its_place(tmp_path):
    path = str(write_tape(tmp_path / "a.wav", "ab" * 20))
    clips = [
        Clip("missing", str(tmp_path / "no.wav")),
        Clip("first", path, 0.0, 0.2),
        Clip("long", path, 0.0, 2.5),
        Clip("beyond", path, 5.0, 6.0),
        Clip("window", path, 0.0, 2.0),
        Clip("whole", str(write_tape(tmp_path / "b.wav", "xyz"))),
    ]
    found = {
        getattr(one, "id", None) or one.recording_id: one
        for one in decode_clips(FakeRecogniser(writing_script(letters)), clips, PLAIN)
    }
    assert list(found) == [clip.id for clip in clips]
    assert {name: one.reason for name, one in found.items() if isinstance(one, Failed)} == {
        "missing": "missing",
        "long": "too_long",
        "beyond": "segment_out_of_range",
    }
    assert "2.50 s, longer than the model's window of 2 s; split it" in found["long"].detail
    assert (found["first"].text, found["whole"].text) == ("ab", "xyz")


def test_empty_texts_full_budgets_and_loops_are_recorded(tmp_path):
    tapes = {"_": "____", "b": "bbbb", "l": "l___"}
    texts = {"_": "", "b": "abcdefghij" * 4, "l": "la" * 30}
    clips = [Clip(name, str(write_tape(tmp_path / f"{n}.wav", tape))) for n, (name, tape) in enumerate(tapes.items())]
    recogniser = FakeRecogniser(writing_script(lambda tape: texts[tape[0]]))
    options = Options(timestamps=False, max_tokens=30)
    found = list(decode_clips(recogniser, clips, options, ngram_loops))
    assert [(one.ended, one.n_tokens) for one in found] == [("empty", 1), ("budget", 30), ("loop", 16)]
    assert ngram_loops(found[2].text)


def test_ctc_alone(tmp_path):
    """Frames with a, a, blank, a, b: the text is aab."""
    path = str(write_tape(tmp_path / "a.wav", "ab"))
    a, b = FIRST_LETTER, FIRST_LETTER + 1
    logits_TV = torch.zeros(5, N_IDS)
    for frame, token in enumerate([a, a, 0, a, b]):
        logits_TV[frame, token] = 5.0
    recogniser = FakeRecogniser(writing_script(letters), ctc_log_probs=logits_TV.log_softmax(-1)[None])
    (found,) = decode_clips(recogniser, [Clip("a", path)], Options(timestamps=False, mode="ctc"))
    sure = 5 - math.log(math.exp(5) + N_IDS - 1)
    assert (found.text, found.mean_logprob) == ("aab", round(5 * sure / 4, 2))
    assert recogniser.n_steps == 0


def test_in_joint_decoding_ctc_can_overrule_the_decoder(tmp_path):
    """The decoder slightly prefers `b`, and CTC strongly prefers `a`: the result is `a`."""
    path = str(write_tape(tmp_path / "a.wav", "ab"))
    a, b = FIRST_LETTER, FIRST_LETTER + 1

    def next_logits(tape, prefix):
        return [(3.0 if prefix else 0.0) if i == 0 else {a: 2.0, b: 2.2}.get(i, -5.0) for i in range(N_IDS)]

    logits_TV = torch.zeros(6, N_IDS)
    logits_TV[:, a], logits_TV[:, 1] = 5.0, 6.0
    recogniser = FakeRecogniser(next_logits, ctc_log_probs=logits_TV.log_softmax(-1)[None])
    recogniser.ctc_blank_id = 1
    for mode, expected in (("attention", "b"), ("joint", "a")):
        options = Options(timestamps=False, mode=mode, beam=3)
        assert next(decode_clips(recogniser, [Clip("a", path)], options)).text == expected


def test_a_model_without_ctc_is_refused(tmp_path):
    path = str(write_tape(tmp_path / "a.wav", "ab"))
    for mode in ("ctc", "joint"):
        with pytest.raises(UsageError, match=f"mode {mode} needs a CTC head.*family fake.*use mode attention"):
            next(
                decode_clips(
                    FakeRecogniser(writing_script(letters)), [Clip("a", path)], Options(timestamps=False, mode=mode)
                )
            )


def test_a_clip_has_the_recognisers_language_if_there_is_one():
    for language, expected in (("zh", "zh"), ("", None)):
        decoded = replace(Decoded((), "end", -1.0), language=language)
        assert _clip_text("c", 1.0, decoded, FakeRecogniser(writing_script(letters))).language == expected
