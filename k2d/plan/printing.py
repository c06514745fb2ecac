"""Print a plan as text for a terminal, or as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict

from k2d.plan.hours import FROM_FILE, StageHours
from k2d.plan.machines import GIB, SHARES_SOURCE
from k2d.plan.memory import USABLE, Line
from k2d.plan.planning import Plan
from k2d.plan.throughput import FILLED, TOKENS_PER_S
from k2d.score.columns import text_table

_WIDTH = 120


def as_text(plan: Plan, source: str) -> Iterator[str]:
    """All tables. Each number has its formula."""
    setup, machine = plan.setup, plan.setup.machine
    n = setup.n_devices
    devices = f"{n} × {machine.name}" if machine.is_gpu else f"{n} CPU core{'s' if n > 1 else ''}"
    yield f"{source} on {devices}"
    peak = f"{machine.flops_per_s['bf16'] / 1e12:.3g} TFLOP/s in bf16, {machine.flops_per_s['fp32'] / 1e12:.3g} in fp32"
    yield f"{machine.name}: {setup.memory_bytes / GIB:.1f} GiB, {peak}, {machine.bytes_per_s / 1e12:.3g} TB/s"
    yield f"({machine.source})"
    known = "" if setup.hours is not None else " (an example: neither --hours nor the data give the hours)"
    yield f"{plan.hours:,.0f} h of audio{known}, {plan.n_chunks:,.0f} chunks if all are kept"
    yield from _section("millions of parameters", _parameters(plan))
    for demand in plan.memory:
        usable = USABLE * setup.memory_bytes / GIB
        verdict = "DOES NOT FIT" if demand.would_fit else "fits"
        title = f"GiB for stage {demand.what}: {demand.bytes / GIB:.1f} of {usable:.1f}, {verdict}"
        yield from _section(title, _amounts(demand.lines, GIB), ends_in_words=True)
    yield from _section("GB on disk", _amounts(plan.disk, 1e9), ends_in_words=True)
    yield from _section("hours", _hours(plan))
    yield from _assumptions(plan)
    yield from _section("the same arithmetic on the paper's own runs", _paper(plan))


def as_json(plan: Plan, source: str) -> str:
    """All numbers, in bytes, seconds⁻¹ and hours."""
    record = {
        "config": source,
        "machine": asdict(plan.setup.machine),
        "devices": plan.setup.n_devices,
        "memory_bytes": plan.setup.memory_bytes,
        "hours_of_audio": plan.hours,
        "chunks": plan.n_chunks,
        "models": [
            {
                "role": model.role,
                "name": model.shape.name,
                "parameters": model.shape.parameters,
                "encoder": model.shape.encoder_parameters,
                "decoder": model.shape.decoder_parameters,
                "fixed": model.shape.fixed_numbers,
                "trainable": model.trainable,
            }
            for model in plan.models
        ],
        "memory": [{**asdict(demand), "bytes": demand.bytes} for demand in plan.memory],
        "disk": [asdict(line) for line in plan.disk],
        "stages": [asdict(stage) for stage in plan.stages],
        "paper": [{**asdict(each), "ratio": each.ratio} for each in plan.paper],
        "faults": list(plan.faults),
    }
    return json.dumps(record, ensure_ascii=False, indent=1)


def _section(title: str, rows: list[tuple[str, ...]], *, ends_in_words: bool = False) -> Iterator[str]:
    yield ""
    yield title
    yield from (f"  {line}" for line in text_table(rows, ends_in_words=ends_in_words))


def _parameters(plan: Plan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "all", "encoder", "decoder", "learning", "fixed tables")]
    for model in plan.models:
        shape = model.shape
        name = f"{model.role} ({shape.name})" if not model.trainable else model.role
        numbers = (shape.parameters, shape.encoder_parameters, shape.decoder_parameters)
        learning = _millions(model.trainable) if model.trainable else "–"
        rows.append((name, *map(_millions, numbers), learning, _millions(shape.fixed_numbers)))
    return rows


def _millions(n: int) -> str:
    return f"{n / 1e6:,.1f}"


def _amounts(lines: tuple[Line, ...], unit: float) -> list[tuple[str, ...]]:
    return [(line.what, f"{line.amount / unit:,.2f}", line.formula) for line in lines]


def _hours(plan: Plan) -> list[tuple[str, ...]]:
    device = "GPU h" if plan.setup.machine.is_gpu else "core h"
    head = ("stage", "how much", "speed of one", "", "TFLOP each", "of peak", device, "wall h")
    return [head, *map(_hours_row, plan.stages)]


def _hours_row(stage: StageHours) -> tuple[str, ...]:
    unit = f"{stage.unit}, given" if stage.is_measured else stage.unit
    flops = f"{stage.flops / 1e12:.3g}" if stage.flops else "–"
    share = f"{stage.share_of_peak:.1%}" if stage.flops else "–"
    hours = (_number(stage.device_hours), _number(stage.wall_hours))
    if stage.amount == FROM_FILE:
        return (stage.stage, stage.amount, "–", "", flops, share, *hours)
    return (stage.stage, stage.amount, _number(stage.throughput), unit, flops, share, *hours)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _assumptions(plan: Plan) -> Iterator[str]:
    """The assumptions behind the hours."""
    machine = plan.setup.machine
    yield ""
    yield "the hours are estimates, unless --throughput gives a measured value; measure it if you can"
    sources = [SHARES_SOURCE["compute"], SHARES_SOURCE["read"]] if machine.is_gpu else [SHARES_SOURCE["cpu"]] * 2
    points = [
        f"{TOKENS_PER_S:g} tokens per second of speech; decoding moves on by {FILLED:.0%} of a window, and chunks fill "
        "the same share",
        f"encoders and training at {machine.compute_share:.0%} of peak: {sources[0]}",
        f"decoding token by token at {machine.read_share:.0%} of the memory's speed: {sources[1]}",
        "time for anything but arithmetic and reading (launches, Python, audio) is not counted: small models on a GPU "
        "are slower than this",
    ]
    for point in points:
        yield from textwrap.wrap(point, _WIDTH, initial_indent="- ", subsequent_indent="  ")


def _paper(plan: Plan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "paper", "here", "", "here / paper", "")]
    for each in plan.paper:
        figures = (_number(each.paper), _number(each.estimate), each.unit, f"{each.ratio:.2f}")
        rows.append((each.what, *figures, each.note))
    return rows
