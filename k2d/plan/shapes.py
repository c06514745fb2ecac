"""The sizes of a recogniser that decide what it costs, and the arithmetic of its parameters and operations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from k2d.models.whisper.dims import N_SAMPLES, RATE_HZ, WhisperDims, n_parameters


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


def whisper_shape(name: str, dims: WhisperDims) -> Shape:
    """The shape of a Whisper, whose output layer is its embedding.

    >>> from k2d.models.whisper.dims import PUBLISHED
    >>> f"{whisper_shape('tiny', PUBLISHED['tiny']).parameters:,}"
    '37,184,640'
    """
    of_part = n_parameters(dims)
    layer = of_part["decoder"] - n_parameters(dims.with_text_layers(dims.n_text_layer - 1))["decoder"]
    width, n_frames = dims.n_audio_state, dims.n_audio_ctx
    stem = (3 * dims.n_mels * width, 3 * width * width)
    return Shape(
        name=name,
        window_s=N_SAMPLES / RATE_HZ,
        n_frames=n_frames,
        width=dims.n_text_state,
        n_heads=dims.n_text_head,
        n_encoder_layers=dims.n_audio_layer,
        n_decoder_layers=dims.n_text_layer,
        n_vocabulary=dims.n_vocab,
        n_context=dims.n_text_ctx,
        encoder_parameters=of_part["encoder"],
        layer_parameters=layer,
        rest_parameters=of_part["decoder"] - dims.n_text_layer * layer,
        position_parameters=dims.n_text_ctx * dims.n_text_state,
        fixed_numbers=n_frames * width,
        stem_multiplications=(2 * stem[0] + stem[1]) * n_frames,  # the second convolution halves the frames
        stem_parameters=sum(stem) + 2 * width,
    )
