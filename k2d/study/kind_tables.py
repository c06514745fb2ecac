"""Which kinds of errors the labels have, and which of them each judge drops."""

from __future__ import annotations

from collections import Counter

import numpy as np

from k2d.report.document import Table, names
from k2d.report.wording import number, share
from k2d.score.error_kinds import KINDS
from k2d.study.judging import Study
from k2d.study.ranking import SECONDS, WORDS, Array, kept


def error_kinds(study: Study) -> Counter[str]:
    """How many errors of each kind all labels have."""
    found: Counter[str] = Counter()
    for chunk in study.chunks:
        found.update(chunk.error_kinds)
    return found


def kinds_table(study: Study) -> Table | None:
    """The errors of each kind in all labels, and the share that each judge drops. None without errors."""
    found = error_kinds(study)
    kinds = [kind for kind in KINDS if found[kind]]
    if not kinds:
        return None
    n_words = float(study.amounts[:, WORDS].sum())
    per_hundred = [number(100 * found[kind] / n_words if n_words else None, 1) for kind in kinds]
    rows = [names("errors per 100 true words, all labels", *per_hundred)]
    # The oracle makes the sum of all errors small, so its choice is no order of the chunks.
    for row in study.rows:
        if not row.judge.is_oracle:
            dropped = 1 - kept(row.judge.ranking.sums(_amounts(study, kinds)), 3600 * study.kept_hours)[1:] / [
                found[kind] for kind in kinds
            ]
            rows.append(names(f"dropped by {row.judge.name}", *map(share, dropped.tolist())))
    meaning = "; ".join(f"{kind}: {KINDS[kind]}" for kind in kinds)
    notes = (f"{meaning[0].upper()}{meaning[1:]}. A share above that of random means that the judge finds this kind.",)
    return Table("Errors by kind, and the share of each that is dropped", ("labels", *kinds), tuple(rows), notes=notes)


def _amounts(study: Study, kinds: list[str]) -> Array:
    """Seconds, then the errors of each kind, a row for each chunk."""
    counts = [[chunk.error_kinds.get(kind, 0) for kind in kinds] for chunk in study.chunks]
    return np.column_stack([study.amounts[:, SECONDS], np.array(counts, dtype=np.float64)])
