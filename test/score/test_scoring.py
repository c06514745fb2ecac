"""From texts to scores: texts with known scores, hallucinations, sums."""

from types import SimpleNamespace

import pytest
from growth import grows_linearly
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.score import align
from k2d.score.confidence import Draws
from k2d.score.invention import Invention, stored_invention
from k2d.score.pairing import UtterancePair
from k2d.score.rates import ErrorRate
from k2d.score.scoring import Conventions, ScoreTally, score_pair, scored
from k2d.score.term_recall import TermRecall, stored_recall

USUAL, PAPER = Conventions(), Conventions("per_char", "paper")
TEXT = st.text(st.sampled_from("我們用gpu run3五 ，'。"), max_size=25)


def mer(ref, hyp, conventions=USUAL):
    return score_pair(UtterancePair("u", "g", ref, hyp), conventions).rates["mer"]


def tallied(*pairs):
    tally = ScoreTally(Draws(resamples=50))
    for utterance in scored(pairs, USUAL):
        tally.add(utterance)
    return tally.score()


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"),
    [
        ("我們說國語", "我们说国语", ErrorRate(5)),  # Traditional, Simplified
        ("ＧＰＵ １２", "gpu 12", ErrorRate(2)),  # full width, half width
        ("I don't know", "I don t know", ErrorRate(4)),  # Whisper's basic normaliser parts don't
        ("I don't know", "I dont know", ErrorRate(4, s=1, d=1)),
        ("大約 3.14", "大約 3 14", ErrorRate(4)),
        ("50%", "50", ErrorRate(1)),
        ("用 GPU 跑", "用gpu跑", ErrorRate(3)),
        ("嗯 好", "好", ErrorRate(2, d=1)),  # fillers count
        ("3個", "三個", ErrorRate(2, s=1)),  # digits next to Han
        ("我😀好", "我好", ErrorRate(2)),  # emoji are no tokens
        ("好", "好 カナ", ErrorRate(1, i=1)),  # a run of kana is a word
        ("<0.00>今天<1.20><1.20>run<2.40>it", "今天 run it", ErrorRate(4)),  # timestamps part words
        ("", "", ErrorRate(0)),
        ("好 ok", "", ErrorRate(2, d=2)),
        ("", "好 ok", ErrorRate(0, i=2)),
        ("。，", "<0.00>", ErrorRate(0)),  # as empty
    ],
)
def test_golden_texts(ref, hyp, expected):
    assert mer(ref, hyp) == expected


def test_digits_are_english_in_paper_mode():
    ours, theirs = (score_pair(UtterancePair("u", "g", "跑 3 個", "跑 4 個"), c).rates for c in (USUAL, PAPER))
    assert ours["mer"] == theirs["mer"] == ErrorRate(3, s=1)
    assert (ours["en_split"], theirs["en_split"]) == (ErrorRate(0), ErrorRate(1, s=1))
    assert theirs["en_joint"] == ErrorRate(1, s=1)


def test_the_script_can_be_kept():
    assert mer("說", "说", Conventions("none")) == ErrorRate(1, s=1)


def test_missing_empty_and_correctly_empty_hypotheses():
    score = tallied(
        UtterancePair("a", "g", "好", None), UtterancePair("b", "g", "ok 好", ""), UtterancePair("c", "g", "", "")
    )
    assert score.rates["mer"] == ErrorRate(3, d=3)
    assert (score.missing, score.empty, score.empty_references) == (("a",), 1, 1)


def test_hallucinations_are_found_by_length_and_by_repetitions():
    """謝謝觀看 ten times repeats 4 different 6-grams. After 17 of its 35, the first one occurs a fifth time."""
    looping = UtterancePair("a", "g", "好", "謝謝觀看" * 10, duration_s=2.0)
    fine = UtterancePair("b", "g", "我們用 GPU", "我們用 GPU", duration_s=1.0)
    score = tallied(looping, fine)
    assert (score.too_long, score.timed, score.repetitions) == (1, 2, 2)
    untimed = tallied(UtterancePair("c", "g", "好", "謝謝觀看" * 10))
    assert (untimed.too_long, untimed.timed) == (0, 0)


def test_parts_and_measures_are_sums_and_parts_are_complete():
    score = tallied(
        UtterancePair("a", "g1", "我 run", "我 ran"),
        UtterancePair("b", "g1", "我們", "我"),
        UtterancePair("c", "g2", "run it", "run it now"),
        UtterancePair("d", "g2", "3", "4"),
    )
    assert score.parts == {
        "mixed": ErrorRate(2, s=1),
        "zh": ErrorRate(2, d=1),
        "en": ErrorRate(2, i=1),
        "other": ErrorRate(1, s=1),
    }
    assert score.rates["mer"] == ErrorRate(7, s=2, d=1, i=1)
    assert score.interval is not None


