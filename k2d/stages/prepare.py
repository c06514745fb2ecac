"""Stage 1: make Kaldi data directories of the corpora under egs/, and check them: data/<corpus>/<split>/."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from k2d.config import settings_of
from k2d.core.atomic import writing
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import PROJECT_ROOT, shown
from k2d.core.stamp import read_stamp
from k2d.data.corpus import Corpus
from k2d.data.kaldi.datadir import InvalidData
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.fix import BACKUP, fix
from k2d.data.kaldi.joins import keep
from k2d.data.kaldi.validation import AudioLevel, Checks
from k2d.data.recordings import Probed, probe_recordings
from k2d.data.rows import Utterance
from k2d.pipeline.job import Counts, Job, Unit
from k2d.pipeline.rejected_items import FILE as REJECTED
from k2d.pipeline.rejected_items import check_bad, write_rejected

VERSION = 1

log = logging.getLogger("k2d")


@dataclass(frozen=True, slots=True)
class PreparedCorpus:
    """The data directories of all splits of a corpus."""

    corpus: Corpus
    root: Path
    options: Any
    """The options of the corpus's recipe. None if it has none."""
    recipe: str
    """The digest of the recipe's code."""
    inventory: Mapping[str, Any]
    """The present content of the raw corpus."""

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "corpus": self.corpus.name,
            "root": shown(self.root),
            "options": settings_of(self.options) if self.options is not None else {},
            "recipe": self.recipe,
            **self.inventory,
        }


def units(job: Job) -> list[Unit[PreparedCorpus]]:
    """Each corpus is a unit: its splits are made together. The faults of all corpora are raised together."""
    found, faults = [], []
    for name in [job.corpus] if job.corpus else job.config.corpora.names():
        try:
            found.append(_unit(Corpus(name), job))
        except UsageError as error:
            faults.append(str(error))
    if faults:
        raise UsageError("\n".join(faults))
    return found


def _unit(corpus: Corpus, job: Job) -> Unit[PreparedCorpus]:
    asked = job.config.prepare
    options = corpus.options(asked.options.get(corpus.name, {}))
    root = corpus.root(asked.roots.get(corpus.name), job.layout.data)
    folder = job.layout.data / corpus.name
    content = PreparedCorpus(corpus, root, options, _recipe(corpus, folder), corpus.inventory(root, options))
    return Unit(folder, content)


def _recipe(corpus: Corpus, made: Path) -> str:
    """The digest of the recipe, or the digest in the stamp if it is of an earlier version of the same recipe.

    A digest of bytes does not cover the readers (`k2d/data/raw`) that made the data.
    """
    try:
        stamp = read_stamp(made)
    except K2DError:  # also raised when the unit's status is read
        stamp = None
    stamped = stamp.recipe.settings.get("recipe") if stamp is not None else None
    return stamped if stamped in corpus.former_codes() else corpus.code()


def make(unit: Unit[PreparedCorpus], job: Job, folder: Path) -> Counts:
    """Prepare one corpus: write its rows to a file per split, then check the audio and write each split."""
    corpus, root, options = unit.content.corpus, unit.content.root, unit.content.options
    with tempfile.TemporaryDirectory(prefix=".spool-", dir=folder) as spool:
        _spool(corpus.rows(root, options, job.nj, corpus.store(job.layout.data)), Path(spool))
        splits = sorted(path.name for path in Path(spool).iterdir())
        if not splits:
            message = f"egs/{corpus.name}/prepare.py gave no utterances from {shown(root)}"
            raise K2DError(f"{message}; is it the right folder?")
        _refuse_lacking(corpus.name, splits, job)
        counts = {name: _make_split(folder / name, Path(spool) / name, job) for name in splits}
    _write_tables(corpus.tables(root, options), folder)
    _compare(corpus, corpus.expected(options), folder, counts, job.config.prepare.allow_count_mismatch)
    return sum_counts(list(counts.values()))


def _refuse_lacking(corpus: str, given: list[str], job: Job) -> None:
    """Raise now if a split that the experiment needs is missing, not days later."""
    roles = job.config.corpora.roles()
    lacking = [name for name in roles if name.startswith(f"{corpus}/") and name.partition("/")[2] not in given]
    if lacking:
        rest = {
            role: [n for n, r in roles.items() if r == role and n not in lacking] for role in map(roles.get, lacking)
        }
        words = " ".join(f"corpora.{role}=[{','.join(names)}]" for role, names in rest.items())
        raise K2DError(
            f"the config names {', '.join(lacking)}, and egs/{corpus} gave only {', '.join(given)}; "
            f"egs/{corpus}/README.md describes how splits are made; to continue without it: {words}"
        )


def sum_counts(counts: list[Counts]) -> Counts:
    dropped: Counter[str] = Counter()
    for each in counts:
        dropped.update(each.dropped)
    return Counts(sum(c.n_in for c in counts), sum(c.kept for c in counts), dict(dropped), "utterances")


