"""YODAS2: shards of whole videos, `audio/*.tar.gz` with `duration/*.txt` and `text/*.json` of the same name.

A shard is unpacked once, as a whole or not at all. The names of videos in an archive or text are used as keys only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from egs.lectures.json_list import json_list
from k2d.core.errors import K2DError
from k2d.core.progress import track
from k2d.core.workers import run_each
from k2d.data.raw.archive import extract
from k2d.data.raw.captions import Captions, tidy
from k2d.data.raw.lines import raw_lines
from k2d.data.raw.tally import Tally

ARCHIVE = ".tar.gz"
CENTISECOND_S = 0.01


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard of a language. `place` is its folder, such as …/zh000."""

    place: Path
    number: str
    unpacked: Path

    @property
    def archive(self) -> Path:
        return self.place / "audio" / (self.number + ARCHIVE)

    @property
    def durations(self) -> Path:
        return self.place / "duration" / f"{self.number}.txt"

    @property
    def texts(self) -> Path:
        return self.place / "text" / f"{self.number}.json"


@dataclass(frozen=True, slots=True)
class Video:
    """A video. Its key is YODAS2's and may start with a hyphen."""

    key: str
    audio: Path
    captions: Captions | None = None


def find_shards(root: Path, store: Path) -> list[Shard]:
    """The shards below a folder: those of one language, or of a folder of languages (`data/` of the whole corpus)."""
    places = [root, *sorted(root.glob("*")), *sorted(root.glob("data/*"))]
    archives = [archive for place in places for archive in sorted(place.glob(f"audio/*{ARCHIVE}"))]
    return [_shard(archive, store) for archive in archives]


def _shard(archive: Path, store: Path) -> Shard:
    number, facts = archive.name.removesuffix(ARCHIVE), archive.stat()
    digest = hashlib.sha256(f"{archive}\0{facts.st_size}\0{facts.st_mtime_ns}".encode(errors="replace")).hexdigest()
    return Shard(archive.parents[1], number, store / "yodas2" / digest[:32])


def unpack(shards: Sequence[Shard], nj: int) -> None:
    """Unpack missing shards. If shards cannot be unpacked, K2DError gives the reasons."""
    to_do = [shard for shard in shards if not shard.unpacked.is_dir()]
    faults = []
    for outcome in track(run_each(_unpack, to_do, nj=nj) if to_do else (), "unpacking", len(to_do), "shards"):
        if outcome.error:
            faults.append(str(outcome.exception or f"{outcome.item.archive}: {outcome.error}"))
    if faults:
        raise K2DError("\n".join(sorted(faults)))


def _unpack(shard: Shard) -> int:
    return extract(shard.archive, shard.unpacked)


def videos(shard: Shard, tally: Tally, *, with_captions: bool) -> Iterator[Video]:
    """The videos in the shard's durations. A video without audio is yielded, too, so that stage 1 rejects it."""
    audio = {path.stem: path for path in sorted(shard.unpacked.rglob("*")) if path.is_file()}
    captions = _captions(shard, tally) if with_captions else {}
    for key in _keys(shard):
        tally.keep()
        yield Video(key, audio.pop(key, shard.unpacked / "missing"), captions.get(key))
    for key in audio:
        tally.drop("no_duration_stated", f"{shard.number}: {key}")


def _keys(shard: Shard) -> Iterator[str]:
    """The videos of a shard. All lines that cannot be parsed are reported."""
    seen, faults = set(), []
    for number, line in raw_lines(shard.durations):
        key, _, seconds = line.strip().rpartition(" ")
        is_number = seconds.replace(".", "", 1).isdecimal()
        if not key or not is_number or key in seen:
            faults.append(f"{shard.durations}:{number}: found {line[:80]!r}, expected a new video and its seconds")
        elif not faults:
            yield key
        seen.add(key)
    if faults:
        raise K2DError("\n".join(faults[:10]))


def _captions(shard: Shard, tally: Tally) -> dict[str, Captions]:
    """The captions of every video with a text, in memory for one shard."""
    found = {}
    for number, item in enumerate(json_list(shard.texts)):
        key, texts = (item.get("audio_id"), item.get("text")) if isinstance(item, dict) else (None, None)
        if not isinstance(key, str) or not isinstance(texts, dict):
            raise K2DError(f"{shard.texts}: item {number}: expected audio_id and text; fetch it again")
        found[key] = tidy((_times(key, name), [text]) for name, text in texts.items() if isinstance(text, str))
    return found


def _times(key: str, name: str) -> tuple[float, float] | None:
    """The times in `<video>-<number>-<start>-<end>`, in centiseconds. The video's key may contain hyphens.

    >>> _times("-a-b", "-a-b-00003-00000200-00001550"), _times("x", "y-00003-00000200-00001550")
    ((2.0, 15.5), None)
    """
    parts = name.rsplit("-", 3)
    if len(parts) != 4 or parts[0] != key or not all(part.isdecimal() for part in parts[1:]):
        return None
    start, end = (round(int(part) * CENTISECOND_S, 2) for part in parts[2:])
    return start, end
