"""The whole normaliser: results worked out by hand, and normalised text that does not change with any options."""

import subprocess
import sys
import unicodedata
from itertools import chain, combinations

import pytest
from growth import grows_linearly
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.core.errors import K2DError
from k2d.text.normalise import Normaliser
from k2d.text.normaliser_steps import STEPS
from k2d.text.tokenise import token_texts

STEP_SETS = list(chain.from_iterable(combinations(STEPS, n) for n in range(len(STEPS) + 1)))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("<0.00>so<1.20>我們<1.20><2.40>run", "so 我 们 run"),  # the marks must not glue the words
        ("電腦與軟體", "电 脑 与 软 体"),
        ("电脑与软体", "电 脑 与 软 体"),
        ("ＧＰＵ　３個，好！", "gpu 3 个 好"),
        ("GPU 3个,好!", "gpu 3 个 好"),
        ("don't", "don t"),
        ("3.14", "3 14"),
        ("50%", "50"),
        ("COVID-19", "covid 19"),
        ("嗯，ok", "嗯 ok"),
        ("ひらがな カタカナ", "ひらがな カタカナ"),
        ("好😀的", "好 的"),
        ("第3課model好", "第 3 课 model 好"),
        ("𠀀㐀", "𠀀 㐀"),
        ("Naïve café", "naïve café"),
        ("，。<0.00>…", ""),
        ("\ufeff我\r\n們\x00ok\x07a\u200bb", "我 们 ok a b"),  # a byte order mark and control characters part words
        ("", ""),
    ],
)
def test_golden_tokens(text, tokens):
    assert " ".join(token_texts(Normaliser()(text))) == tokens


@pytest.mark.parametrize(
    ("script", "text", "normal"),
    [
        ("t2s", "瞭解乾坤", "了解乾坤"),  # by phrases
        ("per_char", "瞭解乾坤", "瞭解干坤"),  # as the authors do it
        ("none", "瞭解乾坤", "瞭解乾坤"),
        ("t2s", "打壞", "打坯"),  # OpenCC alone: 打坏
        ("t2s", "打坏", "打坯"),  # as OpenCC has it; what counts is that both spellings are one
        ("t2s", "蕭乾", "萧干"),  # OpenCC alone: 萧乾
        ("t2s", "萧乾", "萧干"),
        ("per_char", "薴", "苎"),  # OpenCC alone: 苧
    ],
)
def test_script(script, text, normal):
    assert Normaliser(script=script)(text) == normal


@settings(max_examples=300, deadline=None)
@given(data=st.data(), basic=st.booleans(), script=st.sampled_from(["t2s", "per_char", "none"]))
@pytest.mark.slow
def test_normalised_text_stays_the_same(any_text, data, basic, script):
    normalise = Normaliser(basic, script, data.draw(st.sampled_from(STEP_SETS)))
    once = normalise(data.draw(any_text))
    assert normalise(once) == once


def test_real_lines_stay_the_same_when_normalised_twice(lecture_lines):
    normalise = Normaliser(steps=tuple(STEPS))
    changed = [line for line in lecture_lines if normalise(normalise(line)) != normalise(line)]
    assert changed == []
    assert len(lecture_lines) > 1000


@pytest.mark.parametrize(
    ("steps", "text", "normal"),
    [
        (("tags",), "好【音樂】的（笑）嗎", "好 的 吗"),
        (("numerals",), "有50%，①個", "有百分之五十 一个"),  # ① is a digit only after NFKC
        (("variants",), "妳看著甚麼，藉著祂", "你看着什么 借着他"),
        (("fillers",), "嗯我們 um 誒 hmm 用 umbrella", " 我们 用 umbrella"),
        (("fillers", "numerals"), "uh 3 models", " three models"),
    ],
)
def test_optional_steps(steps, text, normal):
    assert Normaliser(steps=steps)(text) == normal


def test_the_signature_names_all_options():
    signatures = {
        Normaliser(basic, script, steps).signature
        for basic in (True, False)
        for script in ("t2s", "per_char", "none")
        for steps in STEP_SETS
    }
    assert len(signatures) == 2 * 3 * len(STEP_SETS)
    line = Normaliser(steps=("fillers", "tags")).signature
    assert line.startswith(f"basic-1+unicode-{unicodedata.unidata_version}+t2s:opencc-")
    assert line.endswith("+tags-1+fillers-1")
    assert Normaliser(steps=("tags", "fillers")).signature == line  # the order of the names decides nothing


def test_an_unknown_step_is_refused_with_a_hint():
    with pytest.raises(K2DError, match="unknown step 'numeral'; did you mean 'numerals'"):
        Normaliser(steps=("numeral",))
    with pytest.raises(K2DError, match="known: tags, numerals, variants, fillers"):
        Normaliser(steps=("xyz",))


@pytest.mark.parametrize("piece", ["<0.00>", "<9", "謝謝大家", "瞭", "（", "【", "1", "1,", "um ", "甚麼"])
@pytest.mark.slow
def test_the_work_grows_as_a_loop_does(piece):
    normalise = Normaliser(steps=tuple(STEPS))
    assert grows_linearly(lambda n: normalise(piece * (n // len(piece))), 1_000)


def test_imports_are_light():
    """Normalising imports neither torch nor the libraries for pronunciation."""
    code = (
        "import sys; from k2d.text.normalise import Normaliser; from k2d.text.phonemes import Phonemiser; "
        "Normaliser()('我們 use GPU'); Phonemiser().signature; "
        "print(*sorted({'torch', 'numpy', 'whisper', 'espnet', 'gruut', 'pypinyin', 'k2d.config'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
