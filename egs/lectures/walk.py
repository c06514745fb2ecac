"""List the files in a folder of recordings: audio, files that belong to audio, and files left out with reasons."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from k2d.core.errors import K2DError
from k2d.data.audio.content import HEAD_BYTES, audio_start, foreign_container, recognise
from k2d.data.audio.mp3 import counted_length, holds_second_file
from k2d.data.audio.source import AudioError
from k2d.data.raw.captions import SUFFIXES as CAPTIONS
from k2d.data.raw.files import CACHE_TAG
from k2d.data.raw.tally import Tally

INFO = ".info.json"
_FLAC_LENGTH_AT = 21  # the number of samples is in the last 36 bits of these 40
MAX_FAULTS = 10


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(text.split())


AUDIO = _suffixes(
    ".3gp .aac .ac3 .aif .aifc .aiff .amr .au .avi .caf .flac .flv .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpeg "
    ".mpg .oga .ogg .ogv .opus .snd .sph .w64 .wav .wave .weba .webm .wma .wmv"
)
OTHER = _suffixes(
    ".7z .ass .csv .docx .gif .gz .htm .html .jpeg .jpg .json .log .lrc .md .pdf .png .pptx .py .sha256 .srt .ssa .tar "
    ".tsv .txt .url .vtt .webp .xlsx .xml .yaml .yml .zip"
)
HALF = _suffixes(".crdownload .download .filepart .part .partial .tmp .temp .ytdl")
SHARDS = ("audio", "duration", "text")  # folders of YODAS2
SYSTEM = frozenset(["@eadir", "$recycle.bin", "lost+found", "__macosx", "system volume information"])


@dataclass
class Tree:
    """The files of a folder that matter for recordings, as paths relative to it, in order."""

    root: Path
    audio: list[str] = field(default_factory=list)
    needs_ffmpeg: dict[str, str] = field(default_factory=dict)
    """The audio files that need conversion, with the container's name in ffmpeg."""
    captions: set[str] = field(default_factory=set)
    infos: set[str] = field(default_factory=set)


def walk(root: Path, tally: Tally, *, follow_links: bool = False) -> Tree:
    """Check every file below the root. Files that are not recordings are counted in the tally by reason."""
    tree = Tree(root)
    for name, path in _files(root, tally, follow_links):
        lower = path.name.lower()
        suffix = path.suffix.lower()
        if problem := _problem(path, name):
            tally.drop(problem, name)
        elif lower.endswith(INFO):
            tree.infos.add(name)
        elif suffix in CAPTIONS:
            tree.captions.add(name)
        elif suffix in OTHER:
            tally.drop("no_audio", name)
        else:
            kind = _kind(path)
            if kind or suffix in AUDIO:  # if a file with this suffix is not audio, stage 1 reports it
                tree.audio.append(name)
                if kind != "audio" and kind:
                    tree.needs_ffmpeg[name] = kind
            else:
                tally.drop("no_audio", name)
    tree.audio.sort()
    return tree


def digest_of_files(root: Path, tables: Collection[str], *, follow_links: bool = False) -> str:
    """A digest of names, sizes and times of all recordings, captions, info files, shards and these tables."""
    digest, n_files = hashlib.sha256(), 0
    for name, path in _files(root, Tally("", ""), follow_links):
        is_shard = path.parent.name in SHARDS and path.suffix in (".gz", ".txt", ".json")
        counts = path.name.lower().endswith((*AUDIO, *CAPTIONS, INFO)) or is_shard or name in tables
        if counts and not _problem(path, name):
            facts = path.stat()
            digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
            n_files += 1
    return f"{n_files:,} files, {digest.hexdigest()[:8]}"


def _files(root: Path, tally: Tally, follow_links: bool) -> Iterator[tuple[str, Path]]:
    """Every file with its path relative to the root. A folder is entered once, even if links form a loop."""
    faults: list[str] = []
    seen: set[tuple[int, int]] = set()
    found = os.walk(
        root, onerror=lambda error: faults.append(f"{error.filename}: {error.strerror}"), followlinks=follow_links
    )
    for parent, folders, names in found:
        here = Path(parent)
        facts = here.stat()
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            tally.drop("link_to_a_folder_seen", f"{here.relative_to(root)}/")
            continue
        seen.add((facts.st_dev, facts.st_ino))
        for folder in list(folders):
            if reason := _folder_problem(here / folder, follow_links):
                tally.drop(reason, f"{(here / folder).relative_to(root)}/")
                folders.remove(folder)
        folders.sort()
        for name in sorted(names):
            path = here / name
            if path.is_symlink() and not follow_links:
                tally.drop("link", str(path.relative_to(root)))
            else:
                yield str(path.relative_to(root)), path
    if faults:
        raise K2DError("\n".join(["these folders cannot be read; mend their permissions:", *faults[:MAX_FAULTS]]))


def _folder_problem(path: Path, follow_links: bool) -> str:
    if path.name.startswith("."):
        return "hidden"
    if path.name.lower() in SYSTEM:
        return "system_folder"
    if (path / CACHE_TAG).is_file():
        return "cache"  # K2D's own folder below the recordings: converted files must not be read again
    return "link" if path.is_symlink() and not follow_links else ""


def _problem(path: Path, name: str) -> str:
    """Why a file is skipped without opening it. Empty if it is not skipped."""
    if path.name.startswith("._"):
        return "apple_double"
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() in HALF or ".part-frag" in path.name.lower():
        return "half_download"
    if name != name.rstrip() or any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        return "odd_name"  # a control character, no UTF-8, or a space at its end: a table could not name it
    try:
        mode = path.stat().st_mode
    except OSError:
        return "dangling_link" if path.is_symlink() else "unreadable"
    return "" if stat.S_ISREG(mode) else "no_file"


def _kind(path: Path) -> str:
    """`audio` for a format that can be read, the ffmpeg name of a container that cannot, or empty."""
    try:
        with path.open("rb") as file:
            if kind := foreign_container(file.read(HEAD_BYTES)):
                return kind
            container = recognise(file, str(path))
            return container if _states_no_length(file, container, str(path)) else "audio"
    except (AudioError, OSError):
        return ""


def _states_no_length(file: BinaryIO, container: str, name: str) -> bool:
    """Whether the length is known only after decoding everything: a recorded stream, or concatenated files."""
    if container == "flac":
        file.seek(audio_start(file) + _FLAC_LENGTH_AT)
        return int.from_bytes(file.read(5), "big") & (1 << 36) - 1 == 0
    if container == "mp3":
        try:
            return counted_length(file, name) is None and holds_second_file(file)
        except AudioError as error:
            return error.reason in ("no_length", "wrong_length")
    return False
