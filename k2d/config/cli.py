"""Check the config of an experiment and print it with every default."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence

import yaml

from k2d.config import load_config, settings_of
from k2d.config.load import resolve_conf
from k2d.core.errors import UsageError
from k2d.core.layout import experiment_layout


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m k2d config", description=__doc__)
    parser.add_argument("--conf", default="conf/mini.yaml", metavar="FILE", help="experiment (default: conf/mini.yaml)")
    parser.add_argument(
        "--get", metavar="KEY", help="print only this value, such as select.alpha; `folder`: the experiment's folder"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings to change, such as select.alpha=0.3"
    )
    options = parser.parse_intermixed_args(argv)
    config = load_config(resolve_conf(options.conf), options.overrides)
    if options.get == "folder":
        print(experiment_layout(config.data, config.exp, config.name).exp)
        return 0
    settings = settings_of(config)
    if options.get:
        settings = functools.reduce(_inside, options.get.split("."), settings)
    print(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False).removesuffix("...\n"), end="")
    return 0


def _inside(settings: object, key: str) -> object:
    if not isinstance(settings, dict) or key not in settings:
        known = ", ".join(settings) if isinstance(settings, dict) else "nothing, it is a value"
        raise UsageError(f"--get: unknown key {key!r}; the known ones are: {known}")
    return settings[key]
