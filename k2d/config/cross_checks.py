"""Checks that concern several fields of an experiment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from k2d.config.fields import Transcripts
from k2d.config.schema import Auxiliary, Config, Corpora, Method, Recogniser
from k2d.config.training import Steps, Training
from k2d.core.layout import ROLES, TEACHER, TEST_ROLES
from k2d.models.registry import FAMILIES, families_of_engine
from k2d.objectives.terms import terms_with_teacher

RULES_OF_THE_LABEL_ALONE = ("none", "trivial")  # all other rules compare it with a second opinion


def faults_between_fields(config: Config) -> Iterator[tuple[str, object, str]]:
    """Yield (key, found, expected) for fields that are valid one by one but do not fit together."""
    yield from _role_faults(config.corpora)
    for key, model in _recognisers(config).items():
        if model.model and model.checkpoint:
            yield (
                f"{key}.checkpoint",
                model.checkpoint,
                f"only one of model and checkpoint (model is {model.model})",
            )
        yield from _training_faults(f"{key}.training", model.training)
    yield from _transcript_faults(config)
    for split in config.select.fit:
        if split not in config.corpora.unlabelled:
            yield "select.fit", split, "one of corpora.unlabelled, so that its labels have second opinions"
    if config.teacher.decode == "ctc" and config.corpora.unlabelled and config.pseudo_label.from_ is None:
        yield "teacher.decode", "ctc", "joint or attention, because labels need timestamps, which CTC does not give"
    for name, method in config.select.methods.items():
        yield from _method_faults(f"select.methods.{name}", method, config)
    tests = [split for split, role in config.corpora.roles().items() if role in TEST_ROLES]
    for split in config.score.speed_sets:
        if split not in tests:
            yield "score.speed_sets", split, f"one of the test sets ({', '.join(tests) or 'none is defined'})"
    if len(set(config.distill.seeds)) < len(config.distill.seeds):
        yield "distill.seeds", list(config.distill.seeds), "each seed once"
    yield from _distill_faults(config)
    yield from _language_faults(config)
    if config.reuse is not None and PurePath(config.reuse) == PurePath(config.exp, config.name):
        yield "reuse", config.reuse, "the folder of another experiment; this is its own folder"
    yield from _engine_faults(config)
    yield from _export_faults(config)


def _method_faults(key: str, method: Method, config: Config) -> Iterator[tuple[str, object, str]]:
    if method.auxiliary is not None and method.auxiliary not in config.auxiliaries:
        known = ", ".join(config.auxiliaries) or "none is defined"
        yield f"{key}.auxiliary", method.auxiliary, f"one of the auxiliaries ({known})"
    if method.draw != 1 and method.rule != "random":
        yield f"{key}.draw", method.draw, "only with the rule random"
    if method.is_control:
        yield from _control_faults(key, method, config)
        return
    if method.hours_of is not None:
        yield f"{key}.hours_of", method.hours_of, "only with the rules random and oracle"
    if method.rule not in RULES_OF_THE_LABEL_ALONE and not config.auxiliaries:
        yield f"{key}.rule", method.rule, "at least one entry in auxiliaries for a second opinion"
    if method.rule in RULES_OF_THE_LABEL_ALONE and method.weight != "none":
        yield f"{key}.weight", method.weight, f"none: the rule {method.rule} gives all chunks that it keeps distance 0"
    if method.rule == "estimated_error":
        for name in ("auxiliary", "also"):
            if found := getattr(method, name):
                shown = found if isinstance(found, str) else list(found)
                yield (
                    f"{key}.{name}",
                    shown,
                    "nothing: the rule estimated_error uses all auxiliaries and facts together",
                )
    if method.rule == "alignment" and config.auxiliaries:
        name = method.auxiliary or next(iter(config.auxiliaries))
        if name in config.auxiliaries and not config.auxiliaries[name].alignment:
            yield f"{key}.rule", method.rule, f"auxiliaries.{name}.alignment: true beside it"


def _control_faults(key: str, method: Method, config: Config) -> Iterator[tuple[str, object, str]]:
    """A control keeps the hours of another method, and has no threshold."""
    others = [name for name, each in config.select.methods.items() if not each.is_control]
    if method.hours_of not in others:
        known = ", ".join(others) or "none is defined"
        yield f"{key}.hours_of", method.hours_of, f"the method whose hours the rule {method.rule} keeps ({known})"
    if method.weight != "none":
        yield f"{key}.weight", method.weight, f"none: the rule {method.rule} gives no distance"
    for name in ("alpha", "auxiliary", "also"):
        if found := getattr(method, name):
            yield f"{key}.{name}", found, f"nothing: the rule {method.rule} depends on hours_of alone"


def _recognisers(config: Config) -> dict[str, Recogniser]:
    """The recognisers that decode here, by their keys in the config."""
    return {"teacher": config.teacher, **{f"auxiliaries.{n}": a for n, a in config.decoding_auxiliaries().items()}}


def _transcript_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    """What does not fit to labels or second opinions of another system, which are read from a file."""
    labels, unlabelled = config.pseudo_label, config.corpora.unlabelled
    yield from _file_faults("pseudo_label.from", labels.from_, unlabelled)
    if labels.made_by and labels.from_ is None:
        yield "pseudo_label.made_by", labels.made_by, "pseudo_label.from beside it: the teacher makes the labels here"
    if labels.is_of_another:
        for name in terms_with_teacher(config.distill.objective):
            yield f"distill.objective.{name}", config.distill.objective[name], _NO_DISTRIBUTION.format(name=name)
    for key, auxiliary in config.auxiliaries.items():
        yield from _file_faults(f"auxiliaries.{key}.from", auxiliary.from_, unlabelled)
        if auxiliary.from_ is not None:
            yield from _unused_faults(f"auxiliaries.{key}", auxiliary)
            if auxiliary.speed != 1.0:
                yield f"auxiliaries.{key}.speed", auxiliary.speed, "1.0, as the texts are read from a file"
        if auxiliary.alignment and (auxiliary.from_ is not None or not FAMILIES[auxiliary.family].has_ctc_head):
            yield f"auxiliaries.{key}.alignment", True, "false, as only a model with a CTC head can align labels"


_NO_DISTRIBUTION = (
    "0, as the labels are another system's (pseudo_label.from): {name} compares with the teacher's distribution, which "
    "favours what the teacher would have written, not the label. Learn from ce alone, or set "
    f"pseudo_label.made_by: {TEACHER} if the teacher wrote the file"
)


def _file_faults(key: str, named: Transcripts | None, splits: tuple[str, ...]) -> Iterator[tuple[str, object, str]]:
    """A file for each unlabelled split."""
    if named is None or (isinstance(named, str) and len(splits) <= 1):
        return
    if isinstance(named, str) or set(named) != set(splits):
        found = named if isinstance(named, str) else ", ".join(named)
        yield key, found, f"a file for each unlabelled split: {{{', '.join(f'{split}: FILE' for split in splits)}}}"


def _unused_faults(key: str, auxiliary: Auxiliary) -> Iterator[tuple[str, object, str]]:
    """Settings of a model that an auxiliary from a file does not have."""
    unused = Recogniser()
    for name, default in vars(unused).items():
        if (found := getattr(auxiliary, name)) != default:
            shown = found if isinstance(found, (str, int)) else list(found) if isinstance(found, tuple) else "a section"
            yield f"{key}.{name}", shown, f"nothing, as the texts are read from a file ({key}.from)"


def _nonspeech_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    n_silent, size, splits = config.distill.nonspeech_per_batch, config.distill.training.batch_size, config.corpora
    if splits.nonspeech and not splits.unlabelled:
        yield "corpora.nonspeech", list(splits.nonspeech), "corpora.unlabelled beside it, whose chunks teach the words"
    if splits.nonspeech and n_silent >= size:
        yield "distill.nonspeech_per_batch", n_silent, f"less than distill.training.batch_size ({size})"
    if not splits.nonspeech and n_silent != 1:
        yield "distill.nonspeech_per_batch", n_silent, "corpora.nonspeech beside it: recordings in which nobody speaks"


def _distill_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    yield from _steps_faults("distill.training", config.distill.training)
    yield from _nonspeech_faults(config)
    if config.distill.keep_encoded and not config.student.freeze_encoder:
        yield "distill.keep_encoded", True, "false, because the encoder is trained (student.freeze_encoder)"
    if config.distill.encoded_precision != "fp32" and not config.distill.keep_encoded:
        found = config.distill.encoded_precision
        yield "distill.encoded_precision", found, "fp32, because nothing is stored (distill.keep_encoded is false)"
    yield from _self_training_faults(config)
    ctc = config.distill.objective.get("ctc", 0.0)
    if ctc and config.student.freeze_encoder:
        yield "distill.objective.ctc", ctc, "0, because CTC trains only the encoder, or student.freeze_encoder: false"


def _self_training_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    named, methods = config.distill.teacher_self_of, ", ".join(config.select.methods) or "none is defined"
    if "teacher_self" in config.distill.controls and named not in config.select.methods:
        expected = f"the method whose chunks the control teacher_self learns from ({methods})"
        yield "distill.teacher_self_of", named, expected


def _language_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    """Faults of languages. Training on transcripts needs their language; training on guessed languages needs none."""
    for key, model in _recognisers(config).items():
        if model.guesses_language and model.model:
            yield f"{key}.language", [], "at least one, because a model that is trained here needs it in its prompt"
    of_pool = [control for control in config.distill.controls if control != "teacher_self"]
    if config.teacher.guesses_language and of_pool:
        expected = "none of these, or teacher.language: they learn from transcripts, not from a guess"
        yield "distill.controls", of_pool, expected


def _engine_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    """Faults of engines. A model whose family an engine does not run is decoded in torch, unless it names the
    engine.
    """
    default, models = config.decode, _recognisers(config)
    if all(default.engine not in FAMILIES[model.family].engines for model in models.values()):
        found = ", ".join(f"{key}: {model.family}" for key, model in models.items())
        reason = (
            f"because {default.engine} runs only {_run_by(default.engine)} models and no model here is one ({found})"
        )
        yield "decode.engine", default.engine, f"torch, {reason}"
    in_other_engines = [model for model in models.values() if config.decode_of(model).engine != "torch"]
    for key, model in models.items():
        yield from _faults_of_model(key, model, config)
    if in_other_engines and any(default.temperatures):
        drawn = list(default.temperatures)
        yield "decode.temperatures", drawn, "[0.0], because CTranslate2 samples another text each time"
    if default.precision != "fp32" and len(in_other_engines) == len(models):
        yield "decode.precision", default.precision, "decode.compute_type, because the engine is ctranslate2"


def _faults_of_model(key: str, model: Recogniser, config: Config) -> Iterator[tuple[str, object, str]]:
    """Faults of a model and its engine that do not fit together."""
    own, engine = model.decoding, config.decode_of(model).engine
    if own.engine is not None and own.engine != engine:
        reason = (
            f"because {own.engine} runs only {_run_by(own.engine)} models (this one is of the family {model.family})"
        )
        yield f"{key}.decoding.engine", own.engine, f"torch, {reason}"
        return
    if engine == "torch":
        if own.compute_type is not None:
            expected = f"{key}.decoding.precision, because the engine of this model is torch"
            yield f"{key}.decoding.compute_type", own.compute_type, expected
        return
    if own.precision is not None:
        expected = f"{key}.decoding.compute_type, because the engine of this model is {engine}"
        yield f"{key}.decoding.precision", own.precision, expected
    if model.decode != "attention":
        yield f"{key}.decode", model.decode, f"attention, because the engine is {engine}"
    elif len(model.language) > 1:  # the mean of languages is not a token, and CTranslate2 takes tokens
        named = ", ".join(model.language)
        at = "decode.engine" if own.engine is None else f"{key}.decoding.engine"
        yield at, engine, f"torch, because the prompt of {key} is a mean of languages ({named})"


def _run_by(engine: str) -> str:
    return " and ".join(families_of_engine(engine))


def _export_faults(config: Config) -> Iterator[tuple[str, object, str]]:
    family, students = FAMILIES[config.teacher.family], list(config.students())
    fitting = family.export_formats
    for asked in config.export.formats or ():
        if asked not in fitting:
            yield "export.formats", asked, f"the formats for students of the family {family.name}: {', '.join(fitting)}"
    for name in config.export.students:
        if name not in students:
            yield "export.students", name, f"a student of this experiment ({', '.join(students) or 'it has none'})"


def _training_faults(key: str, training: Training) -> Iterator[tuple[str, object, str]]:
    if not training.phases:
        yield f"{key}.phases", {}, "at least one phase"
    for name, phase in training.phases.items():
        yield from _steps_faults(f"{key}.phases.{name}", phase)
        for limits in ("snr_db", "speed"):
            low, high = getattr(phase.augment, limits)
            if low > high:
                yield f"{key}.phases.{name}.augment.{limits}", [low, high], "the lower limit before the upper limit"
        if phase.keep_batches and phase.train != "decoder":
            yield (
                f"{key}.phases.{name}.keep_batches",
                phase.keep_batches,
                "0, because the encoder is trained (train: decoder)",
            )


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
