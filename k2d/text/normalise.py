"""Make texts comparable: one spelling, one case, one script. All distances and scores depend on it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property

from k2d.text import basic as basic_normaliser
from k2d.text.basic import basic
from k2d.text.normaliser_steps import STEPS, Step, chosen_steps
from k2d.text.script import CONVERTERS, HanScript, script_version
from k2d.text.timestamps import strip_timestamps


@dataclass(frozen=True)
class Normaliser:
    """Timestamps become spaces, then Whisper's `basic` (with NFKC), then one Han script. Normal text does not change.

    >>> Normaliser()("<0.00>瞭解 GPU<1.20>don't")
    ' 了解 gpu don t'
    """

    basic: bool = True
    script: HanScript = "t2s"
    steps: tuple[str, ...] = ()
    """Optional steps by name: tags, numerals, variants, fillers."""

    def __post_init__(self) -> None:
        chosen_steps(self.steps)

    def __call__(self, text: str) -> str:
        text = strip_timestamps(text)
        if not self.basic:
            text = strip_timestamps(unicodedata.normalize("NFKC", text))
        for step in self._chosen:
            text = step.before(text)
        if self.basic:
            text = basic(text)
        for step in self._chosen:
            text = step.after(text)
        return CONVERTERS[self.script](text)

    @cached_property
    def signature(self) -> str:
        """Everything that determines the result, including versions, in a line.

        >>> Normaliser(script="none", steps=("fillers",)).signature.replace(unicodedata.unidata_version, "…")
        'basic-1+unicode-…+fillers-1'
        """
        parts = [
            f"basic-{basic_normaliser.VERSION}" if self.basic else "nfkc",
            f"unicode-{unicodedata.unidata_version}",
        ]
        if self.script != "none":
            parts.append(f"{self.script}:{script_version()}")
        parts += [f"{name}-{step.version}" for name, step in STEPS.items() if name in self.steps]
        return "+".join(parts)

    @cached_property
    def _chosen(self) -> list[Step]:
        return chosen_steps(self.steps)
