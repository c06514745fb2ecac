"""Cut recordings without words into chunks, whose label says that nothing is spoken."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.core.progress import track
from k2d.data.audio import probe, resolve
from k2d.data.kaldi.datadir import read_recordings, read_utterances
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.rows import Recording, Utterance

LABEL = "<0.00>"
"""A label begins with a timestamp, as decoding demands, and ends there. Without timestamps it is empty."""
SHORTEST_S = 1.0


def write_nonspeech_chunks(data: Path, window_s: float, folder: Path) -> tuple[int, int]:
    """Write the chunks of a data directory's recordings. Returns how many windows there are, and how many were kept."""
    _check_texts(data)
    durations_s = {row.id: _duration_s(row) for row in track(read_recordings(data), shown(data), None, "recordings")}
    chunks = (row for each in read_recordings(data) for row in nonspeech_chunks(each, durations_s[each.id], window_s))
    if not any(duration_s >= SHORTEST_S for duration_s in durations_s.values()):
        raise K2DError(f"{shown(data)}: found no recording of a second or more, expected some to learn from")
    long_enough = ((key, duration_s) for key, duration_s in durations_s.items() if duration_s >= SHORTEST_S)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder) as made:
        n_kept = write_datadir(Path(made) / "tables", chunks, durations_s=long_enough)
        for path in (Path(made) / "tables").iterdir():
            path.rename(folder / path.name)
    return sum(n_windows(duration_s, window_s) for duration_s in durations_s.values()), n_kept


def _check_texts(data: Path) -> None:
    """Refuse speech: a student would learn to write nothing where somebody speaks."""
    if (data / "text").exists() and (spoken := next((row for row in read_utterances(data) if row.text), None)):
        raise K2DError(
            f"{shown(data / 'text')}: {spoken.id!r} has words ({spoken.text!r:.40}), but the role of this split is "
            "corpora.nonspeech, where nobody speaks; name the recordings without words, or give the split another role"
        )


def _duration_s(recording: Recording) -> float:
    return probe(resolve(recording.audio)).duration_s if recording.duration_s is None else recording.duration_s


def nonspeech_chunks(recording: Recording, duration_s: float, window_s: float) -> Iterator[Utterance]:
    """The windows of a recording, one after another. The rest is one too, unless it is shorter than a second.

    >>> rows = nonspeech_chunks(Recording("hum", "hum.flac"), 70.5, 30.0)
    >>> [(row.id, row.start_s, row.end_s, row.text) for row in rows][1:]
    [('hum-0003000-0006000', 30.0, 60.0, '<0.00>'), ('hum-0006000-0007050', 60.0, 70.5, '<0.00>')]
    """
    for number in range(n_windows(duration_s, window_s)):
        start_s = number * window_s
        end_s = min(start_s + window_s, duration_s)
        if end_s - start_s >= SHORTEST_S:
            key = f"{recording.id}-{round(100 * start_s):07d}-{round(100 * end_s):07d}"
            yield Utterance(key, recording.id, recording.audio, recording.id, LABEL, start_s, end_s)


def n_windows(duration_s: float, window_s: float) -> int:
    """The windows that a recording fills, with the last one, which may be short.

    >>> n_windows(60.0, 30.0), n_windows(60.01, 30.0)
    (2, 3)
    """
    return math.ceil(round(duration_s / window_s, 9))
