"""python -m k2d fetch: fetches published checkpoints into the cache or into a folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from k2d.core.errors import UsageError
from k2d.core.layout import shown
from k2d.models.family import Publisher
from k2d.models.published import kokoro
from k2d.models.published.cache import state_of
from k2d.models.published.obtain import obtain, obtain_into
from k2d.models.published.table import Checkpoint, Table, read_table
from k2d.models.registry import FAMILIES


def main(argv: Sequence[str]) -> int:
    """Fetch a checkpoint and print its path, or list all published checkpoints."""
    options = parser().parse_args(argv)
    if options.list:
        for name, publisher in _publishers(options.sources).items():
            print("\n".join(_listed(name, publisher, read_table(options.sources or publisher.TABLE))))
        return 0
    if options.name is None:
        raise UsageError("expected a NAME, or --list, which prints the names")
    if options.sources is not None and options.to is None:
        raise UsageError("--sources: needs --to DIR: without it, a name always means a checkpoint of K2D's own table")
    name, checkpoint, publisher = _find(options.name, options.sources)
    request, cache = publisher.fetch_request(name, checkpoint), publisher.cache_folder()
    if options.to is not None:
        print(obtain_into(request, options.to, publisher.SINGLE_NAME, cache))
    else:
        print(obtain(request, cache))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m k2d fetch",
        description="Fetch a published checkpoint from the first source that has it, and verify its SHA-256.",
        allow_abbrev=False,
    )
    made.add_argument("name", nargs="?", metavar="NAME", help="such as base or whisper-base; see --list")
    into = "put it into a folder of its own, which can be given as a checkpoint (default: the cache)"
    made.add_argument("--to", type=Path, metavar="DIR", help=into)
    table = "a table of sources of your own, in the form of k2d/models/whisper/published.yaml (with --to)"
    made.add_argument("--sources", type=Path, metavar="FILE", help=table)
    made.add_argument("--list", action="store_true", help="print names, sizes, sources, and what is in the cache")
    return made


def _publishers(sources: Path | None) -> Mapping[str, Publisher]:
    """Those who know published checkpoints, by name: families of recognisers, and voices unless in a user's table."""
    families = {name: family.publisher() for name, family in FAMILIES.items() if family.published}
    return families if sources else {**families, "voices": kokoro}


def _find(asked: str, sources: Path | None) -> tuple[str, Checkpoint, Publisher]:
    """The checkpoint with this name, which may begin with the name of its family."""
    known: list[str] = []
    for publisher_name, publisher in _publishers(sources).items():
        table = read_table(sources or publisher.TABLE)
        for name in (asked, asked.removeprefix(f"{publisher_name}-")):
            if name in table.checkpoints:
                return name, table[name], publisher
        known += table.checkpoints
    where = f" in {shown(sources)}" if sources else ""
    raise UsageError(f"{asked}: no published checkpoint has this name{where}; expected one of {', '.join(known)}")


# --- the list ---


def _listed(publisher_name: str, publisher: Publisher, table: Table) -> Iterator[str]:
    """Yield a line with columns for each name."""
    cache = publisher.cache_folder()
    of = f"the family {publisher_name}" if publisher_name in FAMILIES else publisher_name
    yield f"published checkpoints of {of}; the cache is {cache}"
    rows = [("name", "size", "in the cache", "sources")]
    for name, checkpoint in table.checkpoints.items():
        if checkpoint.same_as is not None:
            rows.append((name, "", "", f"the same as {checkpoint.same_as}"))
            continue
        titles = "; ".join(source.title for source in checkpoint.sources)
        rows.append((name, _size(checkpoint), _cached(cache, checkpoint), titles))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        columns = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*columns, row[3]]).rstrip()


def _size(checkpoint: Checkpoint) -> str:
    known = next((source.n_bytes for source in checkpoint.sources if source.n_bytes), None)
    return "unknown" if known is None else f"{known / 1e6:,.0f} MB"


def _cached(cache: Path, checkpoint: Checkpoint) -> str:
    """The forms that are in the cache, each with its state."""
    forms = {source.form: source for source in checkpoint.sources}
    states = {form: state_of(cache, source) for form, source in forms.items()}
    return "; ".join(f"{form}: {state}" for form, state in states.items() if state != "not there") or "no"
