"""Kokoro-82M, which speaks egs/mini's texts if a config asks for it: its table, its cache, and its files."""

from __future__ import annotations

import os
from pathlib import Path

from k2d.models.published.obtain import FetchRequest
from k2d.models.published.obtain import obtain as obtain_checkpoint
from k2d.models.published.table import Checkpoint, Source, read_table

TABLE = Path(__file__).with_name("kokoro.yaml")
NAME = "kokoro"
SINGLE_NAME = MODEL = "model.onnx"
CACHE_VARIABLE = "K2D_KOKORO_CACHE"


def cache_folder(chosen: str | None = None) -> Path:
    """Where the model and its voices are kept: as chosen, or as the environment says, or in the user's cache."""
    if chosen or os.environ.get(CACHE_VARIABLE):
        return Path(chosen or os.environ[CACHE_VARIABLE]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kokoro"


def obtain() -> Path:
    """The folder with the model and its voices: from the cache, or fetched into it."""
    return obtain_checkpoint(fetch_request(NAME, read_table(TABLE)[NAME]), cache_folder())


def published_source() -> Source:
    """The files as they were published, with the SHA-256 of each."""
    return read_table(TABLE)[NAME].sources[0]


def fetch_request(name: str, checkpoint: Checkpoint) -> FetchRequest:
    form = checkpoint.sources[0].form
    by_hand = f"or call `python -m k2d fetch {name} --to {form}` there, and copy the folder {form} into the cache"
    return FetchRequest("Kokoro-82M", checkpoint, by_hand)
