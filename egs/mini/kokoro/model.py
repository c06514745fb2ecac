"""The adapter of Kokoro-82M (Apache-2.0): a text-to-speech network of 82 million weights, run by onnxruntime."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egs.mini.kokoro.english import EnglishEspeak
from egs.mini.kokoro.phonemes import MOST_TOKENS, PAD, phonemes, tokens
from egs.mini.kokoro.voices import MANDARIN_SHARE, OWN_PITCH, OWN_SPEED_WPM, SHIFT_PER_STEP
from egs.mini.voices import Voice
from k2d.core.errors import K2DError
from k2d.models.published import kokoro as published

PACKAGES = ("onnxruntime", "pypinyin", "opencc")

_SAMPLE_RATE = 24000
_ROWS, _WIDTH = MOST_TOKENS + 1, 256

Style = NDArray[np.float32]


class Kokoro:
    """The synthesiser of this process. It runs on one core, so that units can be made beside each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._english = EnglishEspeak()
        self._session = _session(folder / published.MODEL)
        self._styles: dict[str, Style] = {}

    def say(self, text: str, voice: Voice, speed_wpm: int) -> tuple[NDArray[np.float32], float]:
        """The samples of a text, and their rate: another one than the network's raises or lowers the voice."""
        shift = 1 + (voice.pitch - OWN_PITCH) * SHIFT_PER_STEP
        said = tokens(phonemes(text, self._english.kokoro_phonemes))
        given = {
            "tokens": np.array([[PAD, *said, PAD]], dtype=np.int64),
            "style": self._style(voice.variant)[len(said)],
            "speed": np.array([speed_wpm / OWN_SPEED_WPM / shift], dtype=np.float32),
        }
        samples: NDArray[np.float32] = np.asarray(self._session.run(None, given)[0], dtype=np.float32).ravel()
        return samples, _SAMPLE_RATE * shift

    def _style(self, variant: str) -> Style:
        if variant not in self._styles:
            self._styles[variant] = style(self._folder, variant)
        return self._styles[variant]


def style(folder: Path, variant: str) -> Style:
    """The rows of a voice, or of two that are mixed: one for each number of tokens."""
    mandarin, *english = (_rows(folder, name) for name in variant.split("-"))
    mixed = mandarin
    for rows in english:
        mixed = np.float32(MANDARIN_SHARE) * mandarin + np.float32(1 - MANDARIN_SHARE) * rows
    return mixed


def installed_versions() -> list[str]:
    """The versions of the packages on which the speech depends."""
    try:
        return [version(name) for name in PACKAGES]
    except PackageNotFoundError as error:
        raise _not_installed(error.name) from None


def _rows(folder: Path, name: str) -> Style:
    path = next(folder.glob(f"[a-z][fm]_{name}.bin"), None)
    if path is None:
        raise K2DError(f"{folder}: found no voice {name}, expected a file such as zf_{name}.bin; fetch kokoro again")
    numbers = np.fromfile(path, dtype="<f4")
    if numbers.size != _ROWS * _WIDTH:
        raise K2DError(f"{path}: found {numbers.size:,} numbers, expected {_ROWS} x {_WIDTH}; fetch kokoro again")
    return numbers.reshape(_ROWS, 1, _WIDTH)


def _session(model: Path) -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        raise _not_installed("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _not_installed(package: str) -> K2DError:
    return K2DError(
        f"egs/mini with voices: kokoro needs {package}, which is not installed; pip install 'k2d[kokoro]', "
        "or set voices: espeak"
    )
