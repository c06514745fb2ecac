"""Memory does not grow with the length of a recording: a sparse file of three hours, and one of ten minutes."""

import struct
from pathlib import Path

import pytest

from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Source

RATE_HZ = 16_000


def silent_wav(path: Path, minutes: int) -> Path:
    """A sparse WAV file, which needs no room on the disk."""
    n_bytes = minutes * 60 * RATE_HZ * 2
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", n_bytes + 36, b"WAVE", b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16
    )
    with path.open("wb") as file:
        file.write(header + struct.pack("<4sI", b"data", n_bytes))
        file.truncate(44 + n_bytes)
    return path


def resident_mb() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024


@pytest.mark.slow
def test_memory_is_flat_from_ten_minutes_to_three_hours(tmp_path):
    from decode_fake import FakeRecogniser, writing_script

    highest_mb = {}
    for minutes in (10, 180):
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>ab<2.00>"))
        source = Source("a", str(silent_wav(tmp_path / f"{minutes}.wav", minutes)))
        seen_mb: list[float] = []
        (found,) = decode_recordings(
            recogniser, [source], Options(), on_window=lambda _, seen_mb=seen_mb: seen_mb.append(resident_mb())
        )
        assert len(found.windows) == recogniser.n_windows == minutes * 30
        assert recogniser.n_steps == 4 * len(found.windows)
        highest_mb[minutes] = max(seen_mb)
    # At the model's 4 kHz three hours are 173 MB; what is kept of 5,400 windows is a few.
    assert highest_mb[180] - highest_mb[10] < 20
