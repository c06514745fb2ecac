"""The schema of an experiment, in the order in which the data travels.

Each default is written here and nowhere else; a file under conf/ holds only what differs. Loading checks names,
types and ranges (see load.py); what concerns several fields at once is in `faults_between_fields`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.dataclasses import dataclass

SCHEMA_VERSION = 1

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
SplitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+/[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Alpha = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["fp32", "bf16"]
Step = Literal["tags", "numerals", "variants", "fillers"]
Term = Literal["ce", "kl", "hidden_mse", "dkd", "ctc"]  # as in k2d/objectives/terms.py, which takes seconds to import

ROLES = ("labelled", "unlabelled", "dev", "in_domain", "out_domain")


@dataclass(frozen=True, config=_STRICT)
class Corpora:
    """Which split plays which role. A split is written <corpus>/<split> and has one role."""

    labelled: tuple[SplitName, ...] = ()
    """Speech with transcripts, to train teacher and auxiliaries on."""
    unlabelled: tuple[SplitName, ...] = ()
    """Long recordings without transcripts: what the student learns from."""
    dev: tuple[SplitName, ...] = ()
    """Everything that is tuned is tuned here."""
    in_domain: tuple[SplitName, ...] = ()
    """Test sets like the unlabelled recordings."""
    out_domain: tuple[SplitName, ...] = ()
    """Test sets unlike them."""

    def roles(self) -> dict[str, str]:
        """The role of every split named here, in the order of the roles."""
        return {split: role for role in ROLES for split in getattr(self, role)}

    def names(self) -> list[str]:
        """The corpora, each once, in the order in which they are first named."""
        return list(dict.fromkeys(split.split("/")[0] for split in self.roles()))


@dataclass(frozen=True, config=_STRICT)
class Prepare:
    """Stage 1: where the raw corpora are, and what their recipes are asked for."""

    roots: dict[Name, str] = field(default_factory=dict)
    """Folder of the raw corpus, by corpus; default: the environment variable named in its corpus.yaml."""
    options: dict[Name, dict[str, Any]] = field(default_factory=dict)
    """Options of a corpus, by corpus; checked against the `Options` of its prepare.py."""
    allow_count_mismatch: bool = False
    """Go on when a split has not the number of utterances and hours that corpus.yaml expects."""


@dataclass(frozen=True, config=_STRICT)
class Tokens:
    """Stage 2: the vocabulary, unless the teacher brings its own."""

    vocab_size: Count = 1800
    """All ids: symbols and timestamps, 256 bytes, every character of the texts, and what is made of them."""
    model_type: Literal["unigram", "bpe", "char"] = "unigram"
    split_han: bool = True
    """Each Han character is a piece of its own, so that pieces of several letters are left to other scripts."""


@dataclass(frozen=True, config=_STRICT)
class Steps:
    """How many steps, of what, how large."""

    steps: Count = 1000
    batch_size: Count = 24
    """Windows (or utterances) per step, over all processes."""
    accumulate: Count = 1
    """Backward passes per step; batch_size is divided by it."""
    lr: Positive = 2e-3
    warmup_steps: Whole = 100
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "constant"
    """After the warm-up."""


@dataclass(frozen=True, config=_STRICT)
class Augment:
    """What is done to the audio of a sample."""

    gain_db: NotNegative = 6.0
    """It is made louder or quieter by at most this much."""
    noise: Share = 0.5
    """How often noise is added: white, pink, or other voices."""
    snr_db: tuple[float, float] = (5.0, 30.0)
    """Least and greatest distance of the noise."""
    echo: Share = 0.3
    """How often it sounds as in a room."""
    speed: tuple[Positive, Positive] = (1.0, 1.0)
    """Slowest and fastest at which it is played, which raises the voice as well: as if by somebody else."""


@dataclass(frozen=True, config=_STRICT)
class Phase(Steps):
    """A stretch of a training, with data and weights of its own."""

    data: Literal["utterances", "windows"] = "windows"
    """Single utterances in batches of like length, or windows composed of several with pauses between them."""
    window_s: Positive | None = None
    """Length of composed windows; default: the recogniser's."""
    train: Literal["encoder", "decoder", "all"] = "all"
    """The encoder learns by CTC alone; the decoder from a fixed encoder."""
    keep_batches: Whole = 0
    """Where the decoder learns alone: so many batches are encoded, once, and gone through again and again. 0: always
    new ones."""
    decoder_layers: Count | None = None
    """Only the first ones and the last take part, so many in all; those between must not have learnt yet, and pass
    on what they are given (k2d/models/espnet_s2t_start.py). Default: all."""
    lean_on_ctc: bool = False
    """A new decoder begins this phase with the CTC head as its output layer, and a last layer that hands on the frames
    that it attends to: after phases in which the encoder alone has learnt."""
    ctc_weight: Share = 0.3
    """Share of the CTC loss where both parts learn."""
    flat_start: Share = 0.0
    """Share of a loss that wants each token about where it would be if all were equally long, beside CTC where the
    encoder learns alone. Without it a new encoder says nothing (the blank) for hundreds of steps."""
    label_smoothing: Alpha = 0.1
    token_noise: Share = 0.0
    """Share of the decoder's input words that are replaced by others, so that it has to listen."""
    timestamps: bool = True
    cut_share: Share = 0.2
    """How often a window ends in the middle of an utterance where it could."""
    short_share: Share = 0.2
    """How often nothing is said after one of a window's first utterances, as at the end of a recording."""
    augment: Augment = field(default_factory=Augment)
    spec_augment: bool = True
    """Mask stretches of time and of frequency as the model's config says. In a first phase it keeps CTC on blanks."""


