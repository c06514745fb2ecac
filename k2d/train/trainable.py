"""What training asks of a recogniser beyond what decoding does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from torch import Tensor, nn

from k2d.models.recogniser import Memory, Recogniser

Part = Literal["encoder", "decoder"]


class Trainable(Recogniser, Protocol):
    """A recogniser whose `encode`, `logits` and `ctc_log_probs` give gradients, and obey `network.train()`."""

    spec_augment: bool
    """Whether the encoder masks what it hears while it is trained."""

    n_awake_layers: int | None
    """How many decoder layers take part in training: the first ones and the last; None: all."""

    freeze_positions: bool
    """Whether the decoder's learnt positions stay as they are in training."""

    def classes(self, tokens: Tensor) -> Tensor:
        """The numbers that `logits` and `ctc_log_probs` give these tokens: their ids, unless many tokens share one.
        Negative ones, which carry no loss, stay as they are."""
        ...

    def encode_unpadded(self, speech_BN: Tensor, n_samples_B: Tensor) -> tuple[Memory, Tensor]:
        """The encoder's output of utterances as long as they are (zeros behind), and how many frames of each count."""
        ...

    def lean_on_ctc(self) -> None:
        """Let a new decoder begin with what the encoder has learnt by CTC."""
        ...

    def positions(self) -> Sequence[nn.Parameter]:
        """The decoder's positions, where they are learnt."""
        ...

    def parts(self) -> Mapping[Part, Sequence[nn.Module]]:
        """The network's modules by part, each once: `encoder` is all before the decoder, with the CTC head."""
        ...


def learning_parts(recogniser: Trainable, train: Literal["encoder", "decoder", "all"]) -> set[Part]:
    """Which parts learn where `train` says so."""
    return {part for part in recogniser.parts() if train in (part, "all")}


def let_learn(recogniser: Trainable, learning: set[Part]) -> None:
    """Gradients for these parts alone."""
    for part, modules in recogniser.parts().items():
        for module in modules:
            module.requires_grad_(part in learning)
    if recogniser.freeze_positions:
        for positions in recogniser.positions():
            positions.requires_grad_(False)


def set_modes(recogniser: Trainable, learning: set[Part]) -> None:
    """A part that does not learn is as in inference: no dropout, no SpecAugment, no moving statistics."""
    recogniser.network.train("encoder" in learning)  # ESPnet asks the whole network before it masks the features
    for part, modules in recogniser.parts().items():
        for module in modules:
            module.train(part in learning)


def names_of(recogniser: Trainable, parts: set[Part]) -> list[str]:
    """The names of these parts' weights and buffers in the network's state."""
    wanted = {id(module) for part, modules in recogniser.parts().items() if part in parts for module in modules}
    prefixes = tuple(f"{name}." for name, module in recogniser.network.named_modules() if id(module) in wanted)
    return [name for name in recogniser.network.state_dict() if name.startswith(prefixes)]
