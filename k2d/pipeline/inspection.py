"""What lies in folders, looked at once for as long as nothing is made."""

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
    """Stamps, fingerprints and damage, each remembered until `forget`: a folder may hold millions of files.

    Lists of files are not remembered, as they would take gigabytes.
    """

    def __init__(self, *, verify: bool = False) -> None:
        self.verify = verify
        """Hash also the files that have the recorded size and time."""
        self._found: dict[Hashable, object] = {}

    def forget(self) -> None:
        """Look at everything anew: something has been made, or may have been."""
        self._found.clear()

    def stamp(self, folder: Path) -> Stamp | None:
        """The stamp of a folder, None where there is none; UnreadableStamp as read_stamp."""
        found = self._once(("stamp", folder), lambda: _stamp_or_fault(folder))
        if isinstance(found, UnreadableStamp):
            raise found
        return found

    def maker_of(self, path: Path) -> Maker | None:
        """Who made a path, None where there is no stamp."""
        return maker_of(path, self.stamp)

    def at(self, path: Path) -> PathState:
        """The fingerprint of a path and what is damaged of it."""
        return self._once(("look", path), lambda: inspect_path(path, self.maker_of(path), verify=self.verify))

    def recorded_fingerprint(self, path: Path) -> str | None:
        """What a path held when it was made, and what made it; None without a stamp."""
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
