"""Where things live: the project, its data directories, an experiment's folders. The only place that knows."""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one experiment: `exp/<name>/…`, and `data/` which experiments share."""

    data: Path
    exp: Path

    @property
    def log(self) -> Path:
        return self.exp / "log"

    def split(self, split: str) -> Path:
        """The data directory of `<corpus>/<split>`."""
        return self.data / split


def places(data: str, exp: str, name: str) -> Places:
    """The folders of experiment `name`; relative ones lie in the project."""
    return Places(data=PROJECT_ROOT / data, exp=PROJECT_ROOT / exp / name)


def user_cache() -> Path:
    """Where is kept what a command outside of any experiment makes and could make again: `$XDG_CACHE_HOME/k2d`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "k2d"


def shown(path: Path) -> str:
    """A path for messages: relative to the project where it lies inside.

    >>> shown(PROJECT_ROOT / "conf" / "mini.yaml")
    'conf/mini.yaml'
    """
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def no_file_kind(mode: int) -> str:
    """What a path with this mode is that is no regular file; empty for one that is.

    >>> no_file_kind(stat.S_IFIFO | 0o600), no_file_kind(stat.S_IFREG)
    ('a named pipe', '')
    """
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def unicode_form(name: str) -> str:
    """The form in which a name is written; two names that look the same may differ in it.

    >>> unicode_form("caf\\u00e9"), unicode_form("cafe\\u0301")
    ('NFC', 'NFD')
    """
    return next((form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, name)), "a mixed one")
