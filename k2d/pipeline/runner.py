"""Runs a stage: options, lock, log, stamps, time and counts."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import k2d
from k2d.config import Config, load_config
from k2d.config.load import resolve_conf
from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.ddp_children import ddp_children_for, follow_leader, output_of_leader
from k2d.core.errors import UsageError
from k2d.core.layout import experiment_layout, shown
from k2d.core.limits import MOST_PROCESSES, whole_number
from k2d.core.lock import holding
from k2d.core.progress import clock
from k2d.core.signals import KEPT, Ended
from k2d.core.stamp import write_stamp
from k2d.pipeline.inspection import Inspection
from k2d.pipeline.job import Counts, Job
from k2d.pipeline.kept_progress import describe_kept
from k2d.pipeline.recovery import adopt, recover
from k2d.pipeline.reuse import take_from_other
from k2d.pipeline.stage_list import BY_VERB, Stage
from k2d.pipeline.unit_status import State, check_writable, refuse_changed, refuse_missing, settled, state_of, states
from k2d.pipeline.upstream import refuse_stale

log = logging.getLogger("k2d")

DEFAULT_CONF = "conf/mini.yaml"


def main(verb: str, argv: Sequence[str]) -> int:
    """Run one stage: `python -m k2d <verb> --conf FILE …`."""
    stage = BY_VERB[verb]
    output = output_of_leader()
    if output is not None:
        follow_leader()
    job = job_from(parser(verb).parse_intermixed_args(argv))
    if output is not None:
        return train_along(stage, job, output)
    log_file = job.layout.log / f"{stage.number:02d}.{stage.verb}.log"
    check_writable(job.layout.log)
    with holding(job.layout.exp):
        open_log(log_file)
        try:
            recover(job.layout)
            run_stage(stage, job)
        except Exception:
            # The traceback is written to the log. The user gets the message, and for a bug also the traceback.
            logging.getLogger("k2d.file").exception("stage %d (%s) failed", stage.number, stage.verb)
            raise
        except Ended as ended:
            ended.kept = ended.kept or KEPT
            logging.getLogger("k2d.file").warning("stage %d (%s): %s", stage.number, stage.verb, ended)
            raise
    return 0


def parser(verb: str) -> argparse.ArgumentParser:
    """The options of a stage. A test has the list of them."""
    made = argparse.ArgumentParser(prog=f"python -m k2d {verb}", description=describe(BY_VERB[verb]))
    add_experiment_options(made)
    made.add_argument(
        "--ngpu", type=whole_number(0), default=0, metavar="N", help="number of GPUs (default: 0, the CPU)"
    )
    made.add_argument(
        "--nj", type=whole_number(1, MOST_PROCESSES), metavar="N", help="number of processes (default: one per core)"
    )
    made.add_argument(
        "--max-bad", type=float, metavar="SHARE", help="largest share of bad items (default: max_bad of the config)"
    )
    made.add_argument(
        "--force", action="store_true", help="replace outputs that were made with other settings or inputs"
    )
    add_verify(made)
    if verb == "prepare":
        made.add_argument(
            "--allow-count-mismatch", action="store_true", help="continue if the counts differ from corpus.yaml"
        )
    return made


def add_experiment_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--conf", default=DEFAULT_CONF, metavar="FILE", help=f"experiment (default: {DEFAULT_CONF})")
    made.add_argument("--corpus", metavar="NAME", help="limit stages 1, 11 and 12 to this corpus")
    made.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change, such as select.alpha=0.3")


def add_verify(made: argparse.ArgumentParser) -> None:
    how = "hash all files again (default: trust files whose size and time have not changed)"
    made.add_argument("--verify", action="store_true", help=how)


def describe(stage: Stage) -> str:
    return f"Stage {stage.number}: {stage.reads} -> {stage.writes}"


def job_from(options: argparse.Namespace) -> Job:
    """The job for these options. Everything that can be checked without work is checked here."""
    overrides = list(options.overrides)
    if getattr(options, "max_bad", None) is not None:
        overrides.append(f"max_bad={options.max_bad}")
    if getattr(options, "allow_count_mismatch", False):
        overrides.append("prepare.allow_count_mismatch=true")
    config = load_config(resolve_conf(options.conf), overrides)
    ngpu = getattr(options, "ngpu", 0)
    if ngpu:
        check_gpus(ngpu)
    nj = getattr(options, "nj", None) or len(os.sched_getaffinity(0))
    force, verify = (getattr(options, name, False) for name in ("force", "verify"))
    job = make_job(config, nj=nj, ngpu=ngpu, corpus=options.corpus, force=force, verify=verify)
    conf = shown(Path(options.conf))
    return replace(job, words=(*(() if conf == DEFAULT_CONF else ("--conf", conf)), *options.overrides))


def make_job(
    config: Config,
    *,
    nj: int = 1,
    ngpu: int = 0,
    corpus: str | None = None,
    force: bool = False,
    verify: bool = False,
) -> Job:
    where = experiment_layout(config.data, config.exp, config.name)
    inspection = Inspection(verify=verify)
    return Job(config, where, nj=nj, ngpu=ngpu, corpus=corpus, force=force, inspection=inspection)


def check_gpus(ngpu: int) -> None:
    """Fail at once if there are fewer GPUs than requested."""
    import torch  # takes seconds to import, so only if a GPU is requested

    found = torch.cuda.device_count()
    if found < ngpu:
        raise UsageError(
            f"--ngpu {ngpu}: found {found} CUDA devices; use --ngpu {found}, or repair the CUDA installation"
        )


def run_stage(stage: Stage, job: Job) -> None:
    """Make every unit of a stage that is not done."""
    start = time.monotonic()
    log.info("stage %d %s: start %s", stage.number, stage.verb, time.strftime("%Y-%m-%d %H:%M:%S"))
    found = states(stage, job)
    refuse_missing(stage, found, job)
    refuse_stale(stage, [state.unit for state in found], job)
    refuse_changed(stage, settled(found), job)
    for unit in [state.unit for state in found]:
        state = state_of(stage, unit, job)  # again, because a unit may read what one before it made
        refuse_changed(stage, [state], job)
        if state.is_done:
            log.info("%s: done already, skipped", shown(state.unit.output))
            continue
        job.inspection.forget()  # its cache is not needed while the unit is made, and becomes outdated by it
        if not take_from_other(state, job):
            make_unit(stage, state, job)
        job.inspection.forget()
    log.info("stage %d %s: finished in %s", stage.number, stage.verb, clock(time.monotonic() - start))


def make_unit(stage: Stage, state: State, job: Job) -> None:
    """Make a folder beside its final place, stamp it, and move it there."""
    output = state.unit.output
    if state.changes:
        log.info("%s: made again, because %s", shown(output), "; ".join(state.changes))
    check_writable(output.parent)
    with holding(output):
        if adopt(state):
            return
        partial = new_partial_folder(output)
        start = time.time()
        with ddp_children_for(output):
            counts = _make(stage, state, job, partial)
        made = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "duration_s": round(time.time() - start, 3),
            "command": " ".join(sys.argv[1:]),
            "k2d": k2d.__version__,
        }
        write_stamp(partial, state.recipe, asdict(counts), made)
        publish_folder(partial, output)
    log.info("%s: %s", shown(output), counts)


def _make(stage: Stage, state: State, job: Job, folder: Path) -> Counts:
    try:
        return stage.load().make(state.unit, job, folder)
    except Ended as ended:
        shutil.rmtree(folder, ignore_errors=True)
        ended.kept = describe_kept(state.unit.output, job.layout)
        raise


def train_along(stage: Stage, job: Job, output: str) -> int:
    """Make a unit as a DDP child, only to take part in the training. The output is discarded."""
    unit = next(unit for unit in stage.load().units(job) if str(unit.output) == output)
    with tempfile.TemporaryDirectory() as aside:
        try:
            stage.load().make(unit, job, Path(aside))
        except Ended as ended:
            raise SystemExit(ended.code) from None  # the leader prints the messages
    return 0


class _LogFile(logging.FileHandler):
    """A log file that may be on a full disk. Write errors are ignored: the terminal has the same lines."""

    def handleError(self, record: logging.LogRecord) -> None:  # the name is given by logging
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def open_log(path: Path) -> None:
    """Print messages to the terminal, and append them with times to the stage's log file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = _LogFile(path, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    to_terminal = logging.StreamHandler(sys.stdout)
    to_terminal.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [to_terminal, to_file]
    log.setLevel(logging.INFO)
    log.propagate = False
    only_file = logging.getLogger("k2d.file")
    only_file.handlers, only_file.propagate = [to_file], False
    faulthandler.enable(path.open("a"))  # a crash in a C library writes its traceback to the log
    only_file.info(
        "python -m k2d %s (K2D %s, Python %s)",
        " ".join(sys.argv[1:]),
        k2d.__version__,
        sys.version.split()[0],
    )
