"""ASCEND in the two published forms: parquet with the audio inside, or CSV tables beside a folder of WAV files.

    <root>/main/{train,validation,test}-00000-of-00003.parquet       id, path, audio, transcription, language, …
    <root>/dataset/{train,validation,test}_metadata.csv, waves/      file_name, transcription

Session, speaker and times are taken from file names such as `waves/ses2_spk3_L13101_189.900_5.490.wav`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.longform import ByTime, Concatenate
from k2d.data.longform_audio import LONG, Asked, with_long
from k2d.data.raw import download_command
from k2d.data.raw.parquet import read_rows
from k2d.data.raw.parquet_splits import Splits, find_splits
from k2d.data.raw.stored_audio import rows_with_audio
from k2d.data.raw.table import table_rows
from k2d.data.rows import Utterance

_NAME = re.compile(
    r"ses(?P<session>\d+)_spk(?P<speaker>\d+)_L\d+_(?P<start>\d+(?:\.\d+)?)_(?P<length>\d+(?:\.\d+)?)\.wav"
)
_TAG = re.compile(r"\[[A-Za-z]+\]")
_COLUMNS = {"path": str, "transcription": str, "language": str}
_CSV_COLUMNS = ("file_name", "transcription")
_CSV_NAME = "_metadata.csv"
SESSIONS = "_sessions"


@checked(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Options:
    """The options of this recipe."""

    long_splits: tuple[str, ...] = ("test",)
    """For each of these splits, `<split>_long` has the same utterances joined to long recordings."""
    long: Concatenate = field(default_factory=Concatenate)
    """How they are joined. The defaults are those of the paper's authors."""
    session_splits: tuple[str, ...] = ()
    """For each of these splits, `<split>_sessions` has the conversations in their real order, with their pauses."""
    sessions: ByTime = field(default_factory=ByTime)


@dataclass(frozen=True, slots=True)
class Name:
    """The fields of a file name."""

    session: str
    speaker: str
    start_s: float
    id: str


def prepare(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """(split, utterance) pairs, the long splits last."""
    splits = find_splits(root, "audio")
    rows = _from_parquet(splits, nj, store) if splits else _from_csv(root)
    asked = [Asked(split, LONG, options.long) for split in options.long_splits]
    asked += [Asked(split, SESSIONS, options.sessions, _when) for split in options.session_splits]
    return with_long(rows, asked, store)


def variant(options: Options) -> str | None:
    """The expected counts, which are known for the default splits."""
    return "default" if options == Options() else None


def tables(root: Path, options: Options) -> Iterator[tuple[str, str, str, str]]:
    """The session of a recording, its start in the session, and the order of the rows."""
    for number, (split, path) in enumerate(_stated_paths(root)):
        name = parse_name(path)
        yield split, "reco2session", name.id, name.session
        yield split, "reco2start", name.id, f"{name.start_s:.3f}"
        yield split, "utt2row", name.id, str(number)


def parse_name(path: str, where: str = "ascend") -> Name:
    """Parse a file name. Times are in seconds of the session. `where` is for the error message.

    >>> parse_name("waves/ses2_spk3_L13101_189.900_5.490.wav")
    Name(session='ascend-ses02', speaker='ascend-spk03', start_s=189.9, id='ascend-spk03-ses02-00189900-00195390')
    """
    parts = _NAME.fullmatch(PurePosixPath(path).name)
    if parts is None:
        raise K2DError(f"{where}: the file name {path[-80:]!r} is not of the form sesS_spkK_Lline_start_duration.wav")
    session, speaker = int(parts["session"]), f"ascend-spk{int(parts['speaker']):02d}"
    start_s, end_s = float(parts["start"]), float(parts["start"]) + float(parts["length"])
    key = f"{speaker}-ses{session:02d}-{round(start_s * 1000):08d}-{round(end_s * 1000):08d}"
    return Name(f"ascend-ses{session:02d}", speaker, start_s, key)


def _when(row: Utterance) -> tuple[str, float]:
    """The session of an utterance and its start there, from its id."""
    *_, session, start_ms, _ = row.id.split("-")
    return f"ascend-{session}", int(start_ms) / 1000


def clean(text: str) -> str:
    """The text without tags such as [UNK], which mark unintelligible speech. Everything else is kept.

    >>> clean("你的 [UNK] female friends去说")
    '你的 female friends去说'
    """
    return " ".join(_TAG.sub(" ", text).split())


def _row(path: str, audio: Path, text: str, language: str | None, where: str) -> Utterance:
    name = parse_name(path, where)
    return Utterance(name.id, name.id, str(audio), name.speaker, clean(text), language=language)


def _from_parquet(splits: Splits, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    for split, shards in splits.items():
        for shard, number, row, audio in rows_with_audio(shards, _COLUMNS, "audio", store, nj=nj):
            where = f"{shown(shard.path)}: row {number}"
            yield split, _row(row["path"], audio, row["transcription"], row["language"], where)


def _from_csv(root: Path) -> Iterator[tuple[str, Utterance]]:
    """The older layout, which has no language labels."""
    if not _tables(root):
        raise K2DError(f"{root}: found no parquet files and no *{_CSV_NAME}; egs/ascend/README.md says how to get them")
    waves = next((folder for folder in (root / "waves", root / "dataset" / "waves") if folder.is_dir()), None)
    if waves is None:
        raise K2DError(f"{root}: found *{_CSV_NAME} and no folder waves/ beside or above it")
    for split, table in _tables(root):
        for number, row in table_rows(table, _CSV_COLUMNS):
            audio = waves / PurePosixPath(row["file_name"]).name
            yield split, _row(row["file_name"], audio, row["transcription"], None, f"{shown(table)}:{number}")


def _tables(root: Path) -> list[tuple[str, Path]]:
    """Each split with its CSV file."""
    found = sorted([*root.glob(f"*{_CSV_NAME}"), *(root / "dataset").glob(f"*{_CSV_NAME}")])
    return [(path.name.removesuffix(_CSV_NAME), path) for path in found]


def _stated_paths(root: Path) -> Iterator[tuple[str, str]]:
    """Each row's split and file name, in the corpus's order."""
    if splits := find_splits(root, "audio", tell=False):
        of_split = ((split, shard) for split, shards in splits.items() for shard in shards)
        return ((split, row["path"]) for split, shard in of_split for row in read_rows(shard, ["path"]))
    return ((split, row["file_name"]) for split, table in _tables(root) for _, row in table_rows(table, _CSV_COLUMNS))


if __name__ == "__main__":
    raise SystemExit(download_command.main("ascend"))
