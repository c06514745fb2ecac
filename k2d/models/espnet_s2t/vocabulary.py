"""The order of an ESPnet S2T vocabulary: special symbols, timestamps, pieces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k2d.core.errors import K2DError
from k2d.models.codec import Window

TOKENS, PIECES = "tokens.txt", "bpe.model"
_LANGUAGE = re.compile(r"<[a-z]{3}>")
_OWSM_WINDOW = Window(30.0, 16000, 0.02)


@dataclass(frozen=True, slots=True)
class Layout:
    """The window, and the names of the special symbols. The defaults are ESPnet's."""

    window: Window = _OWSM_WINDOW
    blank: str = "<blank>"
    unknown: str = "<unk>"
    not_available: str = "<na>"
    no_speech: str = "<nospeech>"
    task: str = "<asr>"
    no_times: str = "<notimestamps>"
    first_time: str = "<0.00>"
    last_time: str = "<30.00>"
    start: str = "<sos>"
    end: str = "<eos>"
    start_of_previous: str = "<sop>"

    def languages(self, tokens: Iterable[str]) -> list[str]:
        """The language symbols among the tokens.

        >>> Layout().languages(["<blank>", "<unk>", "<zho>", "<asr>", "<0.00>", "the", "<sos>"])
        ['<zho>']
        """
        others = {self.unknown, self.task, self.start, self.end, self.start_of_previous}
        return [token for token in tokens if _LANGUAGE.fullmatch(token) and token not in others]


def layout_of(config: Mapping[str, Any]) -> Layout:
    """The layout in a training config of ESPnet, completed with ESPnet's defaults."""
    of_text, of_model = config.get("preprocessor_conf") or {}, config.get("model_conf") or {}
    default = Layout()
    window = Window(
        float(of_text.get("speech_length", default.window.length_s)),
        int(of_text.get("fs", default.window.rate_hz)),
        float(of_text.get("speech_resolution", default.window.time_step_s)),
    )
    return Layout(
        window,
        blank=of_model.get("sym_blank", default.blank),
        unknown=of_text.get("unk_symbol", default.unknown),
        not_available=of_model.get("sym_na", default.not_available),
        no_times=of_text.get("notime_symbol", default.no_times),
        first_time=of_text.get("first_time_symbol", default.first_time),
        last_time=of_text.get("last_time_symbol", default.last_time),
        start=of_model.get("sym_sos", default.start),
        end=of_model.get("sym_eos", default.end),
        start_of_previous=of_model.get("sym_sop", default.start_of_previous),
    )


def preprocessor_conf(window: Window) -> dict[str, Any]:
    """The part of a config with the window and its time grid, in ESPnet's format."""
    times = time_symbols(window)
    return {
        "fs": window.rate_hz,
        "speech_length": window.length_s,
        "speech_resolution": window.time_step_s,
        "notime_symbol": Layout().no_times,
        "first_time_symbol": times[0],
        "last_time_symbol": times[-1],
    }


def time_symbols(window: Window) -> list[str]:
    """The timestamps of a window.

    >>> times = time_symbols(Window(10.0, 16000, 0.1))
    >>> len(times), times[0], times[1], times[-1]
    (101, '<0.00>', '<0.10>', '<10.00>')
    """
    return [f"<{step * window.time_step_s:.2f}>" for step in range(round(window.length_s / window.time_step_s) + 1)]


def special_symbols(window: Window, languages: Sequence[str] = ("zho", "eng")) -> list[str]:
    """The symbols that a label may have besides text, in OWSM's order. sentencepiece never splits them."""
    layout = Layout()
    names = [f"<{language}>" for language in languages]
    before = [layout.not_available, layout.no_speech, *names, layout.task, layout.no_times]
    return [*before, *time_symbols(window)]


def token_list(pieces: Iterable[str], window: Window, languages: Sequence[str] = ("zho", "eng")) -> list[str]:
    """All tokens in OWSM's order, with ids from 0. `pieces` are those of the sentencepiece model, in order."""
    layout, special = Layout(), special_symbols(window, languages)
    inside = {layout.unknown, "<s>", "</s>", *special}
    words = [piece for piece in pieces if piece not in inside]
    tokens = [layout.blank, layout.unknown, *special, *words, layout.start, layout.end, layout.start_of_previous]
    if doubled := [token for token, n in Counter(tokens).items() if n > 1]:
        raise K2DError(f"vocabulary: {doubled[0]!r} is both a symbol and a piece; train the pieces without it")
    return tokens
