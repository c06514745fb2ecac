"""Further rules that look at the label alone and can be added to any rule: `also` names them. A rule is one function.

All of them work for Han text, which has no spaces and no case. Their parameters are the constants here. If you change
one, raise VERSION, which is part of the record of a selection.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from k2d.core.errors import K2DError, UsageError
from k2d.text.tokenise import Script, mixed_tokens

VERSION = 1

MIN_CHARACTERS_PER_S = 1.0
MAX_CHARACTERS_PER_S = 25.0
"""Letters, digits and Han characters per second of audio. Fast English has about 20, fast Mandarin 8."""

MAX_COMPRESSION_RATIO = 2.4
"""UTF-8 bytes per zlib byte. This is Whisper's threshold for a failed window."""

MIN_MEAN_LOGPROB = -1.0
"""Natural logarithm, mean over the label's tokens. This is Whisper's threshold."""

MAX_SHARE_IDENTICAL = 0.1
"""The share of a recording's chunks with the same label, which counts from MIN_IDENTICAL chunks on."""
MIN_IDENTICAL = 3

MAX_SHARE_OTHER_SCRIPTS = 0.2
"""The share of tokens that are neither Han, Latin nor digits, such as kana in a Mandarin-English lecture."""

SUBTITLE_CREDITS = (
    "字幕由", "字幕志愿者", "字幕制作", "中文字幕", "amaraorg", "请不吝点赞", "订阅转发打赏", "明镜与点点",
    "谢谢观看", "感谢观看", "下期再见", "thanksforwatching", "subtitlesby", "pleasesubscribe",
)  # fmt: skip
"""Texts that recognisers trained on subtitles write for silence. Compared without spaces, in simplified Han."""


@dataclass(frozen=True, slots=True)
class Label:
    """The facts about a chunk's label. `text` is normalised."""

    id: str
    text: str
    duration_s: float
    n_identical: int = 1
    """The number of the recording's chunks with this label, including this chunk."""
    n_in_recording: int = 1
    mean_logprob: float | None = None


def characters_per_second(label: Label) -> bool:
    """Keep labels with no more characters than a person can say in the time.

    >>> characters_per_second(Label("c", "我们 用 gpu", 2.0)), characters_per_second(Label("c", "我", 30.0))
    (True, False)
    """
    n_characters = len(label.text) - label.text.count(" ")
    return MIN_CHARACTERS_PER_S <= n_characters / label.duration_s <= MAX_CHARACTERS_PER_S


def compression_ratio(label: Label) -> bool:
    """Keep labels without so much repetition that they compress well."""
    n_bytes, n_compressed = compressed_sizes(label.text)
    return n_bytes <= MAX_COMPRESSION_RATIO * n_compressed


def compressed_sizes(text: str) -> tuple[int, int]:
    """The size of a text in bytes, as it is and compressed."""
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded), len(zlib.compress(encoded))


def mean_logprob(label: Label) -> bool:
    """Keep labels of which the teacher was confident."""
    if label.mean_logprob is None:
        message = f"{label.id}: the rule mean_logprob needs the teacher's mean log-probability, which is not known"
        raise K2DError(f"{message}; add a table utt2logprob to the chunks, or take the rule out of `also`")
    return label.mean_logprob >= MIN_MEAN_LOGPROB


def phrase_blacklist(label: Label) -> bool:
    """Drop subtitle credits.

    >>> phrase_blacklist(Label("c", "字幕 由 amara org 社区 提供", 3.0))
    False
    """
    text = label.text.replace(" ", "")
    return not any(phrase in text for phrase in SUBTITLE_CREDITS)


def identical_labels(label: Label) -> bool:
    """Drop a label that is the same in many chunks of the recording."""
    return label.n_identical < MIN_IDENTICAL or label.n_identical <= MAX_SHARE_IDENTICAL * label.n_in_recording


def language_gate(label: Label) -> bool:
    """Keep Mandarin and English with little text in other scripts.

    >>> language_gate(Label("c", "我们用 gpu", 2.0)), language_gate(Label("c", "ご視聴ありがとう", 2.0))
    (True, False)
    """
    tokens = mixed_tokens(label.text)
    n_other = sum(token.script is Script.OTHER for token in tokens)
    return n_other <= MAX_SHARE_OTHER_SCRIPTS * len(tokens)


LabelRule = Callable[[Label], bool]  # True: keep the chunk

LABEL_RULES: dict[str, LabelRule] = {
    rule.__name__: rule
    for rule in (
        characters_per_second,
        compression_ratio,
        mean_logprob,
        phrase_blacklist,
        identical_labels,
        language_gate,
    )
}


def label_rules(names: Iterable[str]) -> dict[str, LabelRule]:
    """The rules with these names, in order. UsageError names an unknown one."""
    rules = {}
    for name in names:
        if name not in LABEL_RULES:
            raise UsageError(f"also: found {name!r}, expected one of {', '.join(LABEL_RULES)}")
        rules[name] = LABEL_RULES[name]
    return rules


def objection(label: Label, rules: dict[str, LabelRule]) -> str:
    """The name of the first rule that does not keep the label. Empty if all keep it."""
    return next((name for name, keeps in rules.items() if not keeps(label)), "")
