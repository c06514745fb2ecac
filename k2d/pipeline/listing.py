"""Print the stages, what each reads and writes, and what is done for a config (also: ./run.sh --list)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from k2d.config.fields import files_named
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.pipeline.job import Job
from k2d.pipeline.runner import add_experiment_options, add_verify, job_from
from k2d.pipeline.stage_list import STAGES, Stage
from k2d.pipeline.unit_status import states
from k2d.pipeline.upstream import Upstream


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m k2d stages", description=__doc__)
    add_experiment_options(parser)
    add_verify(parser)
    options = parser.parse_intermixed_args(argv)
    job = job_from(options)
    print(f"{options.conf}: experiment {shown(job.layout.exp)}\n")
    upstream = Upstream(job)
    rows = [(str(s.number), s.verb, reads_of(s, job), s.writes, progress_of(s, job, upstream)) for s in STAGES]
    print(table(rows))
    return 0


def reads_of(stage: Stage, job: Job) -> str:
    """What a stage reads, with the files that the config names in place of a model's work."""
    config = job.config
    if stage.verb == "pseudo_label" and config.pseudo_label.from_ is not None:
        return f"long recordings, {files_named(config.pseudo_label.from_)}"
    if stage.verb == "second_opinion":
        files = [files_named(each.from_) for each in config.auxiliaries.values() if each.from_ is not None]
        models = ["auxiliary"] if config.decoding_auxiliaries() or not files else []
        return ", ".join(["chunks", *models, *files])
    return stage.reads


def progress_of(stage: Stage, job: Job, upstream: Upstream) -> str:
    """The progress of a stage, in a few words."""
    if not stage.is_built:
        return "not built yet"
    try:
        found = states(stage, job)
        stale = upstream.stale(stage, [state.unit for state in found])
    except K2DError as error:
        return f"cannot tell: {error}".splitlines()[0]
    changed = [state for state in found if state.changes]
    if changed:
        return f"differs: {_first_change(changed[0].unit.output, changed[0].changes)}"
    n_done = sum(state.is_done for state in found)
    if stale:
        before = f"stage {stale[0].stage.number}" if stale[0].stage else "an input"
        return f"{'differs' if n_done else 'to do'} ({before}: {_first_change(stale[0].folder, stale[0].changes)})"
    if n_done == len(found):
        latest = max((str(state.stamp.made.get("at", "")) for state in found if state.stamp), default="")
        return f"done {latest[:16].replace('T', ' ')}" if found else "nothing to do"
    return f"{n_done} of {len(found)} done" if n_done else "to do"


def _first_change(folder: Path, changes: Sequence[str]) -> str:
    more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
    return f"{shown(folder)}: {changes[0]}{more}"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns under a header. The last column is not padded."""
    rows = [("stage", "verb", "reads", "writes", "state"), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=True)), row[-1]]) for row in rows
    )
