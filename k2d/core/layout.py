"""Where things live: the project, its data directories, an experiment's folders. The only place that knows."""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


# --- an experiment ---

TEACHER = "teacher"
"""The name of the teacher among the models and systems. No auxiliary may have it."""
STUDENT = "student_init"
"""The name of the student before it is trained: all methods begin with it."""
VALIDATOR = "validator"
"""In place of a system's name: the folder of the validator study among the scores."""
DISTANCES = "distances"
"""In place of a method's name: the folder of the distances among the selections."""

TEST_ROLES = ("in_domain", "out_domain")
SCORED_ROLES = ("dev", *TEST_ROLES)
ROLES = ("labelled", "unlabelled", *SCORED_ROLES)
"""What a set is used for. Test sets are reported; development sets are scored as well, and choose checkpoints."""

RECORD = "record.json"
"""How a folder of pseudo-labels, chunks, opinions, hypotheses or selected chunks was made, and its figures."""

KEPT = "kept"
"""Below the folder of a method: the data directories of the chunks that it keeps."""

STUDENT_RECORD = "student.json"
"""Which of the teacher's layers the student has."""

MODELS, SELECTIONS, SPEEDS, SCORES, REPORT = "models", "select", "speed", "score", "report"
"""Folders of an experiment in which files are searched for."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one experiment: `exp/<name>/…`, and `data/`, which experiments share."""

    data: Path
    exp: Path

    def split(self, split: str) -> Path:
        """The data directory of `<corpus>/<split>`."""
        return self.data / split

    # What the stages make.

    @property
    def tokens(self) -> Path:
        """The vocabulary of the models that are trained here."""
        return self.exp / "tokens"

    def model(self, name: str) -> Path:
        return self.exp / MODELS / name

    def pseudo_labels(self, split: str) -> Path:
        """The teacher's hypotheses for the recordings of an unlabelled split."""
        return self.exp / "pseudo" / split

    def chunks(self, split: str) -> Path:
        return self.exp / "chunks" / split

    @property
    def all_opinions(self) -> Path:
        return self.exp / "opinions"

    def opinions(self, auxiliary: str, split: str) -> Path:
        """An auxiliary's hypotheses for the chunks of an unlabelled split."""
        return self.all_opinions / auxiliary / split

    def distances(self, auxiliary: str) -> Path:
        """How far an auxiliary's opinions are from the teacher's labels, for all methods."""
        return self.exp / SELECTIONS / DISTANCES / auxiliary

    def selection(self, method: str) -> Path:
        """The chunks that a method keeps, and its decision on every chunk."""
        return self.exp / SELECTIONS / method

    def kept(self, method: str, split: str) -> Path:
        """The data directory of the chunks of a split that a method keeps."""
        return self.selection(method) / KEPT / split

    @property
    def decoded(self) -> Path:
        """Below it are the hypotheses of each system for each set."""
        return self.exp / "decode"

    def hypotheses(self, system: str, set_name: str) -> Path:
        return self.decoded / system / set_name

    def speed(self, set_name: str) -> Path:
        return self.exp / SPEEDS / set_name

    def score(self, system: str, set_name: str) -> Path:
        return self.exp / SCORES / system / set_name

    @property
    def validator_study(self) -> Path:
        return self.exp / SCORES / VALIDATOR

    @property
    def report(self) -> Path:
        return self.exp / REPORT

    def export(self, student: str, form: str) -> Path:
        return self.exp / "export" / student / form

    # What a run needs beside them. It decides no result.

    @property
    def log(self) -> Path:
        return self.exp / "log"

    def training_work(self, model: str) -> Path:
        """Checkpoints and curves of a training that is not finished. A rerun continues from them."""
        return self.exp / "work" / model

    @property
    def cache(self) -> Path:
        """What can be made again at the cost of time."""
        return self.exp / "cache"

    def answers(self, output: Path) -> Path:
        """What is decoded already for an unfinished folder of the experiment."""
        return self.cache / output.relative_to(self.exp)


def converted_model(model: Path, compute_type: str) -> Path:
    """Where the form of a model that CTranslate2 decodes lies: in the cache of the model's experiment."""
    return model.parents[1] / "cache" / "ctranslate2" / model.name / compute_type


def experiment_layout(data: str, exp: str, name: str) -> Layout:
    """The folders of experiment `name`; relative ones lie in the project."""
    return Layout(data=PROJECT_ROOT / data, exp=PROJECT_ROOT / exp / name)


# --- paths ---


def user_cache() -> Path:
    """Where is kept what a command outside of any experiment makes and could make again: `$XDG_CACHE_HOME/k2d`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "k2d"


def shown(path: Path) -> str:
    """A path for messages: relative to the project where it lies inside.

    >>> shown(PROJECT_ROOT / "conf" / "mini.yaml")
    'conf/mini.yaml'
    """
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def no_file_kind(mode: int) -> str:
    """What a path with this mode is that is no regular file; empty for one that is.

    >>> no_file_kind(stat.S_IFIFO | 0o600), no_file_kind(stat.S_IFREG)
    ('a named pipe', '')
    """
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def unicode_form(name: str) -> str:
    """The form in which a name is written; two names that look the same may differ in it.

    >>> unicode_form("caf\\u00e9"), unicode_form("cafe\\u0301")
    ('NFC', 'NFD')
    """
    return next((form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, name)), "a mixed one")
