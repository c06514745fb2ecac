"""A corpus is a folder under egs/ with a card (corpus.yaml) and a recipe (prepare.py).

The recipe has these names; all but `prepare` are optional:
prepare(root: Path, options: Options, nj: int) -> Iterator[tuple[str, Utterance]]    (split, utterance) pairs
prepare(root, options, nj, store: Path)        the same, for a recipe that writes audio into the folder `store`
Options                                        a pydantic dataclass with the corpus's own options
variant(options: Options) -> str | None        which of the card's expected counts belong to these options
tables(root: Path, options: Options) -> Iterator[tuple[str, str, str, str]]    (split, file, id, value)
inventory(root: Path, options: Options) -> str    the present content, for a raw corpus that grows
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from k2d.core import strict_yaml
from k2d.core.download import Remote
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import PROJECT_ROOT, shown
from k2d.data.code_digest import code_digest
from k2d.data.raw.files import mark_cache
from k2d.data.raw.hub import HubFiles
from k2d.data.rows import Utterance

CARD = "corpus.yaml"
DEFAULT_VARIANT = "default"
HOURS_TOLERANCE = 0.01  # a share, because corpora are published with rounded hours

_CARD_CONFIG = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, config=_CARD_CONFIG)
class Expected:
    """The expected size of a split. Unknown numbers are left out."""

    utterances: Annotated[int, Field(ge=1)] | None = None
    hours: Annotated[float, Field(gt=0)] | None = None

    def problem(self, utterances: int, hours: float) -> str:
        """The differences from the expected numbers. Empty if there are none.

        >>> Expected(100, 2.0).problem(100, 2.01), Expected(100, 2.0).problem(99, 2.5)
        ('', '99 utterances (expected 100), 2.50 h (expected 2.00)')
        >>> Expected(hours=2.0).problem(99, 2.0), Expected().problem(1, 0.1)
        ('', '')
        """
        wrong = []
        if self.utterances is not None and utterances != self.utterances:
            wrong.append(f"{utterances:,} utterances (expected {self.utterances:,})")
        if self.hours is not None and abs(hours - self.hours) > max(HOURS_TOLERANCE * self.hours, 0.005):
            wrong.append(f"{hours:.2f} h (expected {self.hours:.2f})")
        return ", ".join(wrong)


@dataclass(frozen=True, config=_CARD_CONFIG)
class PublicFile:
    """A public file. `python -m egs.<corpus>.prepare --download DIR` writes it to DIR/<file>."""

    file: str
    url: str
    size: Annotated[int, Field(ge=1)] | None = None
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    md5: Annotated[str, Field(pattern="^([0-9a-f]{32})?$")] = ""

    @property
    def remote(self) -> Remote:
        digest = f"sha256:{self.sha256}" if self.sha256 else f"md5:{self.md5}" if self.md5 else ""
        return Remote(self.url, self.size, digest)


@dataclass(frozen=True, config=_CARD_CONFIG)
class Card:
    """corpus.yaml: what the corpus is and where to get it."""

    name: str
    title: str
    languages: tuple[str, ...]
    licence: str
    source: str
    """Where to get the corpus."""
    root_variable: str = ""
    """The environment variable with the path of the raw corpus. Empty if prepare.py makes it, under data/raw/."""
    download: tuple[PublicFile, ...] = ()
    """The files of a public corpus."""
    hub: HubFiles | None = None
    """The same for a corpus on the Hugging Face Hub, which gives the names, sizes and checksums."""
    expected: dict[str, dict[str, Expected]] = field(default_factory=dict)
    """By variant (`default` unless prepare.py defines others) and split."""


_NESTED: dict[str, Any] = {"download": PublicFile, "hub": HubFiles, "expected": Expected}

# For each corpus here: digests of earlier versions of its recipe that make the same data of the same options, and last
# the present `code`. The first is of bytes, from before modules were renamed.
_FORMER = {
    "ascend": ("eb01ca03da067439", "0804815cd444389a", "9fa786c76e8adc72"),
    "commonvoice": ("e29e869481d2cc7e", "1a82426ac1bc1f38", "2da720b3850fd6b0"),
    "csdialogue": ("85b91098517129ab", "878d64805e77514a", "aefbd812df9c8143"),
    "cszs": ("561d4573cddc76d6", "11e2b877d8122170", "9b2f9bf9dd2e220e"),
    "lectures": ("d55a7a73e10d2f2b", "1a296f7b0bccbee5", "75defa36a01fa4a7"),
    "mini": ("2d25190db920d5e5", "70c442cbb3ff5f99", "9e3d8e5e1d814028", "630defb1ec4a7317"),
    "ntuml2021": ("922791ef07df65dd", "63eb0d60bf26ba60", "3946a0b152ec510c"),
    "seame": ("fe7fd651a98fd1e8", "a2209a05c2dba2e1", "dcebab90846579a4"),
    "talcs": ("45df1e8a77e4df9b", "8228c02885b1e51a", "2bfb37b578533760"),
}


class Corpus:
    """A folder under egs/ with its card loaded and its prepare.py imported."""

    def __init__(self, name: str) -> None:
        self.name, self.folder = name, PROJECT_ROOT / "egs" / name
        self.card = read_card(self.folder / CARD)
        if self.card.name != name:
            raise K2DError(f"{shown(self.folder)}/{CARD}: name: found {self.card.name!r}, expected {name!r}")
        self.module = _import_prepare(name)

    def options(self, given: Mapping[str, Any]) -> Any:
        """The corpus's own options, checked. None for a corpus without options."""
        kind = getattr(self.module, "Options", None)
        where = f"prepare.options.{self.name}"
        if kind is None:
            if given:
                raise UsageError(f"{where}: found {', '.join(given)}, expected nothing: this corpus has no options")
            return None
        try:
            return TypeAdapter(kind).validate_json(json.dumps(dict(given)))
        except ValidationError as error:
            raise UsageError("\n".join(_option_faults(where, error, kind))) from error

    def root(self, configured: str | None, data: Path) -> Path:
        """The path of the raw corpus: from the config, from the environment, or the place where prepare.py makes it."""
        variable = self.card.root_variable
        text = configured or (os.environ.get(variable, "") if variable else "")
        if not text and not variable:
            return self.store(data)
        if not text:
            how = f"set {variable}, or prepare.roots.{self.name}=/path/to/it"
            raise UsageError(f"{self.name}: where is the raw corpus? {how} (to get it: {self.card.source})")
        root = PROJECT_ROOT / Path(text).expanduser()
        if not root.is_dir():
            raise UsageError(f"{self.name}: the raw corpus {root} is not a folder; correct {variable} or prepare.roots")
        return root

    def store(self, data: Path) -> Path:
        """The folder for audio that a recipe writes."""
        return data / "raw" / self.name

    def rows(self, root: Path, options: Any, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
        asked = {"store": store} if "store" in inspect.signature(self.module.prepare).parameters else {}
        if asked:
            mark_cache(store.parent)
        return cast("Iterator[tuple[str, Utterance]]", self.module.prepare(root, options, nj, **asked))

    def tables(self, root: Path, options: Any) -> Iterator[tuple[str, str, str, str]]:
        make = getattr(self.module, "tables", None)
        return make(root, options) if make else iter(())

    def inventory(self, root: Path, options: Any) -> dict[str, str]:
        """The content of a raw corpus that can change. Empty for a published corpus, which does not."""
        make = getattr(self.module, "inventory", None)
        return {"raw": make(root, options)} if make else {}

    def expected(self, options: Any) -> Mapping[str, Expected] | None:
        """The expected counts for these options. None if the card has none."""
        name = getattr(self.module, "variant", lambda _: DEFAULT_VARIANT)(options)
        return self.card.expected.get(name) if name else None

    def code(self) -> str:
        """A digest of the recipe: of what its code and its readers do, and of its other files.

        The card is not included. Prepared data are compared with it, but do not depend on it.
        """
        files = [path for path in self._files() if path.name != CARD and not path.name.startswith(".")]
        code = code_digest([path for path in files if path.suffix == ".py"], PROJECT_ROOT)
        content = self._content([path for path in files if path.suffix != ".py"])
        return hashlib.sha256(code.encode() + content).hexdigest()[:16]

    def former_codes(self) -> tuple[str, ...]:
        """Digests of this recipe in stamps of earlier versions, the first of which hashed all bytes of the folder.

        Some recipes have changed since in ways that leave the data as they were. Their former digests are listed here.
        """
        *former, code = _FORMER.get(self.name, ("",))
        known = former if code == self.code() else ()
        return (hashlib.sha256(self._content(self._files())).hexdigest()[:16], *known)

    def _files(self) -> list[Path]:
        """The recipe's files except documentation."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [path for path in found if "__pycache__" not in path.parts and path.suffix not in (".md", ".sh")]

    def _content(self, files: Iterable[Path]) -> bytes:
        """The names and the bytes of files."""
        return b"".join(f"{path.relative_to(self.folder)}\0".encode() + path.read_bytes() + b"\0" for path in files)


def known_corpora() -> list[str]:
    """The folders under egs/ that are corpora."""
    return sorted(card.parent.name for card in (PROJECT_ROOT / "egs").glob(f"*/{CARD}"))


def read_card(path: Path) -> Card:
    """Load and check a corpus.yaml. All faults are reported at once."""
    if not path.is_file():
        known = ", ".join(known_corpora())
        raise UsageError(f"{shown(path)}: no such file; the corpora are {known} (egs/README.md: how to add one)")
    document = strict_yaml.read(path, shown(path))
    faults = [str(fault) for fault in document.faults]
    try:
        card = TypeAdapter(Card).validate_json(json.dumps(document.data))
    except ValidationError as error:
        faults += _option_faults(shown(path), error, Card)
    if faults:
        raise K2DError("\n".join(faults))
    return card


def _import_prepare(name: str) -> ModuleType:
    if str(PROJECT_ROOT) not in sys.path:  # egs/ is beside the package, not inside it
        sys.path.insert(0, str(PROJECT_ROOT))
    try:
        module = importlib.import_module(f"egs.{name}.prepare")
    except ModuleNotFoundError as error:
        if error.name != f"egs.{name}.prepare":
            raise
        raise K2DError(f"egs/{name}/prepare.py is missing; copy egs/TEMPLATE/prepare.py") from error
    if not callable(getattr(module, "prepare", None)):
        raise K2DError(f"egs/{name}/prepare.py: found no function `prepare`; see egs/README.md")
    return module


def _option_faults(where: str, error: ValidationError, kind: Any) -> list[str]:
    faults = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "unexpected_keyword_argument":
            of = _NESTED.get(str(detail["loc"][0]), kind) if len(detail["loc"]) > 1 else kind
            known = ", ".join(of.__dataclass_fields__)
            faults.append(f"{where}: {key}: found an unknown key, expected one of {known}")
        elif detail["type"] == "missing":
            faults.append(f"{where}: {key}: found nothing, expected a value")
        else:
            faults.append(f"{where}: {key}: found {detail['input']!r}; {detail['msg'].lower()}")
    return faults
