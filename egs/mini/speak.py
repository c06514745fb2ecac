"""The adapter of eSpeak NG (GPL-3), by ctypes on the library inside the package espeakng-loader.

eSpeak keeps state between sentences. The same calls in a new process give the same samples, but the same sentence twice
in one process does not. For reproducible audio, start a new process. eSpeak also seeds the breath noise of the voices
f2, f3 and f5 with the time of day, so the seed is set here before each sentence.

The voice `cmn` and its variants read all text. They also read English words, so a speaker has the same English inside a
Mandarin sentence as in an English one. (`en-us` would be a second speaker under the same name.)
"""

from __future__ import annotations

import ctypes
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egs.mini.voices import Voice
from k2d.core.errors import K2DError

PACKAGE = "espeakng-loader"

_SYNCHRONOUS = 2  # pass samples to the callback before the call returns, and play nothing
_RATE, _PITCH = 1, 3
_UTF8 = 1
_IPA = 2
_FULL_SCALE = 32768.0

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The synthesiser of this process."""

    def __init__(self) -> None:
        self._library, data_path = _load()
        self.sample_rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data_path.encode(), 0))
        if self.sample_rate <= 0:
            raise K2DError(f"eSpeak NG cannot read its data in {data_path}; install the package {PACKAGE} again")
        self._heard: list[NDArray[np.int16]] = []
        self._callback = _Callback(self._hear)  # a reference, or ctypes would free it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: Voice, speed_wpm: int) -> NDArray[np.float32]:
        """The samples of a text, between -1 and 1, at `sample_rate`."""
        self._take_voice(voice.variant)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._library.espeak_SetParameter(_RATE, speed_wpm, 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        self._heard.clear()
        data = text.encode()
        failed = self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8, None, None)
        if failed or not self._heard:
            raise K2DError(f"eSpeak NG says nothing for {text!r} (status {failed}); take it out of egs/mini/words")
        samples: NDArray[np.float32] = np.concatenate(self._heard).astype(np.float32) / np.float32(_FULL_SCALE)
        return samples

    def phonemes(self, text: str) -> str:
        """The pronunciation of a text in IPA. English words are between `(en)` and `(cmn)`."""
        self._take_voice("m1")
        buffer = ctypes.create_string_buffer(text.encode())
        place = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses = []
        while place.value:
            clauses.append(self._library.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, _IPA).decode())
        return " ".join(clauses)

    def _take_voice(self, variant: str) -> None:
        if self._library.espeak_SetVoiceByName(f"cmn+{variant}".encode()):
            raise K2DError(f"eSpeak NG has no voice cmn+{variant}; install the package {PACKAGE} again")

    def _hear(self, samples: Any, n_samples: int, _events: int | None) -> int:
        if samples and n_samples > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (n_samples,)).copy())
        return 0


def installed_version() -> str:
    """The version of the synthesiser's package, on which the audio depends."""
    _load()
    return version(PACKAGE)


def _load() -> tuple[Any, str]:
    """The library and the path of its data."""
    try:
        import espeakng_loader  # type: ignore[import-untyped]
    except ImportError:
        raise K2DError(
            f"egs/mini needs eSpeak NG, and the package {PACKAGE} is not installed; pip install 'k2d[mini]'"
        ) from None
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
    return library, espeakng_loader.get_data_path()
