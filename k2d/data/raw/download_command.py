"""python -m egs.<corpus>.prepare --download DIR: fetch the public files of a corpus, as its corpus.yaml lists them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from k2d.data.corpus import Card, read_card
from k2d.data.raw.archive import name_fault
from k2d.data.raw.download import fetch
from k2d.faults import K2DError
from k2d.lock import holding
from k2d.paths import PROJECT_ROOT


def main(corpus: str, argv: Sequence[str] | None = None) -> int:
    """Run the command for a corpus and return its exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m egs.{corpus}.prepare",
        description=f"Fetch the corpus {corpus}. To prepare it, egs/{corpus}/run.sh --stage 1 --stop-stage 1.",
        allow_abbrev=False,
    )
    parser.add_argument("--download", metavar="DIR", type=Path, required=True, help="where to put the files")
    folder: Path = parser.parse_args(argv).download
    try:
        download(read_card(PROJECT_ROOT / "egs" / corpus / "corpus.yaml"), folder)
    except K2DError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


def download(card: Card, folder: Path) -> None:
    """Fetch every file that the card lists; nothing if one of them has no place below the folder."""
    if not card.download:
        raise K2DError(f"{card.name} is not fetched by a command; to get it: {card.source}")
    if faults := [f"{each.file!r} {problem}" for each in card.download if (problem := name_fault(each.file))]:
        raise K2DError("\n".join(f"egs/{card.name}/corpus.yaml: download: {fault}" for fault in faults))
    print(f"{card.title}\nlicence: {card.licence}\nfrom: {card.source}")
    folder.mkdir(parents=True, exist_ok=True)
    with holding(folder / "download"):
        for each in card.download:
            fetch(each.remote, folder / each.file)
    if card.root_variable:
        print(f"next: {card.root_variable}={folder} egs/{card.name}/run.sh --stage 1 --stop-stage 1")
