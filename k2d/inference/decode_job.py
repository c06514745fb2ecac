"""What stages 5, 7 and 11 decode, by which model and how, as the config wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from k2d.config.decoding import Decode
from k2d.config.fields import ComputeType
from k2d.config.schema import Recogniser
from k2d.pipeline.job import Job
from k2d.select.loops import ngram_loops
from k2d.text.normalise import Normaliser

VERSION = 2  # of the decoder: raised when the same settings would give another text


@dataclass(frozen=True, slots=True)
class LoopTest:
    """The n-gram test of selection, as a worker applies it."""

    ngram: int
    count: int
    script: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """What is decoded by which model and how; alike for all shares."""

    model: Path
    family: str
    languages: tuple[str, ...]
    options: Mapping[str, Any]
    """Fields of k2d.decode.options.Options."""
    precision: str
    loop: LoopTest | None
    clips: bool = False
    """The items are clips, one window each, not recordings."""
    compute_type: ComputeType | None = None
    """Of CTranslate2, in whose converted form the model then decodes; None: torch."""

    @property
    def engine(self) -> str:
        return "torch" if self.compute_type is None else f"ctranslate2-{version('ctranslate2')}"

    @property
    def numbers(self) -> str:
        """What it computes in."""
        return self.precision if self.compute_type is None else f"{self.compute_type} (ctranslate2)"


@dataclass(frozen=True, slots=True)
class Item:
    """A recording, or a clip of one."""

    id: str
    audio: str
    start_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None

    @property
    def length_s(self) -> float:
        if self.start_s is not None and self.end_s is not None:
            return self.end_s - self.start_s
        return self.duration_s or 0.0


def plan_decoding(model: str, recogniser: Recogniser, job: Job, *, clips: bool = False, **options: Any) -> DecodeJob:
    """How the config wants a model to decode. `options` are added to those of its section `decode`."""
    decode, select = job.config.decode_of(recogniser), job.config.select
    loop = LoopTest(select.ngram, select.ngram_count, select.script, select.steps) if decode.stop_loops else None
    chosen = {
        "batch_size": decode.batch_size,
        "beam": decode.beam,
        "max_tokens": decode.max_tokens,
        "min_advance_s": decode.min_advance_s,
        "condition_on_previous_text": decode.condition_on_previous_text,
        "silence_threshold": decode.silence_threshold,
        "temperatures": decode.temperatures,
        "compression_ratio_threshold": decode.compression_ratio_threshold,
        "logprob_threshold": decode.logprob_threshold,
        "languages": recogniser.language,
        **options,
    }
    if chosen.get("mode") == "joint":
        chosen["ctc_weight"] = decode.ctc_weight
    folder, compute_type = job.layout.model(model), compute_type_of(decode)
    precision = decode.precision if compute_type is None else "fp32"  # decides nothing there
    return DecodeJob(folder, recogniser.family, recogniser.language, chosen, precision, loop, clips, compute_type)


def compute_type_of(decode: Decode) -> ComputeType | None:
    """The numbers in which CTranslate2 computes a model (`decode` is the model's own); None: it decodes in torch."""
    return decode.compute_type if decode.engine == "ctranslate2" else None


def plan_long_recordings(model: str, recogniser: Recogniser, job: Job) -> DecodeJob:
    """How a model decodes whole recordings. CTC gives no timestamps: its windows have a fixed step."""
    return plan_decoding(model, recogniser, job, mode=recogniser.decode, timestamps=recogniser.decode != "ctc")


def loop_test(test: LoopTest | None) -> Callable[[str], bool] | None:
    """Whether selection would call a text a loop."""
    if test is None:
        return None
    normalise = Normaliser(script=test.script, steps=test.steps)  # type: ignore[arg-type]
    return lambda text: ngram_loops(normalise(text), test.ngram, test.count)


def decode_settings(decode_job: DecodeJob) -> dict[str, Any]:
    """What of it decides the result: for the stamp. The batch does not."""
    settings = asdict(decode_job)
    for other in ("model", "languages"):  # an input of the unit; part of the options
        del settings[other]
    if decode_job.compute_type is None:
        del settings["compute_type"]
    else:
        settings["engine"] = decode_job.engine
    settings["options"] = {name: value for name, value in decode_job.options.items() if name != "batch_size"}
    return settings
