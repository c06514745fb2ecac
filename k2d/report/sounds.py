"""Audio clips inside a page, cut from the recordings, up to the size limit of a page."""

from __future__ import annotations

import base64
import io

import soundfile

from k2d.data.audio import RATE_HZ, AudioError, read, resolve
from k2d.report.document import Clip

MAX_PAGE_BYTES = 12_000_000
_HEAD = "data:audio/flac;base64,"


class Clips:
    """Cuts clips until the page is full."""

    def __init__(self, max_bytes: int = MAX_PAGE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0

    def cut(self, audio: str, span_s: tuple[float, float] | None) -> Clip:
        """A stretch of a recording (None: the whole recording), one channel at 16 kHz."""
        if self.n_bytes >= self.max_bytes:
            return self._too_much()
        try:
            samples = read(resolve(audio), *(span_s or (None, None)))
        except AudioError as problem:
            return Clip(why_not=str(problem))
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
        uri = _HEAD + base64.b64encode(buffer.getvalue()).decode("ascii")
        if self.n_bytes + len(uri) > self.max_bytes:
            return self._too_much()
        self.n_bytes += len(uri)
        return Clip(uri)

    def _too_much(self) -> Clip:
        return Clip(why_not=f"a page has at most {self.max_bytes / 1e6:g} MB of audio")
