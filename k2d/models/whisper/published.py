"""Published Whisper checkpoints: their table, their cache, and the digest of their weights."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.models.published.obtain import FetchRequest
from k2d.models.published.obtain import obtain as obtain_checkpoint
from k2d.models.published.table import Checkpoint, read_table
from k2d.models.whisper.dims import PUBLISHED, WEIGHTS

TABLE = Path(__file__).with_name("published.yaml")
SINGLE_NAME = WEIGHTS
CACHE_VARIABLE = "K2D_WHISPER_CACHE"


def cache_folder(chosen: str | None = None) -> Path:
    """The cache of published checkpoints: from the config, the environment, or the default of openai-whisper."""
    if chosen or os.environ.get(CACHE_VARIABLE):
        return Path(chosen or os.environ[CACHE_VARIABLE]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "whisper"


def obtain(name: str, cache: Path) -> Path:
    """Return a published checkpoint by its name. It is fetched into the cache if it is not there."""
    if name not in PUBLISHED:
        known = ", ".join(PUBLISHED)
        raise K2DError(f"{name}: no published Whisper model has this name; expected one of {known}, a .pt or a folder")
    return obtain_checkpoint(fetch_request(name, read_table(TABLE)[name]), cache)


def fetch_request(name: str, checkpoint: Checkpoint) -> FetchRequest:
    by_hand = (
        f"or call `python -m k2d fetch {name} --to DIR` there, copy DIR and name it as the checkpoint; "
        f"or set {CACHE_VARIABLE} to a folder that has it"
    )
    return FetchRequest(f"Whisper {name}", checkpoint, by_hand, weights_digest)


def weights_digest(path: Path) -> str:
    """SHA-256 of a checkpoint's weights in any format: name, shape and numbers of each, sorted by name.

    Numbers are converted to fp16 where that is exact, as in the files of OpenAI, and otherwise to fp32.
    """
    from k2d.models.whisper.checkpoint_files import read_whisper

    digest = hashlib.sha256()
    for name, tensor in sorted(read_whisper(path).state.items()):
        half = tensor.half()
        exact = half if bool((half.float() == tensor.float()).all()) else tensor.float()
        digest.update(f"{name} {tuple(tensor.shape)} {exact.dtype}\n".encode())
        digest.update(exact.contiguous().numpy().tobytes())
    return digest.hexdigest()
