"""What the toolkit asks of a family of recognisers. Each family answers in `family.py` of its own folder.

The config names families and checks what they can do, so importing this file or a family's costs nothing: torch and
everything else that is heavy is imported inside the methods.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from k2d.models.codec import Window
    from k2d.models.interface import Recogniser, Trainable
    from k2d.models.published.obtain import FetchRequest
    from k2d.models.published.table import Checkpoint
    from k2d.models.shape import Shape

TORCH = "torch"
"""The engine that every family has."""


class Speech(Protocol):
    """Labelled utterances by number, for which a new model is made."""

    @property
    def texts(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def samples(self, utterance: int) -> NDArray[np.float32]: ...


class Engine(Protocol):
    """A module that decodes models of a family in another library than torch, from a converted folder."""

    def is_converted(self, model: Path) -> bool:
        """Whether the engine takes a model as it is, so that it need not be converted."""
        ...

    def write_facts(self, folder: Path, model: Path) -> None:
        """Write facts about the model into a converted folder, which its own files do not have."""
        ...

    def check_compute_type(self, compute_type: str, device: str, key: str) -> None:
        """Raise UsageError if the device cannot compute in this precision. `key` is the user's setting."""
        ...

    def load(
        self, folder: Path, device: str, compute_type: str, languages: Sequence[str] = (), n_threads: int = 0
    ) -> Recogniser:
        """Load a converted folder. The result has only what decoding needs of a recogniser."""
        ...


class Publisher(Protocol):
    """A module that knows the published checkpoints of a family, or of voices."""

    TABLE: Path
    """Where they come from: see k2d/models/published/table.py."""
    SINGLE_NAME: str
    """The name that a checkpoint of a single file has in a folder of its own."""

    def cache_folder(self, chosen: str | None = None) -> Path:
        """The cache of fetched checkpoints, unless the config names another folder."""
        ...

    def fetch_request(self, name: str, checkpoint: Checkpoint) -> FetchRequest:
        """A checkpoint of the table with what its publisher knows of it."""
        ...


@dataclass(frozen=True, slots=True)
class NewModel:
    """The inputs of a model with random weights."""

    config: Path
    vocabulary: Path
    """The folder of stage 2. It exists only for families with `uses_vocabulary`."""
    languages: tuple[str, ...]
    seed: int
    work: Path
    """A folder for files that the network is built from."""


class Family(ABC):
    """A kind of network with its checkpoints."""

    name: ClassVar[str]
    """The name in configs."""
    published: ClassVar[Collection[str]] = ()
    """Names under which checkpoints can be fetched."""
    publisher_module: ClassVar[str] = ""
    """The module (see `Publisher`) with their sources."""
    checkpoints: ClassVar[str]
    """For messages: the kinds of paths that can be given."""
    uses_vocabulary: ClassVar[bool] = False
    """Whether new models use the vocabulary of stage 2. Otherwise the family has its own."""
    has_ctc_head: ClassVar[bool] = False
    """Whether trained models can be decoded by CTC."""
    guesses_language: ClassVar[bool] = False
    """Whether a model without a language in its prompt guesses the language of each window."""
    mixes_languages: ClassVar[bool] = False
    """Whether a prompt can have the mean of several languages."""
    export_formats: ClassVar[tuple[str, ...]] = ()
    """Formats in which a student can be written (k2d/export/formats.py)."""
    default_formats: ClassVar[tuple[str, ...]] = ()
    """The formats that are written unless the config names others."""
    engine_modules: ClassVar[Mapping[str, str]] = {}
    """Modules (see `Engine`) by the name of the engine, besides torch."""

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that can decode the family's models."""
        return TORCH, *self.engine_modules

    def engine(self, name: str) -> Engine:
        """The module of an engine other than torch."""
        return cast(Engine, importlib.import_module(self.engine_modules[name]))

    def publisher(self) -> Publisher:
        """The module with the published checkpoints, for families that have some."""
        return cast(Publisher, importlib.import_module(self.publisher_module))

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether a folder, a file or a published name is a checkpoint of the family, judged only by names."""

    @abstractmethod
    def load(
        self, path: Path, device: str, dtype: torch.dtype, languages: Sequence[str] = (), cache: str | None = None
    ) -> Recogniser:
        """Load a checkpoint for inference. `cache` is the folder of published checkpoints."""

    def fetched(self, path: Path, cache: str | None = None) -> Path:
        """The path of a checkpoint. If it is given by a published name, it is fetched."""
        return path

    @abstractmethod
    def window(self, config: Path) -> Window:
        """The window of models that are trained from a model config."""

    @abstractmethod
    def new(self, made_from: NewModel, speech: Speech) -> Trainable:
        """Build a network with random weights for this speech."""

    @abstractmethod
    def shape(self, path: Path, vocabulary_size: int) -> Shape:
        """The sizes of a checkpoint or model config, without reading weights.

        `vocabulary_size` is used if the model config leaves the vocabulary to stage 2.
        """

    def supports_language(self, name: str) -> bool:
        """Whether a prompt can name this language. Answered without loading a model."""
        return True

    def write_vocabulary(
        self,
        folder: Path,
        texts: Sequence[str],
        window: Window,
        languages: Sequence[str],
        *,
        vocab_size: int,
        model_type: str,
        split_han: bool,
    ) -> None:
        """Train the vocabulary of new models on texts and write its files (families with `uses_vocabulary`)."""
        raise NotImplementedError(f"{self.name}: the family brings its own vocabulary")
