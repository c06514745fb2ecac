"""Files of a raw corpus: find its folder and its recordings by name, and unpack its archive."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.archive import extract

CACHE_TAG = "CACHEDIR.TAG"  # see bford.info/cachedir: backup and cleaning programs recognise such a folder
_CACHE_SIGNATURE = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Made by K2D from raw corpora; stage 1 makes it again.\n"
)

_WHOLE = re.compile(r".+\.(?:tar|tar\.(?:gz|bz2|xz)|tgz|zip)")
_PART = re.compile(rf"{_WHOLE.pattern}\.?(?:part)?\.?(?:[0-9]{{1,3}}|[a-z]{{2}})")


def mark_cache(folder: Path) -> None:
    """Mark a folder whose whole content is derived and can be made again."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CACHE_TAG).exists():
        write_text(folder / CACHE_TAG, _CACHE_SIGNATURE)


def only_place(root: Path, pattern: str, what: str) -> Path:
    """The one path below `root` that matches. K2DError if there is none or more than one."""
    found = sorted(root.glob(pattern))
    if len(found) != 1:
        places = ", ".join(map(shown, found)) or "nothing"
        raise K2DError(f"{shown(root)}: found {places} as {pattern}, expected one place with {what}")
    return found[0]


def by_name(paths: Iterable[Path], *, any_case: bool = False) -> dict[str, Path]:
    """Files by their names without suffix (in lower case with `any_case`). K2DError lists names that occur twice."""
    found: dict[str, Path] = {}
    twice = []
    for path in sorted(paths):
        name = path.stem.lower() if any_case else path.stem
        if (before := found.setdefault(name, path)) != path:
            twice.append(f"{shown(path)}: found another file of the name of {shown(before)}, expected each name once")
    if twice:
        raise K2DError("\n".join([*twice[:10], f"{len(twice)} files are there twice; keep one of each"]))
    return found


def unpacked(root: Path, pattern: str, store: Path) -> Path | None:
    """The folder below `store` with the content of the archive under `root`, unpacked on first use. None: no archive.

    `pattern` matches all parts of an archive in parts (`x.tar.part00`, …). If the whole archive is there too, it is
    used instead of the parts. An archive with other names or sizes is unpacked into a folder of its own.
    """
    found = sorted(root.glob(pattern))
    wholes = [path for path in found if _WHOLE.fullmatch(path.name)]
    if len(wholes) > 1:
        raise K2DError(
            f"{shown(root)}: found {', '.join(path.name for path in wholes)}, expected one archive; keep one"
        )
    parts = wholes or [path for path in found if _PART.fullmatch(path.name)]  # checksum files do not match
    if not parts:
        return None
    sizes = "".join(f"{part.name} {part.stat().st_size}\n" for part in parts)
    folder = store / f"unpacked-{hashlib.sha256(sizes.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        extract(parts, folder)
    return folder
