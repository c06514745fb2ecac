"""Bad items are left out with a reason and written to rejected.jsonl. Too many of them stop the stage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.data.rows import Rejected

FILE = "rejected.jsonl"


def write_rejected(folder: Path, items: Iterable[Rejected]) -> None:
    """Write rejected.jsonl into a folder. No file is written if nothing was rejected."""
    path = folder / FILE
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items)
    if path.stat().st_size == 0:
        path.unlink()


def read_rejected(folder: Path) -> Iterator[Rejected]:
    """The items that were left out of a folder."""
    path = folder / FILE
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield Rejected(**json.loads(line))


def check_bad(folder: Path, name: str, n_in: int, max_bad: float) -> Counter[str]:
    """The number of rejected items by reason. K2DError if their share is above `max_bad`."""
    reasons: Counter[str] = Counter()
    examples: dict[str, Rejected] = {}
    for item in read_rejected(folder):
        reasons[item.reason] += 1
        examples.setdefault(item.reason, item)
    if reasons.total() <= max_bad * n_in:
        return reasons
    lines = [f"{name}: {reasons.total():,} of {n_in:,} items are bad, more than max_bad ({max_bad:.1%}):"]
    for reason, n in reasons.most_common():
        lines.append(f"  {reason} {n:,}, such as {examples[reason].id}: {examples[reason].detail}")
    lines.append(
        "correct them at the source, or allow more: append max_bad=SHARE to the command, or set it in the config"
    )
    raise K2DError("\n".join(lines))
