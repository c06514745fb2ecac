"""Read yt-dlp's `.info.json` beside a recording: title, uploader, date and licence. Its values are never paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError

MAX_BYTES = 1 << 26  # with comments and thousands of formats; a usual file has 0.5 MB
MAX_TEXT = 500
CREATIVE_COMMONS = "creative commons"


@dataclass(frozen=True, slots=True)
class Info:
    """The fields of an info file. Empty if they are missing or invalid."""

    channel: str = ""
    date: str = ""
    """In the form YYYY-MM-DD."""
    licence: str = ""
    language: str = ""

    @property
    def is_creative_commons(self) -> bool:
        """
        >>> Info(licence="Creative Commons Attribution license (reuse allowed)").is_creative_commons
        True
        >>> Info(licence="Standard YouTube License").is_creative_commons, Info().is_creative_commons
        (False, False)
        """
        licence = self.licence.casefold()
        return licence.startswith(CREATIVE_COMMONS) or licence.startswith("cc-by") or licence.startswith("cc by")


def read_info(path: Path) -> Info:
    """Read an info file. K2DError with the reason if it is not one."""
    if (n_bytes := path.stat().st_size) > MAX_BYTES:
        raise K2DError(f"{path}: has {n_bytes:,} bytes, expected at most {MAX_BYTES:,}")
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or numbers or nesting too large
        raise K2DError(f"{path}: is no JSON: {str(error)[:100]}; fetch it again, or delete it") from error
    if not isinstance(record, dict):
        raise K2DError(f"{path}: found {type(record).__name__}, expected an info file of yt-dlp; delete it")
    channel = next(filter(None, (_text(record, k) for k in ("channel_id", "uploader_id", "channel", "uploader"))), "")
    return Info(channel, _date(_text(record, "upload_date")), _text(record, "license"), _text(record, "language"))


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    return " ".join(value[:MAX_TEXT].split()) if isinstance(value, str) else ""


def _date(text: str) -> str:
    """
    >>> _date("20210305"), _date("yesterday")
    ('2021-03-05', '')
    """
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() and text.isascii() else ""
