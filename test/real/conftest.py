"""Tests with published weights: of Whisper base on recorded speech, and of Kokoro, which speaks.

The weights come from the cache, or are fetched. If neither is possible, these tests are skipped and one line reports
that; with K2D_REAL=1 they fail instead.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from made_once import made_once

from k2d.core.errors import K2DError
from k2d.models.published import kokoro
from k2d.models.registry import family_of

NAME = Path("base")
SPEECH = Path(__file__).parent / "speech"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The path of the fetched checkpoint."""
    try:
        return family_of(NAME).fetched(NAME)
    except K2DError:
        if os.environ.get("K2D_REAL") == "1":
            raise
        pytest.skip("Whisper base cannot be had here")


@pytest.fixture(scope="session")
def voices() -> Path:
    """Where the fetched voices lie, with their network."""
    try:
        return kokoro.obtain()
    except K2DError:
        if os.environ.get("K2D_REAL") == "1":
            raise
        pytest.skip("Kokoro-82M cannot be had here")


@dataclass(frozen=True)
class Spoken:
    """A recording with a person's transcript."""

    id: str
    audio: Path
    language: str
    text: str


@pytest.fixture(scope="session")
def speech() -> dict[str, Spoken]:
    texts, languages = (columns(SPEECH / name) for name in ("text", "utt2lang"))
    return {key: Spoken(key, SPEECH / f"{key}.flac", languages[key], texts[key]) for key in languages}


def columns(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.partition(" ")[::2] for line in lines)


@pytest.fixture(scope="session")
def fetched(checkpoint) -> Any:
    """The model in torch. It guesses the language where the options of decoding name none.

    It encodes each window once, however often it is decoded: that takes a second.
    """
    import torch

    from k2d.models.interface import Memory
    from k2d.models.whisper.recogniser import load_whisper

    model = load_whisper(checkpoint)
    encode, states_by_features = model.encoded, {}

    def encoded(features_MF):
        keys = [features.numpy().tobytes() for features in features_MF]
        for key, features in zip(keys, features_MF, strict=True):
            if key not in states_by_features:
                states_by_features[key] = encode([features]).states_BTD
        return Memory(torch.cat([states_by_features[key] for key in keys]))

    model.encoded = encoded
    return model


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory) -> dict[str, Path]:
    """The model in all formats, by the name of the format. CTranslate2's is in fp32."""
    from k2d.export import ctranslate2, huggingface, openai
    from k2d.export.request import ExportRequest
    from k2d.models.whisper.ctranslate2_engine import write_facts

    def export(folder: Path) -> None:
        for name, module in (("openai", openai), ("huggingface", huggingface), ("ctranslate2", ctranslate2)):
            (folder / name).mkdir()
            module.write(checkpoint, ExportRequest("base"), folder / name)
        write_facts(folder / "ctranslate2", checkpoint)

    folder = made_once(tmp_path_factory, "exported", export)
    return {
        "openai": folder / "openai" / "base.pt",
        "huggingface": folder / "huggingface",
        "ctranslate2": folder / "ctranslate2",
    }
