"""Sentences, random words, stammers, and how eSpeak pronounces the words."""

import multiprocessing
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egs.mini import words
from egs.mini.sentences import Deck, hesitate, language, sentence, spaced, spoken, stammer, word_row
from egs.mini.speak import Espeak
from egs.mini.words import COURSES, FOLDER, UNSEEN_COURSE, read_deck, read_grammar
from k2d.core.errors import K2DError

TEXT = st.text(alphabet="這個我們很快 abcXY", min_size=1).map(spaced).filter(bool)


@pytest.fixture(scope="module")
def phonemes() -> Iterator[Callable[[str], str]]:
    """eSpeak in a process of its own: it keeps state, and workers of later tests are forked from this process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
        yield lambda text: process.submit(_phonemes, text).result()


@cache
def _espeak() -> Espeak:
    return Espeak()


def _phonemes(text: str) -> str:
    return _espeak().phonemes(text)


def test_a_sentence_fills_nested_slots_without_repeating_a_value():
    grammar = {"zh": ("我在{place}看{thing}跟{thing}",), "place": ("{city}的公園",), "city": ("台北",)}
    grammar["thing"] = ("狗", "貓")
    texts = {sentence(grammar, "zh", Random(seed)) for seed in range(20)}
    assert texts == {"我在台北的公園看狗跟貓", "我在台北的公園看貓跟狗"}


@given(TEXT)
def test_spacing_is_settled_after_one_pass(text):
    assert spaced(text) == text
    assert not re.search("[\u4e00-\u9fff][A-Za-z]|[A-Za-z][\u4e00-\u9fff]|  ", text)


@given(TEXT, st.integers(0, 99))
def test_a_stammer_only_repeats(text, seed):
    """The text is a subsequence of the stammer, and the stammer has no other characters."""
    stammered = stammer(text, Random(seed))
    rest = iter(stammered)
    assert all(character in rest for character in text)
    assert len(stammered) > len(text)
    assert set(stammered) <= set(text) | {" "}


def test_stammers_and_fillers_by_hand():
    assert {stammer("so it works", Random(n)) for n in range(30)} == {
        "so so it works",
        "so so so it works",
        "so it it works",
        "so it it it works",
    }
    assert {stammer("很快", Random(n)) for n in range(30)} == {"很很快", "很很很快"}
    texts = {hesitate("這個 model 很快", Random(n)) for n in range(60)}
    assert texts == {f"{f} 這個 model 很快" for f in ("呃", "嗯", "那個")} | {
        f"這個 {f} model 很快" for f in ("呃", "嗯", "那個")
    }


def test_a_deck_gives_each_word_once_before_it_repeats_one():
    deck, rng = Deck(["a", "b", "c"]), Random(0)
    dealt = [deck.deal(rng) for _ in range(9)]
    assert [sorted(dealt[n : n + 3]) for n in (0, 3, 6)] == [["a", "b", "c"]] * 3


@pytest.mark.parametrize("kind", ["zh", "en", "mixed"])
def test_random_words_have_the_requested_language(kind):
    mandarin, english = Deck(["老師", "朋友"]), Deck(["apple", "seven"])
    for seed in range(50):
        text = word_row(mandarin, english, kind, Random(seed))
        assert language(text) == kind
        assert 4 <= len(re.findall("老師|朋友|apple|seven", text)) <= 8


def test_a_pause_is_spoken_between_han_but_not_beside_latin():
    assert spoken("好 那我們 train 一下 再看") == "好，那我們 train 一下，再看"
    assert spoken("TA 說 TAB 的 VIP") == "T A 說 TAB 的 V I P"


def test_a_faulty_word_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(words, "FOLDER", tmp_path)
    (tmp_path / "a.txt").write_text("[zh]\n我要{where}\n", encoding="utf-8")
    with pytest.raises(K2DError, match=r"\[zh\] names the slot \{where\}, which none of a has"):
        read_grammar("a")
    (tmp_path / "b.txt").write_text("[zh]\n我\n[zh]\n你\n", encoding="utf-8")
    with pytest.raises(K2DError, match=r"b.txt: \[zh\] stands there twice; join the two"):
        read_grammar("b")
    (tmp_path / "c.txt").write_text("我\n[zh]\n你\n", encoding="utf-8")
    with pytest.raises(K2DError, match=r"c.txt: '我' stands before the first \[slot\]"):
        read_grammar("c")


# --- what eSpeak makes of them ---------------------------------------------------------------------------------


def all_text() -> str:
    files = sorted(FOLDER.rglob("*.txt"))
    assert len(files) == 7 + len(COURSES) + len([UNSEEN_COURSE])
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    return "\n".join(re.sub(r"\{\w+\}|^\[\w+\]$|^#.*", " ", line) for line in lines)


def is_one_syllable(heard: str) -> bool:
    """Whether phonemes are one syllable of Mandarin. eSpeak describes an unknown Han character in several words."""
    return "(en)" not in heard and len(re.findall("[ˈˌ]", heard)) == 1


def test_the_next_tests_check_finds_unknown_characters(phonemes: Callable[[str], str]):
    assert is_one_syllable(phonemes("課"))
    assert not is_one_syllable(phonemes("𠀀"))  # not in its dictionary: spoken as several words
    assert not is_one_syllable(phonemes("熊"))  # in it, but with a syllable that eSpeak takes for English


@pytest.mark.slow
def test_espeak_can_read_every_character(phonemes: Callable[[str], str]):
    characters = set(re.findall("[\u4e00-\u9fff]", all_text()))
    assert len(characters) >= 400
    assert [c for c in sorted(characters) if not is_one_syllable(phonemes(c))] == []


@pytest.mark.slow
def test_english_words_are_spoken_in_english_inside_mandarin(phonemes: Callable[[str], str]):
    found = sorted(set(re.findall("[A-Za-z]+", all_text())))
    assert len(found) > 500
    wrong = [w for w in found if not re.search(r"\(en\).+\(cmn\)", phonemes(spoken(f"這個 {w} 很好")))]
    assert wrong == []
    assert "ˈalɡəɹˌɪθəm" in phonemes("這個 algorithm 很快")


def test_acronyms_are_spelt(phonemes: Callable[[str], str]):
    def sounds(text: str) -> str:
        return re.sub(r"\((?:en|cmn)\)|[ˈˌː ɹ]", "", phonemes(text))

    acronyms = sorted(set(re.findall(r"\b[A-Z]{2,}\b", all_text())) - {"MAC", "TOEFL"})  # these are words
    assert len(acronyms) > 20
    letters = {a: "".join(sounds(letter) for letter in a) for a in acronyms}
    assert {a: sounds(spoken(a)) for a in acronyms} == letters


@pytest.mark.slow
def test_all_words_of_a_deck_sound_different(phonemes: Callable[[str], str]):
    """Random words have no context, so they must differ in sound."""
    for name in ("mandarin", "english", "smoke"):
        by_sound = defaultdict(list)
        for word in read_deck(name):
            by_sound[re.sub("[ˈˌ ]", "", phonemes(spoken(word)))].append(word)
        assert [same for same in by_sound.values() if len(same) > 1] == []


@pytest.mark.slow
def test_there_are_homophones(phonemes: Callable[[str], str]):
    characters = sorted(set(re.findall("[\u4e00-\u9fff]", all_text())))
    sounds = Counter(phonemes(c) for c in characters)
    assert sum(n > 1 for n in sounds.values()) >= 100
    assert phonemes("公事") == phonemes("公式")


def test_only_its_adapter_uses_the_synthesiser():
    """It has the licence GPL-3, unlike the project."""
    files = [path for folder in ("egs", "k2d") for path in (FOLDER.parents[2] / folder).rglob("*.py")]
    assert len(files) > 20
    assert [p.name for p in files if "import espeakng_loader" in p.read_text(encoding="utf-8")] == ["speak.py"]
