"""egs/mini: a Mandarin-English code-switched corpus that is synthesised instead of downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from egs.mini import render as espeak
from egs.mini.kokoro import render as kokoro
from egs.mini.options import Options
from egs.mini.plan import plan
from egs.mini.records import Record, is_whole, read_record
from egs.mini.render import EVENT_AFTER_S, Job, audio_path, record_path
from egs.mini.sentences import language
from egs.mini.units import Recording, Unit
from k2d.core.errors import K2DError
from k2d.core.progress import Progress
from k2d.core.workers import run_each
from k2d.data.rows import Utterance
from k2d.models.published import kokoro as published_kokoro

__all__ = ["Options", "prepare", "tables", "variant"]

BLOCKS = ("pool", "pool_dev", "read_test")  # splits in which each utterance is a recording of its own
SHOWN_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Engine:
    """What speaks the units."""

    makers: Callable[[], list[str]]
    """Everything that determines the audio besides a unit's description."""
    render: Callable[[Job], float]
    unit_limit_s: float
    fetch: Callable[[], object] = lambda: None
    """Called before the first unit is made."""


ENGINES: Mapping[str, Engine] = {
    "espeak": Engine(espeak.makers, espeak.render, 600.0),  # the longest unit takes a few seconds
    "kokoro": Engine(kokoro.makers, kokoro.render, 4 * 3600.0, published_kokoro.obtain),  # ten minutes, or more
}


def prepare(root: Path, options: Options, nj: int) -> Iterator[tuple[str, Utterance]]:
    """Make missing files under `root`, then yield every utterance with its split."""
    root = root.resolve()
    units, engine = plan(options), ENGINES[options.voices]
    _synthesise(_to_do(root, units, engine), nj, engine)
    for unit, record in _finished(root, units):
        yield from _rows(root, unit, record)


def tables(root: Path, options: Options) -> Iterator[tuple[str, str, str, str]]:
    """Further tables of the data directories, `reco2course` and `reco2noise`: (split, file, recording id, value)."""
    for unit, record in _finished(root.resolve(), plan(options)):
        for split in (unit.split, "lectures_truth") if unit.split == "lectures" else (unit.split,):
            for recording, made in zip(unit.recordings, record.recordings, strict=True):
                if recording.course:
                    yield split, "reco2course", recording.id, recording.course
                yield split, "reco2noise", recording.id, _noise(recording, [span.start_s for span in made.spans])


def variant(options: Options) -> str | None:
    """Which counts of corpus.yaml are expected: a preset's; none if sizes, seed or difficulty were changed."""
    name = options.preset if options.voices == "espeak" else options.voices
    return name if options == Options(preset=options.preset, voices=options.voices) else None


def _to_do(root: Path, units: Sequence[Unit], engine: Engine) -> list[Job]:
    """Units that are missing, that have another plan or were made by other code, or whose files were changed."""
    versions = engine.makers()
    jobs = [Job(root, unit, unit.spec(versions)) for unit in units]
    return [job for job in jobs if not _is_done(job)]


def _is_done(job: Job) -> bool:
    record = read_record(record_path(job.root, job.unit))
    if record is None or record.spec != job.spec or len(record.recordings) != len(job.unit.recordings):
        return False
    paths = [audio_path(job.unit.split, recording.id) for recording in job.unit.recordings]
    return all(is_whole(made, job.root, path) for made, path in zip(record.recordings, paths, strict=True))


def _synthesise(jobs: Sequence[Job], nj: int, engine: Engine) -> None:
    """Make the units, each in a new process. The longest units start first, so that all workers end together."""
    if jobs:
        engine.fetch()
    failures = []
    jobs = sorted(jobs, key=lambda job: -sum(len(line.text) for r in job.unit.recordings for line in r.lines))
    with Progress("mini: synthesising", len(jobs), "units") as progress:
        for outcome in run_each(engine.render, jobs, nj=nj, fresh=True, limit_s=engine.unit_limit_s):
            progress.update()
            if outcome.error:
                failures.append(f"{outcome.item.unit.split}/{outcome.item.unit.id}: {outcome.error}")
    if failures:
        shown = "\n  ".join(failures[:SHOWN_FAILURES])
        raise K2DError(
            f"{len(failures)} of {len(jobs)} units could not be synthesised; the others are kept, run again:\n  {shown}"
        )


def _finished(root: Path, units: Sequence[Unit]) -> Iterator[tuple[Unit, Record]]:
    for unit in units:
        record = read_record(record_path(root, unit))
        if record is None:
            raise K2DError(f"{record_path(root, unit)}: is missing or cannot be read; prepare the corpus again")
        yield unit, record


def _rows(root: Path, unit: Unit, record: Record) -> Iterator[tuple[str, Utterance]]:
    """The utterances of a unit. A lecture is one utterance without text; its true text is in another split."""
    split = "lectures_truth" if unit.split == "lectures" else unit.split
    for recording, made in zip(unit.recordings, record.recordings, strict=True):
        audio = str(root / made.path)
        if unit.split == "lectures":
            yield "lectures", Utterance(recording.id, recording.id, audio, recording.lines[0].voice.id)
        for line, span in zip(recording.lines, made.spans, strict=True):
            row = Utterance(
                id=line.id,
                recording_id=recording.id,
                audio=audio,
                speaker=line.voice.id,
                text=line.text,
                language=language(line.text),
            )
            yield split, row if unit.split in BLOCKS else replace(row, start_s=span.start_s, end_s=span.end_s)


def _noise(recording: Recording, starts_s: Sequence[float]) -> str:
    """The acoustic conditions of a recording, as `name=value` words.

    >>> from egs.mini.units import Scene
    >>> _noise(Recording("a", "", Scene(12.5, 0.3, -25.0, 1), (), 0.5), [])
    'snr_db=12.5 reverb_s=0.3 level_db=-25'
    """
    scene = recording.scene
    words = [f"snr_db={scene.snr_db:g}", f"reverb_s={scene.reverb_s:g}", f"level_db={scene.level_db:g}"]
    for line, start_s in zip(recording.lines, starts_s, strict=True):
        if line.event:
            from_s = start_s - line.pause_s + EVENT_AFTER_S
            words.append(f"event={line.event.kind}@{from_s:.3f}-{from_s + line.event.duration_s:.3f}")
    return " ".join(words)
