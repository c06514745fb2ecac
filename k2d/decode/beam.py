"""Beam search over a batch of windows. Scores are sums of log-probabilities, without a bonus for length.

The best finished hypothesis wins. A window is done when no running hypothesis can overtake it, because scores only
fall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from k2d.decode.ctc import PrefixScorer
from k2d.decode.search import Decoded, Search, refuse_nan
from k2d.models.interface import Decoding


@dataclass(slots=True)
class _Beams:
    """The hypotheses of one window, best first, and the best finished one."""

    window: int
    ids: list[tuple[int, ...]]
    best: Decoded = field(default_factory=lambda: Decoded((), "end", -math.inf))
    is_done: bool = False

    def extend(
        self, parents: Sequence[float], tokens: Sequence[float], scores: Sequence[float], search: Search
    ) -> None:
        """Replace the hypotheses by their best extensions, and stop if none of these can still win."""
        before, self.ids = self.ids, []
        running: Decoded | None = None
        for parent, token, score in zip(parents, tokens, scores, strict=True):
            ids = before[int(parent)]
            if search.is_end(int(token)):
                self._offer(Decoded(ids, "end", score))
            else:
                ids = (*ids, int(token))
                running = running or Decoded(ids, "", score)
            self.ids.append(ids)
        if running is None or running.logprob <= self.best.logprob:
            self.is_done = True
        elif why := search.why_stopped(self.window, running.ids):
            self._offer(Decoded(running.ids, why, running.logprob))
            self.is_done = True

    def _offer(self, ended: Decoded) -> None:
        if ended.logprob > self.best.logprob:
            self.best = ended

    def decoded(self) -> Decoded:
        return self.best if self.best.logprob > -math.inf else Decoded((), "end")


@dataclass(slots=True)
class _State:
    """The tensors on the device: a row for each beam of each window."""

    scores_WK: Tensor
    generated_RL: Tensor
    tokens_R: Tensor
    parents_R: Tensor


def beam_search(
    decoding: Decoding, logits_WV: Tensor, search: Search, n_beams: int, prefixes: PrefixScorer | None = None
) -> list[Decoded]:
    """Decode all windows of a batch. `prefixes` adds the CTC scores of joint decoding."""
    n_windows = len(logits_WV)
    windows = [_Beams(window, [()] * n_beams) for window in range(n_windows)]
    present = windows
    decoding.fan_out(n_beams)
    logits_RV = logits_WV.repeat_interleave(n_beams, dim=0)
    state = _first_state(n_windows, n_beams, max(search.budgets), logits_RV.device)
    for n_tokens in range(max(search.budgets)):
        log_probs_RV = search.log_probs(logits_RV, state.generated_RL[:, :n_tokens])
        if prefixes is not None:
            log_probs_RV = prefixes.mixed(log_probs_RV)
        _extend(state, log_probs_RV, n_tokens)
        has_moved = _update_windows(present, state, search)
        live = [place for place, beams in enumerate(present) if not beams.is_done]
        if not live:
            break
        if has_moved:  # reordering copies the decoder's caches, so it is skipped while every beam follows itself
            decoding.reorder(state.parents_R)
        if prefixes is not None:
            prefixes.follow(state.parents_R, state.tokens_R)
        if len(live) < len(present):
            _keep(decoding, prefixes, state, live)
            present = [present[place] for place in live]
        logits_RV = decoding.step(state.tokens_R)
    return [beams.decoded() for beams in windows]


def _first_state(n_windows: int, n_beams: int, budget: int, device: torch.device) -> _State:
    scores_WK = torch.full((n_windows, n_beams), -math.inf, dtype=torch.double, device=device)
    # All rows of a window are still equal. If each were extended, the beam would hold one hypothesis several times.
    scores_WK[:, 0] = 0.0
    rows_R = torch.zeros(n_windows * n_beams, dtype=torch.long, device=device)
    return _State(scores_WK, rows_R.new_zeros((len(rows_R), budget)), rows_R, rows_R)


def _extend(state: _State, log_probs_RV: Tensor, n_tokens: int) -> None:
    """Replace each window's rows by its best extensions."""
    n_windows, n_beams = state.scores_WK.shape
    vocabulary = log_probs_RV.shape[1]
    # One topk over beams times vocabulary: the quotient of an index is the beam, its remainder the token. In double,
    # as long sums in float32 would make ties between hypotheses.
    totals_RV = state.scores_WK.view(-1, 1) + log_probs_RV.double()
    top = totals_RV.view(n_windows, -1).topk(n_beams)
    first_row_W1 = torch.arange(n_windows, device=totals_RV.device).unsqueeze(1) * n_beams
    state.parents_R = (top.indices.div(vocabulary, rounding_mode="floor") + first_row_W1).view(-1)
    state.tokens_R = top.indices.remainder(vocabulary).view(-1)
    state.generated_RL = state.generated_RL[state.parents_R]
    state.generated_RL[:, n_tokens] = state.tokens_R
    state.scores_WK = top.values


def _update_windows(present: Sequence[_Beams], state: _State, search: Search) -> bool:
    """Extend the hypotheses of the windows; True if any row continues another row than its own."""
    n_windows, n_beams = state.scores_WK.shape
    # Stacked as doubles, the three tensors reach the host in one transfer: on a GPU each transfer waits for the queue.
    rows = torch.stack((state.parents_R.double() % n_beams, state.tokens_R.double(), state.scores_WK.view(-1)))
    parents, tokens, scores = rows.view(3, n_windows, n_beams).tolist()
    for place, beams in enumerate(present):
        refuse_nan(scores[place])
        beams.extend(parents[place], tokens[place], scores[place], search)
    # A row that has ended must not be extended: its score would compete with those of running hypotheses.
    has_ended_WK = (state.tokens_R == search.recogniser.codec.eos_id).view(n_windows, n_beams)
    state.scores_WK = state.scores_WK.masked_fill(has_ended_WK, -math.inf)
    return any(chosen != list(range(n_beams)) for chosen in parents)


def _keep(decoding: Decoding, prefixes: PrefixScorer | None, state: _State, live: Sequence[int]) -> None:
    """Drop the windows that are done."""
    n_windows, n_beams = state.scores_WK.shape
    windows = torch.tensor(live, device=state.tokens_R.device)
    rows_R = torch.arange(n_windows * n_beams, device=windows.device).view(n_windows, n_beams)[windows].view(-1)
    decoding.keep(windows)
    if prefixes is not None:
        prefixes.keep(windows)
    state.scores_WK = state.scores_WK[windows]
    state.generated_RL, state.tokens_R = state.generated_RL[rows_R], state.tokens_R[rows_R]
