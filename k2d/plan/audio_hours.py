"""The hours of audio of splits: measured if they are prepared, otherwise as stated on the corpus's card."""

from __future__ import annotations

from collections.abc import Iterable

from k2d.config import Config
from k2d.core.layout import PROJECT_ROOT, experiment_layout
from k2d.data.corpus import Corpus
from k2d.data.kaldi.external_sort import read_lines
from k2d.data.kaldi.joins import split_row


def hours_of(splits: Iterable[str], config: Config) -> float | None:
    """The sum over these splits. None if one is unknown or there are no splits."""
    hours = [_hours(split, config) for split in splits]
    known = [each for each in hours if each is not None]
    return sum(known) if known and len(known) == len(hours) else None


def _hours(split: str, config: Config) -> float | None:
    folder = experiment_layout(config.data, config.exp, config.name).split(split)
    for name in ("reco2dur", "utt2dur"):
        if (folder / name).is_file():
            return sum(float(split_row(line)[1]) for line in read_lines(folder / name)) / 3600
    name, _, part = split.partition("/")
    if not (PROJECT_ROOT / "egs" / name / "corpus.yaml").is_file():
        return None
    corpus = Corpus(name)
    promised = (corpus.expected(corpus.options(config.prepare.options.get(name, {}))) or {}).get(part)
    return promised.hours if promised else None
