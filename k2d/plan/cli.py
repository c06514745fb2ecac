"""python -m k2d plan: estimate the cost of an experiment before any work: parameters, memory, disk and hours.

Reads sizes, no weights. Exit codes: 0 the experiment is possible, 2 wrong call, or a config that cannot be carried out.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence

from k2d.config import Config, load_config
from k2d.config.load import resolve_conf
from k2d.core.errors import UsageError
from k2d.core.limits import whole_number
from k2d.pipeline.runner import DEFAULT_CONF
from k2d.plan.audio_hours import hours_of
from k2d.plan.hours import UNITS
from k2d.plan.machines import MACHINES
from k2d.plan.planning import Setup, make_plan
from k2d.plan.printing import as_json, as_text
from k2d.plan.reading import shape_of


def main(argv: Sequence[str]) -> int:
    """Print the plan. UsageError (exit code 2) if it cannot be carried out."""
    options = parser().parse_intermixed_args(argv)
    measured = _measured(options.throughput)
    config = load_config(resolve_conf(options.conf), options.overrides)
    setup = _setup(options, config, measured)
    teacher = shape_of("teacher", config.teacher, config)
    decoding = config.decoding_auxiliaries()
    auxiliaries = {name: shape_of(f"auxiliaries.{name}", each, config) for name, each in decoding.items()}
    plan = make_plan(config, teacher, auxiliaries, setup)
    if options.json:
        print(as_json(plan, options.conf))
    else:
        print("\n".join(line.rstrip() for line in as_text(plan, options.conf)))
    if plan.faults:
        raise UsageError("\n  ".join([f"{options.conf} cannot be carried out:", *plan.faults]))
    return 0


def parser() -> argparse.ArgumentParser:
    what = "Estimate the cost of an experiment: parameters, memory, disk and hours. Reads sizes, no weights."
    made = argparse.ArgumentParser(prog="python -m k2d plan", description=what, allow_abbrev=False)
    add = made.add_argument
    add("--conf", default=DEFAULT_CONF, metavar="FILE", help=f"experiment (default: {DEFAULT_CONF})")
    add(
        "--hours",
        type=float,
        metavar="H",
        help="hours of unlabelled audio (default: of the prepared data, or from corpus.yaml)",
    )
    add("--gpu", choices=MACHINES, default="h100", help="device; cpu is one core (default: h100)")
    add("--gpus", type=whole_number(1), default=1, metavar="N", help="number of devices (default: 1)")
    units = ", ".join(f"{stage} ({unit})" for stage, unit in UNITS.items())
    add(
        "--throughput",
        action="append",
        default=[],
        metavar="STAGE=VALUE",
        help=f"use a value measured on one device instead of the estimate (repeatable): {units}",
    )
    add("--json", action="store_true", help="print everything as JSON")
    add("overrides", nargs="*", metavar="key=value", help="settings to change, such as decode.batch_size=64")
    return made


def _measured(words: Sequence[str]) -> dict[str, float]:
    found, faults = {}, []
    for word in words:
        stage, _, text = word.partition("=")
        value = _positive(text)
        if stage not in UNITS or value is None:
            faults.append(f"--throughput {word}: expected STAGE=VALUE, a number above 0 for one of {', '.join(UNITS)}")
        else:
            found[stage] = value
    if faults:
        raise UsageError("\n".join(faults))
    return found


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _setup(options: argparse.Namespace, config: Config, measured: dict[str, float]) -> Setup:
    if options.hours is not None and _positive(str(options.hours)) is None:
        raise UsageError(f"--hours {options.hours:g}: expected a number above 0")
    machine = MACHINES[options.gpu]
    of_host = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    corpora = config.corpora
    return Setup(
        machine=machine,
        n_devices=options.gpus,
        memory_bytes=of_host if machine.memory_bytes is None else machine.memory_bytes,
        hours=options.hours if options.hours is not None else hours_of(corpora.unlabelled, config),
        test_hours=hours_of((*corpora.dev, *corpora.in_domain, *corpora.out_domain), config),
        measured=measured,
    )
