"""python -m k2d score --ref REF/text --hyp HYP/text: print the error rates of one hypothesis file.

Exit codes: 0 success, 1 the files cannot be scored, 2 wrong call.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from k2d.core.limits import MOST_RESAMPLES, whole_number
from k2d.data.kaldi.validation import N_LISTED, listed
from k2d.score.columns import markdown_table, text_table
from k2d.score.confidence import RESAMPLES, Draws
from k2d.score.invention import stored_invention
from k2d.score.scored_files import Task, score_files
from k2d.score.scoring import Conventions
from k2d.score.store import Record
from k2d.text.normaliser_steps import STEPS

NAMES = {
    "mer": "MER",
    "zh_split": "Mandarin CER, split",
    "en_split": "English WER, split",
    "zh_joint": "Mandarin CER, joint",
    "en_joint": "English WER, joint",
    "pier": "PIER (English in mixed)",
    "switch": "at switch points",
}
PART_NAMES = {
    "mixed": "MER of mixed utterances",
    "zh": "MER of Mandarin only",
    "en": "MER of English only",
    "other": "MER of neither",
}


def main(argv: Sequence[str]) -> int:
    """Score two files and print the figures."""
    asked = parser().parse_args(argv)
    task = Task(
        asked.ref,
        asked.hyp,
        model=asked.hyp.absolute().parent.name,
        set=asked.ref.absolute().parent.name,
        conventions=Conventions(asked.script, asked.mode, tuple(asked.step)),
        draws=Draws(asked.resamples),
    )
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
    done = score_files(task, asked.out)
    for note in done.notes:
        print(note, file=sys.stderr)
    print("\n".join(printed(done.record, asked.format)))
    return 0


def parser() -> argparse.ArgumentParser:
    what = "Print the error rates of a hypothesis file (Kaldi text, joined by id with the references)."
    made = argparse.ArgumentParser(prog="python -m k2d score", description=what, allow_abbrev=False)
    made.add_argument("--ref", type=Path, required=True, metavar="FILE", help="references (text of a data directory)")
    made.add_argument(
        "--hyp", type=Path, required=True, metavar="FILE", help="hypotheses; a timing.json beside the file is used, too"
    )
    made.add_argument("--format", choices=["text", "json", "md"], default="text", help="output format (default: text)")
    made.add_argument(
        "--mode",
        choices=["default", "paper"],
        default="default",
        help="how texts are split into tokens (default: default)",
    )
    made.add_argument(
        "--script", choices=["t2s", "per_char", "none"], default="t2s", help="how Han script is unified (default: t2s)"
    )
    made.add_argument(
        "--step", action="append", default=[], choices=STEPS, help="add an optional step of the normaliser (repeatable)"
    )
    drawn = f"resamples of the bootstrap, at most {MOST_RESAMPLES:,} (default: {RESAMPLES})"
    made.add_argument("--resamples", type=whole_number(1, MOST_RESAMPLES), default=RESAMPLES, metavar="N", help=drawn)
    made.add_argument("--out", type=Path, metavar="DIR", help="also write score.json, per_utt.jsonl, trn, align.txt")
    return made


def printed(record: Record, style: str) -> Iterator[str]:
    """A score as lines of text, Markdown or JSON."""
    if style == "json":
        yield json.dumps(record, ensure_ascii=False, indent=1)
        return
    yield f"signature: {record['signature']}"
    yield ""
    yield from (markdown_table if style == "md" else text_table)(rows_of(record))
    yield ""
    lead = "- " if style == "md" else ""
    yield from (lead + line for line in remarks(record))


def rows_of(record: Record) -> list[list[str]]:
    """The counts as a table. Parts that do not occur in the set are left out."""
    figures = [(NAMES[name], record[name]) for name in NAMES]
    figures += [(PART_NAMES[name], record["parts"][name]) for name in PART_NAMES]
    shown = [(name, figure) for name, figure in figures if name == "MER" or figure["n"] or figure["i"]]
    rows = [[name, *(f"{figure[count]:,}" for count in "nsdi"), percent(figure["percent"])] for name, figure in shown]
    return [["", "N", "S", "D", "I", "%"], *rows]


def percent(value: float | None) -> str:
    """
    >>> percent(12.345), percent(None)
    ('12.35', '–')
    """
    return "–" if value is None else f"{value:.2f}"


def remarks(record: Record) -> Iterator[str]:
    """Further facts about a score besides its rates."""
    interval = record["interval"]
    if interval["low"] is None:
        yield f"interval: none, it takes two groups or more ({interval['over']})"
    else:
        low, high = percent(interval["low"]), percent(interval["high"])
        yield f"{interval['level']:.0%} interval of the MER: {low} to {high}, over {interval['over']}"
    terms = record["terms"]
    if terms["n"]:
        low, high = percent(terms["low"]), percent(terms["high"])
        between = "" if terms["low"] is None else f" ({interval['level']:.0%} interval {low} to {high})"
        correct = percent(100 * terms["n_correct"] / terms["n"])
        yield f"recall of English terms: {correct} %{between}, of {terms['n']:,} words in mixed utterances"
    missing = record["missing"]
    named = f" ({listed(missing[:N_LISTED], len(missing))})" if missing else ""
    yield f"{record['unit']}: {record['n_utterances']:,}; missing: {len(missing):,}{named}, counted as deletions"
    too_long = f"{record['too_long']:,} of {record['timed']:,}" if record["timed"] else "not known, without durations"
    yield f"empty hypotheses: {record['empty']:,}; longer than the audio allows: {too_long}"
    yield f"repetitions: {record['repetitions']:,}; references without words: {record['empty_references']:,}"
    invention = stored_invention(record.get("invented"))
    if invention is not None:
        rate = "" if invention.per_minute is None else f", {invention.per_minute:.2f} a minute"
        where = f"{invention.n_with_text:,} of {invention.n_utterances:,} {record['unit']} without speech have text"
        yield f"{where}: {invention.n_tokens:,} words{rate}"
    if record["rtf"]:
        factor = record["rtf"]
        spread = f"{factor['min']:.4f} to {factor['max']:.4f} in {factor['runs']} runs"
        where = f"{factor['device']}, {factor['dtype']}, batch {factor['batch_size']}, {factor['threads']} threads"
        yield f"real-time factor: {factor['mean']:.4f} ({spread}; {where})"
