"""The utterances of each long recording: borders worked out by hand, and general properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.core.errors import K2DError
from k2d.data.longform import ByTime, Concatenate, Piece, arrange
from k2d.data.rows import Utterance

RATE = 16_000


def piece(name, length_s, session=None, at_s=None):
    return Piece(Utterance(name, name, f"{name}.wav", "s"), round(length_s * RATE), session, at_s)


def layout(longs):
    return {
        long.name: [(placed.piece.row.id, placed.start / RATE, placed.end / RATE) for placed in long.pieces]
        for long in longs
    }


def names(longs):
    return ["".join(placed.piece.row.id for placed in long.pieces) for long in longs]


def test_rows_are_appended_while_their_total_is_at_most_the_limit():
    rows = [piece("a", 12), piece("b", 18), piece("c", 0.5), piece("d", 31), piece("e", 29.5), piece("f", 1)]
    assert layout(arrange(rows, Concatenate(30.0, 500, 1))) == {
        "long-00001": [("a", 0, 12), ("b", 12, 30)],  # exactly 30 s is not more than 30 s
        "long-00002": [("c", 0, 0.5)],
        "long-00003": [("d", 0, 31)],  # longer than the limit: alone
        "long-00004": [("e", 0, 29.5)],
        "long-00005": [("f", 0, 1)],
    }


def test_each_batch_and_each_workers_share_starts_a_new_recording():
    rows = [piece(name, 1) for name in "abcdefghijk"]
    assert names(arrange(rows, Concatenate(30.0, 500, 1))) == ["abcdefghijk"]
    assert names(arrange(rows, Concatenate(30.0, 4, 1))) == ["abcd", "efgh", "ijk"]
    assert names(arrange(rows, Concatenate(30.0, 500, 3))) == ["abcd", "efgh", "ijk"]  # 4 + 4 + 3 rows
    assert names(arrange(rows, Concatenate(30.0, 3, 2))) == ["abc", "def", "ghi", "jk"]  # 6 + 5 rows
    assert names(arrange(rows[:2], Concatenate(30.0, 500, 16))) == ["a", "b"]


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_the_rule_of_distil_whisper(lengths_s, batch, shards):
    """Compared with the rule of its own tool: shares of workers, batches in them, and one growing clip."""
    rows = [piece(f"{n} ", length_s) for n, length_s in enumerate(lengths_s)]
    expected, first = [], 0
    for shard in range(shards):
        share = rows[first : first + len(rows) // shards + (shard < len(rows) % shards)]
        first += len(share)
        for at in range(0, len(share), batch):
            clip, clip_s = "", 0.0
            for row in share[at : at + batch]:
                length_s = row.n_samples / RATE
                if clip and clip_s + length_s > 30:
                    expected.append(clip)
                    clip, clip_s = "", 0.0
                clip, clip_s = clip + row.row.id, clip_s + length_s
            expected.append(clip)
    assert names(arrange(rows, Concatenate(30.0, batch, shards))) == expected


def test_a_session_keeps_its_order_and_its_pauses():
    rows = [
        piece("late", 2, "ses2", 100.5),
        piece("first", 3, "ses1", 10.0),
        piece("second", 1, "ses1", 13.25),  # 0.25 s after the first
        piece("within", 1, "ses1", 13.5),  # begins before the second has ended: waits for it
        piece("fourth", 1, "ses1", 44.25),  # 29.75 s after the end at 14.5
    ]
    assert layout(arrange(rows, ByTime())) == {
        "ses1": [("first", 0, 3), ("second", 3.25, 4.25), ("within", 4.25, 5.25), ("fourth", 35, 36)],
        "ses2": [("late", 0, 2)],
    }
    shortened = layout(arrange(rows, ByTime(max_pause_s=5.0)))
    assert shortened["ses1"][-2:] == [("within", 4.25, 5.25), ("fourth", 10.25, 11.25)]


def test_by_time_needs_the_times_of_all():
    rows = [piece("a", 1, "ses1", 0.0), piece("b", 1), piece("c", 1, "ses1")]
    with pytest.raises(
        K2DError, match=r"by_time: 2 of 3 utterances have no session and no time in it: b, c;.*use conc"
    ):
        arrange(rows, ByTime())


lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 60), st.sampled_from("xy")), min_size=1, max_size=30)


@given(lengths, st.sampled_from([Concatenate(12.0, 7, 2), ByTime(), ByTime(max_pause_s=2.0)]))
def test_each_utterance_occurs_once_and_none_overlaps(given_rows, how):
    rows = [piece(f"u{n}", length, session, at) for n, (length, at, session) in enumerate(given_rows)]
    longs = arrange(rows, how)
    assert sorted(p.piece.row.id for long in longs for p in long.pieces) == sorted(row.row.id for row in rows)
    for long in longs:
        ends = [0, *(placed.end for placed in long.pieces)]
        assert all(placed.start >= end for placed, end in zip(long.pieces, ends, strict=False))