def _spool(rows: Iterator[tuple[str, Utterance]], spool: Path) -> None:
    """Write rows to a file per split as they come, because a corpus may not fit in memory."""
    files: dict[str, Any] = {}
    try:
        for split, row in rows:
            if split not in files:
                if not split.replace("_", "").replace("-", "").isalnum():
                    raise K2DError(f"prepare.py gave the split {split!r}; use letters, digits, _ and -")
                files[split] = (spool / split).open("w", encoding="utf-8", newline="\n")
            # Audio inside the project is named relative to its root, so that the project can be moved.
            movable = replace(row, audio=row.audio.removeprefix(f"{PROJECT_ROOT}/"))
            files[split].write(json.dumps(asdict(movable), ensure_ascii=False) + "\n")
    finally:
        for file in files.values():
            file.close()


def _spooled(path: Path) -> Iterator[Utterance]:
    return (Utterance(**json.loads(line)) for line in read_lines(path))


def _make_split(folder: Path, spool: Path, job: Job) -> Counts:
    """Write one data directory. Rows of unusable recordings are rejected, the others written and checked."""
    scratch = spool.with_name(f"{spool.name}.scratch")
    scratch.mkdir()
    probed = _probe(spool, scratch, job)
    good = (row for row in _spooled(spool) if row.recording_id not in probed.bad)
    lost = (row for row in _spooled(spool) if row.recording_id in probed.bad)
    n_in = sum(1 for _ in _spooled(spool))
    write_rejected(scratch, (replace(probed.bad[row.recording_id], id=row.id) for row in lost))
    check_bad(scratch, folder.name, n_in, job.config.max_bad)  # first, because no row might be left
    try:
        write_datadir(folder, good, durations_s=probed.durations_s())
    except InvalidData as error:
        lines = [
            f"{folder.name}: the rows of prepare.py for this split are not a data directory:",
            *error.report.lines(),
        ]
        raise K2DError("\n".join(lines)) from error
    if (scratch / REJECTED).exists():
        shutil.move(scratch / REJECTED, folder / REJECTED)
    fixed = fix(folder, Checks(audio=AudioLevel.NONE, need_text=False, nj=job.nj))
    shutil.rmtree(folder / BACKUP, ignore_errors=True)
    counts = Counts(n_in, fixed.n_kept, check_bad(folder, folder.name, n_in, job.config.max_bad), "utterances")
    log.info("%s: %s", folder.name, counts)
    return counts


def _probe(spool: Path, scratch: Path, job: Job) -> Probed:
    pairs = sort_lines((f"{row.recording_id} {row.audio}" for row in _spooled(spool)), scratch)
    recordings = scratch / "recordings"
    with recordings.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line, _ in groupby(pairs))
    return probe_recordings(recordings, scratch, nj=job.nj, label=f"{spool.name}: checking the audio")


def _write_tables(rows: Iterator[tuple[str, str, str, str]], folder: Path) -> None:
    """Write a corpus's extra tables (`reco2…`, `utt2…`), each for the ids that were kept."""
    tables: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for split, name, key, value in rows:
        tables.setdefault((split, name), []).append((key, value))
    for (split, name), pairs in tables.items():
        of = {"reco2": "wav.scp", "utt2": "utt2spk"}.get(name.partition("2")[0] + "2")
        if of is None or not (folder / split / of).is_file():
            raise K2DError(f"prepare.py gave a table {name!r} for {split!r}; expected reco2… or utt2… of a split")
        ids = (line.partition(" ")[0] for line in read_lines(folder / split / of))
        with writing(folder / split / name) as file:
            file.writelines(f"{key} {value}\n" for key, value in keep(sorted(pairs), ids))


def _compare(corpus: Corpus, expected: Any, folder: Path, counts: dict[str, Counts], go_on: bool) -> None:
    """Compare the prepared data with the expected numbers in corpus.yaml."""
    if expected is None:
        return
    found = {name: (counts[name].kept, hours_of(folder / name)) for name in counts}
    problems = [f"{name}: is missing" for name in expected if name not in found]
    problems += [f"{name}: was not expected" for name in found if name not in expected]
    for name in [name for name in expected if name in found]:
        if problem := expected[name].problem(*found[name]):
            problems.append(f"{name}: {problem}")
    if not problems:
        return
    text = "\n  ".join([f"egs/{corpus.name}/corpus.yaml expects other numbers than were found:", *problems])
    if not go_on:
        raise K2DError(f"{text}\nis the raw corpus complete? To continue anyway: --allow-count-mismatch")
    log.warning("%s", text)


def hours_of(folder: Path) -> float:
    """The hours of speech in a data directory, by utt2dur."""
    return sum(float(line.partition(" ")[2]) for line in read_lines(folder / "utt2dur")) / 3600
