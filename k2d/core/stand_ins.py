"""Modules that stand in for others while a library is imported: a library may import much that its user never calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def standing_in(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """In the block, an import of one of these names gets the stand-in; None: ImportError, as if it were not installed.

    Afterwards the real modules can be imported, or are there again if they were there before.
    """
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(cast("dict[str, ModuleType]", modules))
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def empty_module(name: str, **attributes: object) -> ModuleType:
    """A module that has only these attributes, so that `from name import attribute` works."""
    module = ModuleType(name)
    vars(module).update(attributes)
    return module
