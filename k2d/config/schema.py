"""The schema of an experiment, in the order of the stages.

Each default is written here (or in decoding.py, students.py and training.py) and nowhere else. A file under conf/ has
only the values that differ. Loading checks names, types and ranges (see load.py). Checks across fields are in
cross_checks.py.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from k2d.config.decoding import Decode, ModelDecoding
from k2d.config.fields import (
    STRICT,
    STRICT_WITH_ALIAS,
    Alpha,
    ComputeType,
    Count,
    ExportFormat,
    FamilyName,
    Name,
    NotNegative,
    Positive,
    Resamples,
    Share,
    SpeedRuns,
    SplitName,
    Step,
    Transcripts,
    Whole,
)
from k2d.config.students import Distill, Student
from k2d.config.training import Training
from k2d.core.layout import ROLES, TEACHER
from k2d.models.registry import DEFAULT_FAMILY, FAMILIES

SCHEMA_VERSION = 1


@dataclass(frozen=True, config=STRICT)
class Corpora:
    """The role of each split. A split is written <corpus>/<split> and has one role."""

    labelled: tuple[SplitName, ...] = ()
    """Speech with transcripts: the training data of teacher and auxiliaries."""
    unlabelled: tuple[SplitName, ...] = ()
    """Long recordings without transcripts: the training data of the students."""
    nonspeech: tuple[SplitName, ...] = ()
    """Recordings in which nobody speaks: students learn to write nothing there (distill.nonspeech_per_batch)."""
    dev: tuple[SplitName, ...] = ()
    """Development sets: for all tuning."""
    in_domain: tuple[SplitName, ...] = ()
    """Test sets that are similar to the unlabelled recordings."""
    out_domain: tuple[SplitName, ...] = ()
    """Test sets that differ from them."""

    def roles(self) -> dict[str, str]:
        """The role of every split in the config, in the order of the roles."""
        return {split: role for role in ROLES for split in getattr(self, role)}

    def names(self) -> list[str]:
        """The corpora, each one once, in the order of the config."""
        return list(dict.fromkeys(split.split("/")[0] for split in self.roles()))


@dataclass(frozen=True, config=STRICT)
class Prepare:
    """Stage 1: where the raw corpora are, and the options of their recipes."""

    roots: dict[Name, str] = field(default_factory=dict)
    """Folder of the raw corpus, by corpus; default: the environment variable named in its corpus.yaml."""
    options: dict[Name, dict[str, Any]] = field(default_factory=dict)
    """Options of a corpus, by corpus; checked against the `Options` of its prepare.py."""
    allow_count_mismatch: bool = False
    """Continue if a split does not have the number of utterances and hours in corpus.yaml."""


@dataclass(frozen=True, config=STRICT)
class Tokens:
    """Stage 2: the vocabulary, unless the teacher has its own."""

    vocab_size: Count = 1800
    """Number of all ids: symbols and timestamps, 256 bytes, every character of the texts, and pieces of them."""
    model_type: Literal["unigram", "bpe", "char"] = "unigram"
    split_han: bool = True
    """Make each Han character a piece of its own, so that longer pieces are only used for other scripts."""


@dataclass(frozen=True, config=STRICT)
class Recogniser:
    """A teacher or an auxiliary: trained here from `model`, or loaded from `checkpoint`."""

    family: FamilyName = DEFAULT_FAMILY
    model: str | None = None
    """Model config to train from (conf/models/…): in ESPnet's format, or the sizes of a Whisper network."""
    checkpoint: str | None = None
    """Model folder, file, or published name (`large-v2`, `base`, …) to use without training."""
    cache: str | None = None
    """Where a published checkpoint is stored. Default: $K2D_WHISPER_CACHE, or openai-whisper's (~/.cache/whisper)."""
    language: tuple[Name, ...] = ()
    """Languages in the prompt. If there are several, the prompt uses the mean of their embeddings. If there is none, a
    Whisper model guesses the language of each window, and its students learn to do the same."""
    decode: Literal["attention", "ctc", "joint"] = "attention"
    """How its text is decoded. `joint` combines the decoder's score with the CTC head's (decode.ctc_weight). `ctc`
    uses the CTC head alone, without timestamps. A `ctc` auxiliary never loops, so the composite rule cannot compare
    loops.
    """
    decoding: ModelDecoding = field(default_factory=ModelDecoding)
    """Engine, batch size and precision of this model. The teacher's are also used for its students."""
    seed: Whole | None = None
    """Seed of its weights and data order. Default: the experiment's."""
    training: Training = field(default_factory=Training)

    @property
    def guesses_language(self) -> bool:
        """Whether the model guesses the language of each window."""
        return FAMILIES[self.family].guesses_language and not self.language


