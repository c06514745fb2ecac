"""When a window is decoded again, and how its tokens are sampled."""

import math

import pytest
import torch
from decode_fake import FakeCodec, FakeRecogniser, ids_of, write_tape, writing_script

from k2d.core.errors import UsageError
from k2d.decode.fallback import Draws, compression_ratio, is_doubtful, is_silent
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.search import Decoded
from k2d.decode.sources import Source

CODEC = FakeCodec()
LOOPING = Decoded(tuple(ids_of("abc" * 60)), "end", logprob=-1.0)
SURE = Decoded(tuple(ids_of("abcdefghi")), "end", logprob=-1.0)  # -0.1 a token, the end included


def test_the_compression_ratio_equals_that_of_whisper():
    whisper = pytest.importorskip("whisper")
    for text in ("", "hello", "你好" * 50, "the same " * 30):
        assert compression_ratio(text) == whisper.utils.compression_ratio(text)


@pytest.mark.parametrize(
    ("decoded", "silence", "options", "expected"),
    [
        (SURE, 0.0, Options(), False),
        (LOOPING, 0.0, Options(), False),
        (LOOPING, 0.0, Options(compression_ratio_threshold=2.4), True),
        (SURE, 0.0, Options(compression_ratio_threshold=2.4), False),
        (SURE, 0.0, Options(logprob_threshold=-0.05), True),
        (SURE, 0.0, Options(logprob_threshold=-0.2), False),
        (SURE, 0.9, Options(logprob_threshold=-0.05, silence_threshold=0.6), False),  # nobody speaks: no other try
        (SURE, 0.5, Options(logprob_threshold=-0.05, silence_threshold=0.6), True),
        (Decoded(SURE.ids, "loop", -1.0), 0.0, Options(), True),
    ],
)
def test_conditions_for_decoding_again(decoded, silence, options, expected):
    assert is_doubtful(decoded, silence, CODEC, options) is expected


def test_the_silence_rule_can_require_an_uncertain_text():
    assert is_silent(SURE, 0.7, Options(silence_threshold=0.6))
    assert not is_silent(SURE, 0.6, Options(silence_threshold=0.6))
    assert not is_silent(SURE, 0.7, Options(silence_threshold=0.6, logprob_threshold=-0.2))
    assert is_silent(SURE, 0.7, Options(silence_threshold=0.6, logprob_threshold=-0.1))
    assert not is_silent(SURE, 0.7, Options())


@pytest.mark.slow
def test_tokens_are_drawn_by_their_probability_at_the_temperature():
    log_probs_RV = torch.tensor([[0.5, 0.25, 0.25, 0.0]]).log()
    for temperature, first in ((1.0, 0.5), (0.5, 0.25 / 0.375)):
        draws = Draws(["a"], temperature, 4000)
        tokens = [int(draws.tokens(log_probs_RV, [0], step)) for step in range(4000)]
        assert tokens.count(0) / 4000 == pytest.approx(first, abs=0.03)
        assert tokens.count(3) == 0, "what may not come is never drawn"


def test_random_draws_of_a_window_do_not_depend_on_others():
    log_probs_RV = torch.zeros(3, 1000).log_softmax(-1)
    together = Draws(["a", "b", "c"], 0.4, 9)
    alone = Draws(["b"], 0.4, 9)
    drawn = [together.tokens(log_probs_RV[:2], [1, 2], step).tolist() for step in range(9)]
    assert [pair[0] for pair in drawn] == [int(alone.tokens(log_probs_RV[:1], [0], step)) for step in range(9)]
    assert [pair[0] for pair in drawn] != [pair[1] for pair in drawn]


def test_only_a_looping_window_is_sampled_again(tmp_path):
    """The fake writes `abab…` for a tape that begins with a. At a temperature, it chooses between two letters."""
    sure = writing_script(lambda tape: "<0.00>" + ("ab" * 12 if tape[0] == "a" else "xyz") + "<2.00>")

    def next_logits(tape, prefix):
        logits = list(sure(tape, prefix))
        return [value if value == 9.0 else -math.inf if token > 40 else value for token, value in enumerate(logits)]

    sources = [Source(name, str(write_tape(tmp_path / f"{name}.wav", name * 20))) for name in "ax"]
    options = Options(temperatures=(0.0, 5.0), compression_ratio_threshold=1.3)
    recogniser = FakeRecogniser(next_logits)
    guarded = {h.recording_id: h for h in decode_recordings(recogniser, sources, options)}
    plain = {h.recording_id: h for h in decode_recordings(FakeRecogniser(next_logits), sources, Options())}
    assert guarded["x"] == plain["x"]
    assert guarded["a"] != plain["a"]
    again = {h.recording_id: h for h in decode_recordings(FakeRecogniser(next_logits), sources[:1], options)}
    assert again["a"] == guarded["a"]
    assert recogniser.n_windows == sum(len(h.windows) for h in guarded.values()), "each window was encoded once"


def test_bad_temperatures_are_refused():
    for temperatures in ((), (0.0, -0.2)):
        with pytest.raises(UsageError, match="at least one is expected, each 0 or more"):
            Options(temperatures=temperatures)
