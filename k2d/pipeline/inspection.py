"""Looks at folders and caches what it finds, until something is made."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar, cast

from k2d.core.stamp import (
    Maker,
    PathState,
    Stamp,
    UnreadableStamp,
    inspect_path,
    maker_of,
    read_stamp,
    recorded_fingerprint,
)

Found = TypeVar("Found")


class Inspection:
    """Caches stamps, fingerprints and damage until `forget`, because a folder may have millions of files.

    Lists of files are not cached, because they would take gigabytes.
    """

    def __init__(self, *, verify: bool = False) -> None:
        self.verify = verify
        """Whether to hash also files that have the recorded size and time."""
        self._found: dict[Hashable, object] = {}

    def forget(self) -> None:
        """Clear the cache, because something has been made, or may have been."""
        self._found.clear()

    def stamp(self, folder: Path) -> Stamp | None:
        """The stamp of a folder, None without one. Raises UnreadableStamp like read_stamp."""
        found = self._once(("stamp", folder), lambda: _stamp_or_fault(folder))
        if isinstance(found, UnreadableStamp):
            raise found
        return found

    def maker_of(self, path: Path) -> Maker | None:
        """The stage that made a path, None without a stamp."""
        return maker_of(path, self.stamp)

    def at(self, path: Path) -> PathState:
        """The fingerprint of a path, and the damage to its files."""
        return self._once(("look", path), lambda: inspect_path(path, self.maker_of(path), verify=self.verify))

    def recorded_fingerprint(self, path: Path) -> str | None:
        """The fingerprint of a path's content and recipe, from its stamp. None without a stamp."""
        return self._once(("recorded", path), lambda: recorded_fingerprint(path, self.maker_of(path)))

    def _once(self, key: Hashable, look: Callable[[], Found]) -> Found:
        if key not in self._found:
            self._found[key] = look()
        return cast(Found, self._found[key])


def _stamp_or_fault(folder: Path) -> Stamp | UnreadableStamp | None:
    try:
        return read_stamp(folder)
    except UnreadableStamp as fault:
        return fault
