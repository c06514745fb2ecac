"""List a folder of recordings with the speaker, course, split and captions of each."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from egs.lectures.info import Info, read_info
from egs.lectures.names import plain_id, recording_id
from egs.lectures.options import Options
from egs.lectures.table import Row, find_table, inner_path, read_table
from egs.lectures.walk import INFO, Tree, walk
from k2d.core.errors import K2DError
from k2d.core.layout import unicode_form
from k2d.data.raw.tally import Tally

SHOWN_FAULTS = 10

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that is used. `path` and `captions` are below the root."""

    id: str
    path: str
    speaker: str
    split: str
    course: str = ""
    date: str = ""
    language: str = ""
    captions: str = ""
    container: str = ""
    """For a recording that must be converted: the container's name in ffmpeg."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is used of a folder, and what is left out for which reasons."""

    recordings: tuple[Recording, ...]
    tallies: tuple[Tally, ...]


@lru_cache(maxsize=1)  # called once for the recordings, once for the tables about them
def plan(root: Path, options: Options) -> Plan:
    """Search a folder. All faults of its table and captions are reported together."""
    files, taken = Tally("lectures", "files"), Tally("lectures", "recordings")
    tree = walk(root, files, follow_links=options.follow_links)
    files.kept = len(tree.audio) + len(tree.captions) + len(tree.infos)
    table = find_table(root, options.table)
    rows = read_table(table, root, tree.audio) if table else {}
    captions = _captions_by_stem(tree, options)
    with_info = {str(PurePosixPath(name).parent) for name in tree.infos}
    found = []
    for name in tree.audio:
        row, info_name = rows.get(name), f"{_stem(name)}{INFO}"
        info, reason = Info(), ""
        if info_name in tree.infos:
            info, reason = _look_up(root / info_name, options)
        elif str(PurePosixPath(name).parent) in with_info and options.licences != "any":
            reason = "no_info"  # other files have an info file, so this is a download with an unknown licence
        if options.only_listed and row is None:
            reason = "not_listed"
        if reason:
            taken.drop(reason, name)
            continue
        taken.keep()
        has_own = options.captions == "all" or (options.captions == "own" and info_name not in tree.infos)
        found.append(
            _recording(name, row or Row(), info, captions.get(_caption_key(name), "") if has_own else "", tree)
        )
    found = _with_dev(found, options)
    _refuse(_faults(found))
    return Plan(tuple(found), (files, taken, _tally_captions(tree, found)))


def _look_up(path: Path, options: Options) -> tuple[Info, str]:
    """The content of an info file, and the reason why its recording is left out, if it is."""
    takes_any = options.licences == "any"
    try:
        info = read_info(path)
    except K2DError:
        return Info(), "" if takes_any else "bad_info"
    return info, "" if takes_any or info.is_creative_commons else "licence"


def _recording(name: str, row: Row, info: Info, captions: str, tree: Tree) -> Recording:
    speaker = plain_id(row.speaker or info.channel)
    folder = PurePosixPath(name).parts[0] if "/" in name else ""
    key = recording_id(name, speaker)
    split = row.split or ("test" if captions else "train")
    return Recording(
        id=key,
        path=name,
        speaker=speaker or key,
        split=split,
        course=plain_id(row.course or info.channel or folder),
        date=row.date or info.date,
        language=row.language or (info.language if _LANGUAGE.fullmatch(info.language) else ""),
        captions=captions if split != "train" else "",
        container=tree.needs_ffmpeg.get(name, ""),
    )


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _caption_key(name: str) -> str:
    """The key that joins a recording and its captions. It is normalised, because macOS stores names in another form."""
    return unicodedata.normalize("NFC", _stem(name))


def _captions_by_stem(tree: Tree, options: Options) -> dict[str, str]:
    """The references by the recording's name without suffix. `talk.vtt` is preferred over `talk.zh-TW.vtt`."""
    given, folder = options.captions_folder, ""
    if given:
        inside = inner_path(tree.root, given)
        if inside is None or not (tree.root / inside).is_dir():
            raise K2DError(f"prepare.options.lectures: captions_folder: {given!r} is no folder below {tree.root}")
        folder = f"{inside}/"
    exact: dict[str, str] = {}
    tagged: dict[str, str] = {}
    for name in sorted(tree.captions):
        if not name.startswith(folder):
            continue
        stem = _caption_key(name.removeprefix(folder))
        exact.setdefault(stem, name)
        tag = PurePosixPath(stem).suffix.removeprefix(".")
        if re.split("[-_]", tag)[0].lower() in options.caption_languages:
            tagged.setdefault(_stem(stem), name)
    return {**tagged, **exact}


def _with_dev(found: Sequence[Recording], options: Options) -> list[Recording]:
    """Assign a share of the test recordings to `dev`. It is the same on all machines."""
    unit_of = {each.id: each.course if options.dev_by == "course" else each.id for each in found}
    units = {unit_of[each.id] for each in found if each.split == "test"}
    chosen = set(sorted(units, key=lambda unit: hashlib.sha256(unit.encode()).digest())[: _share_of(units, options)])
    return [
        replace(each, split="dev") if each.split == "test" and unit_of[each.id] in chosen else each for each in found
    ]


def _share_of(units: Iterable[str], options: Options) -> int:
    """The number of units for `dev`. At least one, and at least one stays in `test`."""
    n = len(list(units))
    return min(max(1, round(options.dev_share * n)), n - 1) if options.dev_share and n > 1 else 0


def _tally_captions(tree: Tree, found: Sequence[Recording]) -> Tally:
    tally = Tally("lectures", "caption files")
    used = {each.captions for each in found if each.captions}
    for name in sorted(tree.captions):
        if name in used:
            tally.keep()
        else:
            tally.drop("not_used", name)
    return tally


def _faults(found: Sequence[Recording]) -> list[str]:
    faults = [
        f"{each.path}: the table puts it into {each.split}, which needs captions; there are none beside it"
        for each in found
        if each.split != "train" and not each.captions
    ]
    paths = defaultdict(list)
    for each in found:
        paths[each.id].append(each.path)
    faults += [
        f"{' and '.join(_told_apart(same))} would have the same id {key}"
        for key, same in paths.items()
        if len(same) > 1
    ]
    return faults


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names, with their Unicode form if they look the same."""
    if len({unicodedata.normalize("NFC", name) for name in names}) == len(names):
        return list(names)
    return [f"{name} (in Unicode form {unicode_form(name)})" for name in names]


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        more = [f"… and {len(faults) - SHOWN_FAULTS:,} more"] if len(faults) > SHOWN_FAULTS else []
        raise K2DError("\n  ".join(["lectures:", *faults[:SHOWN_FAULTS], *more]) + "\nmend the table, or rename files")
