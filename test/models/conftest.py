"""One tiny ESPnet S2T model for the session: importing ESPnet takes seconds."""

import copy

import pytest
from models_made import made_recogniser


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A recogniser with random weights, in float32. Tests must not change it."""
    import torch

    torch.set_num_threads(1)  # tensors are tiny, and other tests run beside
    return made_recogniser(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny64(tiny):
    """The same in float64."""
    import torch

    return with_network(tiny, copy.deepcopy(tiny.network)).to("cpu", torch.float64)


def with_network(recogniser, network):
    return type(recogniser)(network, recogniser.codec, recogniser.files)
