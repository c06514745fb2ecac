"""Stage 9: initialise the student with the teacher's encoder and a few layers of its decoder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError
from k2d.core.layout import STUDENT, STUDENT_RECORD, TEACHER
from k2d.pipeline.job import Counts, Job, Settings, Unit
from k2d.score.columns import text_table

if TYPE_CHECKING:
    from k2d.models.student import Shrinkable

VERSION = 1


log = logging.getLogger("k2d")


def units(job: Job) -> list[Unit[Settings]]:
    """One student, with which all methods start."""
    student, teacher = job.config.student, job.config.teacher
    rule = student.decoder_layers
    settings = {
        "family": teacher.family,
        "language": list(teacher.language),
        "decoder_layers": rule if isinstance(rule, str) else list(rule),
        "n_decoder_layers": student.n_decoder_layers if isinstance(rule, str) else len(rule),
    }
    return [Unit(job.layout.model(STUDENT), Settings(settings), (job.layout.model(TEACHER),))]


def make(unit: Unit[Settings], job: Job, folder: Path) -> Counts:
    """Make the student from the teacher's layers, check that the copy is exact, and write its folder."""
    from k2d.models.registry import load_recogniser
    from k2d.models.student import Shrinkable, chosen_layers, shrink

    config = job.config.teacher
    teacher = cast(Shrinkable, load_recogniser(unit.inputs[0], family=config.family, languages=config.language))
    n_layers = teacher.n_decoder_layers
    layers = chosen_layers(job.config.student.decoder_layers, job.config.student.n_decoder_layers, n_layers)
    student = shrink(teacher, layers)
    _check_cutting(teacher)
    student.save(folder)
    parts = {"teacher": dict(teacher.n_parameters()), "student": dict(student.n_parameters())}
    record = {"teacher_layers": n_layers, "layers": layers, "parameters": parts}
    write_text(folder / STUDENT_RECORD, json.dumps(record, indent=1) + "\n")
    for line in table(parts, is_encoder_frozen=job.config.student.freeze_encoder):
        log.info("%s", line)
    log.info("decoder layers %s of %d", ", ".join(map(str, layers)), n_layers)
    return Counts(n_layers, len(layers), {"left_out": n_layers - len(layers)}, "decoder layers")


def _check_cutting(teacher: Shrinkable) -> None:
    """A student with all layers must equal the teacher bit by bit. Otherwise the copy of layers is wrong."""
    import torch

    from k2d.models.parity_check import make_probe, probe_logits
    from k2d.models.student import shrink

    whole = shrink(teacher, list(range(teacher.n_decoder_layers)))
    probe = make_probe(teacher)
    ours, theirs = (probe_logits(each, probe) for each in (whole, teacher))
    if not torch.equal(ours, theirs):
        far = float((ours - theirs).abs().max())
        raise K2DError(
            f"student: with all the teacher's layers it gives other logits (by up to {far:.2g}); the teacher's folder "
            "contains something that its student does not take over"
        )


def table(parts: Mapping[str, Mapping[str, int]], *, is_encoder_frozen: bool) -> list[str]:
    """A table of the parameters of teacher and student by part."""
    names = list(dict.fromkeys([*parts["teacher"], *parts["student"]]))
    rows = [["part", "teacher", "student", "ratio", ""]]
    for name in names:
        frozen = "frozen" if is_encoder_frozen and name != "decoder" else "learns"
        rows.append(_row(name, parts["teacher"].get(name, 0), parts["student"].get(name, 0), frozen))
    rows.append(_row("all", sum(parts["teacher"].values()), sum(parts["student"].values()), ""))
    return list(text_table(rows))


def _row(name: str, teacher: int, student: int, remark: str) -> list[str]:
    return [name, f"{teacher:,}", f"{student:,}", f"{teacher / student:.2f}" if student else "–", remark]
