"""How well a label fits its audio by a CTC head. One pass of the encoder, and no text is decoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from k2d.decode.clips import read_clip
from k2d.decode.ctc import best_paths
from k2d.decode.options import Options
from k2d.decode.sources import Clip, Failed
from k2d.decode.window_batch import WindowDecoder
from k2d.models.interface import Recogniser


@dataclass(frozen=True, slots=True)
class AlignedLabel:
    """The log-probabilities that a CTC head gives to a label and to its own text for the same clip."""

    id: str
    duration_s: float
    n_tokens: int
    """The label's."""
    n_own_tokens: int
    logprob: float | None
    """Of the label, summed over all alignments. None: it has more tokens than the clip can hold."""
    own_logprob: float
    """The same of the text that the head's best path spells."""

    @property
    def distance(self) -> float:
        """How much less likely the label is than the head's own text: d / (1 + d), with d in nats per token.

        >>> AlignedLabel("c1", 3.0, 2, 1, logprob=-5.0, own_logprob=-3.0).distance
        0.5
        >>> AlignedLabel("c1", 3.0, 2, 1, logprob=-1.0, own_logprob=-3.0).distance
        0.0
        """
        if self.logprob is None:
            return 1.0
        per_token = max(self.own_logprob - self.logprob, 0.0) / max(self.n_tokens, self.n_own_tokens, 1)
        # Weak heads are tens of nats away from every label. A ratio of probabilities would be 0 for all of them.
        return per_token / (1 + per_token)


def align_labels(
    recogniser: Recogniser,
    clips: Sequence[Clip],
    labels: Mapping[str, str],
    batch_size: int,
    on_clip: Callable[[Clip], None] = lambda _: None,
) -> Iterator[AlignedLabel | Failed]:
    """Yield the alignment of each clip with its label (by id), in the given order, or a Failed for unreadable audio."""
    encode = WindowDecoder(recogniser, Options(batch_size=batch_size, mode="ctc", timestamps=False))
    for first in range(0, len(clips), batch_size):
        batch = clips[first : first + batch_size]
        windows = {clip.id: read_clip(clip, recogniser) for clip in batch}
        read = {clip_id: window for clip_id, window in windows.items() if not isinstance(window, Failed)}
        log_probs_of: dict[str, Tensor] = {}
        if read:
            log_probs_BTV, blank_id = encode.ctc_log_probs(list(read.values()))
            log_probs_of = dict(zip(read, log_probs_BTV, strict=True))
        for clip in batch:
            on_clip(clip)
            window = windows[clip.id]
            if isinstance(window, Failed):
                yield window
                continue
            duration_s = len(window.samples) / recogniser.window.rate_hz
            yield aligned(clip.id, duration_s, recogniser.codec.ids(labels[clip.id]), log_probs_of[clip.id], blank_id)


def aligned(clip_id: str, duration_s: float, ids: Sequence[int], log_probs_TV: Tensor, blank_id: int) -> AlignedLabel:
    """The log-probabilities of the ids, and of the best path's."""
    (own,) = best_paths(log_probs_TV.unsqueeze(0), blank_id)
    logprob, own_logprob = (_logprob(log_probs_TV, each, blank_id) for each in (ids, own.ids))
    known = logprob if math.isfinite(logprob) else None
    return AlignedLabel(clip_id, duration_s, len(ids), len(own.ids), known, own_logprob)


def _logprob(log_probs_TV: Tensor, ids: Sequence[int], blank_id: int) -> float:
    """log P(ids | audio), the sum over all alignments. -inf if the ids do not fit into the frames."""
    # In float64, and clip by clip, so that the result depends neither on the batch nor on its longest label.
    log_probs_T1V = log_probs_TV.double().unsqueeze(1)
    n_frames, n_tokens = torch.tensor([len(log_probs_TV)]), torch.tensor([len(ids)])
    targets = torch.tensor([list(ids)], dtype=torch.long, device=log_probs_TV.device)
    loss = functional.ctc_loss(log_probs_T1V, targets, n_frames, n_tokens, blank=blank_id, reduction="sum")
    return -float(loss)
