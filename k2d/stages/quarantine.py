"""Bad items: left out with a reason, written down, and too many of them stop the stage."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from k2d.data.rows import Rejected
from k2d.faults import K2DError

FILE = "rejected.jsonl"


class Quarantine:
    """Writes rejected.jsonl as items are found bad, and counts them by reason."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.reasons: Counter[str] = Counter()
        self._examples: dict[str, Rejected] = {}

    def __enter__(self) -> Quarantine:
        self._file = self.path.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if not self.reasons:
            self.path.unlink()

    def add(self, rejected: Rejected) -> None:
        self.reasons[rejected.reason] += 1
        self._examples.setdefault(rejected.reason, rejected)
        self._file.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")

    def check(self, n_in: int, max_bad: float) -> None:
        """Stop if more than the share `max_bad` of the items is bad."""
        n_bad = sum(self.reasons.values())
        if n_bad <= max_bad * n_in:
            return
        lines = [f"{n_bad:,} of {n_in:,} items are bad, more than max_bad ({max_bad:.1%}):"]
        for reason, n in self.reasons.most_common():
            example = self._examples[reason]
            lines.append(f"  {reason} {n:,}, such as {example.id}: {example.detail}")
        lines.append("mend them at the source, or allow more with --max-bad SHARE (max_bad=SHARE in the config)")
        raise K2DError("\n".join(lines))