@dataclass(frozen=True, config=STRICT_WITH_ALIAS)
class Auxiliary(Recogniser):
    """A recogniser that gives second opinions, or the name of another system, whose transcripts are in a file."""

    from_: Transcripts | None = Field(default=None, alias="from")
    """File with a text for each chunk, made elsewhere (docs/recognisers.md); nothing is decoded here then. For several
    unlabelled splits, a file for each."""
    speed: Annotated[float, Field(ge=1, le=2)] = 1.0
    """Speed at which it hears the chunks, with a higher pitch. With the teacher's own weights, the distance then shows
    which labels the teacher would not write again."""
    alignment: bool = False
    """Whether stage 7 also aligns each label with its audio by this auxiliary's CTC head, for the rule `alignment` and
    the study of judges."""


@dataclass(frozen=True, config=STRICT_WITH_ALIAS)
class PseudoLabel:
    """Stage 5: whose transcripts the labels are."""

    from_: Transcripts | None = Field(default=None, alias="from")
    """File with timestamped transcripts of the unlabelled recordings, made elsewhere (docs/recognisers.md); for several
    splits, a file for each. Default: the teacher transcribes the recordings."""
    made_by: str | None = None
    """The system that wrote the file, for the report. `teacher`: the teacher wrote it on another machine."""

    @property
    def is_of_another(self) -> bool:
        """Whether the labels are not the teacher's own, so that its distributions do not belong to them."""
        return self.from_ is not None and self.made_by != TEACHER


@dataclass(frozen=True, config=STRICT)
class Chunk:
    """Stage 6: how timestamped segments are packed into training chunks."""

    max_s: Positive | None = None
    """Longest chunk. Default: the teacher's window."""
    duration: Literal["span", "sum", "authors", "window"] = "span"
    """How length is measured. `span`: last end minus first start. `sum`: the segments alone, without gaps.
    `authors` and `window`: fixed windows; of a segment that is cut off, the start (`authors`) or the words before
    the cut (`window`) are written.
    """


@dataclass(frozen=True, config=STRICT)
class Method:
    """A method of selection: a row of the table, and a student per seed."""

    rule: Literal["none", "trivial", "mer", "per", "composite", "alignment", "estimated_error", "random", "oracle"]
    alpha: Alpha | None = None
    """Largest distance that is kept. Default: select.alpha, or select.max_error for the rule estimated_error."""
    auxiliary: Name | None = None
    """The auxiliary that gives the opinions. Default: the first one."""
    also: tuple[Name, ...] = ()
    """Further rules on the label that must accept the chunk, by their names in k2d/select/labels.py."""
    hours_of: Name | None = None
    """With `random` and `oracle`, which are controls: the method that keeps as many hours."""
    draw: Count = 1
    """With `random`: another number draws other chunks."""
    weight: Literal["none", "distance"] = "none"
    """`distance`: in training, the loss of a chunk has the weight 1 - its distance by the rule (over the mean)."""

    @property
    def is_control(self) -> bool:
        """Whether the rule keeps as many hours as another method, to show what that method's choice is worth."""
        return self.rule in ("random", "oracle")


@dataclass(frozen=True, config=STRICT)
class Select:
    """Stage 8: which chunks the students learn from."""

    alpha: Alpha = 0.4
    max_error: Share = 0.2
    """The largest share of wrong words that a label may have, as the rule `estimated_error` estimates it."""
    fit: tuple[SplitName, ...] = ()
    """Unlabelled splits that have a true text (<split>_truth), on which the rule `estimated_error` learns to estimate.
    Default: it uses no truth, and estimates the distance to an opinion."""
    ngram: Count = 6
    """Length in characters of the n-grams of the loop test."""
    ngram_count: Count = 5
    """A text loops if one n-gram occurs more often than this."""
    denominator: Literal["validator", "teacher", "longer"] = "validator"
    """The text by whose length the errors are divided."""
    empty_validator_distance: Share = 1.0
    """Distance if the auxiliary's opinion is empty: 1.0 drops the chunk, 0.0 keeps it."""
    script: Literal["t2s", "per_char", "none"] = "t2s"
    """How Han script is unified before comparing."""
    steps: tuple[Step, ...] = ()
    """Optional steps of the normaliser, each named in the signature."""
    out_of_vocabulary: Literal["letters", "drop"] = "letters"
    """How English words without an entry in a lexicon become phonemes."""
    lexicon: str | None = None
    """A file of the user's pronunciations (a word, a tab, its phonemes), which have priority over all others."""
    allow_empty: bool = False
    """Continue if a method keeps nothing."""
    methods: dict[Name, Method] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class Score:
    """Stage 12: how errors are counted. Part of every score's signature."""

    normaliser: Literal["basic"] = "basic"
    script: Literal["t2s", "per_char", "none"] = "t2s"
    steps: tuple[Step, ...] = ()
    """Optional steps of the normaliser, each named in the signature."""
    tokens: Literal["default", "paper"] = "default"
    """`paper` counts digits as English words, and only U+4E00–9FFF as Han."""
    bad_label_mer: NotNegative = 0.4
    """Validator study: a label is bad if its true MER is above this."""
    bootstrap_resamples: Resamples = 1000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    speed_runs: SpeedRuns = 5
    """How often the decoding of a part of a test set is timed for each model (stage 11). 0: never."""
    speed_sets: tuple[SplitName, ...] = ()
    """The test sets on which the models are timed. Default: all. With a slow model, one may be enough."""


