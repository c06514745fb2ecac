"""The Whisper that is measured on a GPU: its weights, its shape and its device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from k2d.models.shape import Shape
from k2d.models.whisper.checkpoint import Generation
from k2d.models.whisper.codec import WhisperCodec
from k2d.models.whisper.library import build_network
from k2d.models.whisper.recogniser import WhisperRecogniser, load_whisper
from k2d.models.whisper.shape import whisper_shape
from k2d.plan.memory import Line
from tools.bench.gpu_cases import SIZES, Measuring

LANGUAGES = ("zh",)


def device_of(measuring: Measuring) -> torch.device:
    """The device of this process. Lightning sets the number of each rank."""
    if measuring.device == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def shape_of(measuring: Measuring) -> Shape:
    size = measuring.case.size
    return whisper_shape(size, SIZES[size])


def load_or_make(measuring: Measuring) -> WhisperRecogniser:
    """Load the checkpoint if there is one. Otherwise draw random weights on the device."""
    device = device_of(measuring)
    if measuring.checkpoint is not None:
        found = load_whisper(Path(measuring.checkpoint), LANGUAGES)
        if found.dims != SIZES[measuring.case.size]:
            raise ValueError(f"{measuring.checkpoint}: found {found.dims}, expected a Whisper {measuring.case.size}")
        return found.to(device, torch.float32)
    dims = SIZES[measuring.case.size]
    torch.manual_seed(0)
    with device:  # on a CPU, large-v2 takes half a minute
        network: Any = build_network(dims)
        _draw(network)
    return WhisperRecogniser(network, dims, WhisperCodec(dims, LANGUAGES), Generation())


@torch.no_grad()
def _draw(network: Any) -> None:
    """Draw weights so large that the output depends on the input, and so small that it is finite."""
    for name, weight in network.named_parameters():
        is_norm = weight.ndim == 1 and name.endswith("weight")
        weight.normal_(0, 0.02 if weight.ndim == 1 else weight.shape[-1] ** -0.5).add_(float(is_norm))


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def memory(device: torch.device, planned: Sequence[Line]) -> dict[str, int | None]:
    """The peak of the memory that torch allocated, and the plan's estimate without CUDA's own memory."""
    expected = sum(line.amount for line in planned if line.what != "CUDA")
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"peak_memory_bytes": peak, "planned_memory_bytes": round(expected)}


def memory_bytes(device: torch.device) -> int | None:
    """The memory of a GPU. None on a CPU."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None


def profiler(device: torch.device) -> Any:
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    return torch.profiler.profile(activities=activities)


def first_kernels(profile: Any, device: torch.device, n: int = 10) -> list[dict[str, Any]]:
    """The slowest kernels of a GPU, or the slowest operators of torch on a CPU."""
    key = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    events = [event for event in profile.key_averages() if getattr(event, key) > 0]
    if device.type == "cuda":  # the times of operators contain those of their kernels
        events = [event for event in events if event.device_type.name == "CUDA"]
    total = sum(getattr(event, key) for event in events)
    events.sort(key=lambda event: -getattr(event, key))
    return [
        {
            "name": event.key,
            "calls": event.count,
            "ms": getattr(event, key) / 1000,
            "share": getattr(event, key) / total,
        }
        for event in events[:n]
    ]
