"""Stage 2: train the vocabulary of the models that are trained here, with sentencepiece on labelled text.

The vocabulary has all characters of that text. Teacher and auxiliaries share it. A model from a checkpoint has its own
vocabulary, and so has each family with a published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.config import settings_of
from k2d.config.schema import Config, Recogniser, Tokens
from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.data.kaldi.datadir import read_utterances
from k2d.models.codec import Window
from k2d.models.registry import FAMILIES
from k2d.pipeline.job import Counts, Job, Unit

VERSION = 1

LANGUAGE = "zho"  # of the prompt, if no recogniser names a language


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The sentencepiece model and the list of tokens."""

    options: Tokens
    splits: tuple[str, ...]
    window: Window
    languages: list[str]
    family: str
    """The family of the models that share it. Their configs are not inputs; only their window counts."""

    @property
    def settings(self) -> dict[str, Any]:
        return {
            **settings_of(self.options),
            "splits": list(self.splits),
            "window": [self.window.length_s, self.window.rate_hz, self.window.time_step_s],
            "languages": self.languages,
        }


def units(job: Job) -> list[Unit[Vocabulary]]:
    """One unit, if any model is trained here."""
    trained = trained_here(job.config)
    if not trained:
        return []
    splits = job.config.corpora.labelled
    window, languages, family = _common_window(trained), _languages(trained), next(iter(trained.values())).family
    content = Vocabulary(job.config.tokens, splits, window, languages, family)
    return [Unit(job.layout.tokens, content, tuple(job.layout.split(split) for split in splits))]


def make(unit: Unit[Vocabulary], job: Job, folder: Path) -> Counts:
    """Train the vocabulary on the labelled texts, and write its files."""
    vocabulary = unit.content
    found = [row.text or "" for path in unit.inputs for row in read_utterances(path)]
    texts = [text for text in found if text.strip()]
    options, family = settings_of(vocabulary.options), FAMILIES[vocabulary.family]
    family.write_vocabulary(folder, texts, vocabulary.window, vocabulary.languages, **options)
    return Counts(len(found), len(texts), {"empty_text": len(found) - len(texts)}, "texts")


def trained_here(config: Config) -> dict[str, Recogniser]:
    """The recognisers that are trained from a model config with this vocabulary, by their keys in the config."""
    keyed = {"teacher": config.teacher, **{f"auxiliaries.{name}": a for name, a in config.auxiliaries.items()}}
    return {
        key: each for key, each in keyed.items() if each.model is not None and FAMILIES[each.family].uses_vocabulary
    }


def _languages(trained: Mapping[str, Recogniser]) -> list[str]:
    """The languages with a token: all that a prompt names."""
    return sorted({language for recogniser in trained.values() for language in recogniser.language}) or [LANGUAGE]


def _common_window(trained: Mapping[str, Recogniser]) -> Window:
    """The window that all of them share. Its times become timestamp tokens of the vocabulary."""
    windows = {
        key: FAMILIES[recogniser.family].window(PROJECT_ROOT / str(recogniser.model))
        for key, recogniser in trained.items()
    }
    first = next(iter(windows))
    for key, window in windows.items():
        if window != windows[first]:
            raise UsageError(
                f"{key}.model: its window is {window.length_s:g} s in steps of {window.time_step_s:g} s at "
                f"{window.rate_hz} Hz, that of {first} is {windows[first].length_s:g} s in steps of "
                f"{windows[first].time_step_s:g} s at {windows[first].rate_hz} Hz; they share a vocabulary, so use one"
            )
    return windows[first]
