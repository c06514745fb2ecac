"""When a search checks for a loop, and the mean log-probability of a text."""

import math

import pytest
from decode_fake import FakeCodec, ids_of

from k2d.decode.search import Decoded, LoopWatch


def test_loops_are_searched_at_sixteen_tokens_and_then_at_each_eighth():
    looks = []

    def is_loop(text):
        looks.append(text)
        return False

    watch = LoopWatch(FakeCodec(), is_loop, [2.0])
    assert not any(watch.stops(0, ids_of("a" * n)) for n in range(41))
    assert [len(text) for text in looks] == [16, 24, 32, 40]


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("<0.00>" + "ab" * 8, False),  # 17 tokens: not looked at
        ("<0.00>" + "ab" * 7 + "a", True),  # 16 tokens, in an open segment
        ("<0.00>" + "ab" * 7 + "<1.50>", True),  # in a complete one
        ("<0.00>ababab<0.60><0.60>ababab<1.20>", True),  # over two complete ones
        ("<0.00>ababab<0.60><0.60>abababa", False),  # only the complete one and the rest together
    ],
)
def test_a_loop_stops_the_search_where_the_kept_text_or_the_rest_loops_alone(text, stops):
    watch = LoopWatch(FakeCodec(), lambda text: text.replace(" ", "").count("ab") >= 5, [2.0])
    assert watch.stops(0, ids_of(text)) is stops


def test_mean_log_probabilities_count_the_end_token_if_the_model_wrote_it():
    assert Decoded((5, 6, 7), "end", -2.0).mean_logprob == -0.5
    assert Decoded((5, 6, 7, 8), "budget", -2.0).mean_logprob == -0.5
    assert Decoded((5, 6, 7), "budget", -2.0).mean_with_end == -0.5
    assert Decoded((), "budget").mean_logprob is None
    assert Decoded((), "silence").mean_with_end == 0.0  # nothing was decoded, so there is no doubt
    assert Decoded((), "end", -0.25).mean_logprob == -0.25
    assert math.copysign(1, Decoded((5,), "end", -0.001).mean_logprob) == 1
