"""Texts for property tests and for comparison with the libraries."""

import pytest
from hypothesis import strategies as st

from k2d.core.layout import PROJECT_ROOT

# Characters that the rules treat in different ways, each far likelier here than in random text.
SPECIAL = (
    "我們说瞭解乾坤萧蕭薴嗯〇々𠀀㐀\uf900著妳甚麼禰"  # Han: both scripts, all blocks, what OpenCC changes twice
    "abDonKGPUéÀßİıſΑΣσςﬁµK"  # letters whose case or form is odd
    "0123456789０９①½²٣"
    "<>[](){}（）【】［］＜＞.。,，'’-%％！？：；~_…·・😀♪℃㈱℡™︵"
    "ひカーがмир\u0301\u0307\u0338\u200d\u3099\ufe0f\uff9e"
    " \t\n\r\x85\xa0\u2028\u3000\x1c\x00\x7f\ufeff"
)
PIECES = ("<0.00>", "<2.40>", "[noise]", "(笑)", "（笑）", "3.14", "50%", "um", "嗯", "蕭乾", "瞭解", "甚麼", "2021年")


@pytest.fixture(scope="session")
def any_text():
    """A strategy for random text with many special characters and many pieces that belong together."""
    characters = st.characters(exclude_categories=["Cs"])
    return st.lists(st.one_of(st.sampled_from(SPECIAL), characters, st.sampled_from(PIECES))).map("".join)


@pytest.fixture(scope="session")
def lecture_lines():
    """Real lines from the mini recipe's word files: everyday sentences, lectures, read speech."""
    files = sorted((PROJECT_ROOT / "egs" / "mini" / "words").rglob("*.txt"))
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and line[0] not in "#["]
