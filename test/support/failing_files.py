"""A disk on which a run is killed or fails at the n-th system call of k2d/core/atomic.py, or loses power."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from k2d.core import file_calls


class Killed(BaseException):
    """The process was killed: nothing is done after this."""


class Disk:
    """Counts the calls, and stops before one of them, by its number or (the first of them) its name.

    A flush has a step in its middle, at which half of the text is written; a tree is removed name by name.
    """

    def __init__(
        self, stop_at: int | str | None = None, *, error: OSError | None = None, can_exchange: bool = True
    ) -> None:
        self.stop_at, self.error, self.can_exchange = stop_at, error, can_exchange
        self.calls: list[tuple[str, str]] = []
        self.is_dead = False
        self.synced: set[int] = set()  # inodes of the files whose content is on the disk
        self.undo: list[tuple[Path, Callable[[], object]]] = []  # renames that are not, by the folder to be synced

    @contextlib.contextmanager
    def mounted(self) -> Iterator["Disk"]:
        """Let k2d/core/atomic.py use this disk."""
        own = {
            "make_folder": self._plain("make_folder"),
            "open_new": self._plain("open_new"),
            "unlink": self._plain("unlink"),
            "flush": self._flush,
            "sync_file": self._sync_file,
            "sync": self._sync,
            "rename": self._rename,
            "exchange": self._exchange,
            "remove_tree": self._remove_tree,
        }
        public = {name for name, value in vars(file_calls).items() if callable(value) and name[0].islower()}
        assert {name for name in public if getattr(file_calls, name).__module__ == file_calls.__name__} == set(own)
        real = {name: getattr(file_calls, name) for name in own}
        self._real = real
        for name, call in own.items():
            setattr(file_calls, name, call)
        try:
            yield self
        finally:
            for name, call in real.items():
                setattr(file_calls, name, call)

    def cut_power(self, folder: Path, *, renames_last: bool) -> None:
        """Lose everything that was not synced: contents become zeros, and renames are undone."""
        if not renames_last:
            for _, undo in reversed(self.undo):
                undo()
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_ino not in self.synced:
                path.write_bytes(bytes(path.stat().st_size))

    def lasts(self, folder: Path) -> None:
        """Mark the present content of a folder as synced."""
        self.synced |= {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}

    def _step(self, name: str, where: object) -> None:
        if self.is_dead:
            raise Killed
        self.calls.append((name, Path(str(where)).name))
        if self.stop_at in (len(self.calls) - 1, name):
            if self.error is not None:
                raise self.error
            self.is_dead = True
            raise Killed

    def _plain(self, name: str) -> Callable[[Path], object]:
        def call(path: Path) -> object:
            self._step(name, path)
            return self._real[name](path)

        return call

    def _flush(self, file) -> None:
        self._step("flush", file.name)
        try:
            self._step("flush, half of it", file.name)
        except Killed:
            self._real["flush"](file)
            os.truncate(file.name, Path(file.name).stat().st_size // 2)
            raise
        self._real["flush"](file)

    def _sync_file(self, file) -> None:
        self._step("sync_file", file.name)
        self.synced.add(os.fstat(file.fileno()).st_ino)

    def _sync(self, path: Path) -> None:
        self._step("sync", path)
        self.synced.add(path.stat().st_ino)
        self.undo = [(folder, undo) for folder, undo in self.undo if folder != path]

    def _rename(self, source: Path, target: Path) -> None:
        self._step("rename", target)
        former = target.read_bytes() if target.is_file() else None
        was_synced = former is not None and target.stat().st_ino in self.synced
        self._real["rename"](source, target)

        def undo() -> None:
            target.rename(source)
            if former is not None:
                target.write_bytes(former)
                if was_synced:
                    self.synced.add(target.stat().st_ino)

        self.undo.append((target.parent, undo))

    def _exchange(self, one: Path, other: Path) -> bool:
        self._step("exchange", other)
        if not self.can_exchange:
            return False
        _swap(one, other)
        self.undo.append((other.parent, lambda: _swap(one, other)))
        return True

    def _remove_tree(self, path: Path) -> None:
        assert not self.undo, f"{path.name} is removed before the renames are on the disk"
        for parent, folders, names in os.walk(path, topdown=False):
            for name in names:
                self._step("unlink", name)
                Path(parent, name).unlink()
            for name in folders:
                self._step("rmdir", name)
                Path(parent, name).rmdir()
        self._step("rmdir", path)
        path.rmdir()


def _swap(one: Path, other: Path) -> None:
    """An exchange that looks atomic to the tested code, also on a file system without one."""
    aside = other.with_name(f"{other.name}.aside")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
