"""The error rate that chooses checkpoints: recordings are decoded as in use and compared with their reference texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from k2d.score.pairing import UtterancePair
from k2d.score.rates import ErrorRate, total
from k2d.score.scoring import USUAL_CONVENTIONS, score_pair

if TYPE_CHECKING:
    from k2d.decode.options import Options
    from k2d.decode.sources import Source
    from k2d.models.interface import Recogniser


@dataclass(frozen=True, slots=True)
class Held:
    """Recordings with their reference texts, or with a teacher's hypotheses instead of them."""

    sources: Sequence[Source]
    texts: Mapping[str, str]


def measure_on(
    held: Held, options: Options, is_loop: Callable[[str], bool] | None = None
) -> Callable[[Recogniser], float]:
    """A function that computes a recogniser's mixed error rate over all these recordings together.

    It decodes without a beam, because checkpoints are measured often and a beam takes twice as long.
    All processes that train together must call it. Each decodes a part of the recordings; all get the same result.
    """
    plain = replace(options, beam=1)

    def measure(recogniser: Recogniser) -> float:
        from k2d.train.processes import sum_over_processes, this_process

        process = this_process()
        rate = errors_of(recogniser, shared_out(held, process.world)[process.rank], plain, is_loop)
        n_errors, n_tokens = sum_over_processes([rate.errors, rate.n], recogniser)
        return n_errors / n_tokens if n_tokens else 1.0  # the references are empty

    return measure


def shared_out(held: Held, n_shares: int) -> list[Held]:
    """The recordings in parts of similar length: the longest first, each to the shortest part so far.

    >>> from k2d.decode.sources import Source
    >>> lengths = {"a": 50.0, "b": 20.0, "c": 40.0, "d": 10.0}
    >>> held = Held([Source(name, "", length) for name, length in lengths.items()], dict.fromkeys(lengths, "so"))
    >>> [[source.id for source in part.sources] for part in shared_out(held, 2)]
    [['a', 'd'], ['c', 'b']]
    """
    known = [source.duration_s for source in held.sources if source.duration_s is not None]
    usual_s = math.fsum(known) / len(known) if known else 1.0
    parts: list[list[Source]] = [[] for _ in range(n_shares)]
    loads_s = [0.0] * n_shares

    def length_s(source: Source) -> float:
        return usual_s if source.duration_s is None else source.duration_s

    for source in sorted(held.sources, key=lambda source: (-length_s(source), source.id)):
        least = loads_s.index(min(loads_s))
        parts[least].append(source)
        loads_s[least] += length_s(source)
    owner = {source.id: number for number, part in enumerate(parts) for source in part}
    texts: list[dict[str, str]] = [{} for _ in range(n_shares)]
    for key, text in held.texts.items():
        texts[owner.get(key, 0)][key] = text  # a text without a recording counts, too, with an empty hypothesis
    return [Held(sources, of_part) for sources, of_part in zip(parts, texts, strict=True)]


def errors_of(
    recogniser: Recogniser, held: Held, options: Options, is_loop: Callable[[str], bool] | None = None
) -> ErrorRate:
    """Errors in mixed tokens. A recording that cannot be read counts with an empty hypothesis."""
    from k2d.data.hypotheses import plain_text
    from k2d.data.rows import Hypothesis
    from k2d.decode.long_recordings import decode_recordings

    hypotheses = {
        result.recording_id: plain_text(result)
        for result in decode_recordings(recogniser, held.sources, options, is_loop=is_loop)
        if isinstance(result, Hypothesis)
    }
    return total(
        score_pair(UtterancePair(key, key, text, hypotheses.get(key)), USUAL_CONVENTIONS).rates["mer"]
        for key, text in held.texts.items()
    )
