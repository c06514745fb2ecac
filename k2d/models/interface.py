"""The interface of a recogniser for decoding, training and distillation, the same for all families.

Shapes are in the names: B windows, R rows being decoded (B windows × beams), L tokens, T frames of the encoder,
D features, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from k2d.models.codec import Codec, Reading, Request, Window, WindowSegment

__all__ = [
    "Codec",
    "ContextRecogniser",
    "Decoding",
    "Memory",
    "Part",
    "Reading",
    "Recogniser",
    "Request",
    "Started",
    "Trainable",
    "Window",
    "WindowInContext",
    "WindowSegment",
    "WindowWriter",
    "Written",
]


Part = Literal["encoder", "ctc_head", "decoder", "output_layer"]
"""Parts of a network that can be trained separately."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The encoder's output for a batch of windows, all of the full length. Padding counts as silence."""

    states_BTD: Tensor

    def __len__(self) -> int:
        return self.states_BTD.shape[0]

    def rows(self, index_B: Tensor) -> Memory:
        return Memory(self.states_BTD.index_select(0, index_B))


@dataclass(frozen=True, slots=True)
class WindowInContext:
    """A window with the audio around it."""

    speech_N: Tensor
    """The window's samples with a margin on both sides: the recording's audio, or silence beyond its end."""
    n_samples: int
    """The samples of the window itself."""
    loudest: float
    """The loudest place of the whole recording, by the recogniser's own measure."""


class Decoding(Protocol):
    """Windows in the middle of being decoded: everything that is computed once and kept.

    Cross-attention keys and values are kept once per window, however many beams share them; self-attention's once
    per row. Rows are grouped by window: row = window × n_beams + beam. One window has one beam until `fan_out`.
    """

    def step(self, tokens_R: Tensor) -> Tensor:
        """Append one token to every row; return the logits_RV of the next."""
        ...

    def keep(self, windows: Tensor) -> None:
        """Continue with these windows only (indices among the present ones, ascending)."""
        ...

    def fan_out(self, n_beams: int) -> None:
        """Repeat every row n_beams times."""
        ...

    def reorder(self, rows_R: Tensor) -> None:
        """Row i continues row rows_R[i]. Both belong to one window."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """A batch of windows whose prompts have been read."""

    decoding: Decoding
    logits_RV: Tensor
    """Of the first token after the prompt; one row per window."""
    silence_B: Tensor | None
    """Probability that nobody speaks, where the family has a token for it."""
    languages: tuple[str, ...]
    """Language of each window as the prompt has it: asked for, or guessed; empty where the family has none."""


class Recogniser(Protocol):
    """A trained network with its window, its codec and its rules. Ready for inference (`eval` mode) once loaded."""

    family: str
    window: Window
    network: nn.Module
    max_tokens: int
    """Longest sequence the decoder has positions for, prompt included."""

    @property
    def codec(self) -> Codec: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def encode(self, speech_BN: Tensor) -> Memory:
        """Samples (float32 in -1…1, at most a window; shorter is padded to it) to the encoder's output."""
        ...

    def logits(self, memory: Memory, tokens_BL: Tensor) -> Tensor:
        """Teacher-forced: logits_BLV, where position i predicts token i + 1. Causal, so right padding is harmless."""
        ...

    def hidden(self, memory: Memory, tokens_BL: Tensor) -> Tensor:
        """The decoder's last hidden_BLD, such that `output(hidden)` are the logits."""
        ...

    def output(self, hidden_ND: Tensor) -> Tensor:
        """The output layer alone: logits_NV."""
        ...

    def ctc_log_probs(self, memory: Memory) -> Tensor | None:
        """log_probs_BTV of the CTC head (blank is id `ctc_blank_id`), or None without one."""
        ...

    @property
    def ctc_blank_id(self) -> int | None: ...

    def start(self, memory: Memory, request: Request, previous_ids: Sequence[Sequence[int]] | None = None) -> Started:
        """Read the prompts (with the ids of the text before, per window, where given) into a new cache."""
        ...

    def constrain(self, logits_RV: Tensor, generated_RL: Tensor, request: Request) -> Tensor:
        """Log-probabilities of the next token by the family's rules; -inf for what may not follow the generated ids."""
        ...

    def n_parameters(self) -> Mapping[str, int]:
        """Number of parameters by part (`encoder`, `decoder`, `ctc`, …), adding up to the total."""
        ...

    def save(self, folder: Path) -> None:
        """Write a model folder of the family, which loads here and in the family's own library."""
        ...


