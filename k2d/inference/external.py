"""What stages 5 and 7 do when another system has transcribed: its file is checked and taken, nothing is decoded."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from k2d.core.layout import TEACHER, shown
from k2d.data.external_hypotheses import Demands, ExternalHypotheses
from k2d.data.external_texts import external_texts
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import TEXT, hypothesis_line, plain_text
from k2d.data.kaldi.joins import joined_row
from k2d.data.rows import Recording, Rejected
from k2d.inference.hypothesis_folder import output_name, write_record
from k2d.models.registry import FAMILIES
from k2d.pipeline.job import Counts, Job
from k2d.pipeline.rejected_items import check_bad, write_rejected

ELSEWHERE = "transcripts made elsewhere"
"""In the settings of a unit, in place of how it is decoded."""
NO_OPINION = "no_opinion"
"""The reason why a chunk without a line in the file has an empty opinion."""


def take_labels(file: Path, recordings: Iterable[Recording], job: Job, folder: Path) -> Counts:
    """Write the hypotheses in a file as stage 5 writes the teacher's."""
    teacher = job.config.teacher
    # Segments are packed for the teacher's window, which is also the student's.
    shape = FAMILIES[teacher.family].shape(job.layout.model(TEACHER), job.config.tokens.vocab_size)
    supports_language = FAMILIES[teacher.family].supports_language if teacher.guesses_language else None
    found = ExternalHypotheses(file, Demands(shape.window_s, job.config.max_bad, supports_language))
    rejected: list[Rejected] = []
    n_kept, audio_s = 0, 0.0
    with _outputs(folder) as (hypotheses, texts, scratch):
        for each in found.of(recordings, scratch):
            if isinstance(each, Rejected):
                rejected.append(each)
                continue
            n_kept, audio_s = n_kept + 1, audio_s + each.duration_s
            hypotheses.write(f"{hypothesis_line(each)}\n")
            texts.write(f"{joined_row(each.recording_id, plain_text(each))}\n")
    tally = found.tally
    record = {
        **_origin(file, job.config.pseudo_label.made_by),
        "window_s": shape.window_s,
        "audio_s": round(audio_s, 3),
        "n_segments": tally.n,
        "n_without_text": tally.n_silent,
        "longest_segment_s": round(tally.longest_s, 3),
        "for_no_chunk": dict(sorted(tally.bad.items())),
    }
    write_record(folder, record)
    return _counted(folder, n_kept, rejected, "recordings", job)


def take_opinions(file: Path, ids: Iterable[str], auxiliary: str, job: Job, folder: Path) -> Counts:
    """Write the texts in a file as stage 7 writes an auxiliary's. A chunk without a text has an empty opinion."""
    rejected: list[Rejected] = []
    n_kept = n_empty = 0
    with _outputs(folder) as (hypotheses, texts, scratch):
        for key, text in external_texts(file, ids, scratch):
            texts.write(f"{joined_row(key, text or '')}\n")
            if text is None:
                detail = f"{shown(file)} has no line with this id"
                rejected.append(Rejected(key, NO_OPINION, detail, shown(file)))
                continue
            n_kept, n_empty = n_kept + 1, n_empty + (not text)
            hypotheses.write(json.dumps({"id": key, "text": text}, ensure_ascii=False) + "\n")
    write_record(folder, {**_origin(file, auxiliary), "n_texts": n_kept, "n_empty": n_empty})
    return _counted(folder, n_kept, rejected, "chunks", job)


def _origin(file: Path, made_by: str | None) -> dict[str, Any]:
    return {"from": shown(file), "made_by": made_by}


def _counted(folder: Path, n_kept: int, rejected: list[Rejected], what: str, job: Job) -> Counts:
    """Write down what the file lacks, and see that it is not too much."""
    n_in = n_kept + len(rejected)
    write_rejected(folder, rejected)
    return Counts(n_in, n_kept, dict(check_bad(folder, output_name(folder), n_in, job.config.max_bad)), what)


@contextmanager
def _outputs(folder: Path) -> Iterator[tuple[TextIO, TextIO, Path]]:
    """The two files that are written, and a scratch folder."""
    with (
        tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder) as scratch,
        (folder / HYPOTHESES).open("w", encoding="utf-8", newline="\n") as hypotheses,
        (folder / TEXT).open("w", encoding="utf-8", newline="\n") as texts,
    ):
        yield hypotheses, texts, Path(scratch)
