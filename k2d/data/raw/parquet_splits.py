"""Find the parquet files of a Hugging Face data set by split: `train-00000-of-00003.parquet`, with or without a
digest.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.parquet import Shard, open_shard

_NAME = re.compile(r"(?P<split>\w+)-(?P<number>\d{5})-of-(?P<total>\d{5})(?:-[0-9a-f]+)?\.parquet")

Splits = dict[str, list[Shard]]

log = logging.getLogger("k2d")


def find_splits(root: Path, column: str, *, tell: bool = True) -> Splits:
    """The shards below a folder by split, in order. Shards without `column` do not belong to this data set: they are
    logged and left out.

    A missing shard is an error, and so are two sets of shards for one split.
    """
    faults: list[str] = []
    found: dict[str, dict[int, Shard]] = {}
    totals: dict[str, int] = {}
    level = logging.WARNING if tell else logging.DEBUG
    for path in _paths(root):
        if not _NAME.fullmatch(path.name):
            log.log(level, "%s: left out, it is not named as SPLIT-00000-of-00001.parquet is", shown(path))
            continue
        shard = open_shard(path)
        if column not in shard.columns:
            log.log(level, "%s: left out, it has no column %r (a shard of an older revision)", shown(path), column)
            continue
        split, number, total = _parsed(path)
        if totals.setdefault(split, total) != total or number in found.get(split, {}):
            faults.append(f"{path}: a second set of shards for {split}; keep the files of one revision")
        found.setdefault(split, {})[number] = shard
    for split, shards in found.items():
        if missing := [number for number in range(totals[split]) if number not in shards]:
            named = ", ".join(f"{number:05d}" for number in missing)
            lacking = f"{len(missing)} of {totals[split]} shards are not there: {named}"
            faults.append(f"{root}: {split}: {lacking}; fetch them too")
    if faults:
        raise K2DError("\n".join(faults))
    return {split: [found[split][number] for number in sorted(found[split])] for split in sorted(found)}


def _paths(root: Path) -> list[Path]:
    """Parquet files, except those in hidden folders, where download tools keep their caches."""
    paths = root.rglob("*.parquet")
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts))


def _parsed(path: Path) -> tuple[str, int, int]:
    parts = _NAME.fullmatch(path.name)
    assert parts is not None
    return parts["split"], int(parts["number"]), int(parts["total"])
