"""What the CTC head says: its best path alone, or the scores of prefixes beside the attention decoder's.

Shapes: W windows, K beams, R = W × K rows, T frames, V vocabulary, S candidates for the next token.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from k2d.decode.search import Decoded

_CANDIDATES_PER_BEAM = 1.5  # how many tokens of the attention decoder CTC judges, as in ESPnet
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

    Prefixes may begin only at frame `first_frame`: ESPnet counts the prompt's tokens as if they had been spoken.
    Everything is in float64, because sums over frames are taken apart again.
    """

    def __init__(
        self, log_probs_WTV: Tensor, n_beams: int, *, blank_id: int, eos_id: int, weight: float, first_frame: int = 0
    ) -> None:
        self._log_probs_WTV = log_probs_WTV.double()
        self._n_beams, self._eos_id, self._weight = n_beams, eos_id, weight
        self._blank_id, self._n_out = blank_id, first_frame
        self._blanks_WT = self._log_probs_WTV[:, :, blank_id].cumsum(dim=1)
        self._blank_WKT = self._blanks_WT.unsqueeze(1).repeat(1, n_beams, 1)  # ends in a blank
        self._token_WKT = torch.full_like(self._blank_WKT, -math.inf)  # ends in the prefix's last token
        self._score_WK = self._blank_WKT.new_zeros(self._blank_WKT.shape[:2])
        self._last_WK = torch.full_like(self._score_WK, -1, dtype=torch.long)
        self._offered: tuple[Tensor, Tensor, Tensor, Tensor] | None = None  # ids, score, token, blank: WKS and WKTS

    def mixed(self, log_probs_RV: Tensor) -> Tensor:
        """Scores of the next token by both; -inf for what neither the candidates nor the end are."""
        attention_WKV = (1 - self._weight) * log_probs_RV.double().view(*self._score_WK.shape, -1)
        n_candidates = min(int(_CANDIDATES_PER_BEAM * self._n_beams), attention_WKV.shape[-1])
        ids_WKS = attention_WKV.topk(n_candidates).indices
        scores_WKS, *forward = self._extended(ids_WKS)
        self._offered = (ids_WKS, scores_WKS, forward[0], forward[1])
        prefix_WKV = torch.full_like(attention_WKV, -math.inf).scatter(2, ids_WKS, scores_WKS)
        prefix_WKV[:, :, self._eos_id] = torch.logaddexp(self._token_WKT, self._blank_WKT)[:, :, -1]
        prefix_WKV[:, :, self._blank_id] = -math.inf
        mixed_WKV = attention_WKV + self._weight * (prefix_WKV - self._score_WK.unsqueeze(-1))
        return mixed_WKV.view(log_probs_RV.shape)

    def _extended(self, ids_WKS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Prefix scores with each candidate, and the forward log-probabilities that end in it or a blank."""
        n_frames = self._log_probs_WTV.shape[1]
        index = ids_WKS.unsqueeze(2).expand(-1, -1, n_frames, -1)
        emitted_WKTS = self._log_probs_WTV.unsqueeze(1).expand(-1, self._n_beams, -1, -1).gather(3, index)
        entered_WKTS = self._entered(ids_WKS)
        score_WKS = (entered_WKTS + emitted_WKTS).logsumexp(dim=2).clamp(min=_IMPOSSIBLE)
        through_WKTS = emitted_WKTS.cumsum(dim=2)
        token_WKTS = through_WKTS + (entered_WKTS - through_WKTS + emitted_WKTS).logcumsumexp(dim=2)
        blanks_WKT1 = self._blanks_WT.unsqueeze(1).unsqueeze(-1)
        left_WKTS = _later(token_WKTS - blanks_WKT1, -math.inf)
        return score_WKS, token_WKTS, blanks_WKT1 + left_WKTS.logcumsumexp(dim=2)

    def _entered(self, ids_WKS: Tensor) -> Tensor:
        """Log-probability that the prefix was complete just before frame t and the candidate may begin there."""
        whole_WKTS = torch.logaddexp(self._token_WKT, self._blank_WKT).unsqueeze(-1)
        after_blank_WKTS = self._blank_WKT.unsqueeze(-1)  # a repeated token needs a blank between
        is_repeated_WK1S = (ids_WKS == self._last_WK.unsqueeze(-1)).unsqueeze(2)
        at_first = 0.0 if self._n_out == 0 else -math.inf
        entered_WKTS = _later(torch.where(is_repeated_WK1S, after_blank_WKTS, whole_WKTS), at_first)
        entered_WKTS[:, :, min(1, self._n_out) : self._n_out] = -math.inf  # a token needs at least a frame
        return entered_WKTS

    def follow(self, parents_R: Tensor, tokens_R: Tensor) -> None:
        """Row i goes on as row parents_R[i] with tokens_R[i]; a row that has ended keeps any state."""
        assert self._offered is not None
        ids_RS, scores_RS, token_RTS, blank_RTS = (part.flatten(0, 1)[parents_R] for part in self._offered)
        place_R1 = (ids_RS == tokens_R.unsqueeze(1)).long().argmax(dim=1, keepdim=True)
        place_RT1 = place_R1.unsqueeze(1).expand(-1, token_RTS.shape[1], -1)
        shape = self._token_WKT.shape
        self._score_WK = scores_RS.gather(1, place_R1).view(shape[:2])
        self._token_WKT = token_RTS.gather(2, place_RT1).view(shape)
        self._blank_WKT = blank_RTS.gather(2, place_RT1).view(shape)
        self._last_WK = tokens_R.view(shape[:2])
        self._n_out += 1

    def keep(self, windows: Tensor) -> None:
        self._log_probs_WTV, self._blanks_WT = self._log_probs_WTV[windows], self._blanks_WT[windows]
        self._token_WKT, self._blank_WKT = self._token_WKT[windows], self._blank_WKT[windows]
        self._score_WK, self._last_WK = self._score_WK[windows], self._last_WK[windows]


def _later(values_WKTS: Tensor, first: float) -> Tensor:
    """One frame later, with `first` in the first frame."""
    return torch.cat((torch.full_like(values_WKTS[:, :, :1], first), values_WKTS[:, :, :-1]), dim=2)
