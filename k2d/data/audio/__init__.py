"""Audio of the corpora: the kind of a file, whether it is sound, and its samples. Import from here, not from the parts.

`resolve` a wav.scp value, `probe` it once, then `read` segments (with `expect=` the probed facts) or `stream` it.
`check` decodes everything. All faults are AudioErrors with a named reason.
"""

from k2d.data.audio.check import AudioCheck, check, clipped_share
from k2d.data.audio.probe import MAX_RATE_HZ, MIN_DURATION_S, MIN_RATE_HZ, AudioInfo, probe
from k2d.data.audio.read import END_TOLERANCE_S, RATE_HZ, clamp, read, stream
from k2d.data.audio.source import AudioError, AudioSource, Cause, resolve
from k2d.data.audio.write import write

__all__ = [
    "END_TOLERANCE_S",
    "MAX_RATE_HZ",
    "MIN_DURATION_S",
    "MIN_RATE_HZ",
    "RATE_HZ",
    "AudioCheck",
    "AudioError",
    "AudioInfo",
    "AudioSource",
    "Cause",
    "check",
    "clamp",
    "clipped_share",
    "probe",
    "read",
    "resolve",
    "stream",
    "write",
]
