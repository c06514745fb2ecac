"""A decoding worker: loads a model once, decodes its task, and writes a line for each finished item."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError
from k2d.core.layout import converted_model
from k2d.core.retries import is_passing, is_short_of_memory
from k2d.data.rows import Rejected
from k2d.inference.answer_cache import FACTS, Answer, write_answer
from k2d.inference.audio_progress import DecodedAudio
from k2d.inference.decode_job import DecodeJob, Item, loop_test
from k2d.inference.stretches import in_pieces
from k2d.inference.tasks import (
    DecodeTask,
    SpeedTask,
    Task,
    TaskInterrupted,
    TaskResult,
    Timings,
    Undecided,
    WorkerDevice,
)
from k2d.pipeline.answer_parts import new_part

if TYPE_CHECKING:
    from k2d.config.fields import ComputeType
    from k2d.decode.sources import Failed, Source
    from k2d.decode.stopwatch import Timed
    from k2d.models.interface import Recogniser

Found = Iterator[tuple[str, "dict[str, Any] | Failed"]]
"""Items by id: the hypothesis, or the reason why it failed."""


def carry_out(asked: tuple[WorkerDevice, Task]) -> TaskResult:
    """Run a task of a decoding stage on the device of this worker."""
    device, task = asked
    return _time_models(task, device) if isinstance(task, SpeedTask) else _decode(task, device)


def _decode(task: DecodeTask, device: WorkerDevice) -> Undecided:
    """Decode a task. Each answer is written to disk before the next one is computed."""
    import torch

    torch.set_num_threads(device.n_threads)
    _model_of(task, device)  # loaded before the clock starts
    part = new_part(task.cache, task.number)
    audio = {item.id: item.audio for item in task.items}
    undecided: Undecided = {}
    with part.open("x", encoding="utf-8", newline="\n") as file, DecodedAudio(part) as decoded:
        for item_id, seconds, found in _timed(_in_smaller_batches(task, device, decoded)):
            if isinstance(found, dict):
                answer = Answer(item_id, seconds, found, None)
            elif found.is_passing:
                undecided[item_id] = found.detail
                continue
            else:
                failed = Rejected(item_id, found.reason, found.detail, audio[item_id])
                answer = Answer(item_id, seconds, None, failed)
            file.write(write_answer(answer))
            file.flush()
    return undecided


def _timed(found: Found) -> Iterator[tuple[str, float, dict[str, Any] | Failed]]:
    last = time.monotonic()
    for item_id, result in found:
        now = time.monotonic()
        yield item_id, now - last, result
        last = now


def _in_smaller_batches(task: DecodeTask, device: WorkerDevice, decoded: DecodedAudio) -> Found:
    """The result of each item. If memory is short, batches are halved; TaskInterrupted if that does not help."""
    over: set[str] = set()
    batch_size = task.decode_job.options["batch_size"]
    while True:
        left = replace(task, items=tuple(item for item in task.items if item.id not in over))
        left = replace(
            left, decode_job=replace(task.decode_job, options={**task.decode_job.options, "batch_size": batch_size})
        )
        try:
            for item_id, found in _results(left, device, decoded):
                over.add(item_id)
                yield item_id, found
            return
        except Exception as error:
            if not is_passing(error):
                raise
            if not is_short_of_memory(error) or batch_size == 1:
                raise TaskInterrupted(f"{type(error).__name__}: {error}") from error
        batch_size = max(1, batch_size // 2)
        decoded.restart()
        _free_memory()


def _results(task: DecodeTask, device: WorkerDevice, decoded: DecodedAudio) -> Found:
    if task.decode_job.aligns_labels:
        return _alignments(task, device, decoded)
    return _clips(task, device, decoded) if task.decode_job.clips else _recordings(task, device, decoded)


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _time_models(task: SpeedTask, device: WorkerDevice) -> Timings:
    """Time all models, which are in memory at the same time. A model loaded only for its run would be timed cold."""
    import torch

    from k2d.decode.stopwatch import measure_in_turn

    torch.set_num_threads(task.n_threads)
    audio_s = round(sum(item.length_s for item in task.items), 3)
    try:
        timed = {name: _timed_by(decode_job, task, device) for name, decode_job in task.decode_jobs.items()}
        with DecodedAudio(new_part(task.folder, 0)) as decoded:
            runs_s = measure_in_turn(timed, task.n_runs, lambda: decoded.add(audio_s))
    except torch.OutOfMemoryError as problem:
        message = (
            f"{len(task.decode_jobs)} models, which are timed in turn, do not fit into the memory of {device.name}"
        )
        smaller = "a smaller decode.batch_size (or a model's decoding.batch_size)"
        remedy = f"use a device with more memory, or {smaller}, or turn timing off (score.speed_runs=0)"
        raise K2DError(f"{message}; {remedy}") from problem
    facts = {"audio_s": audio_s, **device_facts(replace(device, n_threads=task.n_threads))}
    return {
        name: {"runs_s": runs, "batch_size": timed[name].options.batch_size, "dtype": decode_job.numbers, **facts}
        for (name, decode_job), runs in zip(task.decode_jobs.items(), runs_s.values(), strict=True)
    }


def _timed_by(decode_job: DecodeJob, task: SpeedTask, device: WorkerDevice) -> Timed:
    from k2d.decode.options import Options
    from k2d.decode.stopwatch import Timed

    model = _loaded(decode_job, device.name)
    batch_size = decode_job.options["batch_size"] if task.batch_size is None else task.batch_size
    items = list(task.items) if batch_size == 1 else in_pieces(task.items, model.window.length_s)
    options = Options(**{**decode_job.options, "batch_size": min(batch_size, len(items))})
    return Timed(model, _sources(items), options, loop_test(decode_job.loop))


def _recordings(task: DecodeTask, device: WorkerDevice, decoded: DecodedAudio) -> Found:
    from k2d.data.hypotheses import hypothesis_record
    from k2d.decode.long_recordings import decode_recordings
    from k2d.decode.options import Options
    from k2d.decode.sources import Failed

    decode_job, model = task.decode_job, _model_of(task, device)
    length_s = {item.id: item.length_s for item in task.items}
    results = decode_recordings(
        model,
        _sources(task.items),
        Options(**decode_job.options),
        is_loop=loop_test(decode_job.loop),
        on_window=lambda window: decoded.add(window.advance_s),
    )
    for result in results:
        if isinstance(result, Failed):
            yield result.recording_id, result
        else:
            decoded.settle(length_s[result.recording_id], sum(window.advance_s for window in result.windows))
            yield result.recording_id, hypothesis_record(result)


def _clips(task: DecodeTask, device: WorkerDevice, decoded: DecodedAudio) -> Found:
    from k2d.decode.clips import decode_clips
    from k2d.decode.options import Options
    from k2d.decode.sources import Clip, Failed

    decode_job, model = task.decode_job, _model_of(task, device)
    clips = [Clip(item.id, item.audio, item.start_s, item.end_s, decode_job.speed) for item in task.items]
    length_s = {item.id: item.length_s for item in task.items}
    results = decode_clips(
        model,
        clips,
        Options(**decode_job.options),
        is_loop=loop_test(decode_job.loop),
        on_clip=lambda clip: decoded.add(length_s[clip.id]),
    )
    for result in results:
        if isinstance(result, Failed):
            yield result.recording_id, result
        else:
            decoded.settle(length_s[result.id], length_s[result.id])
            yield result.id, asdict(result)


def _alignments(task: DecodeTask, device: WorkerDevice, decoded: DecodedAudio) -> Found:
    from k2d.decode.alignment import align_labels
    from k2d.decode.sources import Clip, Failed

    model, labels = _model_of(task, device), {item.id: item.label for item in task.items}
    clips = [Clip(item.id, item.audio, item.start_s, item.end_s) for item in task.items]
    length_s = {item.id: item.length_s for item in task.items}
    for result in align_labels(
        model,
        clips,
        labels,
        task.decode_job.options["batch_size"],
        on_clip=lambda clip: decoded.settle(length_s[clip.id], 0.0),
    ):
        if isinstance(result, Failed):
            yield result.recording_id, result
        else:
            yield result.id, {**asdict(result), "distance": result.distance}


def _sources(items: Iterable[Item]) -> list[Source]:
    from k2d.decode.sources import Source

    return [Source(item.id, item.audio, item.duration_s, item.start_s, item.end_s) for item in items]


def _model_of(task: DecodeTask, device: WorkerDevice) -> Recogniser:
    decode_job = task.decode_job
    model = _loaded(decode_job, device.name)
    facts = {
        "window_s": model.window.length_s,
        "time_step_s": model.window.time_step_s,
        "parameters": sum(model.n_parameters().values()),
        **device_facts(device),
    }
    write_text(task.cache / FACTS, json.dumps(facts))
    return model


def device_facts(device: WorkerDevice) -> dict[str, Any]:
    """The hardware, for records. A speed without it has no meaning."""
    import torch

    name = torch.cuda.get_device_name(device.name) if device.name.startswith("cuda") else f"cpu ({_cpu_name()})"
    return {"device": name, "threads": device.n_threads}


def _cpu_name() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
        names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
        return next(names, platform.machine())


def _loaded(decode_job: DecodeJob, device: str) -> Recogniser:
    """The model in its engine, kept between tasks."""
    if decode_job.compute_type is None:
        return _in_torch(decode_job.model, decode_job.family, device, decode_job.precision, decode_job.languages)
    import torch

    n_threads = torch.get_num_threads()  # set when CTranslate2 loads the model
    return _in_ctranslate2(
        decode_job.model, decode_job.family, device, decode_job.compute_type, decode_job.languages, n_threads
    )


@lru_cache(maxsize=1)
def _in_torch(path: Path, family: str, device: str, precision: str, languages: tuple[str, ...]) -> Recogniser:
    from k2d.models.registry import load_recogniser

    return load_recogniser(path, family=family, device=device, precision=precision, languages=languages)


@lru_cache(maxsize=1)
def _in_ctranslate2(
    path: Path, family: str, device: str, compute_type: ComputeType, languages: tuple[str, ...], n_threads: int
) -> Recogniser:
    from k2d.models.registry import FAMILIES

    engine, folder = FAMILIES[family].engine("ctranslate2"), converted_model(path, compute_type)
    return engine.load(folder, device, compute_type, languages, n_threads)
