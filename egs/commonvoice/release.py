"""Find a release of Common Voice: an unpacked folder, or the archive from Mozilla."""

from __future__ import annotations

from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.data.raw.files import unpacked

CLIPS = "clips"
_README = "egs/commonvoice/README.md says how to get it"


def find_release(root: Path, language: str, release: str, store: Path) -> Path:
    """The folder with `clips/` and the tables. An archive is unpacked once, below `store`."""
    if folder := _folder(root, language, release):
        return folder
    archive = f"cv-corpus-{release}-[0-9]*-{language}.tar*"  # does not match archives named `delta`
    if inner := unpacked(root, archive, store):
        if folder := _folder(inner, language, release):
            return folder
        raise K2DError(f"{shown(root)}: {archive} holds no {language}/{CLIPS}/ of release {release}; {_README}")
    folders = f"{language}/{CLIPS}/ nor cv-corpus-{release}-*/{language}/{CLIPS}/"
    raise K2DError(f"{shown(root)}: found neither {folders} nor {archive}; {_README}")


def _folder(root: Path, language: str, release: str) -> Path | None:
    """The folder of a language: the root itself, `<language>` in it, or `cv-corpus-…/<language>` in it."""
    if root.name == language and (root / CLIPS).is_dir():
        return root
    of_release = sorted(root.glob(f"cv-corpus-{release}-[0-9]*/{language}"))
    found = [folder for folder in (root / language, *of_release) if (folder / CLIPS).is_dir()]
    if len(found) > 1:
        places = " and ".join(map(shown, found))
        raise K2DError(f"{shown(root)}: found {places}, expected one; name the one that is meant as the raw corpus")
    return found[0] if found else None
