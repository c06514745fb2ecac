"""Greedy search: the best token of every row at every step, without beams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from k2d.decode.search import Decoded, Search, refuse_nan
from k2d.models.interface import Decoding

# Removing rows from a batch copies the caches of all others, so it waits until this share of the rows has ended.
_ENDED_SHARE = 0.25


@dataclass(slots=True)
class _Row:
    """A window that is being decoded."""

    window: int
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    ended: str | None = None

    def add_token(self, token: int, logprob: float, search: Search) -> None:
        if logprob == -math.inf:  # the family's rules allow no token
            self.ended = "end"
            return
        self.logprob += logprob
        if search.is_end(token):
            self.ended = "end"
        else:
            self.ids.append(token)
            self.ended = search.why_stopped(self.window, self.ids)

    def decoded(self) -> Decoded:
        return Decoded(tuple(self.ids), self.ended or "end", self.logprob)


def greedy(decoding: Decoding, logits_RV: Tensor, search: Search) -> list[Decoded]:
    """Decode all windows of a batch to their ends, with one transfer to the host per step."""
    rows = [_Row(window) for window in range(len(logits_RV))]
    present = rows
    generated_RL = logits_RV.new_zeros((len(rows), max(search.budgets)), dtype=torch.long)
    for n_tokens in range(max(search.budgets)):
        log_probs_RV = search.log_probs(logits_RV, generated_RL[:, :n_tokens])
        chosen_R, values_R = _chosen(log_probs_RV, present, n_tokens, search)
        generated_RL[:, n_tokens] = chosen_R
        tokens, logprobs = torch.stack((chosen_R.double(), values_R.double())).tolist()
        refuse_nan(logprobs)
        for row, token, logprob in zip(present, tokens, logprobs, strict=True):
            if row.ended is None:
                row.add_token(int(token), logprob, search)
        live = [place for place, row in enumerate(present) if row.ended is None]
        if not live:
            break
        if len(live) <= (1 - _ENDED_SHARE) * len(present):
            index = torch.tensor(live, device=chosen_R.device)
            decoding.keep(index)
            chosen_R, generated_RL = chosen_R[index], generated_RL[index]
            present = [present[place] for place in live]
        logits_RV = decoding.step(chosen_R)
    return [row.decoded() for row in rows]


def _chosen(log_probs_RV: Tensor, present: Sequence[_Row], step: int, search: Search) -> tuple[Tensor, Tensor]:
    """The next token of every row and its log-probability: the best, or drawn."""
    if search.draws is None:
        best = log_probs_RV.max(dim=-1)
        return best.indices, best.values
    drawn_R = search.draws.tokens(log_probs_RV, [row.window for row in present], step)
    return drawn_R, log_probs_RV.gather(1, drawn_R.unsqueeze(1)).squeeze(1)
