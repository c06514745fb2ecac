"""CTranslate2's `model.bin`: which variables it stores, and where. Their numbers are read only when they are needed.

The layout is that of `ctranslate2/specs/model_spec.py`. Sizes stated in the file can be wrong, so each is compared with
the size of the file before anything is read or allocated.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import torch
from torch import Tensor

from k2d.core.errors import K2DError
from k2d.core.layout import shown

SPECIFICATION, REVISIONS = "WhisperSpec", (2, 3)
_VERSION = 6
"""Of the binary format. All converters that support Whisper write it."""
_MOST_VARIABLES = 100_000
"""Whisper large has about 2,000 with scales. Without a limit, a file of nothing but names would fill the memory."""
_MOST_DIMENSIONS = 4
_NAME = re.compile(r"[A-Za-z0-9_/]+")


@dataclass(frozen=True, slots=True)
class NumberType:
    """How a file stores numbers."""

    name: str
    stored: str
    """As numpy reads them."""
    torch: torch.dtype

    @property
    def n_bytes(self) -> int:
        return np.dtype(self.stored).itemsize

    @property
    def is_quantised(self) -> bool:
        """Whether weights of this type are whole numbers with a scale."""
        return self.name in ("int8", "int16")


TYPES = (
    NumberType("fp32", "<f4", torch.float32),
    NumberType("int8", "i1", torch.int8),
    NumberType("int16", "<i2", torch.int16),
    NumberType("int32", "<i4", torch.int32),
    NumberType("fp16", "<f2", torch.float16),
    NumberType("bf16", "<i2", torch.bfloat16),  # numpy has no bf16: the same bits are read as int16
)
"""In the order of their numbers in the format."""


@dataclass(frozen=True, slots=True)
class Variable:
    """Where the numbers of a variable lie."""

    name: str
    """Its own name. Aliases refer to the same variable."""
    shape: tuple[int, ...]
    type: NumberType
    offset: int
    """In bytes, from the start of the file."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A file's variables by all of their names, aliases included."""

    path: Path
    n_bytes: int
    revision: int
    variables: Mapping[str, Variable]

    def numbers(self, variable: Variable, part: int = 0, n_parts: int = 1) -> Tensor:
        """Read a variable as it is stored, or one of several equal parts along its first axis."""
        shape = (variable.shape[0] // n_parts, *variable.shape[1:]) if n_parts > 1 else variable.shape
        count = prod(shape)
        offset = variable.offset + part * count * variable.type.n_bytes
        read = np.fromfile(self.path, variable.type.stored, count, offset=offset)
        if len(read) != count:
            raise K2DError(f"{shown(self.path)}: became shorter while it was read; copy it again, then try again")
        return torch.from_numpy(read).view(variable.type.torch).view(shape)


def read_binary(path: Path) -> Binary:
    """Read which variables a file stores. K2DError names the place and the reason if the file is damaged."""
    try:
        with path.open("rb") as file:
            return _Reader(file, path).binary()
    except OSError as error:
        raise K2DError(f"{shown(path)}: cannot be read ({error.strerror}); copy or fetch it again") from error


class _Reader:
    """Reads a file once from start to end, and skips the numbers of variables."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._n_bytes = file.seek(0, 2)
        self._at = file.seek(0)

    def binary(self) -> Binary:
        revision = self._head()
        variables: dict[str, Variable] = {}
        for _ in range(self._count("variables", least_bytes=10)):
            name = self._new_name(variables)
            variables[name] = self._variable(name)
        for _ in range(self._count("aliases", least_bytes=6)):
            alias, name = self._new_name(variables), self._name()
            if name not in variables:
                self._refuse(f"the alias {alias} refers to {name}, but no variable has this name")
            variables[alias] = variables[name]
        if self._at != self._n_bytes:
            self._refuse(f"{self._n_bytes - self._at:,} bytes after the last alias")
        return Binary(self._path, self._n_bytes, revision, variables)

    def _head(self) -> int:
        """Check that a Whisper network follows, and return the revision of its specification."""
        if (version := self._integer("I", "version")) != _VERSION:
            remedy = "convert the model again with the present CTranslate2"
            raise K2DError(
                f"{shown(self._path)}: not a file of CTranslate2's format {_VERSION}, in which Whisper models are "
                f"written (its first number is {version}); use the folder that its converter wrote, or {remedy}"
            )
        if (name := self._name()) != SPECIFICATION:
            raise K2DError(
                f"{shown(self._path)}: holds a model of {name[:40]}, expected {SPECIFICATION}; use a Whisper"
            )
        if (revision := self._integer("I", "revision")) not in REVISIONS:
            known = " or ".join(map(str, REVISIONS))
            raise K2DError(
                f"{shown(self._path)}: revision {revision} of {SPECIFICATION}, expected {known}; convert the model "
                "with another version of CTranslate2, or use another format"
            )
        return revision

    def _variable(self, name: str) -> Variable:
        n_dimensions = self._integer("B", f"number of dimensions of {name}")
        if n_dimensions > _MOST_DIMENSIONS:
            self._refuse(f"{name} has {n_dimensions} dimensions, expected {_MOST_DIMENSIONS} at most")
        shape = tuple(self._integer("I", f"shape of {name}") for _ in range(n_dimensions))
        number = self._integer("B", f"number type of {name}")
        if number >= len(TYPES):
            self._refuse(f"{name} has numbers of type {number}, expected 0 to {len(TYPES) - 1}")
        claimed, needed = self._integer("I", f"size of {name}"), prod(shape) * TYPES[number].n_bytes
        if claimed != needed:
            self._refuse(f"{name} of shape {shape} has {claimed:,} bytes, expected {needed:,}")
        if not needed:
            self._refuse(f"{name} of shape {shape} holds no number")
        offset = self._at
        self._advance(needed, f"numbers of {name}")
        self._at = self._file.seek(self._at)
        return Variable(name, shape, TYPES[number], offset)

    def _count(self, what: str, least_bytes: int) -> int:
        count = self._integer("I", f"number of {what}")
        if count * least_bytes > self._n_bytes - self._at or count > _MOST_VARIABLES:
            self._refuse(f"{count:,} {what} are stated, more than the file has room for")
        return count

    def _new_name(self, known: Mapping[str, Variable]) -> str:
        if (name := self._name()) in known:
            self._refuse(f"{name} is there twice")
        return name

    def _name(self) -> str:
        n_bytes = self._integer("H", "length of a name")
        raw = self._read(n_bytes, "name")
        name = raw[:-1].decode("latin-1")
        if raw[-1:] != b"\0" or not _NAME.fullmatch(name):
            self._refuse(f"a name is {raw[:40]!r}, expected letters, digits, _ and / followed by a zero")
        return name

    def _integer(self, code: str, what: str) -> int:
        found: tuple[int] = struct.unpack(f"<{code}", self._read(struct.calcsize(code), what))
        return found[0]

    def _read(self, n_bytes: int, what: str) -> bytes:
        self._advance(n_bytes, what)
        return self._file.read(n_bytes)

    def _advance(self, n_bytes: int, what: str) -> None:
        left = self._n_bytes - self._at
        if n_bytes > left:
            self._refuse(f"{n_bytes:,} bytes for the {what} are stated, and {left:,} are left: it is truncated")
        self._at += n_bytes

    def _refuse(self, found: str) -> NoReturn:
        remedy = "copy or fetch it again, or convert the model again"
        raise K2DError(f"{shown(self._path)}: damaged at byte {self._at:,}: {found}; {remedy}")
