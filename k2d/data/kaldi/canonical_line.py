"""Bring one line of a table into canonical form. Small deviations are normalised and reported; all others are
refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from k2d.core.errors import Treatment
from k2d.data.kaldi.ids import character_name, id_fault
from k2d.data.kaldi.kinds import RESERVED_SYMBOLS, Kind, Style

_ASCII_SPACE = " \t\v\f\r"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ODD_SPACE = re.compile(r"[^\S\x00-\x20\x7f-\x9f]")  # Unicode's white space beyond ASCII


class Finding(NamedTuple):
    """A finding about a line."""

    treatment: Treatment
    code: str
    message: str
    remedy: str = ""


def _normalise(code: str, message: str) -> Finding:
    return Finding(Treatment.NORMALISE, code, message)


def _refuse(code: str, message: str, remedy: str) -> Finding:
    return Finding(Treatment.REJECT, code, message, remedy)


def canonical_line(raw: str, kind: Kind) -> tuple[str | None, list[Finding]]:
    """The line in canonical form (None if it has no usable id), and the findings.

    >>> from k2d.data.kaldi.kinds import KINDS
    >>> line, findings = canonical_line("utt1 \\t cafe\\u0301  noir\\r", KINDS["text"])
    >>> line, [finding.code for finding in findings]
    ('utt1 café noir', ['crlf', 'spacing', 'word_spacing', 'nfc'])
    """
    findings: list[Finding] = []
    if raw.endswith("\r"):
        findings.append(_normalise("crlf", "the line ends in CR LF"))
        raw = raw[:-1]
    body = raw.strip(_ASCII_SPACE)
    if not body:
        return None, [*findings, _normalise("blank_line", "empty line")]
    raw_id, value = (*re.split(rf"[{_ASCII_SPACE}]+", body, maxsplit=1), "")[:2]
    if raw[0] in _ASCII_SPACE:
        findings.append(_normalise("space_at_start", "white space before the id"))
    if raw[-1] in _ASCII_SPACE:
        findings.append(_normalise("space_at_end", "white space at the end of the line"))
    if value and body != f"{raw_id} {value}":
        findings.append(_normalise("spacing", "the id and its value are not separated by one space"))
    key = unicodedata.normalize("NFC", raw_id)
    if key != raw_id:
        findings.append(_normalise("nfc", "the id is not in Unicode form NFC"))
    if reason := id_fault(key):
        shown = key if len(key) <= 80 else f"{key[:80]}…"
        findings.append(_refuse("bad_id", f"the {kind.key.value} id {shown!r} {reason}", "choose another id"))
        return None, findings
    value = _mend_value(value, kind, findings)
    return f"{key} {value}" if value else key, findings


def _mend_value(value: str, kind: Kind, findings: list[Finding]) -> str:
    if kind.style is not Style.PATH:
        value = _mend_spaces(value, kind, findings)
        if not unicodedata.is_normalized("NFC", value):
            findings.append(_normalise("nfc", "the value is not in Unicode form NFC"))
            value = unicodedata.normalize("NFC", value)
    if bad := _CONTROL.search(value):
        message = f"control character {character_name(bad.group())} after the id"
        findings.append(_refuse("control_character", message, "remove it"))
    elif kind.style is Style.TEXT:
        findings += _text_findings(value)
    elif problem := kind.problem(value):
        findings.append(_refuse(*problem))
    return value


def _mend_spaces(value: str, kind: Kind, findings: list[Finding]) -> str:
    if kind.style is Style.TEXT and (odd := _ODD_SPACE.search(value)):
        findings.append(_normalise("unicode_space", f"{character_name(odd.group())} as a space"))
        value = _ODD_SPACE.sub(" ", value).strip(" ")
    single = re.sub(r"[ \t]+", " ", value)
    if single != value:
        findings.append(_normalise("word_spacing", "more than one space, or a tab, between words"))
    return single


def _text_findings(value: str) -> Iterator[Finding]:
    for word in sorted(set(value.split(" ")) & set(RESERVED_SYMBOLS)):
        yield _refuse("reserved_symbol", f"the transcript has Kaldi's own symbol {word}", "remove it")
    if not value.isprintable():
        odd = next(c for c in value if not c.isprintable())
        yield Finding(Treatment.WARN, "invisible_character", f"the transcript has {character_name(odd)}")
