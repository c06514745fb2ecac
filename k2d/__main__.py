"""python -m k2d <verb>: run a verb. Its module is imported only when it is called."""

from __future__ import annotations

import os
import signal
import sys


def _end_at_once(_number: int, _frame: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


# An interrupt during an import can become an ImportError, or crash a C library. No work has begun until all imports
# are done, so the process may simply end. An ignored SIGINT (nohup) stays ignored. The handler must come before the
# imports below (hence their `noqa`) and stays until `_call` has imported the verb's module.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end_at_once)

import codecs  # noqa: E402
import importlib  # noqa: E402
import io  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import suppress  # noqa: E402
from functools import partial  # noqa: E402
from typing import cast  # noqa: E402

from k2d.core.errors import K2DError, MissingInput, UsageError  # noqa: E402
from k2d.core.layout import PROJECT_ROOT, shown  # noqa: E402
from k2d.core.parent_process import end_with_run_sh  # noqa: E402
from k2d.core.signals import Ended, ending_on_signals  # noqa: E402
from k2d.core.system_errors import explain_os_error  # noqa: E402

# verb: (module with main(argv) -> exit code, what it does)
TOOLS = {
    "config": ("k2d.config.cli", "check an experiment's config and print it with every default"),
    "data": ("k2d.data.cli", "check, repair and transform Kaldi data directories"),
    "distance": ("k2d.select.cli", "compare two Kaldi `text` files: loops, distances, what would be kept"),
    "compare": ("k2d.score.compare", "print the scores of several experiments side by side"),
    "study": ("k2d.study.cli", "compare judges of labels with the truth, at equal hours kept"),
    "transcribe": ("k2d.decode.cli", "transcribe recordings to text, subtitles or JSON"),
    "fetch": ("k2d.models.published.cli", "fetch published checkpoints, such as whisper-base, with their checksums"),
    "plan": ("k2d.plan.cli", "estimate the cost of a config: parameters, memory, disk, hours; refuse what cannot fit"),
    "stages": ("k2d.pipeline.listing", "list the stages, what each reads and writes, and what is done for a config"),
}

# Verbs of stages that are tools as well when called with this option.
FORMS = {
    ("select", "--sweep"): "k2d.select.sweep",
    ("score", "--ref"): "k2d.score.cli",
    ("report", "--publish"): "k2d.report.publish",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit code: 0 success, 1 failure, 2 wrong call, 3 an earlier stage's output is
    missing.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # onnxruntime (which speaks for egs/mini, and finds speech for faster-whisper) would send data on its use to its
    # makers. Worker processes inherit this.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return _run(words)
    except Ended as ended:
        with suppress(OSError):  # the terminal may be gone
            print(f"python -m k2d {words[0]}: {ended}", file=sys.stderr)
        return 128 + ended.number
    except K2DError as error:
        print(f"python -m k2d {words[0]}: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 3 if isinstance(error, MissingInput) else 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "k2d":
            raise
        print(_missing_package(error), file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if (sentence := explain_os_error(error, words)) is None:
            raise  # a fault of the toolkit: its traceback is needed
        print(f"{' '.join(['python -m k2d', *words[:1]])}: {sentence}", file=sys.stderr)
        return 1


def _run(words: list[str]) -> int:
    try:
        if not words or words[0] in ("-h", "--help"):
            print(overview())
            return 0 if words else 2
        end_with_run_sh()
        return _call(words[0], words[1:])
    finally:
        if sys.stdout is not None:  # None if it is closed
            sys.stdout.flush()  # now, so that an error of a full disk is reported, not at the end of Python


def _call(verb: str, rest: list[str]) -> int:
    options = {word.partition("=")[0] for word in rest}
    form = next((module for (name, option), module in FORMS.items() if name == verb and option in options), None)
    if form is not None:
        run = importlib.import_module(form).main
    elif verb in TOOLS:
        run = importlib.import_module(TOOLS[verb][0]).main
    else:
        from k2d.pipeline.stage_list import BY_VERB

        if verb not in BY_VERB:
            known = ", ".join([*TOOLS, *BY_VERB])
            raise UsageError(f"unknown verb; expected one of {known}")
        from k2d.pipeline.runner import main as run_stage

        run = partial(run_stage, verb)
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with ending_on_signals():
        return cast(int, run(rest))


def overview() -> str:
    """The help of `python -m k2d`."""
    from k2d.pipeline.stage_list import STAGES

    tools = [f"  {verb:<15} {what}" for verb, (_, what) in TOOLS.items()]
    stages = [
        f"  {s.verb:<15} {s.number:>2}: {s.reads} -> {s.writes}{'' if s.is_built else '  (not built yet)'}"
        for s in STAGES
    ]
    return "\n".join(
        [
            "usage: python -m k2d VERB …    (python -m k2d VERB --help lists its options)",
            "",
            "tools:",
            *tools,
            "",
            "stages:",
            *stages,
        ]
    )


def _missing_package(error: ModuleNotFoundError) -> str:
    mine = PROJECT_ROOT / ".venv" / "bin" / "python"
    how = (
        f"use {shown(mine)}, or . .venv/bin/activate"
        if mine.exists()
        else "run tools/install.sh, then use .venv/bin/python"
    )
    return (
        f"python -m k2d: {sys.executable} has no package {error.name!r}; {how} (K2D_PYTHON names another for ./run.sh)"
    )


def _write_any_text() -> None:
    """Make the output streams accept every character: letters of all scripts, and file names that are not UTF-8.

    With PYTHONUTF8=0 and PYTHONCOERCECLOCALE=0 the streams of the C locale are ASCII, and Han characters are an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if codecs.lookup(stream.encoding).name == "ascii":
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
        elif stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    _write_any_text()
    sys.exit(main())
