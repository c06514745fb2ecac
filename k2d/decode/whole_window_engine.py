"""Windows through an engine that decodes them by itself, under the same options, guards and fallback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from k2d.core.errors import UsageError
from k2d.decode.options import Options
from k2d.decode.search import Decoded, IsLoop, LoopWatch
from k2d.decode.window_batch import Hearing, Look
from k2d.models.interface import Memory, Recogniser, WindowWriter, Written


def hearing_of(recogniser: Recogniser, options: Options, is_loop: IsLoop | None = None) -> Hearing:
    """How this recogniser hears: step by step here, or in its engine."""
    kind = EngineHearing if isinstance(recogniser, WindowWriter) else Hearing
    return kind(recogniser, options, is_loop)


@dataclass(frozen=True, slots=True)
class EngineHearing(Hearing):
    """A window is written whole; one that loops is cut off afterwards, where the search would have stopped."""

    def _decoded(self, looks: Sequence[Look], memory: Memory, temperature: float) -> tuple[list[Decoded], list[float]]:
        if temperature:
            raise UsageError(f"decoding: temperature {temperature:g}: an engine that decodes by itself draws nothing")
        writer, watch = cast(WindowWriter, self.recogniser), self._loop_watch(looks)
        written = writer.write(
            memory,
            self._request,
            [look.previous_ids for look in looks],
            self._budgets(looks),
            beam=self.options.beam,
        )
        silence = [each.silence for each in written]
        speaking = set(self._speaking(silence))
        decoded = [
            _told(each, watch, place) if place in speaking else Decoded((), "silence", language=each.language)
            for place, each in enumerate(written)
        ]
        return decoded, silence


def _told(written: Written, watch: LoopWatch | None, window: int) -> Decoded:
    """What is kept of a window. Where it is cut, its probability is cut in proportion: none is known by token."""
    ids, ended, logprob = written.ids, "end" if written.is_ended else "budget", written.logprob
    n_kept = None if watch is None else _n_before_loop(ids, watch, window)
    if n_kept is not None:
        ids, ended, logprob = ids[:n_kept], "loop", logprob * n_kept / (len(ids) + written.is_ended)
    return Decoded(ids, ended, logprob, written.language)


def _n_before_loop(ids: Sequence[int], watch: LoopWatch, window: int) -> int | None:
    """How many ids the search would have written until it saw that they loop; None: they do not."""
    return next((n for n in range(1, len(ids) + 1) if watch.stops(window, ids[:n])), None)