def test_terms_are_the_english_words_of_mixed_utterances_and_insertions_do_not_count():
    score = tallied(
        UtterancePair("a", "g1", "我 run the model", "我 run a big model now"),  # two of three
        UtterancePair("b", "g2", "用 gpu 跑", "用 gpu gpu 跑"),  # one of one
        UtterancePair("c", "g2", "run it", "no"),  # English alone has no terms
        UtterancePair("d", "g3", "我們", "我"),
    )
    assert (score.terms.n, score.terms.n_correct, score.terms.percent) == (4, 3, 75.0)
    assert score.terms.low is not None
    assert score.terms.high is not None
    assert 2 / 3 * 100 - 1e-3 <= score.terms.low < 75.0 < score.terms.high <= 100.0
    assert stored_recall(score.terms.as_json()) == score.terms
    assert tallied(UtterancePair("d", "g3", "我們", "我")).terms == TermRecall(0, 0, None, None)
    with pytest.raises(ValueError, match="5 correct terms of 4"):
        stored_recall({**score.terms.as_json(), "n_correct": 5})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6), st.randoms())
def test_the_order_of_utterances_does_not_matter_and_joint_adds_up(texts, random):
    pairs = [UtterancePair(f"u{at}", f"g{at % 2}", ref, hyp) for at, (ref, hyp) in enumerate(texts)]
    shuffled = random.sample(pairs, len(pairs))
    one, other = tallied(*pairs), tallied(*shuffled)
    assert (one.rates, one.parts) == (other.rates, other.parts)
    assert one.terms.n_correct == other.terms.n_correct <= one.terms.n == one.rates["pier"].n
    assert one.n_utterances == other.n_utterances == len(texts)
    assert one.rates["zh_joint"] + one.rates["en_joint"] == one.rates["mer"]


@settings(deadline=None)
@given(TEXT)
def test_a_text_against_itself_has_no_errors(text):
    assert mer(text, text).errors == 0


@pytest.mark.slow
def test_three_alignments_make_all_figures_and_the_rest_grows_as_the_texts_do(monkeypatch):
    """A looping hypothesis with a longer reference. Only an alignment has the cost of the product of both lengths."""
    aligned = []

    def each_replaced(ref, hyp):
        aligned.append((len(ref), len(hyp)))
        shared, longer = sorted((len(ref), len(hyp)))
        rest = "delete" if len(ref) == longer else "insert"
        places = [("replace", at, at) for at in range(shared)]
        places += [(rest, min(at, len(ref)), min(at, len(hyp))) for at in range(shared, longer)]
        return [SimpleNamespace(tag=tag, src_pos=ref_at, dest_pos=hyp_at) for tag, ref_at, hyp_at in places]

    def score(n):
        return mer("我們今天講 deep learning 的課" * n, "謝謝觀看" * 2 * n)

    assert score(1000) == ErrorRate(9000, s=8000, d=1000)
    monkeypatch.setattr(align, "Levenshtein", SimpleNamespace(editops=each_replaced))
    assert score(1000) == ErrorRate(9000, s=8000, d=1000)
    assert aligned == [(9000, 8000), (7000, 8000), (2000, 0)]  # all tokens, the Mandarin ones, the English ones
    assert grows_linearly(score, 100)


def test_words_without_speech_are_counted_with_their_minutes():
    """The utterance with a reference has no part in it."""
    score = tallied(
        UtterancePair("a", "g", "", "謝謝 ok", 40.0),
        UtterancePair("b", "g", "。", "", 20.0),
        UtterancePair("c", "g", "好", "好 的", 99.0),
    )
    assert score.invention == Invention(2, 1, 3, 60.0)
    assert (score.invention.per_minute, score.empty_references) == (3.0, 2)
    unknown = tallied(UtterancePair("a", "g", "", "謝謝", 40.0), UtterancePair("b", "g", "", "", None))
    assert (unknown.invention, unknown.invention.per_minute) == (Invention(2, 1, 2, None), None)


@pytest.mark.parametrize("change", [{"with_text": 3}, {"tokens": 0}, {"with_text": -1}])
def test_stored_counts_that_cannot_be_are_refused(change):
    raw = {"utterances": 2, "with_text": 1, "tokens": 5, "seconds": None}
    assert stored_invention(raw) == Invention(2, 1, 5, None)
    assert stored_invention(None) is None
    with pytest.raises(ValueError, match="cannot be"):
        stored_invention({**raw, **change})
