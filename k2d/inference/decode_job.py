"""What stages 5, 7 and 11 decode, with which model and which options, from the config."""

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

VERSION = 2  # of the decoder; raise it if the same settings would give another text


@dataclass(frozen=True, slots=True)
class LoopTest:
    """The n-gram test of selection, as used by a worker."""

    ngram: int
    count: int
    script: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """The model and the options of decoding. All shares of items have the same ones."""

    model: Path
    family: str
    languages: tuple[str, ...]
    options: Mapping[str, Any]
    """Fields of k2d.decode.options.Options."""
    precision: str
    loop: LoopTest | None
    clips: bool = False
    """Whether the items are clips of one window each, not recordings."""
    aligns_labels: bool = False
    """Whether the clips are aligned with their labels by the CTC head, instead of decoded."""
    speed: float = 1.0
    """At which clips are played."""
    compute_type: ComputeType | None = None
    """The precision of CTranslate2, for a model that is decoded in converted form. None: it is decoded in torch."""

    @property
    def engine(self) -> str:
        return "torch" if self.compute_type is None else f"ctranslate2-{version('ctranslate2')}"

    @property
    def numbers(self) -> str:
        """The precision of the computation."""
        return self.precision if self.compute_type is None else f"{self.compute_type} (ctranslate2)"


@dataclass(frozen=True, slots=True)
class Item:
    """A recording, or a clip of a recording."""

    id: str
    audio: str
    start_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None
    label: str = ""
    """The text that is aligned with a clip."""

    @property
    def length_s(self) -> float:
        if self.start_s is not None and self.end_s is not None:
            return self.end_s - self.start_s
        return self.duration_s or 0.0


def plan_decoding(model: str, recogniser: Recogniser, job: Job, *, clips: bool = False, **options: Any) -> DecodeJob:
    """How the config decodes a model. `options` are added to those of its section `decode`."""
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
    precision = decode.precision if compute_type is None else "fp32"  # not used by CTranslate2
    return DecodeJob(
        folder, recogniser.family, recogniser.language, chosen, precision, loop, clips, compute_type=compute_type
    )


def plan_alignment(model: str, recogniser: Recogniser, job: Job) -> DecodeJob:
    """How an auxiliary aligns labels with their clips. Its CTC head runs in torch, whatever decodes its opinions."""
    decode = job.config.decode_of(recogniser)
    return DecodeJob(
        job.layout.model(model),
        recogniser.family,
        recogniser.language,
        {"batch_size": decode.batch_size},
        decode.precision,
        loop=None,
        clips=True,
        aligns_labels=True,
    )


def compute_type_of(decode: Decode) -> ComputeType | None:
    """The precision in which CTranslate2 computes (`decode` is the model's own section). None: decoded in torch."""
    return decode.compute_type if decode.engine == "ctranslate2" else None


def plan_long_recordings(model: str, recogniser: Recogniser, job: Job) -> DecodeJob:
    """How a model decodes whole recordings. CTC gives no timestamps, so its windows move on by a fixed step."""
    return plan_decoding(model, recogniser, job, mode=recogniser.decode, timestamps=recogniser.decode != "ctc")


def loop_test(test: LoopTest | None) -> Callable[[str], bool] | None:
    """The n-gram test that selection uses to find loops. None: no test."""
    if test is None:
        return None
    normalise = Normaliser(script=test.script, steps=test.steps)  # type: ignore[arg-type]
    return lambda text: ngram_loops(normalise(text), test.ngram, test.count)


def decode_settings(decode_job: DecodeJob) -> dict[str, Any]:
    """The part that determines the result, for the stamp. The batch size does not."""
    settings = asdict(decode_job)
    for other in ("model", "languages"):  # the model is an input of the unit; the languages are in the options
        del settings[other]
    if not decode_job.aligns_labels:
        del settings["aligns_labels"]
    if decode_job.speed == 1.0:
        del settings["speed"]
    if decode_job.compute_type is None:
        del settings["compute_type"]
    else:
        settings["engine"] = decode_job.engine
    settings["options"] = {name: value for name, value in decode_job.options.items() if name != "batch_size"}
    return settings
