"""The parts of a recogniser that are trained in a phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from k2d.models.decoder_weights import awake
from k2d.models.interface import Part, Trainable

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
    """The parts that a loss depends on. Everything else is frozen, because DDP waits for the gradient of every trained
    weight."""

    parts: frozenset[Part]
    n_decoder_layers: int | None = None
    """The number of decoder layers that take part: the first ones and the last. None: all."""


def learning_parts(train: Train, reach: Reach) -> set[Part]:
    """The parts that are trained: those that the phase trains and that the loss depends on.

    >>> sorted(learning_parts("all", Reach(BY_CTC))), sorted(learning_parts("decoder", Reach(BY_TOKENS)))
    (['ctc_head', 'encoder'], ['decoder', 'output_layer'])
    """
    return set(_TRAINED[train] & reach.parts)


def let_learn(recogniser: Trainable, learning: set[Part], n_decoder_layers: int | None = None) -> None:
    """Enable gradients only for these parts, and in the decoder only for the layers that take part."""
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
    """Put parts that are not trained into inference mode: no dropout, no SpecAugment, no moving statistics."""
    recogniser.network.train("encoder" in learning)  # ESPnet masks features by the mode of the whole network
    for part, modules in recogniser.parts().items():
        for module in modules:
            module.train(part in learning)


def names_of(recogniser: Trainable, parts: set[Part]) -> list[str]:
    """The names of these parts' weights and buffers in the network's state."""
    wanted = {id(module) for part, modules in recogniser.parts().items() if part in parts for module in modules}
    prefixes = tuple(f"{name}." for name, module in recogniser.network.named_modules() if id(module) in wanted)
    return [name for name in recogniser.network.state_dict() if name.startswith(prefixes)]
