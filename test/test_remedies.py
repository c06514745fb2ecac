"""Everything that messages tell people to type exists: all options, verbs and settings in strings of the code.

A message that names its command (`python -m k2d data fix`, `./run.sh --stage 8`) is held against that command. One
that names an option alone is read by whoever typed the command that the file belongs to (OWNERS). All other files
serve the stages, which are run both as `./run.sh …` and as `python -m k2d VERB …`: both must know the option.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from known_commands import COMMAND, OPTION, exists, is_setting, named_commands, options_of

from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.stage_list import BY_VERB

OWNERS = {  # files that serve one command, by the beginning of their path
    "k2d/config/cli.py": ("config",),
    "k2d/data/cli.py": ("data",),
    "k2d/data/kaldi/": ("data",),
    "k2d/decode/cli.py": ("transcribe",),
    "k2d/plan/": ("plan",),
    "k2d/report/publish.py": ("report", "--publish"),
    "k2d/score/cli.py": ("score", "--ref"),
    "k2d/score/compare.py": ("compare",),
    "k2d/select/cli.py": ("distance",),
    "k2d/select/sweep.py": ("select", "--sweep"),
    "k2d/study/": ("study",),
    "k2d/data/raw/download_command.py": ("egs",),
    "k2d/models/published/": ("fetch",),
}
NO_MESSAGES = {
    "k2d/report/style.py": "CSS, whose variables begin with two hyphens",
    "k2d/report/plotting.py": "CSS in a plot",
    "tools/readme_figures.py": "CSS in a figure",
    "tools/bench/": "each bench has a parser of its own, and names an option only to call itself",
}
_SETTING = re.compile(r"(?<![\w./-])([a-z_]+(?:\.[a-z_]+)+|max_bad)=")


class Message(NamedTuple):
    """A string of the code. Values that are inserted at run time are written as {}."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}"


def messages() -> Iterator[Message]:
    for folder in ("k2d", "egs", "tools"):
        for path in sorted((PROJECT_ROOT / folder).rglob("*.py")):
            name = path.relative_to(PROJECT_ROOT).as_posix()
            if not any(name.startswith(each) for each in NO_MESSAGES):
                yield from (Message(name, *found) for found in strings(path.read_text(encoding="utf-8")))
    for path in [PROJECT_ROOT / "run.sh", *sorted((PROJECT_ROOT / "utils").glob("*.sh"))]:
        quoted = re.finditer(r'"(?:[^"\\\n]|\\.)*"', path.read_text(encoding="utf-8"))
        yield from (Message(path.relative_to(PROJECT_ROOT).as_posix(), 0, found[0].strip('"')) for found in quoted)


def strings(code: str) -> Iterator[tuple[int, str]]:
    """All strings of a module except docstrings. An f-string counts as one.

    >>> list(strings('def f():\\n    "no"\\n    return f"use --force {x}" "!"'))
    [(3, 'use --force {}!')]
    """
    tree = ast.parse(code)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings, of fields as well
    for node in ast.walk(tree):
        if id(node) in inside | alone:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def is_argument(text: str) -> bool:
    """Whether a string is only an option, which is declared or passed on. A message has more words."""
    return re.fullmatch(r"--[a-z-]+(=\S*)?", text) is not None


def faults_of(message: Message) -> Iterator[str]:
    for command, options in named_commands(message.text):
        if not exists(command):
            yield f"{message}: there is no verb {' '.join(command)!r}"
            continue
        yield from (f"{message}: {' '.join(command)} has no --{o}" for o in options if o not in options_of(*command))
    for option in OPTION.findall(COMMAND.sub(" ", message.text)):
        lacking = [" ".join(command) for command in readers(message.path) if option not in options_of(*command)]
        if lacking:
            yield f"{message}: read by those who typed {', '.join(lacking)}: no --{option} there"
    for setting in _SETTING.findall(message.text):
        if not is_setting(setting):
            yield f"{message}: there is no setting {setting}"


def readers(path: str) -> list[tuple[str, ...]]:
    """The commands that show the messages of a file."""
    if path.endswith(".sh"):
        return [("run.sh",)]
    for beginning, command in OWNERS.items():
        if path.startswith(beginning):
            return [command]
    verb = Path(path).stem
    verbs = [verb] if path == f"k2d/stages/{verb}.py" and verb in BY_VERB else list(BY_VERB)
    return [("run.sh",), *((verb,) for verb in verbs)]


@pytest.mark.slow
def test_all_names_in_messages_exist():
    texts = [message for message in messages() if not is_argument(message.text)]
    assert [fault for message in texts for fault in faults_of(message)] == []
    naming = [message for message in texts if OPTION.search(message.text) or COMMAND.search(message.text)]
    assert len(naming) > 50, "the messages are not found any more"


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("k2d/pipeline/rejected_items.py", "allow more with --max-bad SHARE", "typed run.sh: no --max-bad there"),
        ("k2d/stages/select.py", "see python -m k2d select --sweeep 0.1", "select has no --sweeep"),
        (
            "k2d/stages/tokens.py",
            "go on with --allow-count-mismatch",
            "typed tokens: no --allow-count-mismatch there",
        ),
        ("k2d/stages/prepare.py", "go on with --allow-count-mismatch", None),
        ("k2d/pipeline/unit_status.py", "`./run.sh --stage 3 --frobnicate`", "run.sh has no --frobnicate"),
        ("k2d/data/kaldi/fix.py", "use `python -m k2d data mend {}`", "there is no verb 'data mend'"),
        ("k2d/select/sweep.py", "python -m k2d swep", "there is no verb 'swep'"),
        ("k2d/stages/select.py", "go on with select.allow_emty=true", "there is no setting select.allow_emty"),
        ("k2d/models/codec.py", "name one with --language", ": no --language there"),
        ("k2d/models/codec.py", "name one: python -m k2d transcribe --language NAME", None),
        ("utils/parse_options.sh", "whose? name its --corpora", "typed run.sh: no --corpora there"),
    ],
)
def test_a_message_with_an_unknown_name_is_found(path, text, fault):
    found = list(faults_of(Message(path, 1, text)))
    assert found == [] if fault is None else any(fault in line for line in found), found


def test_run_sh_accepts_all_options_of_its_help(untouched_project):
    """With a value if the help shows one. The only reported fault is the missing config."""
    header = (PROJECT_ROOT / "run.sh").read_text(encoding="utf-8").partition("set -euo")[0]
    named = re.findall(r"^#   --([a-z-]+)( [A-Z]+)?", header, flags=re.MULTILINE)
    values = {
        "conf": "no-such.yaml",
        "stage": "1",
        "stop-stage": "1",
        "corpus": "mini",
        "root": "/",
        "ngpu": "0",
        "nj": "1",
    }
    words = [word for name, value in named for word in ([f"--{name}", values[name]] if value else [f"--{name}"])]
    assert {name for name, _ in named} == options_of("run.sh") - {"help"}
    done = untouched_project.run(*words)
    assert done.stderr == "run.sh: --conf: no such file: no-such.yaml; ./run.sh -h lists the options\n"
