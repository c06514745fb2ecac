"""The tiny recogniser, imported only if a test uses it: torch and Lightning take seconds."""

import pytest


@pytest.fixture(scope="session")
def fake():
    import torch
    import train_fake

    torch.set_num_threads(1)
    return train_fake
