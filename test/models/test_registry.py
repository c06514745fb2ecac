"""A device that cannot be used is refused before anything is read."""

import pytest
import torch

from k2d.core.errors import UsageError
from k2d.models.registry import load_recogniser


@pytest.mark.parametrize("device", ["foo", "meta", "", "CPU", "cuda:x", "cuda:-1", "mps", "cpu:3"])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(UsageError) as caught:
        load_recogniser("nowhere", device=device)
    assert str(caught.value) == f"device {device!r}: expected cpu, cuda or a numbered one such as cuda:1"


def test_a_missing_gpu_is_refused_with_the_existing_ones(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="device cuda:2: found 2 GPUs here, cuda:0 to cuda:1"):
        load_recogniser("nowhere", device="cuda:2")
    with pytest.raises(UsageError, match="nowhere: there is no such model"):
        load_recogniser("nowhere", device="cuda:1")
