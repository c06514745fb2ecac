"""Decoding with the CTC head: its best path alone, or prefix scores beside the attention decoder's (joint decoding).

Shapes: W windows, R rows (the beams of the first window, then of the next), T frames (or timestamps, in scores of
tokens), V vocabulary, S candidates for the next token.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from k2d.decode.search import Decoded

_CANDIDATES_PER_BEAM = 1.5  # how many of the attention decoder's tokens CTC scores, as in ESPnet
_MIN_CANDIDATES_WITH_TIMES = 8  # CTC needs a choice. ESPnet has no joint decoding with timestamps to compare with
_IMPOSSIBLE = -1e10  # instead of -inf, so that differences are numbers


def best_paths(log_probs_WTV: Tensor, blank_id: int) -> list[Decoded]:
    """The best token of each frame, with repetitions merged and blanks removed."""
    best = log_probs_WTV.double().max(dim=-1)
    scores: list[float] = best.values.sum(dim=-1).tolist()
    paths: list[list[int]] = best.indices.tolist()
    return [Decoded(collapsed(path, blank_id), "end", score) for path, score in zip(paths, scores, strict=True)]


def collapsed(path: list[int], blank_id: int) -> tuple[int, ...]:
    """Merge repeated tokens and drop the blanks.

    >>> collapsed([7, 7, 0, 7, 8, 8, 0], blank_id=0)
    (7, 7, 8)
    """
    return tuple(new for old, new in zip([blank_id, *path], path, strict=False) if new not in (old, blank_id))


class _PrefixState(NamedTuple):
    """The CTC forward variables of each row's prefix."""

    score_R: Tensor
    """Log-probability that the frames begin with the prefix."""
    last_R: Tensor
    """The prefix's last token. -1: none."""
    end_R: Tensor
    """Log-probability that the frames contain the prefix and nothing more."""
    complete_RT: Tensor
    """Log-probability that the prefix was complete just before frame t."""
    after_blank_RT: Tensor
    """The same for paths that end in a blank."""


