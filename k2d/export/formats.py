"""The formats by name, with the functions that write them and load them back in their own library."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from k2d.export.equivalence import Agreement
from k2d.export.request import ExportRequest, has

if TYPE_CHECKING:
    from torch import Tensor

    from k2d.models.parity_check import Probe


class Writer(Protocol):
    """The functions of a format's module."""

    def write(self, model: Path, request: ExportRequest, folder: Path) -> None:
        """Write the export of a model folder into an empty folder."""
        ...

    def loaded_back(self, folder: Path, request: ExportRequest, probe: Probe, ours: Tensor) -> Agreement:
        """Load it in its library and compare the logits with ours. K2DError if they differ."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its module, the libraries for loading it back, and example code that loads it."""

    module: str
    libraries: tuple[str, ...]
    tag: str
    """The library's tag on Hugging Face."""
    usage: str
    """Python code that loads the student `NAME` from the current folder."""

    def load(self) -> Writer:
        return cast(Writer, importlib.import_module(self.module))

    def can_be_checked(self) -> bool:
        return has(*self.libraries)


FORMATS: Mapping[str, Format] = {
    "espnet": Format(
        "k2d.export.espnet",
        ("espnet2",),
        "espnet",
        "from espnet2.bin.s2t_inference import Speech2Text\n"
        "from espnet2.main_funcs.pack_funcs import unpack\n\n"
        'model = Speech2Text(**unpack("NAME.zip", "unpacked"), lang_sym="<LANGUAGE>", predict_time=True)\n'
        "text, *_ = model(samples)[0]  # mono, 16 kHz, float32, at most a window; decode_long takes more",
    ),
    "openai": Format(
        "k2d.export.openai",
        ("whisper",),
        "whisper",
        "import whisper\n\n"
        'model = whisper.load_model("NAME.pt")\n'
        'print(model.transcribe("talk.wav", language="LANGUAGE", condition_on_previous_text=False)["text"])',
    ),
    "huggingface": Format(
        "k2d.export.huggingface",
        ("transformers",),
        "transformers",
        "from transformers import pipeline\n\n"
        'recognise = pipeline("automatic-speech-recognition", model=".", return_timestamps=True)\n'
        'print(recognise("talk.wav", generate_kwargs={"language": "LANGUAGE"})["text"])',
    ),
    "ctranslate2": Format(
        "k2d.export.ctranslate2",
        ("ctranslate2", "faster_whisper"),
        "ctranslate2",
        "from faster_whisper import WhisperModel\n\n"
        'model = WhisperModel(".")\n'
        'segments, _ = model.transcribe("talk.wav", language="LANGUAGE", condition_on_previous_text=False)\n'
        'print("".join(segment.text for segment in segments))',
    ),
}
