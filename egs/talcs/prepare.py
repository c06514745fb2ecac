"""TALCS: utterances of English lessons, one per file, in the two published layouts.

    sets    <root>/…/{train_set,dev_set,test_set}/{label.txt,wav/*.wav}
    pool    <root>/…/{label,cs_wav/…/*.wav}, without splits

A line of a label file has an utterance's id and its text. An archive (`*.tar*`, also in parts) is unpacked if that has
not been done.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.files import by_name, unpacked
from k2d.data.raw.lines import entries
from k2d.data.raw.tally import Tally
from k2d.data.rows import Utterance

SPLITS = ("train", "dev", "test")
_MARKERS = {"sets": "train_set/label.txt", "pool": "label"}

# Full-width letters and digits are typing errors. They are replaced, so that a word has one spelling.
_PLAIN = {code: chr(code - 0xFEE0) for first, last in ("０９", "Ａｚ") for code in range(ord(first), ord(last) + 1)}
_SIGNS = dict.fromkeys(map(ord, "#＃=＝@＠~～"), " ")


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Options:
    """The layout of the files under the root."""

    layout: Literal["sets", "pool"] = "sets"


def variant(options: Options) -> str:
    """Which counts of corpus.yaml are expected."""
    return options.layout


def prepare(root: Path, options: Options, nj: int, store: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield (split, utterance) for every line with text in every label file."""
    top = _top(root, options.layout, store)
    if options.layout == "pool":
        yield from _labelled("all", top / "label", _recordings(top / "cs_wav"))
    for split in SPLITS if options.layout == "sets" else ():
        folder = top / f"{split}_set"
        yield from _labelled(split, folder / "label.txt", _recordings(folder / "wav"))


def words(text: str) -> str:
    """The text with plain letters and without the transcribers' signs. Punctuation is kept for the scorer.

    >>> words("Ａpple #是 苹果， o'clock~")
    "Apple 是 苹果， o'clock"
    """
    return " ".join(text.translate(_PLAIN).translate(_SIGNS).split())


def _labelled(split: str, label: Path, audio: dict[str, Path]) -> Iterator[tuple[str, Utterance]]:
    tally = Tally(f"talcs/{split}", "labels and recordings")
    for entry in entries(label):
        path = audio.pop(entry.key, label.parent / f"{entry.key}.wav")  # a missing file: stage 1 rejects it
        if text := words(entry.value):
            tally.keep()
            # The speakers are unknown. As in other recipes, each utterance is treated as a speaker.
            yield split, Utterance(entry.key, entry.key, str(path), entry.key, text)
        else:
            tally.drop("no_words", f"{shown(label)}:{entry.number}")
    for path in audio.values():
        tally.drop("no_label", shown(path))
    tally.tell()


def _top(root: Path, layout: str, store: Path) -> Path:
    """The folder that contains a layout: the root, its only folder after unpacking, or the unpacked archive."""
    places = {name: _holders(root, marker) for name, marker in _MARKERS.items()}
    if not any(places.values()) and (folder := unpacked(root, "*.tar*", store)):
        places = {name: _holders(folder, marker) for name, marker in _MARKERS.items()}
    if len(places[layout]) == 1:
        return places[layout][0]
    found = ", ".join(map(shown, places[layout])) or "nothing"
    message = f"found {found}, expected one folder with {_MARKERS[layout]} (layout `{layout}`)"
    if others := [name for name in places if places[name] and not places[layout]]:
        message += f"; there is the layout `{others[0]}`: set prepare.options.talcs.layout={others[0]}"
    raise K2DError(f"{shown(root)}: {message}; egs/talcs/README.md says how to get it")


def _holders(root: Path, marker: str) -> list[Path]:
    candidates = [root, *(path for path in sorted(root.iterdir()) if path.is_dir())]
    return [path for path in candidates if (path / marker).is_file()]


def _recordings(folder: Path) -> dict[str, Path]:
    return by_name(path for path in folder.rglob("*") if path.suffix.lower() == ".wav")
