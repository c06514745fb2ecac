"""python -m egs.<corpus>.prepare --download DIR: download the public files of a corpus, as listed in its corpus.yaml.

Files on the Hugging Face Hub are named by patterns, at the revision in corpus.yaml. `HF_ENDPOINT` names a mirror.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from k2d.core.download import Remote, fetch
from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT
from k2d.core.lock import holding
from k2d.data.corpus import Card, read_card
from k2d.data.raw.archive import name_fault
from k2d.data.raw.hub import ENDPOINT, listed


def main(corpus: str, argv: Sequence[str] | None = None) -> int:
    """Run the command for a corpus and return its exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m egs.{corpus}.prepare",
        description=f"Fetch the corpus {corpus}. To prepare it, egs/{corpus}/run.sh --stage 1 --stop-stage 1.",
        allow_abbrev=False,
    )
    parser.add_argument("--download", metavar="DIR", type=Path, required=True, help="where to put the files")
    parser.add_argument("--files", metavar="PATTERN", nargs="+", help="on the Hub: others than the usual")
    asked = parser.parse_args(argv)
    try:
        card = read_card(PROJECT_ROOT / "egs" / corpus / "corpus.yaml")
        download(card, asked.download, tuple(asked.files or ()), os.environ.get("HF_ENDPOINT") or ENDPOINT)
    except K2DError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    return 0


def download(card: Card, folder: Path, patterns: tuple[str, ...] = (), endpoint: str = ENDPOINT) -> None:
    """Download every file that the card lists. Nothing is downloaded if a file's path would leave the folder."""
    files = _files(card, patterns, endpoint)
    if faults := [f"{name!r} {problem}" for name, _ in files if (problem := name_fault(name))]:
        raise K2DError("\n".join(f"egs/{card.name}/corpus.yaml: download: {fault}" for fault in faults))
    n_bytes = sum(remote.n_bytes or 0 for _, remote in files)
    size = f", {n_bytes / 1e9:.1f} GB" if all(remote.n_bytes for _, remote in files) else ""
    print(f"{card.title}\nlicence: {card.licence}\nfrom: {card.source}\n{len(files)} files{size}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with holding(folder / "download"):
        for name, remote in files:
            _fetch(remote, folder / name)
    if card.root_variable:
        print(f"next: {card.root_variable}={folder} egs/{card.name}/run.sh --stage 1 --stop-stage 1")


def _fetch(remote: Remote, target: Path) -> None:
    if fetch(remote, target):
        checked = ", as published" if remote.digest else ""
        print(f"{target}: fetched, {target.stat().st_size:,} bytes{checked}", flush=True)
    else:
        print(f"{target}: is there already", flush=True)


def _files(card: Card, patterns: tuple[str, ...], endpoint: str) -> list[tuple[str, Remote]]:
    if card.hub:
        return listed(replace(card.hub, files=patterns or card.hub.files), endpoint)
    if patterns:
        raise K2DError(f"{card.name}: --files is for corpora on the Hub; this one is fetched whole, or by hand")
    if not card.download:
        raise K2DError(f"{card.name} is not fetched by a command; to get it: {card.source}")
    return [(each.file, each.remote) for each in card.download]
