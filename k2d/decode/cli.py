"""python -m k2d transcribe: transcribe recordings with any model, as text, subtitles or JSON."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from k2d.config.decoding import Decode
from k2d.config.fields import ComputeType
from k2d.core.atomic import try_writing, write_text
from k2d.core.errors import UsageError
from k2d.core.layout import user_cache
from k2d.core.limits import MOST_BATCH, MOST_BEAM, MOST_PROCESSES, between_0_and_1, whole_number
from k2d.core.progress import Progress
from k2d.core.signals import Ended
from k2d.data.audio import AudioError, probe, resolve
from k2d.data.rows import Hypothesis
from k2d.data.subtitles import FORMATS
from k2d.decode.audio_files import find_audio
from k2d.models.damage import refuse_damaged
from k2d.select.loops import ngram_loops
from k2d.text.normalise import Normaliser

if TYPE_CHECKING:
    from k2d.decode.sources import Source
    from k2d.models.family import Family
    from k2d.models.interface import Recogniser


def main(argv: Sequence[str]) -> int:
    """Transcribe files. Returns 1 if any of them could not be transcribed; all others are."""
    options = _parser().parse_args(argv)
    _refuse_engine(options)
    files = find_audio(options.audio)
    refuse_damaged(options.model)
    if options.out is not None:
        _refuse_equal_names(files, options)
        _refuse_unwritable(files, options)
    sources, n_failed = _sources(files)
    tally = Counter(written=0, failed=n_failed)
    try:
        if sources:
            _transcribe(sources, options, tally)
    except Ended as ended:
        where = f"{tally['written']} of {len(files)} files are transcribed" + (f" to {options.out}" * bool(options.out))
        ended.kept = f"{where}; run it again with the other files to continue"
        raise
    n_failed = tally["failed"]
    if n_failed:
        print(f"{n_failed} of {len(files)} files could not be transcribed", file=sys.stderr)
    return 1 if n_failed else 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m k2d transcribe",
        description="Transcribe recordings of any length.",
        allow_abbrev=False,
    )
    made.add_argument("audio", nargs="+", type=Path, metavar="FILE", help="audio files, or folders of them")
    made.add_argument(
        "--model",
        required=True,
        type=Path,
        metavar="DIR",
        help="model folder, such as exp/mini/models/teacher, or the name of a published Whisper",
    )
    made.add_argument("--format", choices=list(FORMATS), default="txt", help="output format (default: txt)")
    made.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write a file for each recording to DIR (default: print to the terminal)",
    )
    _add_decoding(made)
    _add_engine(made)
    return made


def _add_decoding(made: argparse.ArgumentParser) -> None:
    """The options of the search, which decide the text."""
    made.add_argument(
        "--language", action="append", default=[], metavar="NAME", help="language in the prompt (repeatable)"
    )
    beam = f"beam size, at most {MOST_BEAM} (default: 1, greedy)"
    made.add_argument("--beam", type=whole_number(1, MOST_BEAM), default=Decode.beam, metavar="N", help=beam)
    made.add_argument(
        "--mode",
        choices=["attention", "joint"],
        default="attention",
        help="joint: combine the decoder with the CTC head (default: attention)",
    )
    made.add_argument(
        "--ctc-weight",
        type=between_0_and_1,
        default=Decode.ctc_weight,
        help="weight of the CTC head with --mode joint (default: 0.3)",
    )
    together = "recordings that are decoded together (default: %(default)s)"
    made.add_argument(
        "--batch-size", type=whole_number(1, MOST_BATCH), default=Decode.batch_size, metavar="N", help=together
    )


def _add_engine(made: argparse.ArgumentParser) -> None:
    """The options of the machine: what runs the model, and where."""
    made.add_argument("--device", default="cpu", help="cpu (default), cuda, or a numbered GPU such as cuda:1")
    made.add_argument(
        "--engine",
        choices=["torch", "ctranslate2"],
        default="torch",
        help="ctranslate2: the engine of faster-whisper, for Whisper models; each is converted once (default: torch)",
    )
    made.add_argument(
        "--compute-type", choices=get_args(ComputeType), help="number format of --engine ctranslate2 (default: fp32)"
    )
    made.add_argument(
        "--threads", type=whole_number(1, MOST_PROCESSES), metavar="N", help="CPU cores to use (default: all)"
    )


def _refuse_equal_names(files: list[Path], options: argparse.Namespace) -> None:
    taken: dict[Path, Path] = {}
    for path in files:
        other = taken.setdefault(_target(path, options), path)
        if other != path:
            raise UsageError(
                f"{other} and {path} would both be written to {_target(path, options)}; use separate calls"
            )


def _refuse_unwritable(files: list[Path], options: argparse.Namespace) -> None:
    """Raise before any work if the results cannot be written."""
    folders = [target for path in files if (target := _target(path, options)).is_dir()]
    if folders:
        raise UsageError(f"{folders[0]}: is a folder, expected a place for a file; move it away, or name another --out")
    try_writing(options.out)


def _target(path: Path, options: argparse.Namespace) -> Path:
    return Path(options.out) / f"{path.stem}.{options.format}"


def _sources(files: list[Path]) -> tuple[list[Source], int]:
    """The files that can be read, and the number of others. Each of these is reported at once."""
    from k2d.decode.sources import Source

    found: list[Source] = []
    for path in files:
        audio = str(Path.cwd() / path)
        try:
            found.append(Source(str(path), audio, probe(resolve(audio)).duration_s))
        except AudioError as error:
            print(f"{path}: {error}", file=sys.stderr)
    return found, len(files) - len(found)


def _transcribe(sources: list[Source], options: argparse.Namespace, tally: Counter[str]) -> None:
    """Decode all sources, write each as soon as it is decoded, and count the written and the failed ones."""
    from k2d.decode.long_recordings import decode_recordings
    from k2d.decode.options import Options
    from k2d.decode.sources import Failed

    languages = tuple(options.language)
    model = _load_model(options, languages)
    normalise = Normaliser()
    chosen = Options(
        batch_size=options.batch_size,
        beam=options.beam,
        languages=languages,
        mode=options.mode,
        ctc_weight=options.ctc_weight,
    )
    with Progress("transcribing", sum(s.duration_s or 0.0 for s in sources) / 60, "min of audio") as progress:
        for result in decode_recordings(
            model,
            sources,
            chosen,
            is_loop=lambda text: ngram_loops(normalise(text)),
            on_window=lambda window: progress.update(window.advance_s / 60),
        ):
            if isinstance(result, Failed):
                print(f"{result.recording_id}: {result.detail}", file=sys.stderr)
                tally["failed"] += 1
            else:
                _write(result, options, len(sources))
                tally["written"] += 1


def _write(hypothesis: Hypothesis, options: argparse.Namespace, n_files: int) -> None:
    text = FORMATS[options.format](hypothesis)
    if options.out is not None:
        write_text(_target(Path(hypothesis.recording_id), options), text)
        return
    if n_files > 1 and options.format != "json":
        print(f"# {hypothesis.recording_id}")
    print(text, end="", flush=True)


# --- engines ---


def _refuse_engine(options: argparse.Namespace) -> None:
    """Raise before any work if the options do not fit the engine."""
    if options.engine == "torch":
        if options.compute_type is not None:
            raise UsageError(f"--compute-type {options.compute_type}: needs --engine ctranslate2")
        return
    if options.mode == "joint":
        raise UsageError("--mode joint: needs a CTC head, which no model in CTranslate2 has; use only one of the two")
    # CTranslate2 takes prompts as token ids, and the mean of several languages' embeddings is not a token.
    if len(options.language) > 1:
        raise UsageError("--language: at most one with --engine ctranslate2, whose prompts cannot mix languages")


def _load_model(options: argparse.Namespace, languages: tuple[str, ...]) -> Recogniser:
    """The model, in the engine that the options name."""
    import torch

    from k2d.models.registry import families_of_engine, family_of, load_recogniser

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.engine == "torch":
        return load_recogniser(options.model, device=options.device, languages=languages)
    family = family_of(options.model)
    if options.engine not in family.engines and not options.model.exists():
        raise UsageError(f"{options.model}: there is no such model; expected a model folder or a file of one")
    if options.engine not in family.engines:
        engine = f"{options.engine} runs only {' and '.join(families_of_engine(options.engine))} models"
        remedy = f"leave --engine {options.engine} out"
        raise UsageError(f"{options.model}: a model of the family {family.name}, and {engine}; {remedy}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {options.device}: no GPU can be used here; use cpu")
    return _load_in_ctranslate2(options, family, languages)


def _load_in_ctranslate2(options: argparse.Namespace, family: Family, languages: tuple[str, ...]) -> Recogniser:
    from k2d.export.request import demand

    demand("--engine ctranslate2", "ctranslate2")
    compute_type: ComputeType = options.compute_type or "fp32"
    engine = family.engine(options.engine)
    engine.check_compute_type(compute_type, options.device, "--compute-type")
    found = family.fetched(options.model)
    folder = found if engine.is_converted(found) else _convert_once(found, options.model, compute_type)
    n_threads = options.threads or len(os.sched_getaffinity(0))
    return engine.load(folder, options.device, compute_type, languages, n_threads)


def _convert_once(found: Path, model: Path, compute_type: ComputeType) -> Path:
    """The form for CTranslate2 of a model that lies at `found`, kept in the user's cache by what the model holds."""
    from k2d.core.stamp import fingerprint
    from k2d.export.engine_form import convert

    folder = user_cache() / "ctranslate2" / fingerprint(found)[:16] / compute_type
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remedy = "set XDG_CACHE_HOME to a folder that can be, or leave --engine ctranslate2 out"
        raise UsageError(f"{folder.parent}: cannot be written ({error.strerror}); {remedy}") from error

    def report(_: str) -> None:
        print(f"{model} is converted for CTranslate2 ({compute_type}), once; kept in {folder}", file=sys.stderr)

    convert(found, compute_type, folder, "--engine ctranslate2", report)
    return folder
