"""The agreement of an export, loaded in its own library, with our model."""

from __future__ import annotations

import importlib.metadata
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from k2d.core.errors import K2DError

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-4
"""The largest allowed difference of a logit between two libraries that compute in fp32."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The differences between the library's logits and ours, for a window of noise."""

    library: str
    version: str
    n_logits: int
    difference: float
    """The largest difference."""

    def __str__(self) -> str:
        """
        >>> print(Agreement("transformers", "5.23.0", 466785, 2.1e-6))
        loaded back in transformers 5.23.0: 466,785 logits, at most 2.1e-06 from ours
        """
        told = f"{self.n_logits:,} logits, at most {self.difference:.2g} from ours"
        return f"loaded back in {self.library} {self.version}: {told}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def agreement(library: str, ours: Tensor, theirs: Tensor, tolerance: float | None = TOLERANCE) -> Agreement:
    """Compare the logits. K2DError if they differ by more than `tolerance` (None: any difference is accepted)."""
    difference = float((ours.float() - theirs.float()).abs().max())
    found = Agreement(library, importlib.metadata.version(library), ours.numel(), difference)
    if tolerance is not None and not difference <= tolerance:  # also refuses NaN
        raise K2DError(f"export: {found}; expected at most {tolerance:g}: the exported student computes something else")
    return found
