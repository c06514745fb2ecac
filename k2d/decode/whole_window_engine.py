"""Decode windows in an engine that decodes whole windows, with the same options, guards and fallback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from k2d.core.errors import UsageError
from k2d.decode.options import Options
from k2d.decode.search import Decoded, IsLoop, LoopWatch
from k2d.decode.window_batch import WindowDecoder, WindowInput
from k2d.models.interface import Memory, Recogniser, WindowWriter, Written


def window_decoder_for(recogniser: Recogniser, options: Options, is_loop: IsLoop | None = None) -> WindowDecoder:
    """The way to decode windows for this recogniser: token by token in this package, or whole windows in its engine."""
    kind = EngineWindowDecoder if isinstance(recogniser, WindowWriter) else WindowDecoder
    return kind(recogniser, options, is_loop)


@dataclass(frozen=True, slots=True)
class EngineWindowDecoder(WindowDecoder):
    """The engine decodes a whole window. A looping text is cut afterwards, where this package's search would stop."""

    def _decode(
        self, windows: Sequence[WindowInput], memory: Memory, temperature: float
    ) -> tuple[list[Decoded], list[float]]:
        if temperature:
            raise UsageError(f"decoding: temperature {temperature:g}: an engine of whole windows cannot sample; use 0")
        writer, watch = cast(WindowWriter, self.recogniser), self._loop_watch(windows)
        written = writer.write(
            memory,
            self._request,
            [window.previous_ids for window in windows],
            self._budgets(windows),
            beam=self.options.beam,
        )
        silence = [each.silence for each in written]
        chosen = set(self._worth_decoding(silence))
        decoded = [
            _cut_at_loop(each, watch, place) if place in chosen else Decoded((), "silence", language=each.language)
            for place, each in enumerate(written)
        ]
        return [replace(each, no_speech=round(p, 2)) for each, p in zip(decoded, silence, strict=True)], silence


def _cut_at_loop(written: Written, watch: LoopWatch | None, window: int) -> Decoded:
    """The window's text, up to the token at which the search would have found a loop."""
    ids, ended, logprob = written.ids, "end" if written.is_ended else "budget", written.logprob
    if watch is not None:
        lengths = range(1, len(ids) + 1)
        n_kept = next((n for n in lengths if watch.stops(window, ids[:n])), None)
        if n_kept is not None:
            # The engine gives one log-probability for the whole window, so a part of it is cut in proportion.
            ids, ended, logprob = ids[:n_kept], "loop", logprob * n_kept / (len(ids) + written.is_ended)
    return Decoded(ids, ended, logprob, written.language)
