"""Whisper's rules for the next token, for all rows at once.

A text with timestamps is a row of segments `<start> words <end>`. The rules follow `ApplyTimestampRules` of
openai-whisper, which goes through the rows one by one; here each rule is one operation on all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from k2d.models.whisper.checkpoint import Generation
from k2d.models.whisper.codec import WINDOW, WhisperCodec

_NEVER = float("-inf")
_FIRST_TIME_AT_MOST_S = 1.0


@dataclass(frozen=True, slots=True)
class WhisperRules:
    """The rules by ids. The order of the vocabulary is: text, `end`, symbols, timestamps from `first_time` on."""

    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    first_time: int
    first_time_at_most: int
    no_times: int
    end: int

    @classmethod
    def of(cls, codec: WhisperCodec, generation: Generation) -> WhisperRules:
        """The rules of openai-whisper, except where the checkpoint has its own."""
        tokenizer = codec.tokenizer
        symbols = ("transcribe", "translate", "sot", "sot_prev", "sot_lm", "no_speech")
        never = {*_or(generation.suppressed, tokenizer.non_speech_tokens), *(getattr(tokenizer, s) for s in symbols)}
        at_most = generation.first_time_at_most
        return cls(
            suppressed=tuple(sorted(never)),
            suppressed_first=tuple(_or(generation.suppressed_first, [*tokenizer.encode(" "), codec.eos_id])),
            first_time=codec.first_time_id,
            first_time_at_most=round(_FIRST_TIME_AT_MOST_S / WINDOW.time_step_s) if at_most is None else at_most,
            no_times=tokenizer.no_timestamps,
            end=codec.eos_id,
        )

    def constrain(self, logits_RV: Tensor, generated_RL: Tensor, timestamps: bool) -> Tensor:
        """Log-probabilities of the tokens that may come next, and -inf for all others. At least in float32."""
        scores_RV = logits_RV.to(torch.promote_types(logits_RV.dtype, torch.float32), copy=True)
        is_first = generated_RL.shape[1] == 0
        scores_RV.index_fill_(1, _index(self.suppressed, scores_RV.device), _NEVER)
        if is_first:
            scores_RV.index_fill_(1, _index(self.suppressed_first, scores_RV.device), _NEVER)
        if not timestamps:
            return scores_RV.log_softmax(-1)
        scores_RV[:, self.no_times] = _NEVER
        if is_first:
            # A text begins with a timestamp within the first second: a later one would skip speech.
            scores_RV[:, : self.first_time] = _NEVER
            scores_RV[:, self.first_time + self.first_time_at_most + 1 :] = _NEVER
            return scores_RV.log_softmax(-1)
        self._pair(scores_RV, generated_RL)
        return self._preferring_times(scores_RV.log_softmax(-1))

    def _pair(self, scores_RV: Tensor, generated_RL: Tensor) -> None:
        """Times come in pairs, except before the end, and never go back. Each segment has a length."""
        is_time_RL = generated_RL >= self.first_time
        after_time_R = is_time_RL[:, -1]
        after_text_R = ~is_time_RL[:, -2] if generated_RL.shape[1] > 1 else torch.zeros_like(after_time_R)
        closes_R = after_time_R & after_text_R
        # After `words <end>` only the start of the next segment or the end of the text may follow: no words.
        scores_RV[:, : self.end].masked_fill_(closes_R.unsqueeze(1), _NEVER)
        # No timestamp lies before the last one. The start of a segment may equal the end of the one before it (closes),
        # but an end must be later than its start, or the next window would not move on.
        last_R = generated_RL.masked_fill(~is_time_RL, self.first_time - 1).amax(dim=1)
        has_time_R = last_R >= self.first_time
        earliest_R = torch.where(has_time_R, last_R + (~closes_R).long(), self.first_time) - self.first_time
        times_RT = scores_RV[:, self.first_time :]
        step_T = torch.arange(times_RT.shape[1], device=times_RT.device)
        # After a start (a time after a time, or the first token) there must be words before the next timestamp.
        may_not_RT = (step_T < earliest_R.unsqueeze(1)) | (after_time_R & ~after_text_R).unsqueeze(1)
        times_RT.masked_fill_(may_not_RT, _NEVER)

    def _preferring_times(self, log_probs_RV: Tensor) -> Tensor:
        """Allow only timestamps if all of them together are likelier than the likeliest text token.

        The probability that a segment ends here is spread over many neighbouring timestamps. So a word can be likelier
        than each timestamp although it is less likely than their sum.
        """
        text_RV, times_RT = log_probs_RV[:, : self.first_time], log_probs_RV[:, self.first_time :]
        of_times_R1 = times_RT.logsumexp(-1, keepdim=True)
        prefers_R1 = of_times_R1 > text_RV.amax(-1, keepdim=True)
        text_RV.masked_fill_(prefers_R1, _NEVER)
        times_RT.sub_(torch.where(prefers_R1, of_times_R1, 0.0))
        return log_probs_RV


@lru_cache(maxsize=8)
def _index(ids: tuple[int, ...], device: torch.device) -> Tensor:
    """The ids on the device, copied once and not at every step."""
    return torch.tensor(ids, dtype=torch.long, device=device)


def _or(own: Sequence[int] | None, default: Sequence[int]) -> Sequence[int]:
    return default if own is None else own
