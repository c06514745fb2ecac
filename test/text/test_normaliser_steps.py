"""Each optional step alone: what it changes and what it keeps."""

import pytest

from k2d.text.normaliser_steps import one_variant, without_fillers, without_tags


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("好（笑）的", "好 的"),
        ("【音樂】〔a〕［b］｛c｝{d}＜e＞(f)[g]<h><i>", " " * 10),
        ("《書名》〈文〉「話」", "《書名》〈文〉「話」"),  # titles and quotations are spoken
        ("一（二", "一（二"),
        ("((a))", " )"),
    ],
)
def test_tags(text, left):
    assert without_tags(text) == left


def test_variants():
    assert one_variant("妳祢祂牠 甚麼甚么甚至 著名 喔") == "你你他它 什麼什么甚至 着名 哦"


def test_fillers_are_whole_words_only():
    assert without_fillers("Um uhh er, hmm mhm 嗯嗯 呃") == " , "
    assert without_fillers("umbrella era summer hum naïve éum num3") == "umbrella era summer hum naïve éum num3"
