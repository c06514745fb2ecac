"""What a decoding worker does: load a model once, decode its share, write a line per item as it finishes."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from k2d.atomic import write_text
from k2d.data.rows import Rejected
from k2d.faults import K2DError
from k2d.stages.answers import FACTS, Answer, write_answer
from k2d.stages.decoding import Seat, Share, Speed, Timings
from k2d.stages.speed import in_pieces
from k2d.stages.work import Item, Work, loop_test

if TYPE_CHECKING:
    from k2d.config.fields import ComputeType
    from k2d.decode.sources import Source
    from k2d.decode.speed import Timed
    from k2d.models.recogniser import Recogniser

HEARD_EVERY_S = 0.5

Found = Iterator[tuple[str, dict[str, Any] | None, Rejected | None]]


def do(task: tuple[Seat, Share | Speed]) -> Timings | None:
    """Carry out a task of a decoding stage."""
    seat, what = task
    if isinstance(what, Speed):
        return _speed(what, seat)
    _share(what, seat)
    return None


def _share(share: Share, seat: Seat) -> None:
    """Decode a share; every answer is on disk before the next is waited for. Short of memory: in smaller batches."""
    import torch

    torch.set_num_threads(seat.threads)
    _model_of(share, seat)  # before the clock runs
    finished: set[str] = set()
    batch_size = share.work.options["batch_size"]
    with share.part.open("a", encoding="utf-8", newline="\n") as file:
        while True:
            left = replace(share, items=tuple(item for item in share.items if item.id not in finished))
            left = replace(left, work=replace(share.work, options={**share.work.options, "batch_size": batch_size}))
            try:
                for answer in _timed(_answers(left, seat)):
                    file.write(write_answer(answer))
                    file.flush()
                    finished.add(answer.id)
                return
            except torch.OutOfMemoryError:
                if batch_size == 1:
                    raise
                batch_size = max(1, batch_size // 2)
                torch.cuda.empty_cache()


def _timed(found: Found) -> Iterator[Answer]:
    last = time.monotonic()
    for item_id, heard, failed in found:
        now = time.monotonic()
        yield Answer(item_id, now - last, heard, failed)
        last = now


def _answers(share: Share, seat: Seat) -> Found:
    heard = _Heard(share.part.with_suffix(".heard"))
    return _clips(share, seat, heard) if share.work.clips else _recordings(share, seat, heard)


def _speed(speed: Speed, seat: Seat) -> Timings:
    """All models are in memory at once: one that was loaded for its run alone would be timed cold."""
    import torch

    from k2d.decode.speed import measure_in_turn

    torch.set_num_threads(speed.n_threads)
    audio_s = round(sum(item.length_s for item in speed.items), 3)
    heard = _Heard(speed.folder / "speed.heard")
    try:
        timed = {name: _timed_by(work, speed, seat) for name, work in speed.works.items()}
        runs_s = measure_in_turn(timed, speed.n_runs, lambda: heard.add(audio_s))
    except torch.OutOfMemoryError as problem:
        message = f"{len(speed.works)} models, which are timed in turn, do not fit into the memory of {seat.device}"
        remedy = "use a device with more, or a smaller decode.batch_size, or leave timing out (score.speed_runs=0)"
        raise K2DError(f"{message}; {remedy}") from problem
    facts = {"audio_s": audio_s, **device_facts(replace(seat, threads=speed.n_threads))}
    return {
        name: {"runs_s": runs, "batch_size": timed[name].options.batch_size, "dtype": work.numbers, **facts}
        for (name, work), runs in zip(speed.works.items(), runs_s.values(), strict=True)
    }


def _timed_by(work: Work, speed: Speed, seat: Seat) -> Timed:
    from k2d.decode.options import Options
    from k2d.decode.speed import Timed

    model = _loaded(work, seat.device)
    items = list(speed.items) if speed.batch_size == 1 else in_pieces(speed.items, model.window.length_s)
    options = Options(**{**work.options, "batch_size": min(speed.batch_size, len(items))})
    return Timed(model, _sources(items), options, loop_test(work.loop))


def _recordings(share: Share, seat: Seat, heard: _Heard) -> Found:
    from k2d.data.hypotheses import hypothesis_record
    from k2d.decode.longform import decode_recordings
    from k2d.decode.options import Options
    from k2d.decode.sources import Failed

    work, model = share.work, _model_of(share, seat)
    results = decode_recordings(
        model,
        _sources(share.items),
        Options(**work.options),
        is_loop=loop_test(work.loop),
        on_window=lambda window: heard.add(window.advance_s),
    )
    audio = {item.id: item.audio for item in share.items}
    for result in results:
        if isinstance(result, Failed):
            rejected = Rejected(result.recording_id, result.reason, result.detail, audio[result.recording_id])
            yield result.recording_id, None, rejected
        else:
            yield result.recording_id, hypothesis_record(result), None


def _clips(share: Share, seat: Seat, heard: _Heard) -> Found:
    from k2d.decode.clips import decode_clips
    from k2d.decode.options import Options
    from k2d.decode.sources import Clip, Failed

    work, model = share.work, _model_of(share, seat)
    clips = [Clip(item.id, item.audio, item.start_s, item.end_s) for item in share.items]
    by_id = {item.id: item for item in share.items}
    for result in decode_clips(model, clips, Options(**work.options), is_loop=loop_test(work.loop)):
        if isinstance(result, Failed):
            item = by_id[result.recording_id]
            yield item.id, None, Rejected(item.id, result.reason, result.detail, item.audio)
        else:
            heard.add(by_id[result.id].length_s)
            yield result.id, asdict(result), None


def _sources(items: Iterable[Item]) -> list[Source]:
    from k2d.decode.sources import Source

    return [Source(item.id, item.audio, item.duration_s, item.start_s, item.end_s) for item in items]


def _model_of(share: Share, seat: Seat) -> Recogniser:
    work = share.work
    model = _loaded(work, seat.device)
    facts = {
        "window_s": model.window.length_s,
        "time_step_s": model.window.time_step_s,
        "parameters": sum(model.n_parameters().values()),
        **device_facts(seat),
    }
    write_text(share.part.parent / FACTS, json.dumps(facts))
    return model


def device_facts(seat: Seat) -> dict[str, Any]:
    """The hardware, for records: a figure of speed says nothing without it."""
    import torch

    name = torch.cuda.get_device_name(seat.device) if seat.device.startswith("cuda") else f"cpu ({_cpu_name()})"
    return {"device": name, "threads": seat.threads}


def _cpu_name() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
        names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
        return next(names, platform.machine())


def _loaded(work: Work, device: str) -> Recogniser:
    """The model in its engine, kept from one share to the next."""
    if work.compute_type is None:
        return _in_torch(work.model, work.family, device, work.precision, work.languages)
    import torch

    n_threads = torch.get_num_threads()  # CTranslate2 is told when it loads
    return _in_ctranslate2(work.model, device, work.compute_type, work.languages, n_threads)


@lru_cache(maxsize=1)
def _in_torch(path: Path, family: str, device: str, precision: str, languages: tuple[str, ...]) -> Recogniser:
    from k2d.models.loading import load_recogniser

    return load_recogniser(path, family=family, device=device, precision=precision, languages=languages)


@lru_cache(maxsize=1)
def _in_ctranslate2(
    path: Path, device: str, compute_type: ComputeType, languages: tuple[str, ...], n_threads: int
) -> Recogniser:
    """It has what decoding asks of a recogniser, and no more."""
    from k2d.models.whisper_ctranslate2 import load_ctranslate2
    from k2d.stages.engine import engine_folder

    found = load_ctranslate2(engine_folder(path, compute_type), device, compute_type, languages, n_threads)
    return cast("Recogniser", found)


class _Heard:
    """Seconds of audio that this worker has heard, in a file for whoever shows progress."""

    def __init__(self, path: Path) -> None:
        self._path, self._seconds, self._written = path, 0.0, 0.0

    def add(self, seconds: float) -> None:
        self._seconds += seconds
        if time.monotonic() - self._written > HEARD_EVERY_S:
            self._path.write_text(f"{self._seconds:.1f}")
            self._written = time.monotonic()
