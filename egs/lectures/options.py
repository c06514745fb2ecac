"""The options of the recipe: `prepare.options.lectures` in a config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
class Options:
    """The defaults are for a folder of your own recordings."""

    layout: Literal["auto", "folder", "yodas2"] = "auto"
    """`folder`: any tree of recordings, including yt-dlp's. `yodas2`: shards `audio/*.tar.gz` and `text/*.json`."""
    table: str = ""
    """The metadata file, below the root. Default: `metadata.tsv` or `metadata.csv`, if it exists."""
    only_listed: bool = False
    """Leave out recordings that are not in the table."""
    captions: Literal["own", "all", "none"] = "own"
    """Which captions make a recording a test recording. `own`: those of recordings without an info file, which are
    assumed to be written by people. `all`: also those of yt-dlp and YODAS2, which may be automatic."""
    captions_folder: str = ""
    """The folder below the root with captions in the same tree as the recordings. Default: beside the recordings."""
    caption_languages: tuple[str, ...] = ("zh", "cmn", "zho")
    """Languages of captions named like `talk.zh-TW.vtt` that are references. `talk.vtt` always is one."""
    dev_share: Share = 0.0
    """The share of recordings with captions that become `dev`, for tuning, instead of `test`."""
    dev_by: Literal["recording", "course"] = "recording"
    """Whether whole courses or single recordings are assigned to `dev`."""
    licences: Literal["creative_commons", "any"] = "creative_commons"
    """Which recordings with an info file are used. Recordings without one are your own, and all are used."""
    follow_links: bool = False
    """Follow symbolic links to files and folders."""
