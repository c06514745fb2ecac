"""Load a config: merge a file, its `base:` files and `key=value` arguments, check it, and report all faults at once."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from k2d.config.cross_checks import faults_between_fields
from k2d.config.schema import SCHEMA_VERSION, Config
from k2d.config.students import Distill
from k2d.core import strict_yaml
from k2d.core.errors import Fault, Treatment, UsageError
from k2d.core.layout import PROJECT_ROOT, shown
from k2d.core.strict_yaml import KeyPath

COMMAND_LINE = "command line"


class ConfigError(UsageError):
    """All the faults of a config."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


@dataclasses.dataclass
class _Merged:
    """The raw data of a config, with the file and line of each key."""

    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    places: dict[KeyPath, tuple[str, int | None]] = dataclasses.field(default_factory=dict)
    faults: list[Fault] = dataclasses.field(default_factory=list)
    source: str = ""

    def fault(self, at: KeyPath, found: str, expected: str, remedy: str = "") -> None:
        """Add a fault at the nearest key above `at` that has a place."""
        place = next((self.places[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.places), (self.source, None))
        message = f"{_short('.'.join(at))}: found {found}, expected {expected}"
        self.faults.append(Fault(Treatment.REJECT, "config", message, remedy, *place))


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Load an experiment. `overrides` are `key=value` arguments. Raises ConfigError with all faults."""
    merged = _Merged(source=shown(path))
    _merge_file(merged, path, ())
    merged.data.setdefault("name", re.sub(r"[^A-Za-z0-9_.]+", "-", path.stem).strip("-."))
    if not merged.faults:
        for word in overrides:
            _merge_word(merged, word)
        version = merged.data.get("schema_version", SCHEMA_VERSION)
        if isinstance(version, int) and version > SCHEMA_VERSION:
            merged.fault(
                ("schema_version",),
                str(version),
                f"at most {SCHEMA_VERSION}",
                "update K2D: the config is newer",
            )
            raise ConfigError(merged.faults)
    config, wrong_sections = _validate(merged)
    for key, found, expected in faults_between_fields(config):
        at = tuple(key.split("."))
        if not wrong_sections & {at[0], "auxiliaries" if at[0] == "select" else at[0]}:
            merged.fault(at, _value(found), expected)
    if merged.faults:
        raise ConfigError(merged.faults)
    return config


def settings_of(section: object) -> Any:
    """A part of a config as plain data: for stamps, records and printing.

    >>> from k2d.config.schema import Chunk
    >>> settings_of(Chunk())
    {'max_s': None, 'duration': 'span'}
    """
    return TypeAdapter(type(section)).dump_python(section, mode="json", by_alias=True)


def distill_settings(distill: Distill) -> dict[str, Any]:
    """The section `distill` as stamps record it.

    Settings that stamps of earlier versions do not know are left out while they change nothing.

    >>> from k2d.config.students import Distill
    >>> new = {"vocabulary", "sampled_tokens", "encoded_precision", "teacher_self_of", "nonspeech_per_batch"}
    >>> new & set(distill_settings(Distill()))
    set()
    """
    settings: dict[str, Any] = settings_of(distill)
    if distill.nonspeech_per_batch == 1:
        del settings["nonspeech_per_batch"]
    if distill.vocabulary == "all":
        del settings["vocabulary"], settings["sampled_tokens"]
    if distill.encoded_precision == "fp32":
        del settings["encoded_precision"]
    if distill.teacher_self_of is None:
        del settings["teacher_self_of"]
    return settings


# --- merging ---------------------------------------------------------------------------------------------------


def _merge_file(merged: _Merged, path: Path, derived: tuple[Path, ...]) -> None:
    """Merge a file over its `base:`, whose path is relative to the file."""
    document = strict_yaml.read(path, shown(path))
    merged.faults += document.faults
    base = document.data.pop("base", None)
    if base is not None:
        base_line = document.lines.get(("base",))
        base_path = path.parent / str(base)
        if not isinstance(base, str) or not _is_file(base_path):
            document.fault(
                "base", f"base: found {_short(repr(base))}, expected a file beside this one", "name it", base_line
            )
            merged.faults.append(document.faults[-1])
        elif base_path.resolve() in (p.resolve() for p in (*derived, path)):
            document.fault("base", f"base: {base} leads back to this file", "remove one of the bases", base_line)
            merged.faults.append(document.faults[-1])
        else:
            _merge_file(merged, base_path, (*derived, path))
            merged.data.pop("name", None)  # an experiment's name is its own, never inherited
    places: dict[KeyPath, tuple[str, int | None]] = {at: (document.path, n) for at, n in document.lines.items()}
    _merge_mapping(merged, document.data, (), places)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # for example a name that is too long
        return False


def _merge_mapping(merged: _Merged, new: Mapping[str, Any], at: KeyPath, places: Mapping[KeyPath, Any]) -> None:
    """Merge mappings key by key; replace everything else. In a mapping of names, null removes the entry."""
    target: Any = merged.data
    for key in at:
        target = target[key]
    for key, value in new.items():
        here = (*at, key)
        for known in [k for k in merged.places if k[: len(here)] == here and not isinstance(value, dict)]:
            del merged.places[known]
        merged.places[here] = places.get(here, (COMMAND_LINE, None))
        if isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge_mapping(merged, value, here, places)
        elif value is None and isinstance(target.get(key), dict):
            del target[key]
        else:
            target[key] = value


def _merge_word(merged: _Merged, word: str) -> None:
    key, equals, text = word.partition("=")
    if not equals or not key:
        merged.faults.append(_word_fault(word, "expected key=value"))
        return
    try:
        value = strict_yaml.parse_value(text)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error)
        merged.faults.append(_word_fault(word, f"the value cannot be read: {problem}".replace("\n", " ")))
        return
    at = tuple(key.split("."))
    if len(at) > strict_yaml.MAX_DEPTH:
        problem = f"the key has {len(at):,} parts, expected at most {strict_yaml.MAX_DEPTH}"
        merged.faults.append(_word_fault(word, problem))
        return
    nested: Any = value
    for part in reversed(at):
        nested = {part: nested}
    _merge_mapping(merged, nested, (), {})


def _word_fault(word: str, problem: str) -> Fault:
    return Fault(
        Treatment.REJECT, "override", f"{_short(word)}: {problem}", "for example select.alpha=0.3", COMMAND_LINE
    )


# --- checking --------------------------------------------------------------------------------------------------


def _validate(merged: _Merged) -> tuple[Config, set[str]]:
    """Check names, types and ranges. Sections with faults are named and get their defaults.

    The raw data are passed as JSON, so that lists become tuples and nothing else is converted.
    """
    schema = TypeAdapter(Config)
    try:
        return schema.validate_json(json.dumps(merged.data), by_name=False), set()
    except ValidationError as error:
        details = error.errors()
    by_key: dict[KeyPath, list[Any]] = {}
    for detail in details:
        by_key.setdefault(_key_path(detail["loc"], merged.data), []).append(detail)
    for at, found in by_key.items():
        _add_schema_fault(merged, at, found)
    wrong = {at[0] for at in by_key if at}
    right = {key: value for key, value in merged.data.items() if key not in wrong}
    return schema.validate_json(json.dumps({"name": "unnamed", **right}), by_name=False), wrong


def _add_schema_fault(merged: _Merged, at: KeyPath, details: Sequence[Mapping[str, Any]]) -> None:
    """Add a fault for a key. If a field may have several types, there is one detail for each type."""
    kinds = {detail["type"] for detail in details}
    if "unexpected_keyword_argument" in kinds:
        merged.fault(at, "an unknown key", _nearest(at))
    elif "missing" in kinds:
        merged.fault(at, "nothing", "a value", "this key has no default")
    else:
        merged.fault(at, _value(details[0]["input"]), " or ".join(dict.fromkeys(map(_expected, details))))


def _key_path(location: Sequence[str | int], data: Any) -> KeyPath:
    """The keys of a location, without the parts that the schema adds for unions and dictionary keys."""
    at: list[str] = []
    for part in location:
        if isinstance(data, dict) and part in data:
            at, data = [*at, str(part)], data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            at, data = [*at, str(part)], data[part]
        elif isinstance(data, dict) and part == location[-1] and part != "[key]":
            at = [*at, str(part)]  # the key is missing
    return tuple(at)


def _expected(detail: Mapping[str, Any]) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "literal_error":
            return f"one of {context['expected']}"
        case "string_pattern_mismatch" if "/" in context["pattern"]:
            return "<corpus>/<split>, in letters, digits, . _ -"
        case "string_pattern_mismatch":
            return "a name in letters, digits, . _ - that begins with a letter or digit"
        case "int_type" | "int_from_float":
            return "a whole number"
        case "float_type" | "finite_number":
            return "a number"
        case "bool_type":
            return "true or false"
        case "tuple_type" | "list_type":
            return "a list"
        case "dict_type" | "dataclass_type":
            return "a mapping (key: value lines)"
        case "string_type":
            return "a word or text (put quotes around it)"
    text = str(detail["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    return text.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")


def _value(found: object) -> str:
    return _short(json.dumps(found, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _nearest(at: KeyPath) -> str:
    """The known names that are similar to a mistyped key: names in the same section first, then all others."""
    beside = _names_at(at[:-1])
    close = difflib.get_close_matches(at[-1], beside, n=1, cutoff=0.6)
    if close:
        return f"a known one; did you mean {'.'.join((*at[:-1], close[0]))}?"
    deepest_first = sorted(known_keys(), key=lambda name: -name.count("."))
    everywhere = {name.split(".")[-1]: name for name in deepest_first}  # the shallowest name of each is kept
    close = difflib.get_close_matches(at[-1], everywhere, n=1, cutoff=0.8)
    hint = f"; did you mean {everywhere[close[0]]}?" if close else ""
    return f"one of {', '.join(beside)}{hint}"


def _names_at(at: KeyPath) -> list[str]:
    kind: Any = Config
    for key in at:
        kind = get_args(kind)[1] if get_origin(kind) is dict else get_type_hints(kind)[key]
    return [_key_of(f.name) for f in dataclasses.fields(kind)]


def known_keys(kind: Any = Config, prefix: str = "") -> Iterator[str]:
    """All keys of the schema, with dots. `*` stands for a name that the user chooses.

    >>> "select.methods.*.rule" in set(known_keys())
    True
    """
    for name, hint in get_type_hints(kind).items():
        if name.startswith("__"):
            continue
        inner = get_args(hint)[1] if get_origin(hint) is dict else hint
        key = _key_of(name)
        dotted = f"{prefix}{key}.*" if get_origin(hint) is dict else f"{prefix}{key}"
        if dataclasses.is_dataclass(inner):
            yield from known_keys(inner, f"{dotted}.")
        else:
            yield dotted


def _key_of(field_name: str) -> str:
    """A field that is named like a word of Python's (`from`) has an underscore at its end, its key has none."""
    return field_name.removesuffix("_")


def resolve_conf(text: str) -> Path:
    """The path of a config from the command line: as given, or relative to the project."""
    path = Path(text)
    return path if path.exists() or not (PROJECT_ROOT / path).exists() else PROJECT_ROOT / path