@dataclass(frozen=True, config=_STRICT)
class Running:
    """What holds for a training as a whole."""

    weight_decay: NotNegative = 0.01
    gradient_clip: Positive = 1.0
    precision: Precision = "fp32"
    checkpoint_every_steps: Count = 200
    evaluations: Count = 5
    """How often free-running decoding of the development sets is measured in the last phase: at equal distances, the
    last time at its end. Phases before it are measured at their end, if the decoder learns in them."""
    average_best: Count = 3
    """How many of the last phase's best checkpoints are averaged into the model, if that is better than the best."""


@dataclass(frozen=True, config=_STRICT)
class Training(Running):
    """How a teacher or an auxiliary is trained: phase after phase."""

    phases: dict[Name, Phase] = field(default_factory=lambda: {"all": Phase()})
    """In their order. A phase begins with the weights of the one before, and with a new optimiser."""


@dataclass(frozen=True, config=_STRICT)
class StudentTraining(Steps, Running):
    """How a student is trained."""


@dataclass(frozen=True, config=_STRICT)
class Recogniser:
    """A teacher or an auxiliary: trained here from `model`, or taken ready from `checkpoint`."""

    family: Literal["espnet_s2t", "whisper"] = "espnet_s2t"
    model: str | None = None
    """Model config (conf/models/…) to train from."""
    checkpoint: str | None = None
    """Model folder, file, or published name to take as it is."""
    language: tuple[Name, ...] = ()
    """Languages in the prompt; several: the mean of their embeddings; none: the model decides."""
    decode: Literal["attention", "ctc", "joint"] = "attention"
    """How its text is decoded. A pure CTC auxiliary never loops, which blinds the composite rule on its side."""
    seed: Whole | None = None
    """Seed of its weights and data order; default: the experiment's."""
    training: Training = field(default_factory=Training)


@dataclass(frozen=True, config=_STRICT)
class Decode:
    """Long-form decoding, the same for every model and stage that decodes."""

    batch_size: Count = 16
    """Windows of different recordings that are decoded together."""
    beam: Count = 1
    max_tokens: Count = 224
    """Per window."""
    min_advance_s: Positive = 1.0
    """A window moves on by at least this much, whatever its timestamps say."""
    stop_loops: bool = True
    """Stop a window once its text fails the n-gram test of selection."""
    condition_on_previous_text: bool = False
    ctc_rows: bool = False
    """Decode teacher and auxiliaries by their CTC heads as well: rows `<model>_ctc`, which tell the encoder's part of
    an error from the decoder's."""
    engine: Literal["torch", "ctranslate2"] = "torch"
    precision: Precision = "fp32"


@dataclass(frozen=True, config=_STRICT)
class Chunk:
    """Stage 6: how timestamped segments are packed into training chunks."""

    max_s: Positive | None = None
    """Longest chunk; default: the teacher's window."""
    duration: Literal["span", "sum", "authors"] = "span"
    """What is measured: last end minus first start; the segments alone, gaps cut out; or fixed windows of the clock."""


@dataclass(frozen=True, config=_STRICT)
class Method:
    """One way to select, and so one row of the table and one student per seed."""

    rule: Literal["none", "trivial", "mer", "per", "composite"]
    alpha: Alpha | None = None
    """Largest distance that is kept; default: select.alpha."""
    auxiliary: Name | None = None
    """Who gives the second opinion; default: the first of the auxiliaries."""
    also: tuple[Name, ...] = ()
    """Further rules on the label that must agree, by their names in k2d/select/labels.py."""


