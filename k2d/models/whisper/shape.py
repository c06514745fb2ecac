"""The sizes of a Whisper from which its cost is computed."""

from __future__ import annotations

from k2d.models.shape import Shape
from k2d.models.whisper.dims import N_SAMPLES, RATE_HZ, WhisperDims, n_parameters


def whisper_shape(name: str, dims: WhisperDims) -> Shape:
    """The shape of a Whisper. Its output layer is tied to its embedding.

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
