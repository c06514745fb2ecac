"""Count the items that a corpus's reader leaves out on purpose, by reason, and report them."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field

log = logging.getLogger("k2d")


@dataclass
class Tally:
    """Counts the items of a raw corpus that were read: kept, or left out for a reason.

    >>> tally = Tally("seame/train", "transcript lines")
    >>> tally.keep()
    >>> tally.drop("no_words", "a.txt:7")
    >>> print(tally)
    seame/train: in 2 transcript lines = kept 1 + no_words 1 (such as a.txt:7)
    """

    name: str
    what: str
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def keep(self) -> None:
        self.kept += 1

    def drop(self, reason: str, where: str) -> None:
        self.dropped[reason] += 1
        self.examples.setdefault(reason, where if where.isprintable() else repr(where))  # a name may hold any character

    def tell(self) -> None:
        log.info("%s", self)

    def __str__(self) -> str:
        parts = [f"kept {self.kept:,}"]
        parts += [f"{reason} {n:,} (such as {self.examples[reason]})" for reason, n in sorted(self.dropped.items())]
        return f"{self.name}: in {self.kept + self.dropped.total():,} {self.what} = {' + '.join(parts)}"
