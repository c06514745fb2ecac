"""What training needs of a recogniser beyond what decoding needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor, nn

from k2d.models.decoder_weights import awake
from k2d.models.interface import Memory, Part, Recogniser

Train = Literal["encoder", "decoder", "all"]

_TRAINED: Mapping[Train, frozenset[Part]] = {
    "encoder": frozenset({"encoder", "ctc_head"}),
    "decoder": frozenset({"decoder", "output_layer"}),
    "all": frozenset({"encoder", "ctc_head", "decoder", "output_layer"}),
}

BY_CTC: frozenset[Part] = frozenset({"encoder", "ctc_head"})
"""The parts that a CTC loss depends on."""
BY_TOKENS: frozenset[Part] = frozenset({"encoder", "decoder", "output_layer"})
"""The parts that a loss on the next token's probabilities depends on."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The parts that a loss depends on. Everything else is frozen: DDP waits for the gradient of every weight that
    learns."""

    parts: frozenset[Part]
    n_decoder_layers: int | None = None
    """How many decoder layers take part: the first ones and the last; None: all."""


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

    def classes(self, tokens: Tensor) -> Tensor:
        """The numbers that `logits` and `ctc_log_probs` give these tokens: their ids, unless many tokens share one.
        Negative ones, which carry no loss, stay as they are."""
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


def learning_parts(train: Train, reach: Reach) -> set[Part]:
    """The parts that learn: those that are to be trained and that the loss reaches.

    >>> sorted(learning_parts("all", Reach(BY_CTC))), sorted(learning_parts("decoder", Reach(BY_TOKENS)))
    (['ctc_head', 'encoder'], ['decoder', 'output_layer'])
    """
    return set(_TRAINED[train] & reach.parts)


def let_learn(recogniser: Trainable, learning: set[Part], n_decoder_layers: int | None = None) -> None:
    """Enable gradients for these parts alone, and in the decoder for the layers that take part."""
    for part, modules in recogniser.parts().items():
        for module in modules:
            module.requires_grad_(part in learning)
    layers = list(recogniser.decoder_layers())
    taking_part = {id(layer) for layer in awake(layers, n_decoder_layers)}
    for layer in layers:
        if id(layer) not in taking_part:
            layer.requires_grad_(False)
    if recogniser.freeze_positions:
        for positions in recogniser.positions():
            positions.requires_grad_(False)


def set_modes(recogniser: Trainable, learning: set[Part]) -> None:
    """Put parts that do not learn into inference mode: no dropout, no SpecAugment, no moving statistics."""
    recogniser.network.train("encoder" in learning)  # ESPnet masks features by the mode of the whole network
    for part, modules in recogniser.parts().items():
        for module in modules:
            module.train(part in learning)


def names_of(recogniser: Trainable, parts: set[Part]) -> list[str]:
    """The names of these parts' weights and buffers in the network's state."""
    wanted = {id(module) for part, modules in recogniser.parts().items() if part in parts for module in modules}
    prefixes = tuple(f"{name}." for name, module in recogniser.network.named_modules() if id(module) in wanted)
    return [name for name in recogniser.network.state_dict() if name.startswith(prefixes)]
