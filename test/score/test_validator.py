"""The validator study: the reference of a chunk, bad labels, recall and share kept, worked out by hand."""

import pytest

from k2d.core.errors import K2DError
from k2d.data.chunk_sources import Source
from k2d.data.rows import Utterance
from k2d.score.rates import ErrorRate
from k2d.score.scoring import Conventions
from k2d.score.validator import ALPHAS, JudgedChunk, study, true_alignment, truth_of
from k2d.select.chunk_row import ChunkRow, PairDistances


def span(key, start_s, end_s, text=None, recording="r1"):
    return Utterance(key, recording, "a.wav", "spk", text, start_s, end_s)


def chunk(key, distance, errors, *, duration_s=10.0, n_teacher=5):
    by_metric = {"mer": distance, "per": distance / 2, "composite": distance / 2}
    return JudgedChunk(ChunkRow(key, "r1", duration_s, PairDistances(False, False, n_teacher, 5, by_metric)), errors)


def test_words_belong_to_the_chunk_that_contains_their_middle():
    truth = [
        span("t1", 0.0, 4.0, "一"),
        span("t2", 4.0, 12.0, "二"),  # middle 8: before the border at 10
        span("t3", 9.0, 13.0, "三"),  # middle 11: after it
        span("t4", 18.0, 22.0, "四"),  # middle 20: the end of the second chunk is not in it
        span("t5", 1.0, 2.0, "別", recording="r2"),
    ]
    chunks = [
        ("c1", Source("r1", ((0.0, 10.0),))),
        ("c2", Source("r1", ((10.0, 20.0),))),
        ("c3", Source("r1", ((30.0, 40.0),))),
        ("c4", Source("r2", ((0.0, 9.0),))),
    ]
    assert dict(truth_of(chunks, reversed(truth))) == {"c1": "一 二", "c2": "三", "c3": "", "c4": "別"}


def test_overlapping_windows_both_have_the_common_words():
    chunks = [("c1", Source("r1", ((0.0, 10.0),))), ("c2", Source("r1", ((8.0, 18.0),)))]
    truth = [span("t1", 8.0, 10.0, "一"), span("t2", 9.0, 13.0, "二")]
    assert dict(truth_of(chunks, truth)) == {"c1": "一", "c2": "一 二"}


def test_words_that_were_cut_out_of_a_chunk_are_not_in_its_reference():
    """A chunk of three pieces, 1 to 5, 6 to 10 and 14 to 16 s."""
    chunk = ("c1", Source("r1", ((1.0, 5.0), (6.0, 10.0), (14.0, 16.0))))
    truth = [
        span("t1", 1.0, 5.0, "一"),  # all of it
        span("t2", 4.0, 7.0, "二"),  # its middle is cut out, but two of its three seconds are not
        span("t3", 5.0, 6.0, "缺"),  # none of it
        span("t4", 9.5, 14.5, "漏"),  # 1 of 5 s
        span("t5", 10.0, 14.0, "隙"),  # missed by the teacher
        span("t6", 15.0, 17.5, "外"),  # the middle, 16.25, is behind the chunk
        span("t7", 13.0, 15.0, "三"),  # half of it
    ]
    assert dict(truth_of([chunk], truth)) == {"c1": "一 二 三"}


def test_words_outside_a_chunk_do_not_count():
    """For a single stretch, only the middle of a word decides, however much of an utterance is outside."""
    chunk = ("c1", Source("r1", ((4.0, 6.0),)))
    assert dict(truth_of([chunk], [span("t1", 0.0, 10.0, "一")])) == {"c1": "一"}


def test_references_without_times_are_refused():
    with pytest.raises(K2DError, match="'t1' has no times: the true text of recordings needs `segments`"):
        list(truth_of([("c", Source("r1", ((0.0, 1.0),)))], [Utterance("t1", "t1", "a.wav", "spk", "好")]))


