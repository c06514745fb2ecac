"""The paths of the project, its data directories and an experiment's folders. No other file defines them."""

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
"""The name of the student before training. All methods start with it."""
VALIDATOR = "validator"
"""The folder of the validator study among the scores, where other folders have a system's name."""
DISTANCES = "distances"
"""The folder of the distances among the selections, where other folders have a method's name."""

TEST_ROLES = ("in_domain", "out_domain")
SCORED_ROLES = ("dev", *TEST_ROLES)
ROLES = ("labelled", "unlabelled", "nonspeech", *SCORED_ROLES)
"""The use of a set. Test sets are reported. Development sets are scored, too, and are used to choose checkpoints."""

RECORD = "record.json"
"""How a folder of pseudo-labels, chunks, opinions, hypotheses or selected chunks was made, with its figures."""

KEPT = "kept"
"""The folder inside a method's folder with the data directories of the chunks that it keeps."""

STUDENT_RECORD = "student.json"
"""The numbers of the teacher's layers that the student has."""

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

    def truth(self, split: str) -> Path:
        """The data directory with the reference texts of an unlabelled split. Most splits have none."""
        return self.data / f"{split}_truth"

    # The outputs of the stages.

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

    @property
    def all_alignments(self) -> Path:
        return self.exp / "alignments"

    def alignments(self, auxiliary: str, split: str) -> Path:
        """How well the labels of an unlabelled split's chunks fit the audio, by an auxiliary's CTC head."""
        return self.all_alignments / auxiliary / split

    def distances(self, auxiliary: str) -> Path:
        """The distances of an auxiliary's opinions to the teacher's labels, for all methods."""
        return self.exp / SELECTIONS / DISTANCES / auxiliary

    def selection(self, method: str) -> Path:
        """The chunks that a method keeps, and its decision on every chunk."""
        return self.exp / SELECTIONS / method

    def kept(self, method: str, split: str) -> Path:
        """The data directory of the chunks of a split that a method keeps."""
        return self.selection(method) / KEPT / split

    @property
    def decoded(self) -> Path:
        """The folder with the hypotheses of each system for each set."""
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

    @property
    def study(self) -> Path:
        """What `python -m k2d study` writes. No stage reads it, and it has no stamp."""
        return self.exp / "study"

    # Files that a run needs besides the outputs. They do not affect results.

    @property
    def log(self) -> Path:
        return self.exp / "log"

    def training_work(self, model: str) -> Path:
        """Checkpoints and curves of an unfinished training. A rerun continues from them."""
        return self.exp / "work" / model

    @property
    def cache(self) -> Path:
        """Files that can be made again, which takes time."""
        return self.exp / "cache"

    def answers(self, output: Path) -> Path:
        """The answers that were decoded for an unfinished folder of the experiment."""
        return self.cache / output.relative_to(self.exp)


def converted_model(model: Path, compute_type: str) -> Path:
    """The path of a model's converted form for CTranslate2: in the cache of the model's experiment."""
    return model.parents[1] / "cache" / "ctranslate2" / model.name / compute_type


def experiment_layout(data: str, exp: str, name: str) -> Layout:
    """The folders of experiment `name`. Relative paths start at the project."""
    return Layout(data=PROJECT_ROOT / data, exp=PROJECT_ROOT / exp / name)


# --- paths ---


def user_cache() -> Path:
    """The cache of commands outside of experiments: `$XDG_CACHE_HOME/k2d`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "k2d"


def shown(path: Path) -> str:
    """A path for messages: relative to the project if it is inside.

    >>> shown(PROJECT_ROOT / "conf" / "mini.yaml")
    'conf/mini.yaml'
    """
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def no_file_kind(mode: int) -> str:
    """The kind of a path that is not a regular file, by its mode. Empty if it is one.

    >>> no_file_kind(stat.S_IFIFO | 0o600), no_file_kind(stat.S_IFREG)
    ('a named pipe', '')
    """
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def unicode_form(name: str) -> str:
    """The Unicode form of a name. Names that look the same may differ in it.

    >>> unicode_form("caf\\u00e9"), unicode_form("cafe\\u0301")
    ('NFC', 'NFD')
    """
    return next((form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, name)), "a mixed one")
