"""Compare two Kaldi `text` files, utterance by utterance: loops, distances, and whether the utterance would be kept.

Lines are joined by id; a is the teacher's, b the auxiliary's. Prints a tab-separated table with a header.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from k2d.config.schema import Select
from k2d.core.errors import FaultReport, K2DError, Treatment, UsageError
from k2d.data.kaldi.joins import differences
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.tables import Table, open_table
from k2d.select.chunk_row import distance_text
from k2d.select.distances import Comparer
from k2d.select.metrics import METRICS, Measuring
from k2d.select.rules import RULES, judge
from k2d.text.normaliser_steps import STEPS

HEADER = ("id", "loops_a", "loops_b", *METRICS, "keep")

_SHOWN = 5  # ids in a message


def main(argv: Sequence[str]) -> int:
    """Print the distances and return the exit code."""
    options = _parser().parse_args(argv)
    _check_ranges(options)
    measuring = Measuring(
        ngram=options.n,
        ngram_count=options.count,
        denominator=options.denominator,
        empty_validator_distance=options.empty,
        script=options.script,
        out_of_vocabulary=options.oov,
        steps=tuple(options.step),
        lexicon=None if options.lexicon is None else str(options.lexicon.absolute()),
    )
    comparer, rule = Comparer(measuring), RULES[options.metric]
    with tempfile.TemporaryDirectory(prefix="k2d-distance-") as scratch:
        a, b = (open_text(path, Path(scratch, side)) for side, path in (("a", options.a), ("b", options.b)))
        demand_same_ids(a, b)
        print(*HEADER, sep="\t")
        for (key, text_a), (_, text_b) in zip(a.rows(), b.rows(), strict=True):
            distances = comparer.compare(text_a, text_b)
            keep = not judge(distances, rule, options.alpha).reason
            loops = int(distances.loops_a), int(distances.loops_b)
            print(key, *loops, *map(distance_text, distances.by_metric.values()), int(keep), sep="\t")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m k2d distance", description=__doc__, allow_abbrev=False)
    default = Measuring()
    add = parser.add_argument
    add("--a", type=Path, required=True, metavar="TEXT", help="the teacher's texts: an id and a text on each line")
    add("--b", type=Path, required=True, metavar="TEXT", help="the auxiliary's texts")
    add("--metric", choices=RULES, default="composite", help="rule that decides what is kept (default: composite)")
    add("--alpha", type=float, default=Select.alpha, help="largest distance that is kept (default: %(default)s)")
    add(
        "--n",
        type=int,
        default=default.ngram,
        help="length of the n-grams that show a loop (default: %(default)s)",
    )
    add(
        "--count",
        type=int,
        default=default.ngram_count,
        help="a loop: one occurs more often (default: %(default)s)",
    )
    add("--denominator", choices=["validator", "teacher", "longer"], default=default.denominator)
    where_empty = "where only b is empty (default: %(default)s)"
    add("--empty", type=float, default=default.empty_validator_distance, metavar="DISTANCE", help=where_empty)
    add(
        "--script",
        choices=["t2s", "per_char", "none"],
        default=default.script,
        help="how Han script is unified before comparing",
    )
    add(
        "--step", action="append", default=[], choices=STEPS, help="add an optional step of the normaliser (repeatable)"
    )
    add("--lexicon", type=Path, metavar="FILE", help="your own pronunciations: a word, a tab, its phonemes")
    add("--oov", choices=["letters", "drop"], default=default.out_of_vocabulary, help="phonemes of unknown words")
    return parser


def _check_ranges(options: argparse.Namespace) -> None:
    faults = [f"--{name} {value}: expected at least 1" for name in ("n", "count") if (value := vars(options)[name]) < 1]
    if not 0 <= options.alpha < 1:
        faults.append(f"--alpha {options.alpha:g}: expected 0 to below 1")
    if not 0 <= options.empty <= 1:
        faults.append(f"--empty {options.empty:g}: expected 0 to 1")
    if faults:
        raise UsageError("\n".join(faults))


def open_text(path: Path, scratch: Path) -> Table:
    """A `text` file without bad lines. K2DError lists all bad lines."""
    if not path.exists():
        raise K2DError(f"{path}: no such file")
    scratch.mkdir()
    report = FaultReport()
    table = open_table(path, KINDS["text"], scratch, report)
    if table is None or report.count(Treatment.REJECT):
        raise K2DError("\n".join(report.lines(Treatment.REJECT)))
    return table


def demand_same_ids(a: Table, b: Table) -> None:
    """Raise K2DError with counts and the first ids if ids are in only one of the files."""
    lines = []
    for here, there, is_here in ((a, b, True), (b, a, False)):
        alone = (key for key, in_a in differences(a.ids(), b.ids()) if in_a is is_here)
        first = list(islice(alone, _SHOWN))
        if n_alone := len(first) + sum(1 for _ in alone):
            more = ", …" if n_alone > len(first) else ""
            lines.append(f"{n_alone:,} ids are in {here.source} but not in {there.source}: {', '.join(first)}{more}")
    if lines:
        raise K2DError("\n".join([*lines, "both files must have the same ids; add the missing ones, or use a subset"]))
