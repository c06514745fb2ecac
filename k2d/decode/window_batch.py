"""A batch of windows through a recogniser: encode once, then search. What long-form decoding and clips share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from k2d.core.errors import UsageError
from k2d.data.audio.decoders import Samples
from k2d.decode.beam import beam_search
from k2d.decode.ctc import PrefixScorer, best_paths
from k2d.decode.fallback import Draws, is_doubtful, is_silent
from k2d.decode.greedy import greedy
from k2d.decode.options import Options
from k2d.decode.search import Decoded, IsLoop, LoopWatch, Search
from k2d.models.interface import Memory, Recogniser, Request, Situated, SituatedRecogniser, Started

_ENCODED_AT_ONCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """A window of audio (mono, at the model's rate), and the ids of the text before it."""

    samples: Samples
    previous_ids: tuple[int, ...] = ()
    situated: Situated | None = None
    """As a part of its recording, for recognisers that want to know."""
    key: str = ""
    """Names the window's place: what is drawn for it at a temperature depends on this alone."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """A recogniser with the options of decoding; call it on a batch of windows."""

    recogniser: Recogniser
    options: Options
    is_loop: IsLoop | None = None

    @property
    def previous_room(self) -> int:
        """How many ids of previous text a prompt may hold: half of the decoder's positions."""
        return self.recogniser.max_tokens // 2

    @torch.inference_mode()
    def __call__(self, looks: Sequence[Look]) -> list[Decoded]:
        memory = self._encoded(looks)
        if self.options.mode == "ctc":
            return best_paths(*self._ctc(memory))
        decoded, silence = self._decoded(looks, memory, self.options.temperatures[0])
        for temperature in self.options.temperatures[1:]:
            doubtful = [
                n
                for n, heard in enumerate(decoded)
                if is_doubtful(heard, silence[n], self.recogniser.codec, self.options)
            ]
            if not doubtful:
                break
            rows = memory.rows(torch.tensor(doubtful, device=memory.states_BTD.device))
            again, _ = self._decoded([looks[n] for n in doubtful], rows, temperature)
            for place, heard in zip(doubtful, again, strict=True):
                decoded[place] = heard
        return [_silenced(each, p, self.options) for each, p in zip(decoded, silence, strict=True)]

    def _decoded(self, looks: Sequence[Look], memory: Memory, temperature: float) -> tuple[list[Decoded], list[float]]:
        """The windows at a temperature, and how likely nobody speaks in each."""
        previous = [look.previous_ids for look in looks]
        started = self.recogniser.start(memory, self._request, previous if any(previous) else None)
        silence = [0.0] * len(looks) if started.silence_B is None else started.silence_B.tolist()
        decoded = [Decoded((), "silence")] * len(looks)
        if speaking := self._speaking(silence):
            found = self._searched([looks[n] for n in speaking], *_only(started, memory, speaking), temperature)
            for place, heard in zip(speaking, found, strict=True):
                decoded[place] = heard
        languages = started.languages or [""] * len(looks)
        told = zip(decoded, languages, strict=True)
        return [replace(heard, language=language, temperature=temperature) for heard, language in told], silence

    @property
    def _request(self) -> Request:
        return Request(self.options.languages, self.options.timestamps)

    def _encoded(self, looks: Sequence[Look]) -> Memory:
        """On a CPU a few windows at a time: as fast, and sixteen of half a minute would take gigabytes at once."""
        size = len(looks)
        if self.recogniser.device.type == "cpu":
            size = max(1, round(_ENCODED_AT_ONCE_S / self.recogniser.window.length_s))
        parts = [looks[first : first + size] for first in range(0, len(looks), size)]
        return Memory(torch.cat([self._memory(part).states_BTD for part in parts]))

    def _memory(self, looks: Sequence[Look]) -> Memory:
        situated = [look.situated for look in looks if look.situated is not None]
        if situated and isinstance(self.recogniser, SituatedRecogniser):
            return self.recogniser.encode_situated(situated)
        return self.recogniser.encode(self._speech(looks))

    def _speech(self, looks: Sequence[Look]) -> Tensor:
        samples = [torch.from_numpy(look.samples) for look in looks]
        return pad_sequence(samples, batch_first=True).to(self.recogniser.device)

    def _speaking(self, silence: Sequence[float]) -> list[int]:
        """The windows that are worth decoding. Where doubt in the text has a say in silence, they all are."""
        threshold = self.options.silence_threshold
        if threshold is None or self.options.logprob_threshold is not None:
            return list(range(len(silence)))
        return [n for n, p in enumerate(silence) if p <= threshold]

    def _searched(self, looks: Sequence[Look], started: Started, memory: Memory, temperature: float) -> list[Decoded]:
        budgets = self._budgets(looks)
        draws = Draws([look.key for look in looks], temperature, max(budgets)) if temperature else None
        search = Search(self.recogniser, self._request, budgets, self._loop_watch(looks), draws)
        if draws is not None:
            return greedy(started.decoding, started.logits_RV, search)
        if self.options.mode == "joint":
            prefixes = self._prefixes(memory)
            return beam_search(started.decoding, started.logits_RV, search, self.options.beam, prefixes)
        if self.options.beam > 1:
            return beam_search(started.decoding, started.logits_RV, search, self.options.beam)
        return greedy(started.decoding, started.logits_RV, search)

    def _budgets(self, looks: Sequence[Look]) -> list[int]:
        """Tokens that a window may have: the option's, or what the decoder has room for behind the prompt."""
        room = self.recogniser.max_tokens - self._n_prompt
        rooms = [room - len(look.previous_ids) - bool(look.previous_ids) for look in looks]
        return [max(1, min(self.options.max_tokens, room)) for room in rooms]

    @property
    def _n_prompt(self) -> int:
        return self.recogniser.codec.label("", self._request)[1]

    def _loop_watch(self, looks: Sequence[Look]) -> LoopWatch | None:
        if self.is_loop is None:
            return None
        audio_s = [len(look.samples) / self.recogniser.window.rate_hz for look in looks]
        return LoopWatch(self.recogniser.codec, self.is_loop, audio_s)

    def _prefixes(self, memory: Memory) -> PrefixScorer:
        log_probs_BTV, blank_id = self._ctc(memory)
        return PrefixScorer(
            log_probs_BTV,
            self.options.beam,
            blank_id=blank_id,
            eos_id=self.recogniser.codec.eos_id,
            weight=self.options.ctc_weight,
            first_frame=0 if self.options.timestamps else self._n_prompt - 1,
            unspoken=self._times() if self.options.timestamps else range(0),
        )

    def _times(self) -> range:
        """The ids of timestamps."""
        first, last = self.recogniser.codec.ids(f"<0.00><{self.recogniser.window.length_s:.2f}>")
        return range(first, last + 1)

    def _ctc(self, memory: Memory) -> tuple[Tensor, int]:
        log_probs_BTV, blank_id = self.recogniser.ctc_log_probs(memory), self.recogniser.ctc_blank_id
        if log_probs_BTV is None or blank_id is None:
            message = f"decoding: mode {self.options.mode} needs a CTC head, and this model has none"
            raise UsageError(f"{message} (family {self.recogniser.family}); use mode attention")
        return log_probs_BTV, blank_id


def _silenced(decoded: Decoded, silence: float, options: Options) -> Decoded:
    """Nothing was said where the model, or its doubt, says that nobody speaks."""
    if decoded.ended == "silence" or not is_silent(decoded, silence, options):
        return decoded
    return Decoded((), "silence", language=decoded.language)


def _only(started: Started, memory: Memory, windows: Sequence[int]) -> tuple[Started, Memory]:
    """Go on with these windows."""
    if len(windows) == len(started.logits_RV):
        return started, memory
    index = torch.tensor(windows, device=started.logits_RV.device)
    started.decoding.keep(index)
    return replace(started, logits_RV=started.logits_RV[index]), memory.rows(index)
