"""The speed of normalising texts, splitting them into tokens and converting them to phonemes: microseconds per text.

    python tools/bench/text.py [--texts 2000]

The texts are chunk labels with timestamps: 100 to 150 tokens, a fifth of them English words, in random sequences of the
mini recipe's words, so that no text repeats. For comparison there is a plain implementation: Whisper's own normaliser,
OpenCC, one regular expression, pypinyin run by run, and the English lexicon word by word.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import random
import re
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ENGLISH_SHARE = 0.2
TOKENS_PER_SEGMENT = 13
ROUNDS = 3  # the fastest one counts
Task = tuple[Callable[[Any], Any], Sequence[Any]]  # a function, and its arguments one by one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2000)
    arguments = parser.parse_args()
    sys.path.insert(0, str(PROJECT_ROOT))
    texts = _labels(arguments.texts, random.Random(1))
    print(f"{platform.platform()}, {os.cpu_count()} cores (one is used), Python {platform.python_version()}")
    _measure(texts)


def _measure(texts: Sequence[str]) -> None:
    from k2d.text.normalise import Normaliser
    from k2d.text.phonemes import Phonemiser
    from k2d.text.tokenise import token_texts

    normalise, phonemiser = Normaliser(), Phonemiser()
    started = time.perf_counter()
    phonemiser.sounds(token_texts(normalise(texts[0])))
    print(f"first text, with dictionaries to read: {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    tokens = [token_texts(normalise(text)) for text in texts]
    sounds = [phonemiser.sounds(row) for row in tokens]
    print(f"all texts once, vocabulary cold: {(time.perf_counter() - started) / len(texts) * 1e6:.0f} us a text")

    few = range(0, len(texts), 10)  # the plain way is slow
    normal, plain_normal = [normalise(text) for text in texts], _plain_normaliser()
    assert [plain_normal(texts[i]) for i in few] == [normal[i] for i in few]
    assert [_plain_tokens(normal[i]) for i in few] == [tokens[i] for i in few]
    assert [len(_plain_phonemes(tokens[i])) for i in few] == [len(sounds[i]) for i in few]
    print(f"{sum(map(len, tokens)) / len(texts):.0f} tokens, {sum(map(len, sounds)) / len(texts):.0f} phonemes a text")
    print(f"{'us a text':24}{'plain':>8}{'k2d':>8}{'times':>8}")
    _row("normalise", (plain_normal, [texts[i] for i in few]), (normalise, texts))
    _row("tokens", (_plain_tokens, [normal[i] for i in few]), (token_texts, normal))
    _row("phonemes as characters", (_plain_phonemes, [tokens[i] for i in few]), (phonemiser.sounds, tokens))
    _row("phonemes as a list", (_plain_phonemes, [tokens[i] for i in few]), (phonemiser.phonemes, tokens))
    _row(
        "all, text to characters",
        (lambda text: _plain_phonemes(_plain_tokens(plain_normal(text))), [texts[i] for i in few]),
        (lambda text: phonemiser.sounds(token_texts(normalise(text))), texts),
    )


def _row(name: str, plain: Task, ours: Task) -> None:
    plain_us, ours_us = _fastest_us(*plain), _fastest_us(*ours)
    print(f"{name:24}{plain_us:8.1f}{ours_us:8.1f}{plain_us / ours_us:8.1f}")


def _fastest_us(function: Callable[[Any], Any], items: Sequence[Any]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for item in items:
            function(item)
        seconds.append(time.perf_counter() - started)
    return min(seconds) / len(items) * 1e6


def _labels(n_texts: int, rng: random.Random) -> list[str]:
    words = PROJECT_ROOT / "egs" / "mini" / "words"
    found = "\n".join(path.read_text(encoding="utf-8") for path in sorted(words.rglob("*.txt")))
    han, english = sorted(set(re.findall("[一-鿿]+", found))), sorted(set(re.findall("[a-z]{2,}", found)))
    return [_label(han, english, rng) for _ in range(n_texts)]


def _label(han: Sequence[str], english: Sequence[str], rng: random.Random) -> str:
    """Segments of words between timestamps, until there are enough tokens."""
    wanted, n_tokens, time_s, parts = rng.randint(100, 150), 0, 0.0, []
    while n_tokens < wanted:
        parts.append(f"<{time_s:.2f}>")
        end = min(wanted, n_tokens + TOKENS_PER_SEGMENT)
        while n_tokens < end:
            is_english = rng.random() < 2 * ENGLISH_SHARE  # a Han word has two to three tokens
            word = f" {rng.choice(english)} " if is_english else rng.choice(han)
            parts.append(word)
            n_tokens += 1 if is_english else len(word)
        time_s += 2.5
        parts.append(rng.choice(["", "，", "。"]) + f"<{time_s:.2f}>")
    return "".join(parts)


def _plain_normaliser() -> Callable[[str], str]:
    import opencc

    whisper = importlib.util.find_spec("whisper")
    if whisper is None or whisper.origin is None:
        sys.exit("the plain implementation needs openai-whisper: install the extra [dev]")
    # Only this file is run, because the package imports torch.
    names = runpy.run_path(str(Path(whisper.origin).parent / "normalizers" / "basic.py"))
    basic, convert = names["BasicTextNormalizer"](), opencc.OpenCC("t2s").convert
    return lambda text: str(convert(basic(re.sub("<[0-9.]+>", " ", text))))


def _plain_tokens(text: str) -> list[str]:
    return [match.group() for match in re.finditer(r"([一-鿿])|([a-z0-9]+)", text)]


def _plain_phonemes(tokens: Sequence[str]) -> list[str]:
    from itertools import groupby

    from pypinyin import Style, lazy_pinyin

    found: list[str] = []
    for is_han, run in groupby(tokens, key=lambda token: "一" <= token <= "鿿"):
        if is_han:
            syllables = lazy_pinyin("".join(run), style=Style.BOPOMOFO)
            found += [symbol for syllable in syllables for symbol in syllable if symbol not in "ˊˇˋ˙"]
        else:
            found += [phoneme for word in run for phoneme in _plain_word(word)]
    return found


@cache
def _plain_word(word: str) -> list[str]:
    from k2d.text.phonemes import Phonemiser

    return Phonemiser().phonemes([word])


if __name__ == "__main__":
    main()
