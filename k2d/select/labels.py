"""Further rules on the label alone, to be stacked on any rule: `also` names them. A rule is one function and one name.

All are safe for Han text, which has no spaces and no case. Their parameters are the constants here: whoever changes
one raises VERSION, which is part of the record of what was selected with them.
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
"""UTF-8 bytes per zlib byte; Whisper's own threshold for a failed window."""

MIN_MEAN_LOGPROB = -1.0
"""Natural logarithm, mean over the label's tokens; Whisper's own threshold."""

MAX_SHARE_IDENTICAL = 0.1
"""Of the chunks of a recording that have one label, once it comes MIN_IDENTICAL times."""
MIN_IDENTICAL = 3

MAX_SHARE_OTHER_SCRIPTS = 0.2
"""Of the tokens that are neither Han, Latin nor digits, such as kana in a Mandarin-English lecture."""

SUBTITLE_CREDITS = (
    "字幕由", "字幕志愿者", "字幕制作", "中文字幕", "amaraorg", "请不吝点赞", "订阅转发打赏", "明镜与点点",
    "谢谢观看", "感谢观看", "下期再见", "thanksforwatching", "subtitlesby", "pleasesubscribe",
)  # fmt: skip
"""What recognisers that learnt from subtitles say into silence; compared without spaces, in simplified Han."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a chunk's label. `text` is normalised."""

    id: str
    text: str
    duration_s: float
    n_identical: int = 1
    """Chunks of the recording that have this very label, itself among them."""
    n_in_recording: int = 1
    mean_logprob: float | None = None


def characters_per_second(label: Label) -> bool:
    """As many characters as a person can say in the time.

    >>> characters_per_second(Label("c", "我们 用 gpu", 2.0)), characters_per_second(Label("c", "我", 30.0))
    (True, False)
    """
    n_characters = len(label.text) - label.text.count(" ")
    return MIN_CHARACTERS_PER_S <= n_characters / label.duration_s <= MAX_CHARACTERS_PER_S


def compression_ratio(label: Label) -> bool:
    """A label that does not repeat itself so much that it compresses well."""
    encoded = label.text.encode("utf-8", "surrogatepass")
    return len(encoded) <= MAX_COMPRESSION_RATIO * len(zlib.compress(encoded))


def mean_logprob(label: Label) -> bool:
    """A label of which the teacher was sure."""
    if label.mean_logprob is None:
        message = f"{label.id}: the rule mean_logprob needs the teacher's mean log-probability, which is not known"
        raise K2DError(f"{message}; add a table utt2logprob to the chunks, or take the rule out of `also`")
    return label.mean_logprob >= MIN_MEAN_LOGPROB


def phrase_blacklist(label: Label) -> bool:
    """No subtitle credits.

    >>> phrase_blacklist(Label("c", "字幕 由 amara org 社区 提供", 3.0))
    False
    """
    text = label.text.replace(" ", "")
    return not any(phrase in text for phrase in SUBTITLE_CREDITS)


def identical_labels(label: Label) -> bool:
    """Not the same label all over the recording."""
    return label.n_identical < MIN_IDENTICAL or label.n_identical <= MAX_SHARE_IDENTICAL * label.n_in_recording


def language_gate(label: Label) -> bool:
    """Mandarin and English, with little of any other script.

    >>> language_gate(Label("c", "我们用 gpu", 2.0)), language_gate(Label("c", "ご視聴ありがとう", 2.0))
    (True, False)
    """
    tokens = mixed_tokens(label.text)
    n_other = sum(token.script is Script.OTHER for token in tokens)
    return n_other <= MAX_SHARE_OTHER_SCRIPTS * len(tokens)


LabelRule = Callable[[Label], bool]  # True: keep

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
    """The rules of these names, in their order; UsageError names one that does not exist."""
    rules = {}
    for name in names:
        if name not in LABEL_RULES:
            raise UsageError(f"also: found {name!r}, expected one of {', '.join(LABEL_RULES)}")
        rules[name] = LABEL_RULES[name]
    return rules


def objection(label: Label, rules: dict[str, LabelRule]) -> str:
    """The name of the first rule that does not keep the label; empty if all do."""
    return next((name for name, keeps in rules.items() if not keeps(label)), "")
