"""Whisper on CTranslate2 (faster-whisper's engine), which decodes whole windows and returns no logits.

Features, prompts, rules and the choice of the next window are those of the Whisper family in torch, so both engines
write the same text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import shown
from k2d.models.interface import Memory, Request, Written
from k2d.models.whisper.checkpoint import Generation
from k2d.models.whisper.checkpoint_files import RULES, read_rules, read_whisper
from k2d.models.whisper.codec import WhisperCodec, codec_of
from k2d.models.whisper.ctranslate2_files import read_ctranslate2_facts
from k2d.models.whisper.dims import BINARY, WhisperDims, n_parameters
from k2d.models.whisper.frontend import WhisperFrontend
from k2d.models.whisper.timestamp_rules import WhisperRules

DIMS = "dims.json"
COMPUTE_TYPES = {"fp32": "float32", "fp16": "float16", "int8": "int8", "int8_fp16": "int8_float16"}
"""CTranslate2's names, by those of the config."""


def write_facts(folder: Path, model: Path) -> None:
    """Write the sizes and rules of a model into the converted folder, whose own files do not hold them."""
    weights = read_whisper(model)
    write_text(folder / DIMS, json.dumps(weights.dims.as_dict()) + "\n")
    write_text(folder / RULES, json.dumps(weights.generation.as_dict()) + "\n")


def is_converted(model: Path) -> bool:
    """Whether the engine can load a model without conversion: a CTranslate2 folder with a complete config.

    The engine suppresses the first blank and guesses languages by the ids in `config.json`. Some converters did not
    write these ids, or wrote wrong ones for the languages.
    """
    if not (model / BINARY).is_file():
        return False
    facts = read_ctranslate2_facts(model)
    languages = set(WhisperCodec(facts.dims).language_ids.values())
    return facts.generation.suppressed_first is not None and (not languages or languages == set(facts.language_ids))


class CTranslate2Whisper(WhisperFrontend):
    """A converted model with its codec."""

    family = "whisper"
    ctc_blank_id = None

    def __init__(self, model: Any, codec: WhisperCodec, dims: WhisperDims, generation: Generation) -> None:
        self._model, self.codec, self.dims = model, codec, dims
        self.max_tokens = dims.n_text_ctx
        self._rules = WhisperRules.of(codec, generation)

    @property
    def device(self) -> torch.device:
        name = self._model.device
        return torch.device(name, self._model.device_index[0]) if name == "cuda" else torch.device(name)

    def n_parameters(self) -> Mapping[str, int]:
        return n_parameters(self.dims)

    def ctc_log_probs(self, memory: Memory) -> Tensor | None:
        return None

    def encoded(self, features_MF: Sequence[Tensor]) -> Memory:
        with _reporting_out_of_memory():
            states = self._model.encode(_storage(torch.stack(list(features_MF))))
        on_gpu = states.device == "cuda"
        return Memory(torch.as_tensor(states, device=self.device) if on_gpu else torch.from_numpy(np.array(states)))

    def write(
        self,
        memory: Memory,
        request: Request,
        previous: Sequence[Sequence[int]],
        budgets: Sequence[int],
        *,
        beam: int,
    ) -> list[Written]:
        """Decode windows in groups. CTranslate2 needs prompts of one length and one budget in a batch."""
        languages, guessed = self._languages(memory, request)
        prompts = [self.codec.prompt(request, ids, token) for ids, token in zip(previous, guessed, strict=True)]
        places = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), budgets[place]))
        found: dict[int, Written] = {}
        for (n_prompt, budget), group in groupby(places, key=lambda place: (len(prompts[place]), budgets[place])):
            alike = list(group)
            results = self._generated(
                memory.rows(torch.tensor(alike, device=memory.states_BTD.device)),
                [prompts[place] for place in alike],
                max_length=max_length(budget, n_prompt),
                max_initial_timestamp_index=self._rules.first_time_at_most,
                beam_size=beam,
            )
            for place, result in zip(alike, results, strict=True):
                found[place] = _written(result, budget, languages[place])
        return [found[place] for place in range(len(prompts))]

    def _generated(self, memory: Memory, prompts: Sequence[Sequence[int]], **options: Any) -> list[Any]:
        with _reporting_out_of_memory():
            results: list[Any] = self._model.generate(
                _storage(memory.states_BTD),
                [list(prompt) for prompt in prompts],
                return_scores=True,
                return_no_speech_prob=True,
                suppress_tokens=list(self._rules.suppressed),
                **options,
            )
        return results

    def _languages(self, memory: Memory, request: Request) -> tuple[list[str], list[int | None]]:
        """Each window's language, and its token if it was guessed."""
        given, ids = self.codec.prompt_languages(request), self.codec.language_ids
        if given or not ids:
            return ["+".join(given) or "en"] * len(memory), [None] * len(memory)
        with _reporting_out_of_memory():
            ranked = self._model.detect_language(_storage(memory.states_BTD))
        names = [each[0][0].strip("<|>") for each in ranked]
        return names, [ids[name] for name in names]


