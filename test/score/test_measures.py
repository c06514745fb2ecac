"""Languages, points of interest and switch points: cases worked out by hand, and general properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.score.align import align
from k2d.score.measures import languages, measures, part_of
from k2d.score.rates import ErrorRate
from k2d.text.tokenise import Script, mixed_tokens

WORDS = st.lists(st.sampled_from(["我", "你", "們", "gpu", "run", "3", "50", "かな"]), max_size=12)


def measured(ref, hyp):
    return measures(align(mixed_tokens(ref), mixed_tokens(hyp)))


def test_a_word_recognised_in_the_other_language():
    """One substitution on one alignment; a deletion and an insertion where the languages are aligned alone."""
    found = measured("我 用 gpu 跑", "我 用 居 跑")
    assert found["mer"] == ErrorRate(4, s=1)
    assert found["zh_joint"] == ErrorRate(3)
    assert found["en_joint"] == ErrorRate(1, s=1)
    assert found["zh_split"] == ErrorRate(3, i=1)
    assert found["en_split"] == ErrorRate(1, d=1)


def test_an_insertion_is_of_its_own_language():
    found = measured("我 用 gpu", "我 用 the gpu 吧")
    assert found["mer"] == ErrorRate(3, i=2)
    assert found["en_joint"] == ErrorRate(1, i=1)
    assert found["zh_joint"] == ErrorRate(2, i=1)


def test_numbers_belong_to_the_language_before_them_only_in_joint_measures():
    found = measured("我 跑 3 個 model 5", "我 跑 4 個 model")
    assert found["mer"] == ErrorRate(6, s=1, d=1)
    assert found["zh_joint"] == ErrorRate(4, s=1)  # 我 跑 3 個
    assert found["en_joint"] == ErrorRate(2, d=1)  # model 5
    assert found["zh_split"] == ErrorRate(3)
    assert found["en_split"] == ErrorRate(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3 gpu 4", "en en en"), ("3 かな", "zh zh"), ("run 3 個 5", "en en zh zh"), ("", "")],
)
def test_every_token_gets_a_language(text, expected):
    assert " ".join(script.value for script in languages(mixed_tokens(text))) == expected


def test_points_of_interest_are_english_words_in_mixed_utterances():
    found = measured("我 用 gpu 跑 model", "我 用 the cpu 跑 model 了")
    # substituted: gpu; inserted: `the` before it, 了 at the end after the last word, which is English
    assert found["pier"] == ErrorRate(2, s=1, i=2)
    assert measured("我 用 gpu 跑", "我 用 gpu 跑 了")["pier"] == ErrorRate(1)  # after Mandarin: of no interest
    assert measured("run the model", "ran the model")["pier"] == ErrorRate()  # English alone
    assert measured("跑 3 個", "跑 4 個")["pier"] == ErrorRate()  # digits are no English here


def test_switch_points_are_the_tokens_on_both_sides_of_a_change():
    found = measured("我 們 用 gpu 跑 步", "我 們 有 gpu 步")
    # adjacent to a change: 用 gpu 跑; wrong among them: 用 -> 有, 跑 deleted
    assert found["switch"] == ErrorRate(3, s=1, d=1)
    inserted = measured("用 gpu 跑 步", "用 啊 gpu 跑 個 步")
    assert inserted["switch"] == ErrorRate(3, i=1)  # 啊 between 用 and gpu; 個 is between two Mandarin tokens
    through = measured("gpu 3 個 人", "cpu 4 個 個 人")
    assert through["switch"] == ErrorRate(2, s=1)  # gpu and 個; the 3 between them is looked through
    assert measured("我 們", "你 們")["switch"] == ErrorRate()


@pytest.mark.parametrize(
    ("text", "part"),
    [("我 run", "mixed"), ("我 3", "zh"), ("run 3", "en"), ("3", "other"), ("かな", "other"), ("", "other")],
)
def test_parts_go_by_the_reference(text, part):
    assert part_of(mixed_tokens(text)) == part


@given(WORDS, WORDS)
def test_joint_errors_add_up_to_the_mer_and_no_measure_exceeds_it(ref, hyp):
    found = measured(" ".join(ref), " ".join(hyp))
    assert found["zh_joint"] + found["en_joint"] == found["mer"]
    for name in ("pier", "switch"):
        assert found[name].n <= found["mer"].n
        assert found[name].errors <= found["mer"].errors
    assert found["zh_split"].n == sum(token.script is Script.ZH for token in mixed_tokens(" ".join(ref)))


@given(WORDS)
def test_a_text_against_itself_has_no_errors_in_any_measure(words):
    assert all(rate.errors == 0 for rate in measured(" ".join(words), " ".join(words)).values())