class PrefixScorer:
    """Log-probability that the frames begin with a prefix, for every row, extended token by token.

    It is the prefix score of Watanabe et al. 2017, "Hybrid CTC/Attention Architecture for End-to-End Speech
    Recognition". Without timestamps the scores are those of ESPnet.

    `unspoken` are the timestamps. CTC is trained without them, so they leave a prefix as it is. The decoder proposes
    the next tokens and the timestamps. CTC ranks those tokens and decides whether any speech is left:
    - Within a segment a timestamp costs nothing.
    - Between two segments, opening another one costs log P(more tokens follow), and the end costs log P(none follows).
      So text that CTC has no evidence for is not written, and speech that it still has evidence for is not left out.
    - No token can follow the window's last timestamp, so closing a segment there costs what the end does.

    Prefixes may begin only at frame `first_frame`: ESPnet counts the prompt's tokens as if they had been spoken.
    Sums are in float64, because `_forward` subtracts sums over all frames from each other.
    """

    def __init__(
        self,
        log_probs_WTV: Tensor,
        n_beams: int,
        *,
        blank_id: int,
        eos_id: int,
        weight: float,
        first_frame: int = 0,
        unspoken: range = range(0),
    ) -> None:
        self._log_probs_WVT = log_probs_WTV.transpose(1, 2).contiguous()
        self._n_beams, self._eos_id, self._weight = n_beams, eos_id, weight
        self._blank_id, self._first_frame, self._unspoken = blank_id, first_frame, unspoken
        # Candidates are words alone: with timestamps, the scores of times and of the end are set apart from them.
        self._mask_V = self._log_probs_WVT.new_zeros(self._log_probs_WVT.shape[1], dtype=torch.double)
        if unspoken:
            self._mask_V[[blank_id, eos_id]] = -math.inf
            self._mask_V[unspoken.start : unspoken.stop] = -math.inf
        self._window_R1 = self._window_of_rows(len(log_probs_WTV))
        # The empty prefix: all frames up to t are blanks.
        blanks_RT = self._log_probs_WVT[self._window_R1.squeeze(1), blank_id].double().cumsum(dim=1)
        self._blanks_RT = blanks_RT
        complete_RT = self._just_before(blanks_RT)
        if first_frame == 0:
            complete_RT[:, 0] = 0.0  # before the first frame the empty prefix is certain
        score_R = blanks_RT.new_zeros(len(blanks_RT))
        last_R = torch.full_like(score_R, -1, dtype=torch.long)
        self._state = _PrefixState(score_R, last_R, blanks_RT[:, -1], complete_RT, self._just_before(blanks_RT))

    def _window_of_rows(self, n_windows: int) -> Tensor:
        windows = torch.arange(n_windows, device=self._log_probs_WVT.device)
        return windows.repeat_interleave(self._n_beams).unsqueeze(1)

    def _just_before(self, complete_RT: Tensor) -> Tensor:
        """From `complete at frame t` to `complete just before frame t`; each token takes at least one frame."""
        before_RT = complete_RT.roll(1, dims=1)
        before_RT[:, : max(1, self._first_frame)] = -math.inf
        return before_RT

    def mixed(self, log_probs_RV: Tensor) -> Tensor:
        """Weighted sum of both scores for the next token; -inf for all but the candidates, the times and the end."""
        state, attention_RV = self._state, (1 - self._weight) * log_probs_RV.double()
        n_candidates = int(_CANDIDATES_PER_BEAM * self._n_beams)
        if self._unspoken:
            n_candidates = max(n_candidates, _MIN_CANDIDATES_WITH_TIMES)
        best = (attention_RV + self._mask_V).topk(min(n_candidates, attention_RV.shape[1]))
        # CTC gives P(prefix + token, ...); divided by P(prefix, ...) it is conditional, as the decoder's score is.
        scores_RS = _prefix_score(self._enterable(best.indices), self._emitted(best.indices))
        scores_RS = scores_RS - state.score_R.unsqueeze(1)
        end_R = state.end_R - state.score_R
        more_R1 = _log_complement(end_R).unsqueeze(1)
        if self._unspoken:
            # Which token follows and whether one follows are scored apart: only the second also scores the timestamps.
            scores_RS = scores_RS.masked_fill(best.values.isinf(), _IMPOSSIBLE).log_softmax(dim=-1) + more_R1
        prefix_RV = torch.full_like(attention_RV, -math.inf).scatter_(1, best.indices, scores_RS)
        prefix_RV[:, self._eos_id] = end_R
        prefix_RV[:, self._blank_id] = -math.inf
        if self._unspoken:
            self._score_times(prefix_RV, attention_RV, end_R, more_R1)
        return attention_RV.add_(prefix_RV, alpha=self._weight)

    def _score_times(self, prefix_RV: Tensor, attention_RV: Tensor, end_R: Tensor, more_R1: Tensor) -> None:
        """Set the scores of the timestamps and of the end, by the rules in the class's docstring."""
        # The family's rules have masked what cannot follow: the end is allowed only between two segments, and the
        # window is over when all times but the last are masked as well. Then the end was paid for by that last time.
        is_between_R = attention_RV[:, self._eos_id].isfinite()
        is_over_R = is_between_R & self._times(attention_RV)[:, :-1].isinf().all(dim=1)
        times_RT = self._times(prefix_RV)
        times_RT[:] = torch.where(is_between_R.unsqueeze(1), more_R1, 0.0)
        times_RT[:, -1] = end_R.masked_fill(is_between_R, -math.inf)
        prefix_RV[:, self._eos_id] = end_R.masked_fill(is_over_R, 0.0)

    def _times(self, scores_RV: Tensor) -> Tensor:
        return scores_RV[:, self._unspoken.start : self._unspoken.stop]

    def _emitted(self, ids_RS: Tensor) -> Tensor:
        return self._log_probs_WVT[self._window_R1, ids_RS].double()

    def _enterable(self, ids_RS: Tensor) -> Tensor:
        """Log-probability that the prefix was complete just before frame t and the candidate may begin there."""
        # Without a blank between them, two equal tokens would be merged into one.
        state = self._state
        is_repeated_RS1 = (ids_RS == state.last_R.unsqueeze(1)).unsqueeze(2)
        return torch.where(is_repeated_RS1, state.after_blank_RT.unsqueeze(1), state.complete_RT.unsqueeze(1))

    def follow(self, parents_R: Tensor, tokens_R: Tensor) -> None:
        """Row i continues row parents_R[i] with tokens_R[i]. The state of finished rows is not used."""
        self._state = old = _PrefixState(*(part[parents_R] for part in self._state))
        tokens_R1 = tokens_R.unsqueeze(1)
        enterable_R1T, emitted_R1T = self._enterable(tokens_R1), self._emitted(tokens_R1)
        score_R = _prefix_score(enterable_R1T, emitted_R1T).squeeze(1)
        token_RT, blank_RT = self._forward(enterable_R1T.squeeze(1), emitted_R1T.squeeze(1))
        all_RT = torch.logaddexp(token_RT, blank_RT)
        new = _PrefixState(score_R, tokens_R, all_RT[:, -1], self._just_before(all_RT), self._just_before(blank_RT))
        self._state = new
        if self._unspoken:
            # A timestamp leaves the prefix as it is, so such rows keep the state of their parents.
            is_time_R1 = (tokens_R1 >= self._unspoken.start) & (tokens_R1 < self._unspoken.stop)
            is_time = {1: is_time_R1.squeeze(1), 2: is_time_R1}
            self._state = _PrefixState(*(torch.where(is_time[a.dim()], a, b) for a, b in zip(old, new, strict=True)))

    def _forward(self, enterable_RT: Tensor, emitted_RT: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of all paths to frame t that end in the new token, and in a blank after it."""
        # The recurrence token_t = (token_{t-1} + enterable_t) * emitted_t, over all frames at once. With through_t, the
        # product of emitted_1..t, it is token_t = through_t * sum over s <= t of enterable_s / through_{s-1}.
        through_RT = emitted_RT.cumsum(dim=1)
        token_RT = through_RT + (enterable_RT - through_RT + emitted_RT).logcumsumexp(dim=1)
        # blank_t = (blank_{t-1} + token_{t-1}) * p(blank_t), solved in the same way.
        blanks_RT = self._blanks_RT
        left_RT = (token_RT - blanks_RT).roll(1, dims=1)
        left_RT[:, 0] = -math.inf
        return token_RT, blanks_RT + left_RT.logcumsumexp(dim=1)

    def keep(self, windows: Tensor) -> None:
        """Continue with these windows only."""
        rows_R = (windows.unsqueeze(1) * self._n_beams + torch.arange(self._n_beams, device=windows.device)).flatten()
        self._log_probs_WVT, self._window_R1 = self._log_probs_WVT[windows], self._window_of_rows(len(windows))
        self._blanks_RT = self._blanks_RT[rows_R]
        self._state = _PrefixState(*(part[rows_R] for part in self._state))


def _prefix_score(enterable_RST: Tensor, emitted_RST: Tensor) -> Tensor:
    """Log-probability that the frames begin with the prefix and the candidate: the sum over the candidate's frames."""
    return (enterable_RST + emitted_RST).logsumexp(dim=2).clamp(min=_IMPOSSIBLE)


def _log_complement(log_probs: Tensor) -> Tensor:
    """log(1 - p)"""
    return (-torch.expm1(log_probs.clamp(max=0.0))).log().clamp(min=_IMPOSSIBLE)
