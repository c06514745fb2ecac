"""A recogniser so small that its cost can be worked out by hand."""

import pytest

from k2d.models.shape import Shape
from k2d.plan.machines import Machine


@pytest.fixture
def small() -> Shape:
    """180 parameters: 100 of the encoder, 50 of a decoder layer, and 30 others. No fixed tables."""
    return Shape(
        name="small",
        window_s=10.0,
        n_frames=4,
        width=2,
        n_heads=1,
        n_encoder_layers=1,
        n_decoder_layers=1,
        n_vocabulary=10,
        n_context=8,
        encoder_parameters=100,
        layer_parameters=50,
        rest_parameters=30,
    )


@pytest.fixture
def slow() -> Machine:
    """1,000 operations and 1,000 bytes per second, of which a half and a tenth are reached."""
    return Machine("slow", 1e4, {"fp32": 1000.0, "bf16": 2000.0}, 1000.0, "made up", 0.5, 0.1)
