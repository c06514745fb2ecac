"""Write audio so that the final name never has an incomplete file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile

from k2d.core.atomic import partial_file, sync_folder
from k2d.core.errors import UsageError
from k2d.data.audio.decoders import BLOCK_FRAMES, Samples
from k2d.data.audio.source import AudioError, Cause

_FORMATS = {".flac": "FLAC", ".wav": "WAV"}


def write(path: Path, samples: Samples, rate_hz: int, *, durable: bool = True) -> None:
    """Write one channel as PCM16 FLAC or WAV, depending on the suffix. Samples beyond full scale are clipped.

    Use `durable=False` if you write many files and sync them together.
    """
    if (container := _FORMATS.get(path.suffix.lower())) is None:
        raise UsageError(f"{path}: audio is written as .flac or .wav, not as {path.suffix or 'a bare name'}")
    if samples.ndim != 1 or not len(samples):
        raise AudioError("no_samples", str(path), f"cannot be written from an array of shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise AudioError("nan_samples", str(path), "is not written: some samples are NaN or infinite")
    partial = partial_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_blocks(partial, samples, rate_hz, container, durable=durable)
        partial.replace(path)
    except soundfile.LibsndfileError as error:
        message = f"cannot be written: {error.error_string}"
        raise AudioError("unwritable", str(path), message, "check the free space", Cause.MACHINE) from error
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        remedy = "check the free space and the permissions"
        raise AudioError("unwritable", str(path), message, remedy, Cause.MACHINE) from error
    finally:
        if partial.parent.is_dir():
            partial.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def _write_blocks(path: Path, samples: Samples, rate_hz: int, container: str, *, durable: bool) -> None:
    """Write in blocks (libsndfile's encoders can overflow the stack on one huge call), then flush to the disk."""
    with path.open("wb") as raw:
        with soundfile.SoundFile(raw.fileno(), "w", rate_hz, 1, "PCM_16", None, container, closefd=False) as file:
            for at in range(0, len(samples), BLOCK_FRAMES):
                file.write(samples[at : at + BLOCK_FRAMES])
        if durable:
            os.fsync(raw.fileno())
    if (n_there := soundfile.info(path).frames) != len(samples):
        raise OSError(f"{n_there:,} of {len(samples):,} samples reached the disk")
