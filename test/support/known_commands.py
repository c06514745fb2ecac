"""The existing commands, with which commands in messages and pages are compared."""

import argparse
import importlib
import re
from collections.abc import Iterator
from functools import cache

import pytest

from k2d.__main__ import FORMS, TOOLS, _call
from k2d.config.load import load_config, settings_of
from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.stage_list import BY_VERB

OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
COMMAND = re.compile(r"(?:python -m k2d |(?P<run>(?:\./|egs/\S+/)run\.sh))(?P<words>[^`;),\n]*)")


class _Seen(Exception):
    """Raised with a command's parser when it is about to read its arguments."""


@cache
def options_of(*command: str) -> frozenset[str]:
    """The options of `python -m k2d …`, of `run.sh`, or of a corpus's download (`egs`), with one verb's or with all."""
    if command[0] == "run.sh":
        header = (PROJECT_ROOT / "run.sh").read_text(encoding="utf-8").partition("set -euo")[0]
        return frozenset(re.findall(r"^#   (?:-h, )?--([a-z-]+)", header, flags=re.MULTILINE))
    parser = parser_of(*command)
    verbs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    parsers = [parser, *(sub for action in verbs for sub in action.choices.values())]
    if verbs and len(command) > 1:
        parsers = [verbs[0].choices[command[1]]]
    return frozenset(word[2:] for each in parsers for action in each._actions for word in action.option_strings)


def parser_of(*command: str) -> argparse.ArgumentParser:
    def seen(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Seen(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_known_args", seen)
        with pytest.raises(_Seen) as caught:
            if command[0] == "egs":
                importlib.import_module("k2d.data.raw.download_command").main("mini", [])
            _call(command[0], [word for word in command[1:] if word.startswith("--")])
    return caught.value.args[0]


def named_commands(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each command in a message: its verbs and the options after it."""
    for found in COMMAND.finditer(text):
        options = OPTION.findall(found["words"])
        verb, *rest = [*re.findall(r"[^\s]+", found["words"]), "", ""]
        if found["run"]:
            yield ("run.sh",), options
        elif re.fullmatch("[a-z_]+", verb):
            form = [f"--{option}" for option in options if (verb, f"--{option}") in FORMS]
            sub = [rest[0]] if verb == "data" and re.fullmatch("[a-z]+", rest[0]) else []
            yield (verb, *sub, *form), options


def exists(command: tuple[str, ...]) -> bool:
    if command[0] == "run.sh":
        return True
    return command[0] in {*TOOLS, *BY_VERB} and (command[0] != "data" or set(command[1:]) <= subverbs())


@cache
def subverbs() -> frozenset[str]:
    """The verbs of `python -m k2d data`."""
    actions = parser_of("data")._actions
    return frozenset(verb for each in actions if isinstance(each, argparse._SubParsersAction) for verb in each.choices)


@cache
def is_setting(name: str) -> bool:
    if name.startswith("prepare.options."):
        return True  # each corpus has its own; its prepare.py checks them
    found: object = settings_of(load_config(PROJECT_ROOT / "conf" / "mini.yaml", []))
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return True