class Trainable(Recogniser, Protocol):
    """A recogniser whose `encode`, `logits` and `ctc_log_probs` give gradients, and obey `network.train()`."""

    spec_augment: bool
    """Whether the encoder masks its features while it is trained."""

    n_awake_layers: int | None
    """How many decoder layers take part in training: the first ones and the last; None: all."""

    freeze_positions: bool
    """Whether the decoder's learnt positions stay as they are in training."""

    @property
    def skips_layers(self) -> bool:
        """Whether the encoder skips whole layers at random while it learns: they get no gradient in that step."""
        ...

    def restrict_vocabulary(self, ids_K: Tensor) -> None:
        """Let `output` rate these tokens alone (ascending) and no other token's row learn, until `restore_vocabulary`.
        Decoding, and a CTC head, know the whole vocabulary as before."""
        ...

    def restore_vocabulary(self) -> None:
        """Put the whole layers back: the rows of other tokens are as they were."""
        ...

    @property
    def n_classes(self) -> int:
        """How many classes `output` gives logits of."""
        ...

    def classes(self, tokens: Tensor) -> Tensor:
        """The numbers that `logits` and `ctc_log_probs` give these tokens: their ids, unless many tokens share one, or
        the vocabulary is restricted (then of `logits` alone). Negative ones, which carry no loss, stay as they are."""
        ...

    def encode_unpadded(self, speech_BN: Tensor, n_samples_B: Tensor) -> tuple[Memory, Tensor]:
        """The encoder's output for utterances of their own lengths (padded with zeros), and each one's frames."""
        ...

    def lean_on_ctc(self) -> None:
        """Initialise a new decoder from what the encoder has learnt by CTC."""
        ...

    def positions(self) -> Sequence[nn.Parameter]:
        """The decoder's position embeddings, if they are learnt."""
        ...

    def decoder_layers(self) -> Sequence[nn.Module]:
        """The decoder's layers, the first one first."""
        ...

    def parts(self) -> Mapping[Part, Sequence[nn.Module]]:
        """The network's modules by part, each once. `encoder` is everything before the decoder except the CTC head.
        `output_layer` has no modules of its own if the decoder's embedding is also the output layer."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """The text that an engine has decoded for a window, with its scores."""

    ids: tuple[int, ...]
    """Without prompt and end."""
    is_ended: bool
    """Whether the model ended the text; otherwise its budget was used up."""
    logprob: float
    """Sum over the ids, and the end."""
    silence: float
    """Probability that nobody speaks."""
    language: str


@runtime_checkable
class WindowWriter(Protocol):
    """A recogniser in an engine that shows no logits: it encodes as others do, and then decodes whole windows."""

    def write(
        self,
        memory: Memory,
        request: Request,
        previous: Sequence[Sequence[int]],
        budgets: Sequence[int],
        *,
        beam: int,
    ) -> list[Written]:
        """Decode the windows by the family's rules, with the ids of the text before each; nothing is drawn."""
        ...


@runtime_checkable
class ContextRecogniser(Protocol):
    """A recogniser whose features of a window depend on the recording around it, which long-form decoding passes."""

    margin_s: float
    """How much of the audio before and behind a window its features depend on."""

    def loudest(self, speech_N: Tensor) -> float:
        """The loudest place of a stretch with margins; a recording's is the largest of its stretches."""
        ...

    def encode_in_context(self, windows: Sequence[WindowInContext]) -> Memory: ...