@dataclass(frozen=True, config=_STRICT)
class Select:
    """Stage 8: which chunks the student learns from."""

    alpha: Alpha = 0.4
    ngram: Count = 6
    """Length in characters of the n-grams that betray a loop."""
    ngram_count: Count = 5
    """A text loops when one n-gram occurs more often than this."""
    denominator: Literal["validator", "teacher", "longer"] = "validator"
    """Whose length the errors are divided by."""
    empty_validator_distance: Share = 1.0
    """Distance where the auxiliary says nothing: 1.0 drops the chunk, 0.0 keeps it."""
    script: Literal["t2s", "per_char", "none"] = "t2s"
    """How Han script is unified before comparing."""
    steps: tuple[Step, ...] = ()
    """Optional steps of the normaliser, each named in the signature."""
    out_of_vocabulary: Literal["letters", "drop"] = "letters"
    """Phonemes of an English word that no lexicon has."""
    lexicon: str | None = None
    """The user's own pronunciations (a word, a tab, its phonemes), which win over all others."""
    allow_empty: bool = False
    """Go on when a method keeps nothing."""
    methods: dict[Name, Method] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class Student:
    """Stage 9: what the student takes from the teacher. The encoder is always taken whole."""

    decoder_layers: Literal["first_last", "spaced"] | tuple[Whole, ...] = "first_last"
    """Teacher decoder layers to copy: a rule, or their numbers from 0."""
    n_decoder_layers: Count = 2
    """How many, where a rule chooses them."""
    freeze_encoder: bool = True
    freeze_positions: bool = False


@dataclass(frozen=True, config=_STRICT)
class Distill:
    """Stage 10: the loss and the training of the students."""

    objective: dict[Term, NotNegative] = field(default_factory=lambda: {"ce": 0.8, "kl": 1.0})
    """Terms of the loss by name, with their weights (paper: 0.8 and 1.0)."""
    temperature: Positive = 2.0
    """Of the kl term, which is multiplied by its square. The paper gives none; 2 is Distil-Whisper's."""
    reduction: Literal["token_mean", "sum"] = "token_mean"
    timestamps_probability: Share = 1.0
    """How often a label keeps its timestamps (paper: always)."""
    previous_text_probability: Share = 0.0
    """How often the previous chunk's text is the prompt (paper: never)."""
    heldout_share: Share = 0.02
    """Share of the unlabelled recordings kept from training, to choose checkpoints by."""
    keep_encoded: bool = False
    """Encode every chunk once, for all students, into a file: 4 bytes per frame and feature (0.3 MB for 10 s in the
    mini recipe, 7.7 MB for 30 s of Whisper large). Needs a frozen encoder."""
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1)] = (1,)
    """One student per method and seed."""
    controls: tuple[Literal["teacher_more", "student_pool"], ...] = ()
    """Rows that would show if the gain came from something else: one each, with the first of the seeds."""
    training: StudentTraining = field(default_factory=StudentTraining)


@dataclass(frozen=True, config=_STRICT)
class Score:
    """Stage 12: how errors are counted. Part of every score's signature."""

    normaliser: Literal["basic"] = "basic"
    script: Literal["t2s", "per_char", "none"] = "t2s"
    steps: tuple[Step, ...] = ()
    """Optional steps of the normaliser, each named in the signature."""
    tokens: Literal["default", "paper"] = "default"
    """`paper` counts digits as English words and knows U+4E00–9FFF as Han only."""
    bad_label_mer: NotNegative = 0.4
    """Validator study: a label is bad when its true MER is above this."""
    bootstrap_resamples: Count = 1000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    speed_runs: Count = 5


@dataclass(frozen=True, config=_STRICT)
class Report:
    """Stage 13: what the report shows."""

    title: str = ""
    worst_disagreements: Whole = 30


@dataclass(frozen=True, config=_STRICT)
class Export:
    """Stage 14: in which forms a student leaves."""

    formats: tuple[Literal["espnet", "openai", "huggingface", "ctranslate2"], ...] = ("espnet",)


