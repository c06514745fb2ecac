"""The codec of ESPnet's S2T models: sentencepiece and a token list, without torch and ESPnet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from sentencepiece import SentencePieceProcessor

from k2d.core.errors import K2DError, UsageError
from k2d.models.codec import CONTROL_CHARACTERS, TIMESTAMP, Reading, Request, WindowSegment
from k2d.models.espnet_s2t.vocabulary import Layout, time_symbols

_OPEN_END_S = 1.0  # ESPnet treats the last segment as cut off if it ends in the last second (<29.00> of 30 s)


class S2TCodec:
    """Text follows its timestamp after a space (`<0.00> hello<1.20>`), as in OWSM's data."""

    def __init__(self, tokens: Sequence[str], pieces_model: bytes, layout: Layout, language: str | None = None) -> None:
        self.tokens = tuple(tokens)
        self.layout = layout
        self.pieces_model = pieces_model
        self.end_time_threshold_s = layout.window.length_s - _OPEN_END_S
        """A last segment that ends later than this, and is not the only one, counts as cut off by the window."""
        self._pieces = SentencePieceProcessor(model_proto=pieces_model)
        self._id_of = {token: number for number, token in enumerate(self.tokens)}
        _check(self.tokens, self._pieces, layout)
        spelt = {self._pieces.id_to_piece(n) for n in range(len(self._pieces)) if self._pieces.is_byte(n)}
        self._special = {
            number for token, number in self._id_of.items() if token[:1] + token[-1:] == "<>" and token not in spelt
        }
        self.first_time_id = self._id_of[layout.first_time]
        self.last_time_id = self._id_of[layout.last_time]
        known = layout.languages(self.tokens)
        self.default_language = language or (known[0][1:-1] if len(known) == 1 else None)
        if language is not None:
            self.language_id(language)

    @property
    def eos_id(self) -> int:
        return self._id_of[self.layout.end]

    @property
    def n_tokens(self) -> int:
        return len(self.tokens)

    @property
    def special_ids(self) -> Sequence[int]:
        """Symbols and timestamps, which are written in angle brackets."""
        return sorted(self._special)

    @property
    def language_ids(self) -> dict[str, int]:
        return {name[1:-1]: self._id_of[name] for name in self.layout.languages(self.tokens)}

    @cached_property
    def vocabulary_hash(self) -> str:
        grid = f"{self.layout.window.time_step_s:g} {self.first_time_id} {self.last_time_id}"
        return hashlib.sha256("\n".join((*self.tokens, grid)).encode()).hexdigest()

    @cached_property
    def spelling_hash(self) -> str:
        """A hash of the token list and the sentencepiece model, which determines how a text is split into pieces."""
        return hashlib.sha256(self.vocabulary_hash.encode() + self.pieces_model).hexdigest()

    def id_of(self, token: str) -> int:
        """The id of a token of the list."""
        return self._id_of[token]

    def language_id(self, language: str) -> int:
        """The id of a language's symbol, by its name without brackets."""
        found = self._id_of.get(f"<{language}>")
        if found is None:
            known = ", ".join(name[1:-1] for name in self.layout.languages(self.tokens)[:10]) or "none"
            raise UsageError(f"language {language!r} is not one of this model's ({known}, …)")
        return found

    def language(self, request: Request) -> str:
        """The language of a prompt: the requested one, or the default."""
        if len(request.languages) > 1:
            asked = ", ".join(request.languages)
            raise UsageError(f"an ESPnet S2T prompt takes one language, found {asked}; name one")
        if request.languages:
            return request.languages[0]
        if self.default_language is None:
            known = ", ".join(name[1:-1] for name in self.layout.languages(self.tokens)[:10])
            raise UsageError(
                f"this model knows several languages ({known}, …) and has no default; "
                "name one: `python -m k2d transcribe --language NAME`, or language: [NAME] in the config"
            )
        return self.default_language

    def ids(self, timed_text: str) -> list[int]:
        """Text with or without timestamps to ids. A time between two grid points becomes the nearest one."""
        first, *marked = TIMESTAMP.split(timed_text)
        steps = [self._step(mark) for mark in marked[::2]]
        if backwards := next((pair for pair in pairwise(steps) if pair[1] < pair[0]), None):
            later, earlier = (self.tokens[self.first_time_id + step] for step in backwards)
            raise K2DError(f"timestamps go backwards: {earlier} follows {later} in {timed_text[:60]!r}")
        ids = self._words(first)
        for step, words in zip(steps, marked[1::2], strict=True):
            ids += [self.first_time_id + step, *self._words(words)]
        return ids

    def _step(self, mark: str) -> int:
        window = self.layout.window
        step = round(float(mark) / window.time_step_s)
        if step > self.last_time_id - self.first_time_id:
            raise K2DError(f"timestamp <{mark}> lies beyond the window of {window.length_s:g} s")
        return step

    def _words(self, text: str) -> list[int]:
        unknown = self._id_of[self.layout.unknown]
        ids = [self._id_of.get(piece, unknown) for piece in self._pieces.encode(text.strip(), out_type=str)]
        if symbol := next((i for i in ids if i in self._special and i != unknown), None):
            raise K2DError(f"the text {text[:60]!r} holds {self.tokens[symbol]}, which is a symbol of the model")
        return ids

    def timed_text(self, ids: Sequence[int]) -> str:
        """The reverse of `ids`."""
        written, words = "", list[int]()
        for token in ids:
            if self._is_time(token):
                written += self.text(words) + f"<{self._time_s(token):.2f}>"
                words = []
            else:
                words.append(token)
        return written + self.text(words)

    def text(self, ids: Sequence[int]) -> str:
        """Plain text in one line: no timestamp, no special token."""
        decoded: str = self._pieces.decode_pieces([self.tokens[i] for i in ids if i not in self._special])
        return CONTROL_CHARACTERS.sub(" ", decoded).strip()

    def prompt(self, request: Request, previous_ids: Sequence[int] = ()) -> list[int]:
        """The ids that the decoder reads before it writes."""
        layout = self.layout
        before = [self._id_of[layout.start_of_previous], *previous_ids] if previous_ids else []
        prompt = [self._id_of[layout.start], self.language_id(self.language(request)), self._id_of[layout.task]]
        return before + prompt + ([] if request.timestamps else [self._id_of[layout.no_times]])

    def label(self, timed_text: str, request: Request, previous_text: str = "") -> tuple[list[int], int]:
        """Prompt, text and end as ids, and the number of prompt ids."""
        return self.sequence(self.ids(timed_text), request, self.ids(previous_text))

    def sequence(self, ids: Sequence[int], request: Request, previous_ids: Sequence[int] = ()) -> tuple[list[int], int]:
        """The same as `label`, from ids."""
        if not request.timestamps:
            ids = [i for i in ids if not self._is_time(i)]
        elif ids and not self._is_time(ids[0]):
            text = self.timed_text(ids)[:60]
            raise K2DError(f"a label with timestamps is needed, but {text!r} does not start with one")
        prompt = self.prompt(request, previous_ids)
        return [*prompt, *ids, self.eos_id], len(prompt)

    def read(self, ids: Sequence[int], audio_s: float) -> Reading:
        """Read a window like ESPnet's `decode_long`: pairs of timestamps are segments; an open end is decoded again."""
        marks = [place for place, token in enumerate(ids) if self._is_time(token)]
        if not marks:
            return self._reading([(0.0, audio_s, ids)], audio_s, None)
        times_s = [self._time_s(ids[place]) for place in marks]
        if len(marks) == 1:  # only a start: the segment lasts until the end
            return self._reading([(times_s[0], audio_s, ids[marks[0] + 1 :])], audio_s, None)
        # An odd last timestamp opens a segment without an end: the next window starts there. A last segment that ends
        # at the border of the window was probably cut off, so the next window starts at its start. A window with only
        # one segment always moves on; otherwise decoding would never end.
        n_whole = len(marks) // 2 * 2
        is_cut_off = n_whole == len(marks) > 2 and times_s[-1] > self.end_time_threshold_s + 1e-6
        if is_cut_off:
            n_whole -= 2
        segments = [(times_s[n], times_s[n + 1], ids[marks[n] + 1 : marks[n + 1]]) for n in range(0, n_whole, 2)]
        return self._reading(segments, audio_s, times_s[-2] if is_cut_off else times_s[-1])

    def _reading(
        self, segments: Sequence[tuple[float, float, Sequence[int]]], audio_s: float, advance_s: float | None
    ) -> Reading:
        """Segments with text. None of them ends after the audio."""
        kept = (
            WindowSegment(min(start_s, audio_s), min(end_s, audio_s), tuple(words))
            for start_s, end_s, ids in segments
            if (words := [i for i in ids if i not in self._special])
        )
        return Reading(tuple(kept), advance_s)

    def _is_time(self, token: int) -> bool:
        return self.first_time_id <= token <= self.last_time_id

    def _time_s(self, token: int) -> float:
        return round((token - self.first_time_id) * self.layout.window.time_step_s, 6)