def _written(result: Any, budget: int, language: str) -> Written:
    """Convert a result. CTranslate2's score is the mean over the tokens that it wrote, without the end."""
    ids = tuple(result.sequences_ids[0])
    logprob = float(result.scores[0]) * max(1, len(ids))
    return Written(ids, len(ids) < budget, logprob, float(result.no_speech_prob), language)


def max_length(n_tokens: int, n_prompt: int) -> int:
    """The `max_length` with which CTranslate2 writes at most this many tokens.

    It halves the number, as Whisper halves its positions, or subtracts the prompt without its last token.

    >>> max_length(224, 3), max_length(8, 20)
    (448, 27)
    """
    return max(2 * n_tokens, n_prompt - 1 + n_tokens)


def _storage(tensor: Tensor) -> Any:
    import ctranslate2

    kept = tensor.contiguous()
    return ctranslate2.StorageView.from_array(kept.numpy() if kept.device.type == "cpu" else kept)


@contextmanager
def _reporting_out_of_memory() -> Iterator[None]:
    """Raise torch's error if memory runs out, so that smaller batches are tried as in torch."""
    try:
        yield
    except RuntimeError as error:
        if "out of memory" in str(error):
            raise torch.OutOfMemoryError(str(error)) from error
        raise


def check_compute_type(compute_type: str, device: str, key: str) -> None:
    """Refuse a compute type that the device does not support, before any work. `key` is the user's setting."""
    import ctranslate2

    kind = device.partition(":")[0]
    possible = ctranslate2.get_supported_compute_types(kind)
    if COMPUTE_TYPES[compute_type] not in possible:
        fitting = ", ".join(ours for ours, theirs in COMPUTE_TYPES.items() if theirs in possible)
        raise UsageError(f"{key}: found {compute_type}, expected a type that this {kind} supports: {fitting}")


def load(
    folder: Path, device: str, compute_type: str, languages: Sequence[str] = (), n_threads: int = 0
) -> CTranslate2Whisper:
    """Load a CTranslate2 folder, converted here or elsewhere. CTranslate2 chooses the number of threads if it is 0.

    The weights can be stored in any type: CTranslate2 converts them to the compute type.
    """
    import ctranslate2

    check_compute_type(compute_type, device, "decode.compute_type")
    dims, generation = _facts(folder)
    kind, _, index = device.partition(":")
    try:
        model = ctranslate2.models.Whisper(
            str(folder),
            device=kind,
            device_index=int(index or 0),
            compute_type=COMPUTE_TYPES[compute_type],
            intra_threads=n_threads,
        )
    except RuntimeError as error:
        remedy = "remove the folder, it is made again" if (folder / DIMS).is_file() else "convert the model again"
        raise K2DError(f"{shown(folder)}: CTranslate2 cannot load it: {error}; {remedy}") from error
    return CTranslate2Whisper(model, codec_of(dims, generation, languages), dims, generation)


def _facts(folder: Path) -> tuple[WhisperDims, Generation]:
    """Sizes and rules: from `write_facts` if the folder was converted here, otherwise from its own files."""
    if not (folder / DIMS).is_file():
        facts = read_ctranslate2_facts(folder)
        return facts.dims, facts.generation
    dims = WhisperDims(**json.loads((folder / DIMS).read_text(encoding="utf-8")))
    return dims, read_rules(folder / RULES)
