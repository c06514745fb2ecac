"""A sentence in both languages as phonemes, and phonemes as the tokens of Kokoro-82M."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from egs.mini.kokoro.mandarin import mandarin_phonemes
from egs.mini.sentences import HAN, LATIN
from k2d.core.errors import K2DError

MOST_TOKENS = 509  # a voice has a row for each number of tokens from 0 to 509
PAD = 0

# The vocabulary of Kokoro-82M: the id of the first symbol, and symbols with this and the following ids.
_RUNS: Mapping[int, str] = {
    **{1: ";:,.!?", 9: '—…"()“”', 16: " \u0303ʣʥʦʨᵝꭧAI", 31: "O", 33: "Q", 35: "ST", 39: "W", 41: "Yᵊabcdef"},
    **{50: "hijklmnopqrstuvwxyz", 69: "ɑɐɒæ", 75: "βɔɕç", 80: "ɖðʤə", 85: "ɚɛɜ", 90: "ɟ", 92: "ɡ", 99: "ɥ"},
    **{101: "ɨɪʝ", 110: "ɯɰŋɳɲɴø", 118: "ɸθœ", 123: "ɹ", 125: "ɾɻ", 128: "ʁɽʂʃʈʧ", 135: "ʊʋ", 138: "ʌɣɤ"},
    **{142: "χʎ", 147: "ʒʔ", 156: "ˈˌː", 162: "ʰ", 164: "ʲ", 169: "↓", 171: "→↗↘", 177: "ᵻ"},
}
SYMBOLS: Mapping[str, int] = {symbol: first + i for first, run in _RUNS.items() for i, symbol in enumerate(run)}

_PIECE = re.compile(f"(?P<han>{HAN}+)|(?P<latin>{LATIN}[{LATIN[1:-1]}' -]*)|(?P<rest>，)")


def phonemes(text: str, english: Callable[[str], str]) -> str:
    """The phonemes of a text as `sentences.spoken` gives it. `english` pronounces English words.

    >>> phonemes("好，那我們用 model", lambda words: "mˈɑdᵊl")
    'xau↓, na↘ wo↓mən jʊ↘ŋ mˈɑdᵊl.'
    """
    parts = []
    for piece in _PIECE.finditer(text):
        if piece["rest"]:
            parts.append(",")
        else:
            said = mandarin_phonemes(piece["han"]) if piece["han"] else english(piece["latin"].strip())
            parts.append(f" {said}")
    if _PIECE.sub("", text).strip() or not parts:
        raise K2DError(f"{text!r}: expected Han, Latin letters and ， alone; take other signs out of egs/mini/words")
    return "".join(parts).strip() + "."


def tokens(said: str) -> list[int]:
    """The ids of phonemes, without the padding.

    >>> tokens("ni↓.")
    [56, 51, 169, 4]
    """
    if unknown := sorted(set(said) - SYMBOLS.keys()):
        raise K2DError(f"{said!r}: Kokoro has no symbol {', '.join(map(repr, unknown))}; change the word's spelling")
    if len(said) > MOST_TOKENS:
        raise K2DError(f"{said!r}: {len(said)} symbols, and Kokoro speaks {MOST_TOKENS} at most; make it shorter")
    return [SYMBOLS[symbol] for symbol in said]
