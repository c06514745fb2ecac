"""python -m k2d transcribe: recordings to text, subtitles or JSON, by any model folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from k2d.atomic import write_text
from k2d.data.audio import AudioError, probe, resolve
from k2d.data.rows import Hypothesis
from k2d.data.subtitles import FORMATS
from k2d.faults import UsageError
from k2d.limits import MOST_BATCH, MOST_BEAM, between_0_and_1, whole_number
from k2d.progress import Progress
from k2d.select.loops import ngram_loops
from k2d.text.normalise import Normaliser

if TYPE_CHECKING:
    from k2d.decode.sources import Source

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au", ".w64", ".caf")


def main(argv: Sequence[str]) -> int:
    """Transcribe files; 1 if one of them could not be (the others are)."""
    options = _parser().parse_args(argv)
    files = _files(options.audio)
    if options.out is not None:
        _refuse_equal_names(files, options)
    sources, n_failed = _sources(files)
    n_failed += _transcribe(sources, options) if sources else 0
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
    made.add_argument("--model", required=True, type=Path, metavar="DIR", help="model folder (exp/mini/models/teacher)")
    made.add_argument("--format", choices=list(FORMATS), default="txt", help="default: txt")
    made.add_argument("--out", type=Path, metavar="DIR", help="a file per recording here (default: the terminal)")
    made.add_argument("--language", action="append", default=[], metavar="NAME", help="in the prompt; may be repeated")
    beam = f"hypotheses side by side, at most {MOST_BEAM} (default: 1, greedy)"
    made.add_argument("--beam", type=whole_number(1, MOST_BEAM), default=1, metavar="N", help=beam)
    made.add_argument(
        "--mode",
        choices=["attention", "joint"],
        default="attention",
        help="joint: with the CTC head (default: attention)",
    )
    made.add_argument(
        "--ctc-weight", type=between_0_and_1, default=0.3, help="the head's share in --mode joint (default: 0.3)"
    )
    together = "recordings decoded together (default: 16)"
    made.add_argument("--batch-size", type=whole_number(1, MOST_BATCH), default=16, metavar="N", help=together)
    made.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    return made


def _files(given: Sequence[Path]) -> list[Path]:
    """The files that are named, and all audio below the folders that are."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not below:
                raise UsageError(f"{path}: a folder without audio; expected files ending in {' '.join(SUFFIXES)}")
            found += below
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: there is no such file")
    return list(dict.fromkeys(found))


def _refuse_equal_names(files: list[Path], options: argparse.Namespace) -> None:
    taken: dict[Path, Path] = {}
    for path in files:
        other = taken.setdefault(_target(path, options), path)
        if other != path:
            raise UsageError(f"{other} and {path} would both be written to {_target(path, options)}; call them apart")


def _target(path: Path, options: argparse.Namespace) -> Path:
    return Path(options.out) / f"{path.stem}.{options.format}"


def _sources(files: list[Path]) -> tuple[list[Source], int]:
    """What can be read, and how many files cannot; each of these is told at once."""
    from k2d.decode.sources import Source

    found: list[Source] = []
    for path in files:
        audio = str(Path.cwd() / path)
        try:
            found.append(Source(str(path), audio, probe(resolve(audio)).duration_s))
        except AudioError as error:
            print(f"{path}: {error}", file=sys.stderr)
    return found, len(files) - len(found)


def _transcribe(sources: list[Source], options: argparse.Namespace) -> int:
    """Decode all, write each as it is done; return how many failed on the way."""
    from k2d.decode.longform import decode_recordings
    from k2d.decode.options import Options
    from k2d.decode.sources import Failed
    from k2d.models.loading import load_recogniser

    languages = tuple(options.language)
    model = load_recogniser(options.model, device=options.device, languages=languages)
    normalise = Normaliser()
    chosen = Options(
        batch_size=options.batch_size,
        beam=options.beam,
        languages=languages,
        mode=options.mode,
        ctc_weight=options.ctc_weight,
    )
    n_failed = 0
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
                n_failed += 1
            else:
                _put(result, options, len(sources))
    return n_failed


def _put(hypothesis: Hypothesis, options: argparse.Namespace, n_files: int) -> None:
    text = FORMATS[options.format](hypothesis)
    if options.out is not None:
        target = _target(Path(hypothesis.recording_id), options)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, text)
        return
    if n_files > 1 and options.format != "json":
        print(f"# {hypothesis.recording_id}")
    print(text, end="", flush=True)