@pytest.mark.parametrize(
    ("truth", "label", "is_bad"),
    [
        ("一二三四五", "<0.00>一二三<2.00>", False),  # 2 of 5 is 0.4: not above
        ("一二三四五", "<0.00>一二<2.00>", True),  # 3 of 5
        ("一二", "", True),
        ("", "<0.00>謝謝<2.00>", True),  # words without speech
        ("", "<0.00><2.00>", False),
    ],
)
def test_a_label_is_bad_above_the_limit(truth, label, is_bad):
    judged = chunk("c", 0.0, true_alignment(truth, label, Conventions()).counts)
    assert judged.is_bad(0.4) is is_bad


def test_recall_and_share_kept_by_hand():
    """Ten chunks with a MER of 0.05 to 0.95. The three farthest and the nearest have bad labels."""
    bad, good = ErrorRate(10, s=9), ErrorRate(10)
    chunks = [chunk(f"c{n}", n / 10 + 0.05, bad if n in (0, 7, 8, 9) else good) for n in range(10)]
    found = study(chunks, 0.4)
    assert (found["n_chunks"], found["n_bad"], found["bad_label_mer"]) == (10, 4, 0.4)
    mer = found["by_metric"]["mer"]
    assert mer["alphas"] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert mer["kept_share"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert mer["recall"] == [0.75] * 7 + [0.5, 0.25]  # the nearest is never dropped
    assert mer["mean_recall"] == pytest.approx((7 * 0.75 + 0.5 + 0.25) / 9)
    assert mer["max_recall"] == 0.75  # at 0.6 and 0.7; at 0.5 no more than half is kept
    assert found["by_metric"]["per"]["recall"] == [0.75] * 3 + [0.5, 0.0] + [0.0] * 4


def test_max_recall_requires_that_over_half_is_kept():
    """At 0.1, both bad labels would be dropped, but also two thirds of the data, by duration and not by chunks."""
    long_good = chunk("a", 0.15, ErrorRate(10), duration_s=30.0)
    chunks = [
        long_good,
        chunk("b", 0.15, ErrorRate(10, s=9)),
        chunk("c", 0.95, ErrorRate(10, s=9)),
        chunk("d", 0.0, ErrorRate(10)),
    ]
    mer = study(chunks, 0.4)["by_metric"]["mer"]
    assert mer["recall"][:2] == [1.0, 0.5]
    assert mer["kept_share"][:2] == [pytest.approx(10 / 60), pytest.approx(50 / 60)]
    assert mer["max_recall"] == 0.5


def test_max_recall_uses_the_finest_threshold_that_keeps_over_half():
    """In steps of a tenth, 0.3 keeps four fifths and 0.2 only two. 0.21 keeps three and drops both bad labels."""
    near = [(0.205, False), (0.215, True), (0.35, True)]
    chunks = [chunk(f"n{n}", at, ErrorRate(10, s=9 if is_bad else 0)) for n, (at, is_bad) in enumerate(near)]
    chunks += [chunk("a", 0.0, ErrorRate(10)), chunk("b", 0.05, ErrorRate(10))]
    mer = study(chunks, 0.4)["by_metric"]["mer"]
    assert mer["recall"][1:3] == [1.0, 0.5]
    assert mer["kept_share"][1:3] == [pytest.approx(0.4), pytest.approx(0.8)]
    assert mer["max_recall"] == 1.0


def test_an_empty_label_is_dropped_at_any_distance():
    found = study([chunk("a", 0.0, ErrorRate(5, d=5), n_teacher=0)], 0.4)
    assert found["by_metric"]["mer"]["recall"] == [1.0] * 9
    assert found["by_metric"]["mer"]["max_recall"] is None  # nothing is kept at any alpha


def test_without_bad_labels_there_is_no_recall():
    mer = study([chunk("a", 0.0, ErrorRate(5))], 0.4)["by_metric"]["mer"]
    assert (mer["recall"], mer["max_recall"], mer["mean_recall"]) == ([None] * 9, None, None)
    assert mer["kept_share"] == [1.0] * len(ALPHAS)
