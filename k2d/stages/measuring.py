"""The error rate by which checkpoints are chosen: recordings decoded as in use, held against what was said in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from k2d.score.rates import ErrorRate
from k2d.score.scoring import USUAL_CONVENTIONS, score_pair
from k2d.score.texts import Pair

if TYPE_CHECKING:
    from k2d.decode.options import Options
    from k2d.decode.sources import Source
    from k2d.models.recogniser import Recogniser


@dataclass(frozen=True, slots=True)
class Held:
    """Recordings with what was said in them (or what a teacher says was)."""

    sources: Sequence[Source]
    texts: Mapping[str, str]


def measure_on(
    held: Held, options: Options, is_loop: Callable[[str], bool] | None = None
) -> Callable[[Recogniser], float]:
    """A function that gives a recogniser's mixed error rate over all these recordings together.

    It hears them without a beam: that is for choosing among checkpoints, often, and a beam costs twice as much.
    """
    plain = replace(options, beam=1)
    return lambda recogniser: mixed_error_rate(recogniser, held, plain, is_loop)


def mixed_error_rate(
    recogniser: Recogniser, held: Held, options: Options, is_loop: Callable[[str], bool] | None = None
) -> float:
    """Errors by words and characters; a recording that cannot be read counts as one in which nothing was heard."""
    from k2d.data.hypotheses import plain_text
    from k2d.data.rows import Hypothesis
    from k2d.decode.longform import decode_recordings

    heard = {
        result.recording_id: plain_text(result)
        for result in decode_recordings(recogniser, held.sources, options, is_loop=is_loop)
        if isinstance(result, Hypothesis)
    }
    rates = [
        score_pair(Pair(key, key, text, heard.get(key)), USUAL_CONVENTIONS).rates["mer"]
        for key, text in held.texts.items()
    ]
    return error_share(rates)


def error_share(rates: Sequence[ErrorRate]) -> float:
    """All errors over all tokens; 1.0 where there is nothing to get right."""
    n_tokens = sum(rate.n for rate in rates)
    return sum(rate.errors for rate in rates) / n_tokens if n_tokens else 1.0
