"""The model card: Hugging Face's metadata block, and the facts about a student from the experiment's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from k2d.config import Config
from k2d.core.layout import TEACHER, TEST_ROLES
from k2d.export.equivalence import Agreement
from k2d.export.formats import FORMATS
from k2d.report.contents import signatures
from k2d.report.document import Block, Bullets, Paragraph, Section, Table, names
from k2d.report.markdown import markdown, sections_markdown
from k2d.report.origins import labeller, origins
from k2d.report.result_rows import Selection
from k2d.report.score_tables import interval_table, kinds_table, mer_table
from k2d.report.selection_tables import reasons_table, selection_table
from k2d.report.stored import Experiment, method_of
from k2d.report.wording import number, share

UNKNOWN = "unknown"
_LANGUAGES = ("zh", "en")
_PAPER = "Tseng et al., “Leave No Knowledge Behind During Knowledge Distillation”, SLT 2024"
_RULES = {
    "none": "all were kept",
    "trivial": "those with a loop in the label were dropped",
    "mer": "those were kept on whose words the two agree",
    "per": "those were kept on whose phonemes the two agree",
    "composite": "those were left out on which the teacher loops, or on whose phonemes the two disagree",
    "random": "a control: as many hours as another method keeps, drawn at random",
    "oracle": "a control: as many hours as another method keeps, with the lowest true error, which needs transcripts",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """The student that the card describes, and the records of its training."""

    name: str
    format: str
    config: Config
    layers: tuple[int, ...] | None
    """Layers of the teacher's decoder. None if no record has them."""
    n_teacher_layers: int | None
    agreement: Agreement | None
    """None: the export was not loaded back."""
    corpora: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """The title and licence of corpora that state them, by name."""

    @property
    def teacher(self) -> str:
        """The name or path in the config. Of an absolute path, only the last part."""
        named = self.config.teacher.checkpoint or self.config.teacher.model or TEACHER
        return named.rstrip("/").rsplit("/", 1)[-1]

    @property
    def is_of_chunks(self) -> bool:
        """Whether it was trained on pseudo-labels. Some controls were not."""
        row = method_of(self.name)
        return row == "teacher_self" or row in self.config.select.methods


def card(subject: Subject, whole: Experiment) -> str:
    """The README.md of an export. Every number in it comes from a record."""
    experiment = _narrowed(whole, subject.name)
    block = yaml.safe_dump(_metadata(subject, experiment), allow_unicode=True, sort_keys=False)
    told = markdown(subject.name, list(_before(subject, experiment)))
    return f"---\n{block}---\n\n{told}\n{_use(subject)}\n{sections_markdown(list(_after(subject, experiment)))}\n"


def _narrowed(whole: Experiment, name: str) -> Experiment:
    """The experiment limited to the teacher and this student."""
    systems = (TEACHER, name)
    method = method_of(name)
    return replace(
        whole,
        systems=tuple(system for system in systems if any(model == system for model, _ in whole.scores)),
        scores={key: score for key, score in whole.scores.items() if key[0] in systems},
        selections={key: each for key, each in whole.selections.items() if key == method},
        trainings=tuple(each for each in whole.trainings if each.model == name),
    )


# --- metadata ---


def _metadata(subject: Subject, experiment: Experiment) -> dict[str, Any]:
    results = [_result(subject.name, set_name, experiment) for set_name in experiment.sets(*TEST_ROLES)]
    index = [{"name": subject.name, "results": [each for each in results if each]}]
    return {
        "language": list(_LANGUAGES),
        "license": subject.config.export.teacher_licence,
        "library_name": FORMATS[subject.format].tag,
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["automatic-speech-recognition", "code-switching", "knowledge-distillation", "k2d"],
        **({"model-index": index} if index[0]["results"] else {}),
    }


def _result(name: str, set_name: str, experiment: Experiment) -> dict[str, Any]:
    score = experiment.scores.get((name, set_name))
    if score is None or score.mer.percent is None:
        return {}
    return {
        "task": {"type": "automatic-speech-recognition"},
        "dataset": {"name": set_name, "type": set_name.split("/")[0]},
        "metrics": [{"type": "mer", "name": "MER in %", "value": round(score.mer.percent, 2)}],
    }


# --- text ---


def _before(subject: Subject, experiment: Experiment) -> Iterator[Section]:
    yield Section("What it is", (Paragraph(_what(subject, experiment.parameters)),))
    yield Section("How it was made", (Bullets(tuple(_making(subject, experiment))),))
    yield Section("Data", tuple(_data(subject, experiment)))
    yield Section("Scores", tuple(_scores(subject, experiment)))


def _what(subject: Subject, parameters: Mapping[str, int]) -> str:
    text = (
        "A speech recogniser for speech that switches between Mandarin and English within sentences: a student of "
        f"{subject.teacher}, made with K2D."
    )
    if subject.layers is not None and subject.n_teacher_layers is not None:
        listed = ", ".join(map(str, subject.layers))
        text += f" It has the teacher's whole encoder, and layers {listed} (from 0) of the {subject.n_teacher_layers} "
        text += "of its decoder."
    mine, teachers = parameters.get(subject.name), parameters.get(TEACHER)
    if mine and teachers:
        text += f" Parameters: {number(mine / 1e6, 1)} million, {share(mine / teachers)} of the teacher's."
    return text


