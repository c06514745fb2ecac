"""CS-Dialogue: dialogues of two speakers, cut into utterances, in the layout of its repository.

    index     <root>[/data]/index/short_wav/{train,dev,test}/{text,wav.scp}, paths relative to data/
    script    <root>[/data]/…/short_wav/{SCRIPT/*.txt,WAVE/…}: the audio archive alone, without splits
    long      <root>[/data]/index/long_wav/{train,dev,test}/wav.scp: whole recordings, without text

Audio is read from the unpacked folder, or unpacked from data/{short,long}_wav/*.tar.gz*.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from egs.csdialogue.markup import language, words
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.files import by_name, unpacked
from k2d.data.raw.lines import entries
from k2d.data.raw.tally import Tally
from k2d.data.rows import Utterance
from k2d.text.tokenise import spoken_language

SPLITS = ("train", "dev", "test")

Layout = Literal["index", "script", "long"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Options:
    """What to read: the utterances of the index, those of the scripts, or the whole recordings."""

    layout: Layout = "index"


def variant(options: Options) -> str:
    """Which counts of corpus.yaml are expected."""
    return options.layout


def prepare(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield every (split, utterance). Whole recordings have no text."""
    data = root / "data" if (root / "data").is_dir() else root
    if options.layout == "script":
        yield from _scripted(_audio_root(data, "short_wav", "SCRIPT", store) / "short_wav")
        return
    kind = "long_wav" if options.layout == "long" else "short_wav"
    index = data / "index" / kind
    if not index.is_dir():
        raise K2DError(f"{shown(root)}: found no data/index/{kind}, expected the repository as it is downloaded")
    base = _audio_root(data, kind, "WAVE", store)
    tags = _script_languages(base / kind)
    for split in SPLITS:
        audio = {entry.key: base / entry.value for entry in entries(index / split / "wav.scp")}
        if options.layout == "long":
            yield from ((f"{split}_long", Utterance(key, key, str(path), key)) for key, path in audio.items())
        else:
            yield from ((split, row) for row in _indexed(split, index / split / "text", audio, tags))


def speaker_of(key: str) -> str:
    """The speaker, which is also the name of a folder of audio.

    >>> speaker_of("ZH-CN_U0001_S0_101")
    'ZH-CN_U0001_S0'
    """
    return key.rpartition("_")[0] or key


def _indexed(split: str, text: Path, audio: dict[str, Path], tags: dict[str, str]) -> Iterator[Utterance]:
    tally = Tally(f"csdialogue/{split}", "texts and recordings")
    for entry in entries(text):
        where = f"{shown(text)}:{entry.number}"
        if (path := audio.pop(entry.key, None)) is None:
            tally.drop("no_recording_listed", where)
        elif row := _utterance(entry.key, path, entry.value, tags.get(entry.key), where, tally):
            yield row
    for key in audio:
        tally.drop("no_text", key)
    tally.tell()


def _scripted(folder: Path) -> Iterator[tuple[str, Utterance]]:
    tally = Tally("csdialogue/all", "texts and recordings")
    audio = by_name(path for path in (folder / "WAVE").rglob("*") if path.suffix.lower() == ".wav")
    for script in sorted((folder / "SCRIPT").glob("*.txt")):
        for entry in entries(script):
            where = f"{shown(script)}:{entry.number}"
            path = audio.pop(entry.key, folder / "WAVE" / f"{entry.key}.wav")  # a missing file: stage 1 rejects it
            if row := _utterance(entry.key, path, entry.value, None, where, tally):
                yield "all", row
    for path in audio.values():
        tally.drop("no_text", shown(path))
    tally.tell()


def _utterance(key: str, path: Path, text: str, tag: str | None, where: str, tally: Tally) -> Utterance | None:
    if not (said := words(text)):
        tally.drop("no_words", where)
        return None
    tally.keep()
    spoken = language(text) or tag or spoken_language(said)
    return Utterance(key, key, str(path), speaker_of(key), said, language=spoken)


def _script_languages(folder: Path) -> dict[str, str]:
    """The languages in the scripts, for an index without languages. Empty if there are no scripts."""
    found: dict[str, str] = {}
    for script in sorted((folder / "SCRIPT").glob("*.txt")):
        found |= {entry.key: tag for entry in entries(script) if (tag := language(entry.value))}
    return found


def _audio_root(data: Path, kind: str, inner: str, store: Path) -> Path:
    """The folder that contains `<kind>/<inner>`, wherever it was unpacked. If it is missing, it is unpacked now."""
    places = [data, data / kind, data / kind / "extracted"]
    for place in places:
        if (place / kind / inner).is_dir():
            return place
    if (folder := unpacked(data / kind, "*.tar.gz*", store)) and (folder / kind / inner).is_dir():
        return folder
    looked = ", ".join(shown(place / kind / inner) for place in places)
    what = f"found none of {looked}, nor an archive that holds {kind}/{inner}, expected the audio"
    raise K2DError(f"{shown(data)}: {what}; fetch data/{kind}/ again")
