"""ESPnet's rules for timestamps (its ScoreFilter), for all rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class TimeRules:
    """What may follow what was generated, by the ids of the symbols."""

    first_time: int
    last_time: int
    no_times: int
    start: int
    end: int

    def constrain(self, logits_RV: Tensor, generated_RL: Tensor, timestamps: bool) -> Tensor:
        """Log-probabilities, -inf for what may not come next. At least in float32."""
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
        is_time_RL = (generated_RL >= self.first_time) & (generated_RL <= self.last_time)
        is_odd_R = is_time_RL.sum(dim=1) % 2 == 1
        is_free_R = (generated_RL == self.no_times).any(dim=1)
        is_first_R = self._follows_start(generated_RL) & ~is_free_R
        is_within_R = ~is_free_R & ~is_first_R
        is_open_R = is_within_R & is_odd_R  # a segment has begun
        is_closed_R = is_within_R & ~is_odd_R & is_time_RL[:, -1]  # one has just ended

        may_speak_R = is_free_R | is_open_R
        may_end_R = is_free_R | is_closed_R
        may_stamp_R = is_first_R | is_open_R | is_closed_R
        earliest_R = self._last_time(generated_RL, is_time_RL) - self.first_time + is_open_R.long()
        earliest_R = earliest_R.masked_fill(is_first_R, 0)

        times_RT, end_R = self._times(log_probs_RV), log_probs_RV[:, self.end]
        step_T = torch.arange(times_RT.shape[1], device=times_RT.device)
        is_allowed_RT = (step_T >= earliest_R.unsqueeze(1)) & may_stamp_R.unsqueeze(1)
        allowed_RV = log_probs_RV.masked_fill(~may_speak_R.unsqueeze(1), _NEVER)
        self._times(allowed_RV).copy_(times_RT.masked_fill(~is_allowed_RT, _NEVER))
        allowed_RV[:, self.end] = end_R.masked_fill(~may_end_R, _NEVER)
        return allowed_RV

    def _follows_start(self, generated_RL: Tensor) -> Tensor:
        """ESPnet knows the first place by the start symbol three tokens before, wherever that stands."""
        if generated_RL.shape[1] < 3:
            return torch.zeros(len(generated_RL), dtype=torch.bool, device=generated_RL.device)
        return generated_RL[:, -3] == self.start

    def _last_time(self, generated_RL: Tensor, is_time_RL: Tensor) -> Tensor:
        """The last timestamp of each row; without any, what comes first."""
        place_L = torch.arange(1, generated_RL.shape[1] + 1, device=generated_RL.device)
        last_R1 = (is_time_RL * place_L).argmax(dim=1, keepdim=True)
        return generated_RL.gather(1, last_R1).squeeze(1)
