"""Copy an experiment's report to the project's RESULTS.md, and add the commands and config that made it."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from k2d.config import load_config, settings_of
from k2d.config.load import resolve_conf
from k2d.core.atomic import write_text
from k2d.core.errors import MissingInput
from k2d.core.layout import PROJECT_ROOT, experiment_layout, shown

RESULTS = "RESULTS.md"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m k2d report --publish", description=__doc__)
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)  # the caller has checked it
    parser.add_argument("--conf", required=True, metavar="FILE", help="the experiment's config")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings that were changed, such as name=alpha03"
    )
    options = parser.parse_args(argv)
    conf = resolve_conf(options.conf)
    config = load_config(conf, options.overrides)
    report = experiment_layout(config.data, config.exp, config.name).report / RESULTS
    command = " ".join(["./run.sh", "--conf", shown(conf), *options.overrides])
    if not report.is_file():
        raise MissingInput(f"{shown(report)}: there is no report to publish; make it with: {command}")
    settings = yaml.safe_dump(settings_of(config), allow_unicode=True, sort_keys=False)
    results = published(report.read_text(encoding="utf-8"), command, commit(PROJECT_ROOT), settings)
    write_text(PROJECT_ROOT / RESULTS, results)
    print(f"{shown(PROJECT_ROOT / RESULTS)}: written from {shown(report)}")
    return 0


def published(report: str, command: str, at_commit: str, settings: str) -> str:
    """A report followed by the command and config that reproduce it.

    >>> print(published("# mini\\n", "./run.sh", "ab12", "name: mini\\n"))
    # mini
    <BLANKLINE>
    ## To get these results again
    <BLANKLINE>
    At commit ab12:
    <BLANKLINE>
        ./run.sh
    <BLANKLINE>
    with this configuration, every default written out:
    <BLANKLINE>
        name: mini
    <BLANKLINE>
    """
    lines = ["## To get these results again", f"At commit {at_commit}:", _indented(command)]
    lines += ["with this configuration, every default written out:", _indented(settings)]
    return report.rstrip("\n") + "\n\n" + "\n\n".join(lines) + "\n"


def commit(root: Path) -> str:
    """The commit of the project, and whether its files differ from it."""
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return "unknown (this is no git checkout)"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{RESULTS}")
    return f"{head} (with changes that are not committed)" if changed else head


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.rstrip("\n").splitlines())
