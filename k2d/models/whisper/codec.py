"""Whisper's codec: converts timestamped text, on a grid of 0.02 s, to ids of the vocabulary and back."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

from k2d.core.errors import K2DError, UsageError
from k2d.models.codec import CONTROL_CHARACTERS, TIMESTAMP, Reading, Request, Window, WindowSegment
from k2d.models.whisper.checkpoint import Generation
from k2d.models.whisper.dims import N_SAMPLES, RATE_HZ, WhisperDims
from k2d.models.whisper.library import language_code, vocabulary

WINDOW = Window(N_SAMPLES / RATE_HZ, RATE_HZ, 0.02)

_FRAMES_PER_S = 100
_WITHOUT_SPACES = re.compile(r"[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")


class WhisperCodec:
    """Text follows its timestamp after a space, as Whisper writes it, unless its script uses no spaces (Han, kana)."""

    def __init__(self, dims: WhisperDims, languages: Sequence[str] = ()) -> None:
        self._dims, self._tokenizer = dims, vocabulary(dims)
        self.max_tokens = dims.n_text_ctx
        self.first_time_id: int = self._tokenizer.timestamp_begin
        self.n_times = round(WINDOW.length_s / WINDOW.time_step_s) + 1
        self._language_ids: dict[str, int] = {}
        if dims.is_multilingual:
            ids = self._tokenizer.all_language_tokens
            self._language_ids = dict(zip(self._tokenizer.all_language_codes, ids, strict=True))
        self.languages = tuple(language_code(language) for language in languages)
        """Used in the prompt unless a request names others. Several are one token: the mean of their embeddings."""
        self.mixture = tuple(self.language_id(each) for each in self.languages) if len(self.languages) > 1 else ()
        """Ids of the languages whose mean is the embedding of `mixture_id`."""
        if self.languages:
            self._slot(self.languages)

    @property
    def eos_id(self) -> int:
        return int(self._tokenizer.eot)

    @property
    def n_tokens(self) -> int:
        return self._dims.n_vocab

    @property
    def special_ids(self) -> Sequence[int]:
        """All ids after the words: the end, languages, tasks and timestamps."""
        return range(self.eos_id, self.n_tokens)

    @property
    def mixture_id(self) -> int:
        """The first id after the vocabulary. In a prompt it stands for several languages; it is never written."""
        return self.n_tokens

    @cached_property
    def vocabulary_hash(self) -> str:
        """Whisper has three vocabularies, which differ in size."""
        return hashlib.sha256(
            f"whisper {self.n_tokens} {WINDOW.time_step_s:g} {self.first_time_id}".encode()
        ).hexdigest()

    @property
    def spelling_hash(self) -> str:
        """Equal to `vocabulary_hash`: each vocabulary has one tokenizer."""
        return self.vocabulary_hash

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of openai-whisper."""
        return self._tokenizer

    @property
    def language_ids(self) -> dict[str, int]:
        """The token of each language by its code. Empty for an English-only model."""
        return self._language_ids

    def language_id(self, language: str) -> int:
        found = self._language_ids.get(language_code(language))
        if found is None:
            known = ", ".join(list(self._language_ids)[:10]) or "none, it is English-only"
            raise UsageError(f"language {language!r} is not one of this model's ({known}, …)")
        return found

    def prompt_languages(self, request: Request) -> tuple[str, ...]:
        """The languages of a prompt: those of the request, or the default. Empty: the model guesses one."""
        return tuple(language_code(language) for language in request.languages) or self.languages

    def prompt(self, request: Request, previous_ids: Sequence[int] = (), language: int | None = None) -> list[int]:
        """The ids that the decoder reads before it writes. `language` is the token of a guessed language."""
        tokenizer = self._tokenizer
        before = [tokenizer.sot_prev, *previous_ids[-(self.max_tokens // 2 - 1) :]] if previous_ids else []
        prompt = [tokenizer.sot]
        if self._dims.is_multilingual:
            slot = self._slot(self.prompt_languages(request)) if language is None else language
            prompt += [slot, tokenizer.transcribe]
        else:
            self._slot(self.prompt_languages(request))
        return before + prompt + ([] if request.timestamps else [tokenizer.no_timestamps])

    def _slot(self, languages: Sequence[str]) -> int:
        """The id in the prompt for these languages."""
        if not self._dims.is_multilingual:
            if set(languages) - {"en"}:
                raise UsageError(f"language {', '.join(languages)}: this model is English-only; take one without .en")
            return self.eos_id
        if len(languages) == 1:
            return self.language_id(languages[0])
        if not languages:
            raise UsageError("a Whisper label needs its language in the prompt; name one with language: [zh]")
        if sorted(self.language_id(each) for each in languages) != sorted(self.mixture):
            loaded = ", ".join(self.languages) or "none"
            raise UsageError(f"languages {', '.join(languages)}: the model was loaded for {loaded}; name these there")
        return self.mixture_id

    def ids(self, timed_text: str) -> list[int]:
        """Convert text with or without timestamps to ids. Times are rounded to the grid."""
        first, *marked = TIMESTAMP.split(timed_text)
        steps = [self._step(mark) for mark in marked[::2]]
        if backwards := next((pair for pair in pairwise(steps) if pair[1] < pair[0]), None):
            earlier, later = (f"<{step * WINDOW.time_step_s:.2f}>" for step in backwards)
            raise K2DError(f"timestamps go backwards: {later} follows {earlier} in {timed_text[:60]!r}")
        ids = self._words(first)
        for step, words in zip(steps, marked[1::2], strict=True):
            ids += [self.first_time_id + step, *self._words(words)]
        return ids

    def _step(self, mark: str) -> int:
        step = round(float(mark) / WINDOW.time_step_s)
        if step >= self.n_times:
            raise K2DError(f"timestamp <{mark}> lies beyond the window of {WINDOW.length_s:g} s")
        return step

    def _words(self, text: str) -> list[int]:
        text = text.strip()
        if not text:
            return []
        ids: list[int] = self._tokenizer.encoding.encode_ordinary(text if _WITHOUT_SPACES.match(text) else f" {text}")
        return ids

    def timed_text(self, ids: Sequence[int]) -> str:
        """The reverse of `ids`."""
        written, words = "", list[int]()
        for token in ids:
            if token >= self.first_time_id:
                written += self.text(words) + f"<{self._time_s(token):.2f}>"
                words = []
            else:
                words.append(token)
        return written + self.text(words)

    def text(self, ids: Sequence[int]) -> str:
        """Plain text in one line, without timestamps and special tokens."""
        decoded: str = self._tokenizer.encoding.decode([token for token in ids if token < self.eos_id])
        return CONTROL_CHARACTERS.sub(" ", decoded).strip()

    def label(self, timed_text: str, request: Request, previous_text: str = "") -> tuple[list[int], int]:
        """Prompt, text and end, and the number of ids in the prompt. Long previous text is cut at its start."""
        return self.sequence(self.ids(timed_text), request, self.ids(previous_text))

    def sequence(self, ids: Sequence[int], request: Request, previous_ids: Sequence[int] = ()) -> tuple[list[int], int]:
        """The same as `label`, from ids."""
        if not request.timestamps:
            ids = [token for token in ids if token < self.first_time_id]
        elif ids and ids[0] < self.first_time_id:
            text = self.timed_text(ids)[:60]
            raise K2DError(f"expected a label that begins with a timestamp, found {text!r}")
        # A label without words has no language to learn, so any token can stand in the prompt.
        has_words = any(token < self.first_time_id for token in ids)
        unknown = None if has_words or self.prompt_languages(request) else self._tokenizer.sot
        label = [*self.prompt(request, language=unknown), *ids, self.eos_id]
        room = self.max_tokens - len(label)
        if room < 0:
            text = self.timed_text(ids)[:60]
            raise K2DError(f"a label of {len(label)} tokens, expected at most {self.max_tokens}: {text!r}…")
        previous = previous_ids[-(room - 1) :] if room > 1 else []
        prompt = self.prompt(request, previous, language=unknown)
        return [*prompt, *ids, self.eos_id], len(prompt)

    def read(self, ids: Sequence[int], audio_s: float) -> Reading:
        """Split ids into segments as `whisper.transcribe` does: at two timestamps in a row."""
        is_time = [token >= self.first_time_id for token in ids]
        ends_on_single = is_time[-2:] == [False, True]
        borders = [n for n in range(1, len(ids)) if is_time[n - 1] and is_time[n]]
        if not borders:  # one segment from the window's start to the last timestamp, or to the end of the audio
            times = [self._time_s(token) for token in ids if token > self.first_time_id]
            whole_s = math.floor(audio_s * _FRAMES_PER_S + 1e-6) / _FRAMES_PER_S
            return self._reading([(0.0, times[-1] if times else whole_s, ids)], None)
        if ends_on_single:
            borders.append(len(ids))
        parts = [ids[a:b] for a, b in pairwise([0, *borders])]
        segments = [(self._time_s(part[0]), self._time_s(part[-1]), part) for part in parts]
        return self._reading(segments, None if ends_on_single else self._time_s(ids[borders[-1] - 1]))

    def _reading(self, segments: Sequence[tuple[float, float, Sequence[int]]], advance_s: float | None) -> Reading:
        """Keep segments that have a length and text."""
        kept = (
            WindowSegment(start_s, end_s, words)
            for start_s, end_s, ids in segments
            if start_s != end_s and (words := tuple(token for token in ids if token < self.eos_id))
        )
        return Reading(tuple(kept), advance_s)

    def _time_s(self, token: int) -> float:
        return round((token - self.first_time_id) * WINDOW.time_step_s, 6)


def codec_of(dims: WhisperDims, generation: Generation, languages: Sequence[str] = ()) -> WhisperCodec:
    """A codec with these languages in its prompt, or with the one that the checkpoint names."""
    own = generation.language
    return WhisperCodec(dims, tuple(languages) or ((language_code(own),) if own else ()))
