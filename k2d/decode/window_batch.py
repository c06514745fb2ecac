"""Decode a batch of windows: encode once, then search. Used for long recordings and clips."""

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
from k2d.models.interface import ContextRecogniser, Memory, Recogniser, Request, Started, WindowInContext

_ENCODED_AT_ONCE_S = 60.0


@dataclass(frozen=True, slots=True)
class WindowInput:
    """A window of audio (mono, at the model's rate), and the ids of the text before it."""

    samples: Samples
    previous_ids: tuple[int, ...] = ()
    in_context: WindowInContext | None = None
    """The window with the audio around it, for recognisers whose features depend on that."""
    key: str = ""
    """The name of the window's place. Random numbers for the window depend on it alone."""


@dataclass(frozen=True, slots=True)
class WindowDecoder:
    """A recogniser and the options of decoding. Call it with a batch of windows."""

    recogniser: Recogniser
    options: Options
    is_loop: IsLoop | None = None

    @property
    def previous_room(self) -> int:
        """The number of ids of previous text that fit into a prompt: half of the decoder's positions, as in Whisper."""
        return self.recogniser.max_tokens // 2

    @torch.inference_mode()
    def __call__(self, windows: Sequence[WindowInput]) -> list[Decoded]:
        """Decode the windows. Doubtful text is decoded again at the next temperature, until none is doubtful."""
        options, codec = self.options, self.recogniser.codec
        memory = self._encode(windows)
        if options.mode == "ctc":
            return best_paths(*self._ctc(memory))
        decoded, silence = self._decode(windows, memory, options.temperatures[0])
        for temperature in options.temperatures[1:]:
            doubtful = [n for n, each in enumerate(decoded) if is_doubtful(each, silence[n], codec, options)]
            if not doubtful:
                break
            # Only the search is repeated: the encoder's output for these windows is still in memory.
            rows = memory.rows(torch.tensor(doubtful, device=memory.states_BTD.device))
            again, _ = self._decode([windows[n] for n in doubtful], rows, temperature)
            for place, each in zip(doubtful, again, strict=True):
                decoded[place] = each
        for place, each in enumerate(decoded):
            if each.ended != "silence" and is_silent(each, silence[place], options):
                decoded[place] = Decoded((), "silence", language=each.language, no_speech=each.no_speech)
        return decoded

    @torch.inference_mode()
    def ctc_log_probs(self, windows: Sequence[WindowInput]) -> tuple[Tensor, int]:
        """The CTC head's log_probs_BTV of the windows, and its blank. UsageError if the model has no such head."""
        return self._ctc(self._encode(windows))

    def _decode(
        self, windows: Sequence[WindowInput], memory: Memory, temperature: float
    ) -> tuple[list[Decoded], list[float]]:
        """Decode the windows at one temperature. Also returns the probability of silence in each."""
        previous = [window.previous_ids for window in windows]
        started = self.recogniser.start(memory, self._request, previous if any(previous) else None)
        silence = [0.0] * len(windows) if started.silence_B is None else started.silence_B.tolist()
        decoded = [Decoded((), "silence")] * len(windows)
        if chosen := self._worth_decoding(silence):  # skipped windows leave the batch before the search
            started, memory = _rows_of(started, memory, chosen)
            found = self._search([windows[n] for n in chosen], started, memory, temperature)
            for place, each in zip(chosen, found, strict=True):
                decoded[place] = each
        languages = started.languages or [""] * len(windows)
        stated = [None] * len(windows) if started.silence_B is None else [round(p, 2) for p in silence]
        rows = zip(decoded, languages, stated, strict=True)
        return [replace(each, language=lang, temperature=temperature, no_speech=p) for each, lang, p in rows], silence

    @property
    def _request(self) -> Request:
        return Request(self.options.languages, self.options.timestamps)

    def _encode(self, windows: Sequence[WindowInput]) -> Memory:
        size = len(windows)
        # A CPU encodes a few windows at a time as fast as all together, and the attention weights of sixteen windows of
        # 30 s would take gigabytes.
        if self.recogniser.device.type == "cpu":
            size = max(1, round(_ENCODED_AT_ONCE_S / self.recogniser.window.length_s))
        parts = [windows[first : first + size] for first in range(0, len(windows), size)]
        return Memory(torch.cat([self._encode_part(part).states_BTD for part in parts]))

    def _encode_part(self, windows: Sequence[WindowInput]) -> Memory:
        in_context = [window.in_context for window in windows if window.in_context is not None]
        if in_context and isinstance(self.recogniser, ContextRecogniser):
            return self.recogniser.encode_in_context(in_context)
        samples = [torch.from_numpy(window.samples) for window in windows]
        return self.recogniser.encode(pad_sequence(samples, batch_first=True).to(self.recogniser.device))

    def _worth_decoding(self, silence: Sequence[float]) -> list[int]:
        """The windows to decode: silent ones are skipped, unless the silence rule also needs the text's confidence."""
        threshold = self.options.silence_threshold
        if threshold is None or self.options.logprob_threshold is not None:
            return list(range(len(silence)))
        return [n for n, p in enumerate(silence) if p <= threshold]

    def _search(
        self, windows: Sequence[WindowInput], started: Started, memory: Memory, temperature: float
    ) -> list[Decoded]:
        budgets = self._budgets(windows)
        draws = Draws([window.key for window in windows], temperature, max(budgets)) if temperature else None
        search = Search(self.recogniser, self._request, budgets, self._loop_watch(windows), draws)
        # As in Whisper, one sample is taken without a beam at a temperature above 0, whatever the options are.
        if draws is not None:
            return greedy(started.decoding, started.logits_RV, search)
        if self.options.mode == "joint":
            prefixes = self._prefix_scorer(memory)
            return beam_search(started.decoding, started.logits_RV, search, self.options.beam, prefixes)
        if self.options.beam > 1:
            return beam_search(started.decoding, started.logits_RV, search, self.options.beam)
        return greedy(started.decoding, started.logits_RV, search)

    def _budgets(self, windows: Sequence[WindowInput]) -> list[int]:
        """The largest number of tokens of each window: the option, or the decoder positions that the prompt leaves."""
        room = self.recogniser.max_tokens - self._n_prompt
        # Previous text needs one more position, for the token that introduces it.
        rooms = [room - len(window.previous_ids) - bool(window.previous_ids) for window in windows]
        return [max(1, min(self.options.max_tokens, room)) for room in rooms]

    @property
    def _n_prompt(self) -> int:
        return self.recogniser.codec.label("", self._request)[1]

    def _loop_watch(self, windows: Sequence[WindowInput]) -> LoopWatch | None:
        if self.is_loop is None:
            return None
        audio_s = [len(window.samples) / self.recogniser.window.rate_hz for window in windows]
        return LoopWatch(self.recogniser.codec, self.is_loop, audio_s)

    def _prefix_scorer(self, memory: Memory) -> PrefixScorer:
        log_probs_BTV, blank_id = self._ctc(memory)
        codec, with_times = self.recogniser.codec, self.options.timestamps
        first_time, last_time = codec.ids(f"<0.00><{self.recogniser.window.length_s:.2f}>") if with_times else (0, -1)
        return PrefixScorer(
            log_probs_BTV,
            self.options.beam,
            blank_id=blank_id,
            eos_id=codec.eos_id,
            weight=self.options.ctc_weight,
            first_frame=0 if with_times else self._n_prompt - 1,
            unspoken=range(first_time, last_time + 1),
        )

    def _ctc(self, memory: Memory) -> tuple[Tensor, int]:
        log_probs_BTV, blank_id = self.recogniser.ctc_log_probs(memory), self.recogniser.ctc_blank_id
        if log_probs_BTV is None or blank_id is None:
            message = f"decoding: mode {self.options.mode} needs a CTC head, and this model has none"
            raise UsageError(f"{message} (family {self.recogniser.family}); use mode attention")
        return log_probs_BTV, blank_id


def _rows_of(started: Started, memory: Memory, windows: Sequence[int]) -> tuple[Started, Memory]:
    """The rows of these windows. If they are all windows, nothing is copied."""
    if len(windows) == len(started.logits_RV):
        return started, memory
    index = torch.tensor(windows, device=started.logits_RV.device)
    started.decoding.keep(index)
    return replace(started, logits_RV=started.logits_RV[index]), memory.rows(index)