def _making(subject: Subject, experiment: Experiment) -> Iterator[str]:
    config, row = subject.config, method_of(subject.name)
    yield f"Teacher: {subject.teacher} (family {config.teacher.family})."
    yield from origins(config)
    selection = experiment.selections.get(row)
    if selection is not None:
        yield f"Method: {row}. {_method(selection, config)} ({_PAPER})."
    elif row == "teacher_self":
        chunks = f"the chunks of {config.distill.teacher_self_of}"
        yield f"Method: none; it is the control {row}, the teacher with all of its layers, trained on {chunks}."
    elif subject.is_of_chunks:
        yield f"Method: {row}. There is no record of its selection."
    else:
        yield f"Method: none; it is the control {row}, trained on labelled speech."
    terms = " + ".join(f"{weight:g} {term}" for term, weight in config.distill.objective.items())
    if row not in ("teacher_more", "teacher_self"):
        yield f"Loss: {terms}; temperature of kl {config.distill.temperature:g}."
    for training in experiment.trainings:
        chosen = ", ".join(f"{step:,}" for step in training.chosen_steps)
        batch = config.distill.training.batch_size
        yield f"Training: {training.steps:,} steps of {batch:,} (weights of step {chosen or 'the last'})."


def _method(selection: Selection, config: Config) -> str:
    text = f"{labeller(config)} labelled recordings, cut into chunks; {_RULES.get(selection.rule, selection.rule)}"
    if selection.auxiliary is not None and selection.rule not in ("none", "trivial"):
        text += f" (second opinion: {selection.auxiliary}"
        text += f", largest distance {selection.alpha:g})" if selection.alpha is not None else ")"
    taught = "the labels" if config.pseudo_label.is_of_another else "the labels and the teacher's distribution"
    return f"{text}; on these it was trained with {taught}"


def _data(subject: Subject, experiment: Experiment) -> Iterator[Block]:
    corpora = subject.config.corpora
    if subject.is_of_chunks:
        named = ", ".join(corpora.unlabelled)
        yield Paragraph(f"Recordings: {named}. Their transcripts, if there are any, were not used.")
    else:
        yield Paragraph(f"Labelled speech: {', '.join(corpora.labelled)}.")
    if subject.corpora:
        rows = tuple(names(name, *said) for name, said in subject.corpora.items())
        yield Table("Corpora of training and tests", ("corpus", "what it is", "licence"), rows, n_names=3)
    if experiment.selections:
        yield selection_table(experiment, "What was kept")
        yield reasons_table(experiment, "Kept, and dropped by reason")


def _scores(subject: Subject, experiment: Experiment) -> Iterator[Block]:
    sets = experiment.sets(*TEST_ROLES)
    if not any((subject.name, name) in experiment.scores for name in sets):
        yield Paragraph("It has not been scored on any test set.", warning=True)
        return
    yield Paragraph(
        "MER: errors per 100 reference tokens, a Han character or a word each; in brackets the reduction against "
        "the teacher in % of its MER, better when positive."
    )
    yield mer_table(experiment, sets, "Mixed error rate in %")
    yield interval_table(experiment, sets, "Intervals")
    yield kinds_table(experiment, sets, "Kinds of errors")
    yield from signatures(experiment)


def _use(subject: Subject) -> str:
    teacher = subject.config.teacher
    code = FORMATS[subject.format].usage.replace("NAME", subject.name)
    if teacher.guesses_language:  # then the student guesses it, too
        code = code.replace('"LANGUAGE"', "None")
    code = code.replace("LANGUAGE", next(iter(teacher.language), _LANGUAGES[0]))
    checked = "" if subject.agreement is None else f"\nWhen it was made it was {subject.agreement}.\n"
    return f"## Use\n\n```python\n{code}\n```\n{checked}"


def _after(subject: Subject, experiment: Experiment) -> Iterator[Section]:
    is_unknown = subject.config.export.teacher_licence == UNKNOWN
    yield Section("Intended use", (Paragraph(_INTENDED),))
    yield Section("Limits", (Bullets(tuple(_limits(subject, experiment))),))
    yield Section("Licence", (Paragraph(_licence(subject), warning=is_unknown),))


_INTENDED = (
    "Transcribing speech in which Mandarin and English are mixed, such as lectures, and research on distillation. "
    "A person should check important passages."
)


def _limits(subject: Subject, experiment: Experiment) -> Iterator[str]:
    yield "It has not been tested on speech that differs from the sets above (languages, accents, rooms, microphones)."
    if subject.is_of_chunks:
        another = subject.config.pseudo_label.is_of_another
        whose, repeated = ("another system's", "that system's") if another else ("its teacher's", "the teacher's")
        yield f"It was trained on {whose} labels, not on transcripts by people: it repeats {repeated} errors."
    yield "It may write words that nobody said, above all in silence and noise, and it may repeat itself."
    if len(languages := subject.config.teacher.language) > 1:
        named = ", ".join(languages)
        yield f"It was trained with the mean of several languages ({named}) in its prompt; other libraries use one."
    if any(training.undertrained for training in experiment.trainings):
        yield "Its error rate on held-out recordings was still falling when training ended."
    if subject.agreement is None:
        yield "It was not loaded back in the library for which it was exported."


def _licence(subject: Subject) -> str:
    licence = subject.config.export.teacher_licence
    bound = "The student is derived from the teacher's weights and labels, so the teacher's licence applies"
    if licence == UNKNOWN:
        return f"{bound}. The experiment does not state it (export.teacher_licence): find it out before you share it."
    return f"{bound}: {licence}, as stated in the experiment's config."