@dataclass(frozen=True, config=STRICT)
class Report:
    """Stage 13: the contents of the report."""

    title: str = ""
    worst_disagreements: Whole = 30


@dataclass(frozen=True, config=STRICT)
class Export:
    """Stage 14: which students are exported, and in which formats."""

    students: tuple[Name, ...] = ()
    """Names of students (`<method>-s<seed>`). Default: the student of the first seed of each method."""
    formats: tuple[ExportFormat, ...] | None = None
    """Default: espnet for an ESPnet student, openai and huggingface for one of the Whisper family."""
    compute_type: ComputeType = "fp32"
    """Precision of the CTranslate2 folder. At fp32 it gives the same texts as the student."""
    teacher_licence: str = "unknown"
    """The teacher's licence in Hugging Face's spelling (`mit`, `apache-2.0`, `cc-by-4.0`, …), which applies to
    students.
    """


@dataclass(frozen=True, config=STRICT)
class Config:
    """An experiment."""

    name: Name
    """The folder under exp/. Default: the file's name."""
    schema_version: Whole = SCHEMA_VERSION
    seed: Whole = 1
    data: str = "data"
    """Folder for data directories, shared by experiments that use the same corpora with the same options."""
    exp: str = "exp"
    """Folder for experiments."""
    reuse: str | None = None
    """Another experiment's folder. Its outputs with equal stamps are used instead of being made again."""
    max_bad: Share = 0.01
    """A stage fails if the share of its bad items is larger."""
    loader_processes: Whole = 1
    """Processes that read audio ahead and make batches, for each training process (one per GPU). 0: none, training
    reads audio itself. Batches do not depend on this number. Raise it if training often waits for data
    (`waiting_share` in training.json) and cores are free.
    """
    corpora: Corpora = field(default_factory=Corpora)
    prepare: Prepare = field(default_factory=Prepare)
    tokens: Tokens = field(default_factory=Tokens)
    teacher: Recogniser = field(default_factory=Recogniser)
    auxiliaries: dict[Name, Auxiliary] = field(default_factory=dict)
    """The validators by name. A method uses the first one unless it names another."""
    decode: Decode = field(default_factory=Decode)
    pseudo_label: PseudoLabel = field(default_factory=PseudoLabel)
    chunk: Chunk = field(default_factory=Chunk)
    select: Select = field(default_factory=Select)
    student: Student = field(default_factory=Student)
    distill: Distill = field(default_factory=Distill)
    score: Score = field(default_factory=Score)
    report: Report = field(default_factory=Report)
    export: Export = field(default_factory=Export)

    def decoding_auxiliaries(self) -> dict[str, Auxiliary]:
        """The auxiliaries that decode here. The others have their second opinions in a file."""
        return {name: each for name, each in self.auxiliaries.items() if each.from_ is None}

    def decode_of(self, recogniser: Recogniser) -> Decode:
        """The decoding of a model: the section `decode` with the model's own settings, and an engine that can run
        it.
        """
        own = {name: value for name, value in vars(recogniser.decoding).items() if value is not None}
        decode = replace(self.decode, **own)
        return decode if decode.engine in FAMILIES[recogniser.family].engines else replace(decode, engine="torch")

    def students(self) -> dict[str, tuple[str, int]]:
        """The students of stage 10, by name: a method and a seed, or a control."""
        methods = [(method, seed) for method in self.select.methods for seed in self.distill.seeds]
        controls = [(control, self.distill.seeds[0]) for control in self.distill.controls]
        return {f"{row}-s{seed}": (row, seed) for row, seed in (*methods, *controls)}

    def exported(self) -> tuple[str, ...]:
        """The students that stage 14 exports."""
        return self.export.students or tuple(f"{method}-s{self.distill.seeds[0]}" for method in self.select.methods)

    def export_formats(self) -> tuple[str, ...]:
        """The formats in which stage 14 exports them."""
        if self.export.formats is not None:
            return self.export.formats
        return FAMILIES[self.teacher.family].default_formats
