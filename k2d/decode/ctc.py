"""What the CTC head says: its best path alone, or the scores of prefixes beside the attention decoder's.

Shapes: W windows, R rows (the beams of the first window, then of the next), T frames (or timestamps, in scores of
tokens), V vocabulary, S candidates for the next token.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from k2d.decode.search import Decoded

_CANDIDATES_PER_BEAM = 1.5  # how many tokens of the attention decoder CTC judges, as in ESPnet
_CANDIDATES_BESIDE_TIMES = 8  # at least, with timestamps, which ESPnet does not decode jointly: a choice for CTC
_IMPOSSIBLE = -1e10  # in place of -inf, so that differences stay numbers


def best_paths(log_probs_WTV: Tensor, blank_id: int) -> list[Decoded]:
    """The best token of each frame, repetitions merged, blanks left out."""
    best = log_probs_WTV.double().max(dim=-1)
    scores: list[float] = best.values.sum(dim=-1).tolist()
    paths: list[list[int]] = best.indices.tolist()
    return [Decoded(collapsed(path, blank_id), "end", score) for path, score in zip(paths, scores, strict=True)]


def collapsed(path: list[int], blank_id: int) -> tuple[int, ...]:
    """Merge what is repeated and leave the blanks out.

    >>> collapsed([7, 7, 0, 7, 8, 8, 0], blank_id=0)
    (7, 7, 8)
    """
    return tuple(new for old, new in zip([blank_id, *path], path, strict=False) if new not in (old, blank_id))


class _State(NamedTuple):
    """What is known of the prefix of every row."""

    score_R: Tensor
    """Log-probability that the frames begin with it."""
    last_R: Tensor
    """Its last token; -1: none."""
    end_R: Tensor
    """Log-probability that the frames are it, and no more."""
    entered_RT: Tensor
    """Log-probability that it was complete just before frame t."""
    after_blank_RT: Tensor
    """The same, where a blank was behind it."""


class PrefixScorer:
    """Log-probability that the frames begin with a prefix, for every row, extended token by token.

    `unspoken` are timestamps, which CTC never hears: they leave a prefix as it is. Beside them CTC is asked two things:
    which of the candidates follows, and whether anything does. Within a segment a timestamp costs nothing; between two,
    another segment costs what CTC gives to something following, where the end costs what it gives to nothing following.
    So what CTC does not hear is not written, what it still hears is not left out, and when to stop is the decoder's.
    Behind the last timestamp of a window nothing can be said, so a segment that closes there costs what the end does.

    Prefixes may begin only at frame `first_frame`: ESPnet counts the prompt's tokens as if they had been spoken.
    Sums are in float64, because sums over frames are taken apart again.
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
        self._blank_id, self._n_out, self._unspoken = blank_id, first_frame, unspoken
        self._hidden_V = self._hidden()
        self._window_R1 = self._rows(len(log_probs_WTV))
        self._blanks_RT = blanks_RT = self._blanks()
        whole_RT = self._before(blanks_RT)
        if first_frame == 0:
            whole_RT[:, 0] = 0.0  # nothing has been said before the first frame
        score_R = blanks_RT.new_zeros(len(blanks_RT))
        last_R = torch.full_like(score_R, -1, dtype=torch.long)
        self._state = _State(score_R, last_R, blanks_RT[:, -1], whole_RT, self._before(blanks_RT))

    def _hidden(self) -> Tensor:
        """-inf for what the candidates are not chosen from."""
        hidden_V = self._log_probs_WVT.new_zeros(self._log_probs_WVT.shape[1], dtype=torch.double)
        if self._unspoken:
            hidden_V[[self._blank_id, self._eos_id]] = -math.inf
            hidden_V[self._unspoken.start : self._unspoken.stop] = -math.inf
        return hidden_V

    def _rows(self, n_windows: int) -> Tensor:
        """The window of each row."""
        windows = torch.arange(n_windows, device=self._log_probs_WVT.device)
        return windows.repeat_interleave(self._n_beams).unsqueeze(1)

    def _blanks(self) -> Tensor:
        """Log-probability that all frames up to t are blanks."""
        return self._log_probs_WVT[self._window_R1.squeeze(1), self._blank_id].double().cumsum(dim=1)

    def _before(self, complete_RT: Tensor) -> Tensor:
        """From what is complete at frame t to what is so just before it; a token needs at least a frame."""
        before_RT = complete_RT.roll(1, dims=1)
        before_RT[:, : max(1, self._n_out)] = -math.inf
        return before_RT

    def mixed(self, log_probs_RV: Tensor) -> Tensor:
        """Scores of the next token by both; -inf for what neither the candidates nor the end are."""
        state, attention_RV = self._state, (1 - self._weight) * log_probs_RV.double()
        best = (attention_RV + self._hidden_V).topk(self._n_candidates(attention_RV.shape[1]))
        scores_RS = _begun(self._entered(best.indices), self._emitted(best.indices)) - state.score_R.unsqueeze(1)
        end_R = state.end_R - state.score_R
        more_R1 = _complement(end_R).unsqueeze(1)
        if self._unspoken:
            scores_RS = scores_RS.masked_fill(best.values.isinf(), _IMPOSSIBLE).log_softmax(dim=-1) + more_R1
        prefix_RV = torch.full_like(attention_RV, -math.inf).scatter_(1, best.indices, scores_RS)
        prefix_RV[:, self._eos_id] = end_R
        prefix_RV[:, self._blank_id] = -math.inf
        if self._unspoken:
            self._judge_times(prefix_RV, attention_RV, end_R, more_R1)
        return attention_RV.add_(prefix_RV, alpha=self._weight)

    def _judge_times(self, prefix_RV: Tensor, attention_RV: Tensor, end_R: Tensor, more_R1: Tensor) -> None:
        """Scores of the timestamps; and of the end, which behind the last one is settled."""
        is_between_R = attention_RV[:, self._eos_id].isfinite()
        is_over_R = is_between_R & self._times(attention_RV)[:, :-1].isinf().all(dim=1)
        times_RT = self._times(prefix_RV)
        times_RT[:] = torch.where(is_between_R.unsqueeze(1), more_R1, 0.0)
        times_RT[:, -1] = end_R.masked_fill(is_between_R, -math.inf)
        prefix_RV[:, self._eos_id] = end_R.masked_fill(is_over_R, 0.0)

    def _n_candidates(self, vocabulary: int) -> int:
        """How many of the tokens that the decoder would rather say next are judged."""
        n_candidates = int(_CANDIDATES_PER_BEAM * self._n_beams)
        return min(max(n_candidates, _CANDIDATES_BESIDE_TIMES) if self._unspoken else n_candidates, vocabulary)

    def _times(self, scores_RV: Tensor) -> Tensor:
        return scores_RV[:, self._unspoken.start : self._unspoken.stop]

    def _emitted(self, ids_RS: Tensor) -> Tensor:
        return self._log_probs_WVT[self._window_R1, ids_RS].double()

    def _entered(self, ids_RS: Tensor) -> Tensor:
        """Log-probability that the prefix was complete just before frame t and the candidate may begin there."""
        state = self._state  # a repeated token needs a blank between
        is_repeated_RS1 = (ids_RS == state.last_R.unsqueeze(1)).unsqueeze(2)
        return torch.where(is_repeated_RS1, state.after_blank_RT.unsqueeze(1), state.entered_RT.unsqueeze(1))

    def follow(self, parents_R: Tensor, tokens_R: Tensor) -> None:
        """Row i goes on as row parents_R[i] with tokens_R[i]; a row that has ended keeps any state."""
        self._state = old = _State(*(part[parents_R] for part in self._state))
        tokens_R1 = tokens_R.unsqueeze(1)
        entered_R1T, emitted_R1T = self._entered(tokens_R1), self._emitted(tokens_R1)
        score_R = _begun(entered_R1T, emitted_R1T).squeeze(1)
        token_RT, blank_RT = self._forward(entered_R1T.squeeze(1), emitted_R1T.squeeze(1))
        if not self._unspoken:
            self._n_out += 1
        whole_RT = torch.logaddexp(token_RT, blank_RT)
        new = _State(score_R, tokens_R, whole_RT[:, -1], self._before(whole_RT), self._before(blank_RT))
        self._state = new
        if self._unspoken:
            is_time_R1 = (tokens_R1 >= self._unspoken.start) & (tokens_R1 < self._unspoken.stop)
            is_time = {1: is_time_R1.squeeze(1), 2: is_time_R1}
            self._state = _State(*(torch.where(is_time[a.dim()], a, b) for a, b in zip(old, new, strict=True)))

    def _forward(self, entered_RT: Tensor, emitted_RT: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of all ways to frame t that end in the new token, and in a blank behind it."""
        through_RT = emitted_RT.cumsum(dim=1)
        token_RT = through_RT + (entered_RT - through_RT + emitted_RT).logcumsumexp(dim=1)
        blanks_RT = self._blanks_RT
        left_RT = (token_RT - blanks_RT).roll(1, dims=1)
        left_RT[:, 0] = -math.inf
        return token_RT, blanks_RT + left_RT.logcumsumexp(dim=1)

    def keep(self, windows: Tensor) -> None:
        rows_R = (windows.unsqueeze(1) * self._n_beams + torch.arange(self._n_beams, device=windows.device)).flatten()
        self._log_probs_WVT, self._window_R1 = self._log_probs_WVT[windows], self._rows(len(windows))
        self._blanks_RT = self._blanks_RT[rows_R]
        self._state = _State(*(part[rows_R] for part in self._state))


def _begun(entered_RST: Tensor, emitted_RST: Tensor) -> Tensor:
    """Log-probability that the frames begin with the prefix and the candidate, which may begin at any frame."""
    return (entered_RST + emitted_RST).logsumexp(dim=2).clamp(min=_IMPOSSIBLE)


def _complement(log_probs: Tensor) -> Tensor:
    """log(1 - p)"""
    return (-torch.expm1(log_probs.clamp(max=0.0))).log().clamp(min=_IMPOSSIBLE)