def _check(tokens: Sequence[str], pieces: SentencePieceProcessor, layout: Layout) -> None:
    """Refuse a token list, pieces and layout that do not fit together: ids would have other tokens than in training."""
    known = set(tokens)
    if len(known) < len(tokens):
        raise K2DError("token list: a token occurs twice; ESPnet cannot use such a list")
    symbols = (layout.blank, layout.unknown, layout.task, layout.no_times, layout.first_time, layout.last_time)
    ends = (layout.start, layout.end, layout.start_of_previous, layout.not_available)
    if missing := [symbol for symbol in (*symbols, *ends) if symbol not in known]:
        raise K2DError(f"token list: it lacks {' '.join(missing)}, which preprocessor_conf or model_conf name")
    times, first = time_symbols(layout.window), tokens.index(layout.first_time)
    if list(tokens[first : first + len(times)]) != times or times[-1] != layout.last_time:
        grid = f"{layout.window.length_s:g} s in steps of {layout.window.time_step_s:g} s"
        raise K2DError(f"token list: expected the timestamps {times[0]} … {times[-1]} in a row for a window of {grid}")
    ours = (n for n in range(len(pieces)) if not (pieces.is_control(n) or pieces.is_unknown(n)))
    if strange := [piece for n in ours if (piece := pieces.id_to_piece(n)) not in known]:
        some = " ".join(strange[:5])
        raise K2DError(
            f"token list: {len(strange)} of the sentencepiece model's pieces are not in it ({some}); "
            "the two are of different models: put the right bpe model beside the config"
        )
