"""The sizes of a recogniser that determine its cost, and the arithmetic of its parameters and operations."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of an encoder-decoder."""

    name: str
    window_s: float
    n_frames: int
    """Frames of the encoder's output, per window."""
    width: int
    n_heads: int
    n_encoder_layers: int
    n_decoder_layers: int
    n_vocabulary: int
    n_context: int
    """The number of the decoder's positions."""
    encoder_parameters: int
    """Parameters with the front end and, if there is one, the CTC head."""
    layer_parameters: int
    """Parameters of one decoder layer."""
    rest_parameters: int
    """Parameters of the decoder without its layers: embeddings, positions, last norm, an output layer of its own."""
    position_parameters: int = 0
    """Learnt positions of the decoder, which are a part of its rest."""
    fixed_numbers: int = 0
    """Numbers in tables that are not trained."""
    stem_multiplications: int = 0
    """Multiplications of the encoder's front end, whose frames differ from those of its layers."""
    stem_parameters: int = 0
    has_fused_attention: bool = True
    """Whether attention scores are never in memory all at once."""

    @property
    def decoder_parameters(self) -> int:
        return self.n_decoder_layers * self.layer_parameters + self.rest_parameters

    @property
    def parameters(self) -> int:
        return self.encoder_parameters + self.decoder_parameters

    def with_decoder_layers(self, n_layers: int) -> Shape:
        return replace(self, n_decoder_layers=n_layers)

    def encoder_flops(self) -> int:
        """Operations for one window. An addition and a multiplication count as two."""
        of_layers = 2 * (self.encoder_parameters - self.stem_parameters) * self.n_frames
        of_attention = 4 * self.n_frames**2 * self.width * self.n_encoder_layers
        return of_layers + of_attention + 2 * self.stem_multiplications

    def decoder_flops(self, n_tokens: int) -> int:
        """Operations for one window with this number of tokens, each computed once, and keys and values of its
        frames.
        """
        cross = 2 * self.width**2  # the weights for keys and values of frames, not of tokens
        of_layer = 2 * n_tokens * (self.layer_parameters - cross) + 2 * self.n_frames * cross
        of_attention = 4 * n_tokens * (n_tokens + self.n_frames) * self.width
        return self.n_decoder_layers * (of_layer + of_attention) + 2 * n_tokens * self.width * self.n_vocabulary
