"""The sizes of a recogniser that decide what it costs, and the arithmetic of its parameters and operations."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Shape:
    """An encoder-decoder, in numbers."""

    name: str
    window_s: float
    n_frames: int
    """Of the encoder's output, per window."""
    width: int
    n_heads: int
    n_encoder_layers: int
    n_decoder_layers: int
    n_vocabulary: int
    n_context: int
    """Tokens that the decoder has room for."""
    encoder_parameters: int
    """With its front end and, where there is one, its CTC head."""
    layer_parameters: int
    """Of one decoder layer."""
    rest_parameters: int
    """Of the decoder without its layers: embeddings, positions, last norm, an output layer of its own."""
    position_parameters: int = 0
    """Positions that the decoder learns, part of its rest."""
    fixed_numbers: int = 0
    """Tables that never learn."""
    stem_multiplications: int = 0
    """Of the encoder's front end, whose frames are other ones than those of its layers."""
    stem_parameters: int = 0
    has_fused_attention: bool = True
    """Whether attention scores are never held all at once."""

    @property
    def decoder_parameters(self) -> int:
        return self.n_decoder_layers * self.layer_parameters + self.rest_parameters

    @property
    def parameters(self) -> int:
        return self.encoder_parameters + self.decoder_parameters

    def with_decoder_layers(self, n_layers: int) -> Shape:
        return replace(self, n_decoder_layers=n_layers)

    def encoder_flops(self) -> int:
        """Of one window, an addition and a multiplication counted as two."""
        of_layers = 2 * (self.encoder_parameters - self.stem_parameters) * self.n_frames
        of_attention = 4 * self.n_frames**2 * self.width * self.n_encoder_layers
        return of_layers + of_attention + 2 * self.stem_multiplications

    def decoder_flops(self, n_tokens: int) -> int:
        """Of one window with so many tokens, each computed once, and the keys and values of its frames."""
        cross = 2 * self.width**2  # the weights that make keys and values of frames, not of tokens
        of_layer = 2 * n_tokens * (self.layer_parameters - cross) + 2 * self.n_frames * cross
        of_attention = 4 * n_tokens * (n_tokens + self.n_frames) * self.width
        return self.n_decoder_layers * (of_layer + of_attention) + 2 * n_tokens * self.width * self.n_vocabulary
