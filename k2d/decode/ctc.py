"""What the CTC head says: its best path alone, or the scores of prefixes beside the attention decoder's.

Shapes: W windows, K beams, R = W × K rows, T frames, V vocabulary, S candidates for the next token.
"""

from __future__ import annotations

import math

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


class PrefixScorer:
    """Log-probability that the frames begin with a prefix, for every row, extended token by token.

    `unspoken` are timestamps, which CTC never hears: they leave a prefix as it is. Beside them CTC is asked two things:
    which of the candidates follows, and whether anything does. Within a segment a timestamp costs nothing; between two,
    another segment costs what CTC gives to something following, where the end costs what it gives to nothing following.
    So what CTC does not hear is not written, what it still hears is not left out, and when to stop is the decoder's.
    Behind the last timestamp of a window nothing can be said, so a segment that closes there costs what the end does.

    Prefixes may begin only at frame `first_frame`: ESPnet counts the prompt's tokens as if they had been spoken.
    Everything is in float64, because sums over frames are taken apart again.
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
        self._log_probs_WTV = log_probs_WTV.double()
        self._n_beams, self._eos_id, self._weight = n_beams, eos_id, weight
        self._blank_id, self._n_out, self._unspoken = blank_id, first_frame, unspoken
        self._blanks_WT = self._log_probs_WTV[:, :, blank_id].cumsum(dim=1)
        self._blank_WKT = self._blanks_WT.unsqueeze(1).repeat(1, n_beams, 1)  # ends in a blank
        self._token_WKT = torch.full_like(self._blank_WKT, -math.inf)  # ends in the prefix's last token
        self._score_WK = self._blank_WKT.new_zeros(self._blank_WKT.shape[:2])
        self._last_WK = torch.full_like(self._score_WK, -1, dtype=torch.long)

    def mixed(self, log_probs_RV: Tensor) -> Tensor:
        """Scores of the next token by both; -inf for what neither the candidates nor the end are."""
        attention_WKV = (1 - self._weight) * log_probs_RV.double().view(*self._score_WK.shape, -1)
        attention_WKS, ids_WKS = self._candidates(attention_WKV)
        scores_WKS = _begun(self._entered(ids_WKS), self._emitted(ids_WKS)) - self._score_WK.unsqueeze(-1)
        end_WK = torch.logaddexp(self._token_WKT, self._blank_WKT)[:, :, -1] - self._score_WK
        more_WK1 = _complement(end_WK).unsqueeze(-1)
        if self._unspoken:
            scores_WKS = scores_WKS.masked_fill(attention_WKS.isinf(), _IMPOSSIBLE).log_softmax(dim=-1) + more_WK1
        prefix_WKV = torch.full_like(attention_WKV, -math.inf).scatter(2, ids_WKS, scores_WKS)
        prefix_WKV[:, :, self._eos_id] = end_WK
        prefix_WKV[:, :, self._blank_id] = -math.inf
        if self._unspoken:
            self._judge_times(prefix_WKV, attention_WKV, end_WK, more_WK1)
        return (attention_WKV + self._weight * prefix_WKV).view(log_probs_RV.shape)

    def _judge_times(self, prefix_WKV: Tensor, attention_WKV: Tensor, end_WK: Tensor, more_WK1: Tensor) -> None:
        """Scores of the timestamps; and of the end, which behind the last one is settled."""
        is_between_WK = attention_WKV[:, :, self._eos_id].isfinite()
        is_over_WK = is_between_WK & self._times(attention_WKV)[:, :, :-1].isinf().all(dim=-1)
        times_WKT = self._times(prefix_WKV)
        times_WKT.copy_(torch.where(is_between_WK.unsqueeze(-1), more_WK1, 0.0).expand_as(times_WKT))
        times_WKT[:, :, -1] = end_WK.masked_fill(is_between_WK, -math.inf)
        prefix_WKV[:, :, self._eos_id] = end_WK.masked_fill(is_over_WK, 0.0)

    def _candidates(self, attention_WKV: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder would rather say next: scores and ids."""
        n_candidates = int(_CANDIDATES_PER_BEAM * self._n_beams)
        if self._unspoken:
            attention_WKV = attention_WKV.clone()
            attention_WKV[:, :, [self._blank_id, self._eos_id]] = -math.inf
            self._times(attention_WKV).fill_(-math.inf)
            n_candidates = max(n_candidates, _CANDIDATES_BESIDE_TIMES)
        best = attention_WKV.topk(min(n_candidates, attention_WKV.shape[-1]))
        return best.values, best.indices

    def _times(self, scores_WKV: Tensor) -> Tensor:
        return scores_WKV[:, :, self._unspoken.start : self._unspoken.stop]

    def _emitted(self, ids_WKS: Tensor) -> Tensor:
        index_WKTS = ids_WKS.unsqueeze(2).expand(-1, -1, self._log_probs_WTV.shape[1], -1)
        return self._log_probs_WTV.unsqueeze(1).expand(-1, self._n_beams, -1, -1).gather(3, index_WKTS)

    def _entered(self, ids_WKS: Tensor) -> Tensor:
        """Log-probability that the prefix was complete just before frame t and the candidate may begin there."""
        whole_WKTS = torch.logaddexp(self._token_WKT, self._blank_WKT).unsqueeze(-1)
        after_blank_WKTS = self._blank_WKT.unsqueeze(-1)  # a repeated token needs a blank between
        is_repeated_WK1S = (ids_WKS == self._last_WK.unsqueeze(-1)).unsqueeze(2)
        entered_WKTS = torch.where(is_repeated_WK1S, after_blank_WKTS, whole_WKTS).roll(1, dims=2)
        entered_WKTS[:, :, : max(1, self._n_out)] = -math.inf  # a token needs at least a frame
        if self._n_out == 0:
            entered_WKTS[:, :, 0] = torch.where(self._last_WK < 0, 0.0, -math.inf).unsqueeze(-1)
        return entered_WKTS

    def follow(self, parents_R: Tensor, tokens_R: Tensor) -> None:
        """Row i goes on as row parents_R[i] with tokens_R[i]; a row that has ended keeps any state."""
        shape = self._token_WKT.shape
        old = [part.flatten(0, 1)[parents_R].view(part.shape) for part in self._state]
        self._score_WK, self._last_WK, self._token_WKT, self._blank_WKT = old
        tokens_WK1 = tokens_R.view(*shape[:2], 1)
        entered_WKT1, emitted_WKT1 = self._entered(tokens_WK1), self._emitted(tokens_WK1)
        score_WK = _begun(entered_WKT1, emitted_WKT1).squeeze(-1)
        token_WKT, blank_WKT = self._forward(entered_WKT1.squeeze(-1), emitted_WKT1.squeeze(-1))
        new = (score_WK, tokens_WK1.squeeze(-1), token_WKT, blank_WKT)
        if not self._unspoken:
            self._score_WK, self._last_WK, self._token_WKT, self._blank_WKT = new
            self._n_out += 1
            return
        is_time_WK1 = (tokens_WK1 >= self._unspoken.start) & (tokens_WK1 < self._unspoken.stop)
        self._score_WK, self._last_WK, self._token_WKT, self._blank_WKT = (
            torch.where(is_time_WK1 if was.dim() == 3 else is_time_WK1.squeeze(-1), was, now)
            for was, now in zip(old, new, strict=True)
        )

    def _forward(self, entered_WKT: Tensor, emitted_WKT: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of all ways to frame t that end in the new token, and in a blank behind it."""
        through_WKT = emitted_WKT.cumsum(dim=2)
        token_WKT = through_WKT + (entered_WKT - through_WKT + emitted_WKT).logcumsumexp(dim=2)
        blanks_W1T = self._blanks_WT.unsqueeze(1)
        left_WKT = (token_WKT - blanks_W1T).roll(1, dims=2)
        left_WKT[:, :, 0] = -math.inf
        return token_WKT, blanks_W1T + left_WKT.logcumsumexp(dim=2)

    @property
    def _state(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self._score_WK, self._last_WK, self._token_WKT, self._blank_WKT

    def keep(self, windows: Tensor) -> None:
        self._log_probs_WTV, self._blanks_WT = self._log_probs_WTV[windows], self._blanks_WT[windows]
        self._score_WK, self._last_WK, self._token_WKT, self._blank_WKT = (part[windows] for part in self._state)


def _begun(entered_WKTS: Tensor, emitted_WKTS: Tensor) -> Tensor:
    """Log-probability that the frames begin with the prefix and the candidate, which may begin at any frame."""
    return (entered_WKTS + emitted_WKTS).logsumexp(dim=2).clamp(min=_IMPOSSIBLE)


def _complement(log_probs: Tensor) -> Tensor:
    """log(1 - p)"""
    return (-torch.expm1(log_probs.clamp(max=0.0))).log().clamp(min=_IMPOSSIBLE)
