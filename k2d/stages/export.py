"""Stage 14: export students in the formats of other libraries, each with a model card."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k2d.config import Config, distill_settings
from k2d.core.atomic import write_text
from k2d.core.layout import PROJECT_ROOT, STUDENT, STUDENT_RECORD, TEACHER, Layout
from k2d.data.corpus import read_card
from k2d.pipeline.job import Counts, Job, Unit
from k2d.report import stored
from k2d.report.origins import origin_settings

if TYPE_CHECKING:
    from k2d.export.card import Subject
    from k2d.export.equivalence import Agreement
    from k2d.export.request import ExportRequest

VERSION = 1

CARD, RECORD = "README.md", "export.json"

log = logging.getLogger("k2d")


@dataclass(frozen=True, slots=True)
class ExportedStudent:
    """A student in the format of another library."""

    student: str
    form: str
    config: Config

    @property
    def settings(self) -> dict[str, Any]:
        config = self.config
        return {
            "student": self.student,
            "format": self.form,
            "family": config.teacher.family,
            "language": list(config.teacher.language),
            "teacher": config.teacher.checkpoint or config.teacher.model,
            "teacher_licence": config.export.teacher_licence,
            "distill": distill_settings(config.distill),
            **origin_settings(config),
            **({"compute_type": config.export.compute_type} if self.form == "ctranslate2" else {}),
        }


def units(job: Job) -> list[Unit[ExportedStudent]]:
    """Each student in each format is a unit."""
    students = job.config.exported()
    if not students:
        log.info("there is no student to export: select.methods is empty")
    return [_unit(name, form, job) for name in students for form in job.config.export_formats()]


def _unit(name: str, form: str, job: Job) -> Unit[ExportedStudent]:
    inputs = (job.layout.model(name), *_records(name, job.layout), *_corpus_cards(job).values())
    content = ExportedStudent(name, form, job.config)
    return Unit(job.layout.export(name, form), content, inputs, is_disposable=True)  # new scores change the card


def _records(name: str, layout: Layout) -> list[Path]:
    """The existing files with the contents of the model card."""
    method, exp = stored.method_of(name), layout.exp
    of_models = [path for path in stored.score_files(exp) if path.relative_to(exp).parts[1] in (TEACHER, name)]
    selections = [path for path in stored.selection_files(exp) if path.parent.name == method]
    others = [layout.model(STUDENT) / STUDENT_RECORD, layout.model(TEACHER) / "params.json"]
    return sorted([*of_models, *selections, *(path for path in others if path.is_file())])


def make(unit: Unit[ExportedStudent], job: Job, folder: Path) -> Counts:
    """Write a student in one format, load it back, and write its model card."""
    from k2d.export.card import card
    from k2d.export.formats import FORMATS
    from k2d.export.request import ExportRequest

    name, form = unit.content.student, unit.content.form
    request = ExportRequest(name, job.config.teacher.language, job.config.export.compute_type)
    FORMATS[form].load().write(unit.inputs[0], request, folder)
    found = _loaded_back(unit, request, folder, job)
    record = {"student": name, "format": form, "loaded_back": None if found is None else found.as_json()}
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
    write_text(folder / CARD, card(_subject(name, form, found, job), stored.read_experiment(job.config, job.layout)))
    return Counts(1, 1, what="students")


def _loaded_back(unit: Unit[ExportedStudent], request: ExportRequest, folder: Path, job: Job) -> Agreement | None:
    """Compare the logits of the format's library with ours. None, with a log line, if the library is not installed."""
    from k2d.export.formats import FORMATS
    from k2d.models.parity_check import make_probe, probe_logits
    from k2d.models.registry import load_recogniser

    form = FORMATS[unit.content.form]
    if not form.can_be_checked():
        missing = " and ".join(form.libraries)
        log.warning("%s: not loaded back, as %s is not installed (pip install '.[export]')", request.name, missing)
        return None
    student = load_recogniser(unit.inputs[0], family=job.config.teacher.family, languages=job.config.teacher.language)
    probe = make_probe(student, job.config.teacher.language)
    found = form.load().loaded_back(folder, request, probe, probe_logits(student, probe))
    log.info("%s: %s", request.name, found)
    return found


def _subject(name: str, form: str, found: Agreement | None, job: Job) -> Subject:
    from k2d.export.card import Subject

    path = job.layout.model(STUDENT) / STUDENT_RECORD
    layers: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known = tuple(layers["layers"]) if "layers" in layers else None
    return Subject(name, form, job.config, known, layers.get("teacher_layers"), found, _corpora(job))


def _corpora(job: Job) -> dict[str, tuple[str, str]]:
    """The cards of the experiment's corpora. A corpus without a recipe under egs/ has none."""
    cards = {name: read_card(path) for name, path in _corpus_cards(job).items()}
    return {name: (card.title, card.licence) for name, card in cards.items()}


def _corpus_cards(job: Job) -> dict[str, Path]:
    paths = {name: PROJECT_ROOT / "egs" / name / "corpus.yaml" for name in job.config.corpora.names()}
    return {name: path for name, path in paths.items() if path.is_file()}
