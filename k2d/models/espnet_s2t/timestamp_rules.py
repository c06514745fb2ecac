"""ESPnet's rules for timestamps (its ScoreFilter), for all rows at once.

The allowed tokens are computed with numpy on the CPU: many small operations in torch take as long as a decoder layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_NEVER = float("-inf")

Ids = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TimeRules:
    """The tokens that may follow the generated ones, by the ids of the symbols."""

    first_time: int
    last_time: int
    no_times: int
    start: int
    end: int

    def constrain(self, logits_RV: Tensor, generated_RL: Tensor, timestamps: bool) -> Tensor:
        """Log-probabilities with -inf for tokens that must not follow, at least in float32."""
        log_probs_RV = logits_RV.log_softmax(-1, torch.promote_types(logits_RV.dtype, torch.float32))
        if not timestamps:
            self._times(log_probs_RV).fill_(_NEVER)
            return log_probs_RV
        if generated_RL.shape[1] == 0:
            times_RT = self._times(log_probs_RV).clone()
            log_probs_RV.fill_(_NEVER)
            self._times(log_probs_RV).copy_(times_RT)
            return log_probs_RV
        return self._continued(log_probs_RV, generated_RL)

    def _times(self, scores_RV: Tensor) -> Tensor:
        return scores_RV[:, self.first_time : self.last_time + 1]

    def _continued(self, log_probs_RV: Tensor, generated_RL: Tensor) -> Tensor:
        """Changes the log-probabilities in place."""
        may_speak_R1, may_end_R, is_late_RT = (
            torch.from_numpy(each).to(log_probs_RV.device) for each in self._allowed(generated_RL.cpu().numpy())
        )
        times_RT = self._times(log_probs_RV).masked_fill(~is_late_RT, _NEVER)
        end_R = log_probs_RV[:, self.end].masked_fill(~may_end_R, _NEVER)
        log_probs_RV.masked_fill_(~may_speak_R1, _NEVER)
        self._times(log_probs_RV).copy_(times_RT)
        log_probs_RV[:, self.end] = end_R
        return log_probs_RV

    def _allowed(self, generated_RL: Ids) -> tuple[Bools, Bools, Bools]:
        """Whether a row may continue with a word (R × 1), whether it may end, and with which timestamps (R × T)."""
        # Timestamps come in pairs (start, end), so an odd number of them means that a segment is open.
        is_time_RL = (generated_RL >= self.first_time) & (generated_RL <= self.last_time)
        is_odd_R = is_time_RL.sum(axis=1) % 2 == 1
        is_free_R = (generated_RL == self.no_times).any(axis=1)
        is_first_R = self._follows_start(generated_RL) & ~is_free_R
        is_within_R = ~is_free_R & ~is_first_R
        is_open_R = is_within_R & is_odd_R  # a segment has started: next are words, or its end
        is_closed_R = is_within_R & ~is_odd_R & is_time_RL[:, -1]  # a segment has ended: next is a start, or the end
        may_stamp_R = is_first_R | is_open_R | is_closed_R
        # The end of a segment is later than its start (+ 1); a start may equal the end of the segment before it.
        earliest_R = self._last_time(generated_RL, is_time_RL) + is_open_R
        earliest_R[is_first_R] = self.first_time
        time_T = np.arange(self.first_time, self.last_time + 1)
        is_late_RT = (time_T >= earliest_R[:, None]) & may_stamp_R[:, None]
        return (is_free_R | is_open_R)[:, None], is_free_R | is_closed_R, is_late_RT

    def _follows_start(self, generated_RL: Ids) -> Bools:
        """ESPnet recognises the first place by the start symbol three tokens before, wherever that is."""
        if generated_RL.shape[1] < 3:
            return np.zeros(len(generated_RL), dtype=bool)
        found: Bools = generated_RL[:, -3] == self.start
        return found

    def _last_time(self, generated_RL: Ids, is_time_RL: Bools) -> Ids:
        """The last timestamp of each row. Without any, the smallest value."""
        n = generated_RL.shape[1]
        behind_R = is_time_RL[:, ::-1].argmax(axis=1)
        last_R = np.where(is_time_RL.any(axis=1), n - 1 - behind_R, 0)
        found: Ids = generated_RL[np.arange(len(generated_RL)), last_R]
        return found
