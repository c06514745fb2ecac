"""The chunks that students learn from, as tables on disk, with what else is made of them once for all students."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from k2d.core.layout import TEACHER
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import read_hypotheses
from k2d.data.kaldi.datadir import read_recordings
from k2d.pipeline.job import Job

if TYPE_CHECKING:
    from k2d.models.interface import Recogniser
    from k2d.train.chunk_batches import Labelling, Nonspeech
    from k2d.train.chunk_table import ChunkTable
    from k2d.train.encoded import StoredOutputs
    from k2d.train.vocabulary import VocabularyInUse


def heldout_of(job: Job) -> dict[str, frozenset[str]]:
    """The recordings of each unlabelled split that no student learns from, the same for all methods and seeds."""
    from k2d.train.chunk_batches import heldout_recordings

    splits = job.config.corpora.unlabelled
    names = [f"{split}/{row.id}" for split in splits for row in read_recordings(job.layout.split(split))]
    held = heldout_recordings(names, job.config.distill.heldout_share, job.config.seed)
    return {split: frozenset(n[len(split) + 1 :] for n in held if n.startswith(f"{split}/")) for split in splits}


def nonspeech_chunks(student: Recogniser, job: Job) -> Nonspeech | None:
    """The chunks without words of stage 6."""
    from k2d.train.chunk_batches import Nonspeech

    folders = [job.layout.chunks(split) for split in job.config.corpora.nonspeech]
    if not folders:
        return None
    table = table_of(dict.fromkeys(folders, frozenset[str]()), student, job)
    return Nonspeech(table, job.config.distill.nonspeech_per_batch)


def tokens_in_use(table: ChunkTable, student: Recogniser, seed: int, job: Job) -> VocabularyInUse:
    """The tokens of the chunks and of the held-out recordings' labels, which choose the checkpoints, and a sample."""
    from k2d.train.vocabulary import vocabulary_in_use

    held_out = [
        segment.text
        for split, names in heldout_of(job).items()
        for hypothesis in read_hypotheses(job.layout.pseudo_labels(split) / HYPOTHESES, names)
        for segment in hypothesis.segments
    ]
    distill = job.config.distill
    return vocabulary_in_use(
        table,
        student.codec,
        held_out,
        has_previous_text=distill.previous_text_probability > 0,
        n_sampled=distill.sampled_tokens,
        seed=seed,
    )


def table_of(folders: Mapping[Path, frozenset[str]], reader: Recogniser, job: Job) -> ChunkTable:
    """The chunks of these folders with labels for `reader`'s decoder, in the experiment's cache. Several folders become
    one table, which has the name of the first folder.
    """
    from k2d.train.chunk_writing import TableRequest, open_chunks

    name = next((folder.relative_to(job.layout.exp) for folder in folders), Path("empty"))
    return open_chunks(TableRequest(folders, reader.codec, reader.max_tokens), job.layout.cache / "tables" / name)


def teacher_outputs(teacher: Recogniser, labelling: Labelling, job: Job) -> StoredOutputs:
    """The teacher's encoder output for every chunk of stage 6 that fits into its window, for all students."""
    from k2d.core.stamp import fingerprint
    from k2d.train.chunk_batches import ChunkMaterial
    from k2d.train.encoded import open_encoded

    corpora = job.config.corpora
    splits = [job.layout.chunks(split) for split in (*corpora.unlabelled, *corpora.nonspeech)]
    table = table_of(dict.fromkeys(splits, frozenset[str]()), teacher, job)
    return open_encoded(
        ChunkMaterial(table, teacher.codec, teacher.window, labelling),
        teacher,
        job.layout.cache / "encoded",
        made_from={
            "teacher": fingerprint(job.layout.model(TEACHER)),
            "audio": [fingerprint(folder) for folder in splits],  # a corpus may be made again with the same paths
        },
        batch_size=job.config.decode_of(job.config.teacher).batch_size,
        precision=job.config.distill.encoded_precision,
    )
