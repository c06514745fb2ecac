"""egs/lectures: your own recordings. A folder becomes `train`; those with captions become `test` (and `dev`)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from egs.lectures.convert import convert
from egs.lectures.names import recording_id, segment_id
from egs.lectures.options import Options
from egs.lectures.recordings import plan
from egs.lectures.table import NAMES
from egs.lectures.walk import digest_of_files
from egs.lectures.yodas2 import Video, find_shards, unpack, videos
from k2d.core.errors import K2DError
from k2d.data.raw.captions import Captions, read_captions
from k2d.data.raw.tally import Tally
from k2d.data.rows import Utterance

__all__ = ["Options", "inventory", "prepare", "tables"]

SHOWN_FAULTS = 10
_ROLES = {"dev": "dev", "test": "in_domain"}  # the roles that a config can give to splits with captions

log = logging.getLogger("k2d")


def prepare(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield every recording, as a whole or cut by its captions. Whatever is left out is counted and logged."""
    root, store = root.resolve(), store.resolve()
    read = _from_yodas2 if _is_yodas2(root, options) else _from_folder
    captioned: dict[str, set[str]] = {split: set() for split in _ROLES}
    for split, row in read(root, options, nj, store):
        if split in captioned:
            captioned[split].add(row.recording_id)
        yield split, row
    for split, recordings in captioned.items():
        if recordings:
            how = f"to have models scored on it: corpora.{_ROLES[split]}=[lectures/{split}]"
            log.info("lectures/%s: %s recordings with captions; %s", split, f"{len(recordings):,}", how)


def tables(root: Path, options: Options) -> Iterator[tuple[str, str, str, str]]:
    """`reco2course` and `reco2date` where they are known, and `reco2path`, the original path of each recording."""
    root = root.resolve()
    if _is_yodas2(root, options):
        return
    for each in plan(root, options).recordings:
        for name, value in (("course", each.course), ("date", each.date), ("path", each.path)):
            if value:
                yield each.split, f"reco2{name}", each.id, value


def inventory(root: Path, options: Options) -> str:
    """The number of files, and a digest of them. A folder of your own may grow, and captions may be added."""
    tables_named = {*NAMES, *filter(None, [options.table])}
    return digest_of_files(root.resolve(), tables_named, follow_links=options.follow_links)


def _is_yodas2(root: Path, options: Options) -> bool:
    if options.layout == "auto":
        return any(shard.durations.is_file() for shard in find_shards(root, root))
    return options.layout == "yodas2"


def _from_folder(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    plan.cache_clear()  # the folder may have changed since the last call
    planned = plan(root, options)
    cues = Tally("lectures", "captions")
    captions = _read_all(root, [each.captions for each in planned.recordings if each.captions])
    containers = {each.path: each.container for each in planned.recordings if each.container}
    converted = convert(root, containers, store, nj) if containers else {}
    for each in planned.recordings:
        audio = str(converted.get(each.path, root / each.path))
        if not each.captions:
            yield each.split, Utterance(each.id, each.id, audio, each.speaker, language=each.language or None)
        else:
            for row in _segments(each.id, each.speaker, audio, captions[each.captions]):
                yield each.split, row
            _count(cues, captions[each.captions], each.captions)
    for tally in (*planned.tallies, cues):
        if tally.kept or tally.dropped:
            tally.tell()


def _read_all(root: Path, names: Sequence[str]) -> dict[str, Captions]:
    """The captions by file. All files that are not captions, or that have no speech, are reported together."""
    found, faults = {}, []
    for name in names:
        try:
            found[name] = read_captions(root / name)
            if not found[name].cues:
                faults.append(f"{root / name}: nothing is said in it; delete it, and its recording is for training")
        except (K2DError, OSError) as error:
            faults.append(str(error))
    if faults:
        more = [f"… and {len(faults) - SHOWN_FAULTS:,} more"] if len(faults) > SHOWN_FAULTS else []
        raise K2DError("\n".join([*faults[:SHOWN_FAULTS], *more]))
    return found


def _segments(key: str, speaker: str, audio: str, captions: Captions) -> Iterator[Utterance]:
    for cue in captions.cues:
        name = segment_id(key, cue.start_s, cue.end_s)
        yield Utterance(name, key, audio, speaker, cue.text, cue.start_s, cue.end_s)


def _count(tally: Tally, captions: Captions, where: str) -> None:
    """Count cues that were merged into one as kept, because none of their text is lost."""
    tally.kept += captions.n_in - captions.dropped.total()
    for reason, n in captions.dropped.items():
        tally.dropped[reason] += n
        tally.examples.setdefault(reason, where)


def _from_yodas2(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    shards = find_shards(root, store)
    if not shards:
        raise K2DError(f"{root}: found no audio/*.tar.gz, expected shards of YODAS2")
    unpack(shards, nj)
    tally, cues, seen = Tally("lectures", "videos"), Tally("lectures", "captions"), Counter[str]()
    for shard in shards:
        for video in videos(shard, tally, with_captions=options.captions == "all"):
            key = recording_id(f"{shard.place.name}/{video.key}.wav")
            seen[key] += 1
            if seen[key] > 1:
                raise K2DError(f"{shard.archive}: the video {video.key!r} is in another shard too; take one of them")
            yield from _rows(key, video)
            if video.captions:
                _count(cues, video.captions, video.key)
    for each in (tally, cues):
        if each.kept or each.dropped:
            each.tell()


def _rows(key: str, video: Video) -> Iterator[tuple[str, Utterance]]:
    """A video with captions is a test recording, as the option `captions` requests."""
    if video.captions and video.captions.cues:
        for row in _segments(key, key, str(video.audio), video.captions):
            yield "test", row
    else:
        yield "train", Utterance(key, key, str(video.audio), key)
