"""TEMPLATE: a table and a folder of audio for each split.

    <root>/train.tsv      path, speaker, text, with a header; paths are relative to <root>
    <root>/train/…        the audio, in any format and at any rate that K2D reads

Change whatever is different in your corpus. This function only lists the utterances. Stage 1 checks the audio, sorts
and writes. Remove the corpus's own markup here, but keep case, script and punctuation (scoring normalises them).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from k2d.data.raw.table import table_rows
from k2d.data.rows import Utterance

COLUMNS = ["path", "speaker", "text"]


def prepare(root: Path, options: None, nj: int) -> Iterator[tuple[str, Utterance]]:
    """Yield (split, utterance) for every line of every table."""
    for table in sorted(root.glob("*.tsv")):
        for _, row in table_rows(table, COLUMNS):
            yield table.stem, _utterance(root, row)


def _utterance(root: Path, row: dict[str, str]) -> Utterance:
    path = Path(row["path"])
    utterance_id = f"{row['speaker']}-{path.stem}"  # the speaker first, as in every Kaldi directory
    return Utterance(utterance_id, utterance_id, str(root / path), row["speaker"], row["text"])
