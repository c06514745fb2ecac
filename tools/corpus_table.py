"""Writes the table of corpora in egs/README.md from the corpus.yaml files.

python tools/corpus_table.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from k2d.data.corpus import Card, known_corpora, read_card  # noqa: E402

README = ROOT / "egs" / "README.md"
BEGIN = "<!-- corpora: made by tools/corpus_table.py from the corpus.yaml files -->"
END = "<!-- end of corpora -->"
HEADER = ("corpus", "what it is", "languages", "licence", "splits", "command")


def main() -> int:
    """Write the table between its two marks."""
    cards = [read_card(ROOT / "egs" / name / "corpus.yaml") for name in known_corpora()]
    README.write_text(with_table(README.read_text(encoding="utf-8"), cards), encoding="utf-8")
    return 0


def with_table(readme: str, cards: Iterable[Card]) -> str:
    """The README with the table of these corpora between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"{README}: expected the lines {BEGIN} and {END}")
    return "\n".join([before + BEGIN, "", *table_of(cards), "", END + after])


def table_of(cards: Iterable[Card]) -> Iterator[str]:
    """The lines of the table. The template is last."""
    yield f"| {' | '.join(HEADER)} |"
    yield "|---|---|---|---|---|---|"
    for card in sorted(cards, key=lambda card: (card.name == "TEMPLATE", card.name)):
        splits = dict.fromkeys(split for variant in card.expected.values() for split in variant)
        named = ", ".join(f"`{split}`" for split in splits) or "–"
        cells = [f"`{card.name}`", card.title, ", ".join(card.languages), card.licence, named, command_of(card)]
        yield f"| {' | '.join(cells)} |"


def command_of(card: Card) -> str:
    """The command that runs stage 1 on a corpus."""
    if card.name == "TEMPLATE":
        return "to copy"
    root = f"{card.root_variable}=… " if card.root_variable else ""
    return f"`{root}egs/{card.name}/run.sh --stage 1 --stop-stage 1`"


if __name__ == "__main__":
    raise SystemExit(main())
