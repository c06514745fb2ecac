"""Whisper's entry in the registry of families. Does not import torch until a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from k2d.models.family import Family, NewModel, Speech
from k2d.models.whisper.dims import BINARY, HUGGINGFACE_CONFIG, PUBLISHED, WEIGHTS

if TYPE_CHECKING:
    import torch

    from k2d.models.codec import Window
    from k2d.models.interface import Recogniser, Trainable
    from k2d.models.shape import Shape


class Whisper(Family):
    """OpenAI's models, and models of the same or smaller sizes that are trained with this toolkit."""

    name = "whisper"
    published = tuple(PUBLISHED)
    publisher_module = "k2d.models.whisper.published"
    checkpoints = (
        f"a published name ({', '.join(PUBLISHED)}), a .pt file of OpenAI's, or a folder in the format of Hugging Face "
        "or CTranslate2"
    )
    guesses_language = True
    mixes_languages = True
    export_formats = ("openai", "huggingface", "ctranslate2")
    default_formats = ("openai", "huggingface")
    engine_modules = {"ctranslate2": "k2d.models.whisper.ctranslate2_engine"}  # noqa: RUF012 - never changed

    def recognises(self, path: Path) -> bool:
        if path.is_dir():
            return any((path / name).is_file() for name in (WEIGHTS, HUGGINGFACE_CONFIG, BINARY))
        return path.suffix == ".pt" or path.name == BINARY or str(path) in PUBLISHED

    def load(
        self, path: Path, device: str, dtype: torch.dtype, languages: Sequence[str] = (), cache: str | None = None
    ) -> Recogniser:
        from k2d.models.whisper.recogniser import load_whisper

        return load_whisper(path, languages, cache).to(device, dtype)

    def fetched(self, path: Path, cache: str | None = None) -> Path:
        from k2d.models.whisper.recogniser import checkpoint_of

        return checkpoint_of(path, cache)

    def supports_language(self, name: str) -> bool:
        from k2d.models.whisper.library import is_language

        return is_language(name)

    def window(self, config: Path) -> Window:
        from k2d.models.whisper.codec import WINDOW

        return WINDOW

    def new(self, made_from: NewModel, speech: Speech) -> Trainable:
        from k2d.models.whisper.checkpoint_files import read_dims
        from k2d.models.whisper.new_network import NewWhisper

        dims = read_dims(made_from.config)
        return NewWhisper.new(dims, speech.texts, made_from.languages, seed=made_from.seed)

    def shape(self, path: Path, vocabulary_size: int) -> Shape:
        from k2d.models.whisper.shape import whisper_shape

        if (name := str(path)) in PUBLISHED:
            return whisper_shape(name, PUBLISHED[name])
        from k2d.models.whisper.checkpoint_files import read_dims

        return whisper_shape(path.name.removesuffix(".yaml"), read_dims(path))


FAMILY = Whisper()
