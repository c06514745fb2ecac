"""A user's lexicon: accepted lines, and all faults of lines."""

import pytest

from k2d.core.errors import K2DError
from k2d.text.lexicon import read_lexicon


@pytest.fixture
def lexicon(tmp_path):
    def write(content):
        path = tmp_path / "lexicon.tsv"
        path.write_bytes(content)
        return path

    return write


def test_words_and_phonemes(lexicon):
    content = b"\xef\xbb\xbfPyTorch\tP AY1 T AO2 R CH\r\nsoftmax\ts \xcb\x88\xc9\x94 f\r\nsoftmax\tx\n"
    assert read_lexicon(lexicon(content)) == {
        "pytorch": ("P", "AY", "T", "AO", "R", "CH"),  # ARPAbet without stress
        "softmax": ("s", "ɔ", "f"),  # IPA without stress; the first pronunciation counts
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"gpu JH IY", r"lexicon.tsv:2: found 'gpu JH IY', expected a word, a tab and phonemes"),
        (b"gpu\t", "lexicon.tsv:2: found"),
        (b"\tG", "lexicon.tsv:2: found"),
        (b"", "lexicon.tsv:2: found ''"),
        (b"two words\tT UW", "lexicon.tsv:2: found"),
        (b"gpu\tG \xcb\x88", "lexicon.tsv:2: found"),  # a stress mark alone
        (b"gp\xff\tG", "lexicon.tsv:2: not UTF-8 at byte 2"),
    ],
)
def test_bad_lines_are_named(lexicon, line, message):
    with pytest.raises(K2DError, match=message):
        read_lexicon(lexicon(b"model\tM AA\n" + line + b"\n"))


def test_all_bad_lines_are_named_at_once(lexicon):
    with pytest.raises(K2DError, match=r"(?s)tsv:1: .*tsv:3: "):
        read_lexicon(lexicon(b"x\ngood\tG UH D\ny\n"))


def test_an_empty_or_missing_lexicon_is_an_error(lexicon, tmp_path):
    with pytest.raises(K2DError, match=r"lexicon.tsv: no words; leave the option out"):
        read_lexicon(lexicon(b""))
    with pytest.raises(K2DError, match=r"none.tsv: cannot read the lexicon \(No such file or directory\)"):
        read_lexicon(tmp_path / "none.tsv")
