"""Kokoro's phonemes and tokens, and what the network is given, without the network (test/real has that)."""

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from egs.mini.kokoro import model as model_module
from egs.mini.kokoro.english import EnglishEspeak
from egs.mini.kokoro.mandarin import mandarin_phonemes
from egs.mini.kokoro.model import Kokoro, installed_versions, style
from egs.mini.kokoro.phonemes import SYMBOLS, phonemes, tokens
from egs.mini.options import Options
from egs.mini.plan import plan
from egs.mini.sentences import language, spoken
from egs.mini.voices import Voice
from k2d.core.errors import K2DError


@pytest.fixture(scope="module")
def english() -> EnglishEspeak:
    return EnglishEspeak()


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """Two made voices, in which each number tells its row."""
    folder = tmp_path / "kokoro"
    folder.mkdir()
    for name, first in (("zf_xiaobei", 0), ("af_heart", 1000)):
        rows = np.repeat(np.arange(first, first + 510, dtype="<f4"), 256)
        rows.tofile(folder / f"{name}.bin")
    return folder


# --- phonemes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("下雨了", "ɕja↘y↓ lɤ"),  # the neutral tone has no arrow
        ("銀行", "i↗nxa↗ŋ"),  # not xíng, as the dictionary of phrases knows
        ("音樂", "i→nɥe↘"),  # not lè; and written in traditional characters
        ("細胞", "ɕi↘ pau→"),  # not in the dictionary, so characters
        ("選擇", "ɕɥɛ↓nʦɤ↗"),
        ("二兒子吃橘子", "ɚ↘ ɚ↗ʦɨ ꭧʰɨ→ ʨy↗ʦɨ"),
        ("嗯哦", "n↗ ɔ↗"),
    ],
)
def test_mandarin_by_hand(text, expected):
    assert mandarin_phonemes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("enzyme", "ˈɛnzIm"),
        ("label", "lˈAbᵊl"),
        ("nature", "nˈAʧəɹ"),
        ("gene", "ʤˈin"),
        ("water", "wˈɔTəɹ"),
        ("noise", "nˈYz"),
        ("T A", "tˈi ˈA"),
        ("DNA", "dˌiˌɛnˈA"),
    ],
)
def test_english_by_hand(english, text, expected):
    assert english.kokoro_phonemes(text) == expected


def test_one_sentence_carries_both_languages(english):
    message = phonemes(spoken("呃 那 enzyme 跟 TA 都在"), english.kokoro_phonemes)
    assert message == "ɤ↘, na↘ ˈɛnzIm kə→n tˈi ˈA tou→ ʦai↘."


@pytest.mark.parametrize("text", ["三加3", "好。", "naïve", ""])
def test_a_sign_that_nobody_pronounces_is_refused(text):
    with pytest.raises(K2DError, match=r"expected Han, Latin letters and ， alone; take other signs out"):
        phonemes(text, str)


def test_tokens_are_those_of_the_model():
    """Ids from the vocabulary in the configuration of Kokoro-82M."""
    assert tokens("ni↓xau↓, ʧˈAnʤɪŋ ꭧɨ→ kʰ.") == [
        *(56, 51, 169, 66, 43, 63, 169, 3, 16, 133, 156, 24, 56, 82, 102, 112, 16, 23, 101, 171, 16, 53, 162, 4)
    ]
    assert (len(SYMBOLS), max(SYMBOLS.values()), SYMBOLS["ᵻ"], SYMBOLS["ɡ"]) == (114, 177, 177, 92)
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)
    with pytest.raises(K2DError, match="Kokoro has no symbol 'g'; change the word's spelling"):
        tokens("gi")
    with pytest.raises(K2DError, match="510 symbols, and Kokoro speaks 509 at most; make it shorter"):
        tokens("a" * 510)


@pytest.mark.slow
def test_every_sentence_of_a_plan_can_be_pronounced(english):
    """Of the whole plan: no sign, syllable or symbol is unknown, and no sentence is too long for the network."""
    units = plan(Options(voices="kokoro"))
    texts = {line.text for unit in units for recording in unit.recordings for line in recording.lines}
    assert len(texts) > 3000
    assert {language(text) for text in texts} == {"zh", "en", "mixed"}
    assert all(1 < len(tokens(phonemes(spoken(text), english.kokoro_phonemes))) < 400 for text in texts)


# --- what the network is given ---------------------------------------------------------------------------------


class Heard:
    """In place of onnxruntime's session: it keeps what it was given."""

    def run(self, names, given):
        self.given = given
        return [np.ones(2400, dtype=np.float32)]


@pytest.fixture
def heard(monkeypatch) -> Heard:
    session = Heard()
    monkeypatch.setattr(model_module, "_session", lambda model: session)
    return session


def test_the_row_of_a_voice_is_the_number_of_tokens(voices, heard):
    samples, rate = Kokoro(voices).say("你好", Voice("xiaobei", 50, 160), 175)
    token_ids = tokens("ni↓xau↓.")
    assert heard.given["tokens"].tolist() == [[0, *token_ids, 0]]
    assert heard.given["tokens"].dtype == np.int64
    assert heard.given["style"].shape == (1, 256)
    assert set(heard.given["style"].ravel()) == {len(token_ids)} == {8}
    assert heard.given["speed"] == np.float32([1.0])
    assert (len(samples), rate) == (2400, 24000)


def test_a_mixed_voice_is_more_mandarin_than_english(voices):
    assert set(style(voices, "xiaobei-heart")[7].ravel()) == {np.float32(0.7) * 7 + np.float32(0.3) * 1007}


def test_pitch_shifts_the_voice_and_leaves_its_pace(voices, heard):
    _, rate = Kokoro(voices).say("你好", Voice("xiaobei", 60, 160), 140)
    assert rate == pytest.approx(24000 * 1.02)
    assert heard.given["speed"][0] * rate == pytest.approx(24000 * 140 / 175)


def test_a_voice_that_is_missing_or_cut_is_named(voices):
    with pytest.raises(K2DError, match=r"found no voice nobody, expected a file such as zf_nobody\.bin; fetch kokoro"):
        style(voices, "nobody")
    (voices / "zf_xiaobei.bin").write_bytes(b"\0" * 8)
    with pytest.raises(K2DError, match=r"zf_xiaobei.bin: found 2 numbers, expected 510 x 256; fetch kokoro again"):
        style(voices, "xiaobei-heart")


def test_without_onnxruntime_the_extra_is_named(voices, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    remedy = r"needs onnxruntime, which is not installed; pip install 'k2d\[kokoro\]', or set voices: espeak"
    with pytest.raises(K2DError, match=remedy):
        Kokoro(voices)

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(model_module, "version", missing)
    with pytest.raises(K2DError, match=remedy):
        installed_versions()
