"""The cases that are measured on a GPU, and the request to the process that measures one. Imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from k2d.models.whisper.dims import PUBLISHED, WhisperDims

Work = Literal["labelling", "distillation"]

SMALL = "small-test"
SIZES: Mapping[str, WhisperDims] = {
    "base": PUBLISHED["base"],
    "large-v2": PUBLISHED["large-v2"],
    SMALL: WhisperDims(80, 1500, 64, 2, 2, 51_865, 448, 64, 2, 3),
}
"""The sizes that are measured. The last one is for tests of this benchmark."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    work: Work
    size: str
    keep_encoded: bool = False
    """Whether the teacher's outputs are computed once and kept (distill.keep_encoded)."""
    in_use: bool = False
    """Whether the student is trained on the vocabulary in use (distill.vocabulary)."""
    n_ranks: int = 1

    @property
    def name(self) -> str:
        """
        >>> Case("distillation", "base", keep_encoded=True, n_ranks=2).name
        'distillation base, kept outputs, 2 ranks'
        """
        parts = {"kept outputs": self.keep_encoded, "vocabulary in use": self.in_use}
        ranks = [f"{self.n_ranks} ranks"] if self.n_ranks > 1 else []
        return ", ".join([f"{self.work} {self.size}", *(part for part, is_on in parts.items() if is_on), *ranks])


def cases_of(sizes: Sequence[str], n_gpus: int) -> list[Case]:
    """The cases of these sizes, the most important ones first: a run can be cut short."""
    ways = ((False, False), (True, False), (False, True), (True, True))
    found = [Case("labelling", size) for size in sizes]
    found += [Case("distillation", size, kept, in_use) for kept, in_use in ways for size in sizes]
    if n_gpus > 1:
        found += [Case("distillation", size, n_ranks=2) for size in sizes]
    return found


@dataclass(frozen=True, slots=True)
class Measuring:
    """A case, and how it is measured."""

    case: Case
    device: str
    batch_size: int
    accumulate: int | None
    """None: as few backward passes as the plan of memory allows."""
    precision: str
    seconds: float
    """No further round starts after this time."""
    checkpoint: str | None = None
    """None: random weights."""
    bandwidth: float | None = None
    flops: float | None = None
    has_profile: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Measuring:
        values = json.loads(text)
        return cls(**{**values, "case": Case(**values["case"])})
