"""What can be asked of the recipe: `prepare.options.lectures` in a config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
class Options:
    """The defaults are for a folder of one's own."""

    layout: Literal["auto", "folder", "yodas2"] = "auto"
    """`folder`: any tree of recordings, yt-dlp's too. `yodas2`: shards `audio/*.tar.gz` and `text/*.json`."""
    table: str = ""
    """Metadata, below the root; default: `metadata.tsv` or `metadata.csv`, if one is there."""
    only_listed: bool = False
    """Leave out recordings that the table does not name."""
    captions: Literal["own", "all", "none"] = "own"
    """Whose captions make a recording a test recording: `own` of those without an info file, which somebody wrote for
    this purpose; `all` also those of yt-dlp and YODAS2, which may be a machine's."""
    captions_folder: str = ""
    """Folder below the root with captions in a tree like the recordings'; default: captions lie beside recordings."""
    caption_languages: tuple[str, ...] = ("zh", "cmn", "zho")
    """Of captions named `talk.zh-TW.vtt`: which are references; `talk.vtt` always is."""
    dev_share: Share = 0.0
    """Share of the recordings with captions that become `dev`, to tune on, in place of `test`."""
    dev_by: Literal["recording", "course"] = "recording"
    """What is shared out: a course whole, or recordings."""
    licences: Literal["creative_commons", "any"] = "creative_commons"
    """Which recordings with an info file are taken. Those without one are your own, and are all taken."""
    follow_links: bool = False
    """Take symbolic links, to files and folders, for what they point at."""