@dataclass(frozen=True, config=_STRICT)
class Config:
    """An experiment."""

    name: Name
    """Folder under exp/; default: the file's name."""
    schema_version: Whole = SCHEMA_VERSION
    seed: Whole = 1
    data: str = "data"
    """Folder for data directories, shared by experiments that use the same corpora with the same options."""
    exp: str = "exp"
    """Folder for experiments."""
    reuse: str | None = None
    """Another experiment's folder whose outputs with equal stamps are used in place of making them again."""
    max_bad: Share = 0.01
    """A stage fails when a larger share of its items had to be left out as bad."""
    corpora: Corpora = field(default_factory=Corpora)
    prepare: Prepare = field(default_factory=Prepare)
    tokens: Tokens = field(default_factory=Tokens)
    teacher: Recogniser = field(default_factory=Recogniser)
    auxiliaries: dict[Name, Recogniser] = field(default_factory=dict)
    """The validators by name; the first gives the second opinion unless a method names another."""
    decode: Decode = field(default_factory=Decode)
    chunk: Chunk = field(default_factory=Chunk)
    select: Select = field(default_factory=Select)
    student: Student = field(default_factory=Student)
    distill: Distill = field(default_factory=Distill)
    score: Score = field(default_factory=Score)
    report: Report = field(default_factory=Report)
    export: Export = field(default_factory=Export)

    def students(self) -> dict[str, tuple[str, int]]:
        """What stage 10 trains, by name: a method and a seed, or a control."""
        methods = [(method, seed) for method in self.select.methods for seed in self.distill.seeds]
        controls = [(control, self.distill.seeds[0]) for control in self.distill.controls]
        return {f"{row}-s{seed}": (row, seed) for row, seed in (*methods, *controls)}


def faults_between_fields(config: Config) -> Iterator[tuple[str, object, str]]:
    """Yield (key, found, expected) where fields that are right one by one do not fit together."""
    yield from _role_faults(config.corpora)
    for key, model in {
        "teacher": config.teacher,
        **{f"auxiliaries.{n}": a for n, a in config.auxiliaries.items()},
    }.items():
        if model.model and model.checkpoint:
            yield (
                f"{key}.checkpoint",
                model.checkpoint,
                f"only one of model and checkpoint (model is {model.model})",
            )
        yield from _training_faults(f"{key}.training", model.training)
    for name, method in config.select.methods.items():
        if method.auxiliary is not None and method.auxiliary not in config.auxiliaries:
            known = ", ".join(config.auxiliaries) or "none is defined"
            yield f"select.methods.{name}.auxiliary", method.auxiliary, f"one of the auxiliaries ({known})"
        if method.rule in ("mer", "per", "composite") and not config.auxiliaries:
            yield (
                f"select.methods.{name}.rule",
                method.rule,
                "at least one entry in auxiliaries for a second opinion",
            )
    if len(set(config.distill.seeds)) < len(config.distill.seeds):
        yield "distill.seeds", list(config.distill.seeds), "each seed once"
    yield from _distill_faults(config)
    yield from _reuse_faults(config)


def _reuse_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    if config.reuse is not None and PurePath(config.reuse) == PurePath(config.exp, config.name):
        yield "reuse", config.reuse, "another experiment's folder; this one is its own"


def _distill_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    yield from _steps_faults("distill.training", config.distill.training)
    if config.distill.keep_encoded and not config.student.freeze_encoder:
        yield "distill.keep_encoded", True, "false, as the encoder learns (student.freeze_encoder)"
    ctc = config.distill.objective.get("ctc", 0.0)
    if ctc and config.student.freeze_encoder:
        yield "distill.objective.ctc", ctc, "0, as CTC teaches the encoder alone, or student.freeze_encoder: false"


def _training_faults(key: str, training: Training) -> Iterator[tuple[str, object, str]]:
    if not training.phases:
        yield f"{key}.phases", {}, "at least one phase"
    for name, phase in training.phases.items():
        yield from _steps_faults(f"{key}.phases.{name}", phase)
        for limits in ("snr_db", "speed"):
            low, high = getattr(phase.augment, limits)
            if low > high:
                yield f"{key}.phases.{name}.augment.{limits}", [low, high], "the least before the greatest"
        if phase.keep_batches and phase.train != "decoder":
            yield f"{key}.phases.{name}.keep_batches", phase.keep_batches, "0, as the encoder learns (train: decoder)"


def _steps_faults(key: str, steps: Steps) -> Iterator[tuple[str, object, str]]:
    if steps.batch_size % steps.accumulate:
        yield f"{key}.accumulate", steps.accumulate, "a divisor of batch_size"


def _role_faults(corpora: Corpora) -> Iterator[tuple[str, object, str]]:
    seen: dict[str, str] = {}
    for role in ROLES:
        for split in getattr(corpora, role):
            if split in seen:
                yield f"corpora.{role}", split, f"one role per split (it is {seen[split]} already)"
            seen[split] = role
