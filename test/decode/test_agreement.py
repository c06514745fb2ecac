"""Comparison of two decodings window by window."""

from dataclasses import replace

from k2d.data.rows import DecodedWindow, Hypothesis, Segment
from k2d.decode.agreement import Difference, agreement, segments_by_window


def hypothesis(*texts: str) -> Hypothesis:
    segments = tuple(Segment(2.0 * n, 2.0 * n + 1, text) for n, text in enumerate(texts) if text)
    windows = tuple(DecodedWindow(2.0 * n, 2.0, 3, "end", "window", -0.5) for n, _ in enumerate(texts))
    return Hypothesis("a", 2.0 * len(texts), segments, windows)


def test_scores_may_differ():
    one = hypothesis("so", "", "good")
    other = replace(one, windows=tuple(replace(window, mean_logprob=-0.51) for window in one.windows))
    assert agreement([one], [other]).differences == ()
    assert agreement([one], [other]).n_windows == 3


def test_each_difference_is_listed():
    found = agreement([hypothesis("so", "", "good")], [hypothesis("so", "what")])
    assert found.n_windows == 3
    assert found.differences == (
        Difference("a", 2.0, " (end, 3 tokens, on by 2 s)", "<2.00>what<3.00> (end, 3 tokens, on by 2 s)"),
        Difference("a", 4.0, "<4.00>good<5.00> (end, 3 tokens, on by 2 s)", ""),
    )
    assert found.share == 1 - 2 / 3


def test_segments_belong_to_the_window_that_they_start_in():
    whole = hypothesis("so", "", "good")
    assert [[s.text for s in segments] for _, segments in segments_by_window(whole)] == [["so"], [], ["good"]]
