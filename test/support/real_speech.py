"""Segments of recordings by K2D and by other libraries, which the tests with real weights compare."""

from pathlib import Path

import soundfile

from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Source

UNGUARDED = {"min_advance_s": 0.02, "min_window_s": 0.01}
"""As openai-whisper decodes, which has no guards."""
GREEDY = {
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "compression_ratio_threshold": None,
    "no_speech_threshold": None,
}


def our_segments(model, paths, **options):
    """Start, end and text of each recording's segments, by K2D."""
    sources = [Source(path.stem, str(path)) for path in paths]
    decoded = decode_recordings(model, sources, Options(**{**UNGUARDED, **options}))
    return {
        each.recording_id: [(round(s.start_s, 2), round(s.end_s, 2), s.text) for s in each.segments] for each in decoded
    }


def whisper_segments(model, paths, language):
    """The same by `whisper.transcribe`, whose last times may be after the recording's end."""
    found = {}
    for path in paths:
        speech_N, duration_s = samples(path)
        result = model.transcribe(speech_N, language=language, logprob_threshold=None, fp16=False, **GREEDY)
        found[path.stem] = [
            segment(s["start"], s["end"], s["text"], duration_s) for s in result["segments"] if s["text"]
        ]
    return found


def faster_whisper_segments(model, paths, language):
    """The same by faster-whisper, one recording after another."""
    found = {}
    for path in paths:
        speech_N, duration_s = samples(path)
        segments, _ = model.transcribe(
            speech_N, language=language, beam_size=1, best_of=1, log_prob_threshold=None, **GREEDY
        )
        found[path.stem] = [segment(s.start, s.end, s.text, duration_s) for s in segments]
    return found


def samples(path: Path):
    speech_N, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == 16_000, "resamplers differ"
    return speech_N, len(speech_N) / rate_hz


def segment(start_s, end_s, text, duration_s):
    return round(start_s, 2), round(min(end_s, duration_s), 2), text.strip()
