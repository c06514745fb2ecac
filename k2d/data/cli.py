"""python -m k2d data VERB: validate, fix, subset, combine, copy, lengthen and sum up Kaldi data directories.

Options have the names of Kaldi's scripts, so that the wrappers in utils/ only pass them on.
Exit codes: 0 no faults, 1 faults found, 2 wrong call.
"""

from __future__ import annotations

import argparse
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError, Treatment, UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.core.limits import MOST_PROCESSES, whole_number
from k2d.data.kaldi.combine import Prefixes, combine, copy
from k2d.data.kaldi.fix import fix
from k2d.data.kaldi.subset import By, subset, subset_of_ids
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks, Validation

Arguments = argparse.Namespace


def main(argv: Sequence[str]) -> int:
    """Run one verb and return its exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[Arguments], int] = arguments.run
    return run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m k2d data", description="Check, repair and transform Kaldi data directories."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_validate(verbs)
    _add_fix(verbs)
    _add_subset(verbs)
    _add_combine(verbs)
    _add_copy(verbs)
    _add_longform(verbs)
    _add_summary(verbs)
    _add_hypotheses(verbs)
    return parser


def _add_verb(verbs: Any, name: str, run: Callable[[Arguments], int], what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def _add_checks(parser: argparse.ArgumentParser) -> None:
    levels = [level.value for level in AudioLevel]
    parser.add_argument(
        "--root", type=Path, default=PROJECT_ROOT, help="folder where relative audio paths start (default: the project)"
    )
    parser.add_argument(
        "--audio", choices=levels, default="header", help="how closely to check audio (default: header)"
    )
    parser.add_argument("--nj", type=whole_number(1, MOST_PROCESSES), help="worker processes (default: all cores)")
    parser.add_argument("--no-text", action="store_true", help="accept a directory without text")
    parser.add_argument("--no-wav", action="store_true", help="accept a directory without wav.scp")


def _add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="replace an existing data directory")


def _add_validate(verbs: Any) -> None:
    parser = _add_verb(verbs, "validate", _validate, "check data directories without changing them")
    parser.add_argument("folders", metavar="DIR", type=Path, nargs="+")
    _add_checks(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    for kaldi in ("--no-feats", "--non-print", "--no-spk-sort"):  # they switch off checks that do not exist here
        parser.add_argument(kaldi, action="store_true", help="accepted as in Kaldi, without effect")


def _add_fix(verbs: Any) -> None:
    what = "sort and repair, keep the ids that all files have; bad items go to rejected.jsonl, old files to .backup/"
    parser = _add_verb(verbs, "fix", _fix, what)
    parser.add_argument("folder", metavar="DIR", type=Path)
    _add_checks(parser)


def _add_subset(verbs: Any) -> None:
    parser = _add_verb(verbs, "subset", _subset, "write N utterances, or those of a list, to a new directory")
    how = parser.add_mutually_exclusive_group()
    for by in By:
        how.add_argument(f"--{by.value}", dest="by", action="store_const", const=by, help=_BY_HELP[by])
    how.add_argument("--utt-list", type=Path, metavar="FILE", help="the utterances whose ids are in FILE")
    how.add_argument(
        "--spk-list", type=Path, metavar="FILE", help="the utterances of the speakers whose ids are in FILE"
    )
    parser.add_argument("source", metavar="SRC", type=Path)
    parser.add_argument("rest", metavar="N DEST", nargs="+", help="with a list: only DEST")
    _add_force(parser)


_BY_HELP = {
    By.EVEN: "N utterances, spread evenly over the directory (default)",
    By.FIRST: "the first N",
    By.LAST: "the last N",
    By.SHORTEST: "the N shortest",
    By.SPEAKERS: "all utterances of as many speakers as are needed for N utterances",
    By.PER_SPEAKER: "N of each speaker",
}


def _add_combine(verbs: Any) -> None:
    parser = _add_verb(verbs, "combine", _combine, "write the union of several directories to a new one")
    parser.add_argument("destination", metavar="DEST", type=Path)
    parser.add_argument("sources", metavar="SRC", type=Path, nargs="+")
    _add_force(parser)


def _add_copy(verbs: Any) -> None:
    parser = _add_verb(verbs, "copy", _copy, "copy a directory and add prefixes to its ids")
    parser.add_argument("source", metavar="SRC", type=Path)
    parser.add_argument("destination", metavar="DEST", type=Path)
    for option in ("--utt-prefix", "--spk-prefix", "--reco-prefix"):
        parser.add_argument(option, metavar="P", default="")
    _add_force(parser)


def _add_longform(verbs: Any) -> None:
    parser = _add_verb(verbs, "longform", _longform, "join short recordings into long ones, in a new directory")
    parser.add_argument("source", metavar="SRC", type=Path)
    parser.add_argument("destination", metavar="DEST", type=Path)
    modes = ["concatenate", "by_time"]
    parser.add_argument(
        "--mode",
        choices=modes,
        required=True,
        help="join rows one after another, or place the clips of a session at their times",
    )
    parser.add_argument(
        "--max-s", type=float, metavar="S", help="concatenate: longest recording in seconds (default: 30)"
    )
    parser.add_argument(
        "--batch", type=int, metavar="N", help="concatenate: start a new recording after N rows (default: 500)"
    )
    parser.add_argument(
        "--shards", type=int, metavar="N", help="concatenate: and at the borders of N equal shares (default: 16)"
    )
    parser.add_argument("--max-pause-s", type=float, metavar="S", help="by_time: shorten longer pauses to S seconds")
    where = PROJECT_ROOT / "data" / "raw" / "longform"
    parser.add_argument("--audio", type=Path, default=where, help="folder for the audio (default: data/raw/longform)")
    _add_force(parser)


def _add_summary(verbs: Any) -> None:
    parser = _add_verb(verbs, "summary", _summary, "print hours, speakers, lengths, languages and switching")
    parser.add_argument("folders", metavar="DIR", type=Path, nargs="+")
    parser.add_argument("--by", choices=["course"], help="also print the hours of each course (needs reco2course)")


def _add_hypotheses(verbs: Any) -> None:
    what = "write transcripts of another system as hypotheses, for pseudo_label.from"
    parser = _add_verb(verbs, "hypotheses", _hypotheses, what)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="folder of .srt, .vtt or .json files named after the recordings, folder with Kaldi's text (and segments), "
        "or file of JSON lines",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="data directory of the recordings")
    parser.add_argument("output", metavar="OUT", type=Path, help="file to write (.jsonl)")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def _checks(arguments: Arguments) -> Checks:
    if not arguments.root.is_dir():
        raise UsageError(f"--root {arguments.root}: no such folder")
    return Checks(
        root=arguments.root.resolve(),
        audio=AudioLevel(arguments.audio),
        need_text=not arguments.no_text,
        need_wav=not arguments.no_wav,
        **({} if arguments.nj is None else {"nj": arguments.nj}),
    )


def _validate(arguments: Arguments) -> int:
    checks = _checks(arguments)
    found = [validate(folder, checks) for folder in arguments.folders]
    if arguments.json:
        print(json.dumps([_as_json(each) for each in found], ensure_ascii=False, indent=2))
    else:
        for each in found:
            print("\n".join([*each.report.lines(), each.summary()]))
    return 0 if all(each.is_sound for each in found) else 1


def _as_json(found: Validation) -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "valid": found.is_sound,
        "utterances": found.n_utterances,
        "recordings": found.n_recordings,
        "speakers": found.n_speakers,
        "counts": {t.name.lower(): _counts(found, t) for t in Treatment},
        "examples": [{**asdict(f), "treatment": f.treatment.name.lower()} for f in found.report.kept],
    }


def _counts(found: Validation, treatment: Treatment) -> dict[str, int]:
    return {code: n for (t, code), n in sorted(found.report.counts.items(), key=str) if t is treatment}


def _fix(arguments: Arguments) -> int:
    print(fix(arguments.folder, _checks(arguments)).summary())
    return 0


def _subset(arguments: Arguments) -> int:
    source, rest, force = arguments.source, arguments.rest, arguments.force
    id_list = arguments.utt_list or arguments.spk_list
    if len(rest) != (1 if id_list else 2):
        raise UsageError("expected SRC N DEST, or with --utt-list or --spk-list SRC DEST")
    destination = Path(rest[-1])
    if id_list:
        of_speakers = arguments.spk_list is not None
        made = subset_of_ids(source, destination, _ids_in(id_list), of_speakers=of_speakers, force=force)
    elif rest[0].isdecimal():
        made = subset(source, destination, int(rest[0]), arguments.by or By.EVEN, force=force)
    else:
        raise UsageError(f"the number of utterances is {rest[0]!r}, expected a whole number")
    if made.n_unknown:
        print(f"{id_list}: {made.n_unknown:,} of its ids are not in {source}")
    print(f"{destination}: in {made.n_in:,} = kept {made.n_kept:,} + not chosen {made.n_in - made.n_kept:,}")
    return 0


def _ids_in(path: Path) -> Iterator[str]:
    """The first column of a file, in Unicode form NFC like all ids."""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if fields := line.split(None, 1):
                    yield unicodedata.normalize("NFC", fields[0])
    except OSError as problem:
        raise K2DError(f"{path}: cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise K2DError(f"{path}: cannot be read: byte {problem.start} is not UTF-8") from None


def _combine(arguments: Arguments) -> int:
    made = combine(arguments.destination, arguments.sources, force=arguments.force)
    print("\n".join([*made.notes, f"{arguments.destination}: {made.n_utterances:,} utterances"]))
    return 0


def _copy(arguments: Arguments) -> int:
    prefixes = Prefixes(arguments.utt_prefix, arguments.spk_prefix, arguments.reco_prefix)
    made = copy(arguments.source, arguments.destination, prefixes, force=arguments.force)
    print("\n".join([*made.notes, f"{arguments.destination}: {made.n_utterances:,} utterances"]))
    return 0


def _longform(arguments: Arguments) -> int:
    from k2d.data.longform import ByTime, Concatenate
    from k2d.data.longform_datadir import lengthen_datadir

    of_mode = {"concatenate": ("max_s", "batch", "shards"), "by_time": ("max_pause_s",)}
    given = {
        name: value for names in of_mode.values() for name in names if (value := getattr(arguments, name)) is not None
    }
    if foreign := [name for name in given if name not in of_mode[arguments.mode]]:
        raise UsageError(f"--{foreign[0].replace('_', '-')} has no meaning with --mode {arguments.mode}")
    if wrong := [name for name, value in given.items() if not value > 0]:
        raise UsageError(f"--{wrong[0].replace('_', '-')} is {given[wrong[0]]}, it must be above 0")
    how = Concatenate(**given) if arguments.mode == "concatenate" else ByTime(**given)
    audio = arguments.audio.resolve()
    made = lengthen_datadir(arguments.source, arguments.destination, how, audio, force=arguments.force)
    what = f"{made.n_utterances:,} utterances in {made.n_recordings:,} recordings"
    print(f"{arguments.destination}: {what}, {made.hours:.2f} h")
    return 0


def _summary(arguments: Arguments) -> int:
    from k2d.data.summary import render, summarise

    folders = [folder for folder in arguments.folders if folder.is_dir()]  # data/mini/* also matches a stamp
    missing = [str(folder) for folder in arguments.folders if not folder.exists()]
    if missing or not folders:
        raise UsageError(f"no such data directory: {', '.join(missing) or arguments.folders[0]}")
    print(render([summarise(folder) for folder in folders], by_course=arguments.by == "course"))
    return 0


def _hypotheses(arguments: Arguments) -> int:
    from k2d.data.convert_transcripts import convert_transcripts

    if arguments.output.exists() and not arguments.force:
        raise UsageError(f"{arguments.output}: is there already; name another file, or replace it with --force")
    made = convert_transcripts(arguments.source, arguments.folder, arguments.output)
    print("\n".join(f"{arguments.output}: {line}" for line in made.lines()))
    return 0
