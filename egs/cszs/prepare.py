"""CSZS (ky552/cszs_zh_en): synthesised sentences in a correct and a wrong version. This recipe uses the correct ones.

<root>/data/{train,dev,test}-00000-of-000NN-<digest>.parquet    correct_{audio,transcription,file}, wrong_{…}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw import download_command
from k2d.data.raw.parquet import Kind
from k2d.data.raw.parquet_splits import find_splits
from k2d.data.raw.stored_audio import rows_with_audio
from k2d.data.rows import Utterance
from k2d.text.tokenise import spoken_language

SPEAKER = "cszs"  # the corpus does not name its voices
_AUDIO = "correct_audio"
_COLUMNS: dict[str, Kind] = {"correct_transcription": str, "correct_file": str}


def prepare(root: Path, options: None, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield (split, utterance) for the correct version in every row."""
    splits = find_splits(root, _AUDIO)
    if not splits:
        raise K2DError(f"{shown(root)}: found no parquet files with {_AUDIO}; egs/cszs/README.md says how to get them")
    for split, shards in splits.items():
        for shard, number, row, audio in rows_with_audio(shards, _COLUMNS, _AUDIO, store, nj=nj):
            key = utterance_id(split, row["correct_file"], f"{shown(shard.path)}: row {number}")
            text = " ".join(row["correct_transcription"].split())
            yield split, Utterance(key, key, str(audio), SPEAKER, text, language=spoken_language(text))


def utterance_id(split: str, stated: str, where: str) -> str:
    """The id: the split and the number of the file, which starts again in each split.

    >>> utterance_id("dev", "/corpora/cs_16k/wav/zh_en/dev/correct/17.wav", "row 0")
    'cszs-dev-00017'
    """
    path = PurePosixPath(stated)
    if path.parent.name != "correct" or not path.stem.isdecimal():
        raise K2DError(f"{where}: found the file {stated!r}, expected …/correct/NUMBER.wav; is it another revision?")
    return f"{SPEAKER}-{split}-{int(path.stem):05d}"


if __name__ == "__main__":
    raise SystemExit(download_command.main("cszs"))
